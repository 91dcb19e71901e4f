"""What a machine and a repository need: git, DVC, decoders, a device, room on the disk."""

import getpass
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import av

from pipeline.base import paths
from pipeline.base.call import check_writable
from pipeline.base.errors import PipelineError
from pipeline.base.lockfile import LOCK, lost
from pipeline.base.machine import cpu_model, has_avx2
from pipeline.base.params import Params
from pipeline.base.settings import ComputeSettings
from pipeline.doctor.findings import GIGABYTE, Finding, bad, good, note
from pipeline.features.common.device import chosen_device

# What the known corpora hold: MELD, IEMOCAP, CREMA-D, and what users convert them to.
ENTRIES = 5  # files of the clip cache for an utterance: a look, pictures, a vector a modality
DECODERS = ("h264", "mpeg4", "flv", "aac", "mp3", "pcm_s16le")
MOVED = "was this folder moved or copied? `make .venv/.place` mends its programs"


def findings() -> Iterator[Finding]:
    """What can be found without params.yaml."""
    yield repository()
    yield from _lock()
    yield from _identity()
    yield programs()
    yield _decoders()


def repository() -> Finding:
    """Whether the working folder is a git repository with DVC in which experiments can run."""
    try:
        inside, head = _ran("git", "rev-parse", "--git-dir"), _ran("git", "rev-parse", "HEAD")
    except FileNotFoundError:
        return bad("git is not installed; DVC needs it")
    if inside.returncode:
        return bad(_no_repository(inside.stderr))
    if head.returncode:
        return bad("the repository has no commit yet: commit once, `dvc exp run` needs it")
    if not Path(".dvc").is_dir():
        return bad("there is no folder .dvc here: run this in the project's root, or `dvc init`")
    return good(f"git repository with DVC, commit {head.stdout[:12]}")


def _no_repository(complaint: str) -> str:
    if "dubious ownership" in complaint:
        command = "git config --global --add safe.directory"
        return (
            "git does not trust this repository, as it belongs to another user; if you do: "
            f"{command} {shlex.quote(str(_top()))}"
        )
    if "not a git repository" in complaint:
        return (
            "this folder is not a git repository, which DVC needs: "
            "`git init && git add -A && git commit -m start`"
        )
    return f"git cannot read this repository: {complaint.strip()}"


def _top() -> Path:
    """The nearest folder with git's own."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)


def _ran(*command: str) -> subprocess.CompletedProcess[str]:
    """A command's end and words, which are English."""
    return subprocess.run(
        command,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        env=os.environ | {"LC_ALL": "C"},
    )


def _lock() -> Iterator[Finding]:
    """Whether dvc.lock still knows what the last commit knows."""
    try:
        gone = lost()
    except PipelineError as error:
        yield bad(str(error))
        return
    if gone:
        yield note(
            f"{LOCK} has lost entries of {len(gone)} stages that the last commit has ({gone[0]}"
            f"{', ...' * (len(gone) > 1)}): `git checkout {LOCK}` puts the last commit's back, or "
            "let `dvc repro` run them again; it computes nothing that a cache holds"
        )


def _identity() -> Iterator[Finding]:
    """Whether git knows whom to name in a commit; `dvc repro` makes none."""
    for key in ("user.name", "user.email"):
        if shutil.which("git") and _ran("git", "config", key).returncode:
            yield note(
                f"git has no {key}, which `dvc exp run` needs: git config --global {key} ..."
            )


def programs() -> Finding:
    """Whether the programs that run DVC's stages are on the PATH and start."""
    lacking = [name for name in ("python", "dvc") if shutil.which(name) is None]
    if lacking:
        return bad(f"{lacking} not on the PATH: `source .venv/bin/activate`, or use `make`")
    try:
        getpass.getuser(), Path.home()
    except (KeyError, OSError, RuntimeError):
        return bad("this user has no name or home, which DVC needs: export LOGNAME=me HOME=DIR")
    try:
        started = _ran(str(shutil.which("dvc")), "--version")
    except OSError as error:  # of the interpreter, which its first line names
        return bad(f"dvc does not start ({error.strerror}): {MOVED}")
    if started.returncode:
        last = started.stderr.strip().rpartition("\n")[2]
        return bad(f"dvc does not start ({last}): {MOVED}")
    return good(f"python and dvc are on the PATH, DVC {started.stdout.strip()}")


def _decoders() -> Finding:
    lacking = [name for name in DECODERS if name not in av.codecs_available]
    if lacking:
        return note(f"PyAV {av.__version__} lacks decoders of {lacking}: such files are masked")
    return good(f"PyAV {av.__version__} decodes {', '.join(DECODERS)}")


def device(params: Params) -> Finding:
    """Whether networks can run where `compute` says."""
    try:
        chosen = chosen_device(params.of(ComputeSettings).device)
    except PipelineError as error:
        return bad(str(error))
    if chosen == "cpu" and not has_avx2():
        return note(
            f"networks run on a {cpu_model()} without AVX2: the demos' results may differ from the "
            "committed ones in the last bits"
        )
    return good(f"networks run on {chosen}; CPU: {cpu_model()}, {os.cpu_count()} cores")


def room(needed: float) -> Finding:
    """Whether outputs can be written: permissions, and the bytes that features may take."""
    cache = paths.cache_root()
    try:
        check_writable([Path("data"), Path("models"), Path("metrics"), cache])
    except PipelineError as error:
        return bad(str(error))
    folder = next(p for p in (cache, *cache.absolute().parents) if p.is_dir())
    free = min(shutil.disk_usage(place).free for place in (Path(), folder))
    line = f"{free / GIGABYTE:.0f} GB free; frames and features may take {needed / GIGABYTE:.1f}"
    return good(line) if free > needed else bad(f"{line}: make room, or set ERC_CACHE elsewhere")


def files(utterances: int) -> Finding | None:
    """Whether the cache's disk has room for as many files; None if so, or if nobody knows."""
    cache = paths.cache_root()
    folder = next(p for p in (cache, *cache.absolute().parents) if p.is_dir())
    free, needed = os.statvfs(folder).f_favail, ENTRIES * utterances
    if free == 0 or needed <= free:  # some file systems make room for files as they come, and say 0
        return None
    return bad(
        f"the disk of {folder} has room for {free} more files, and the clip cache may need "
        f"{needed}: set ERC_CACHE to another disk, or ask for more inodes"
    )
