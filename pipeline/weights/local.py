"""An encoder in a folder of this machine: which of its files are taken, and their digests."""

from pathlib import Path

from pipeline.base.errors import PipelineError
from pipeline.base.files import sha256_file
from pipeline.base.settings import Role
from pipeline.weights import hub
from pipeline.weights.lock import PinnedEncoder, PinnedFile
from pipeline.weights.reference import LocalFolder

STATE_DICTS = (".pth", ".safetensors")


def local_files(reference: LocalFolder, role: Role, setting: str) -> list[Path]:
    """The files of a folder that make up an encoder.

    Raises:
        PipelineError: It is no folder, or does not hold what the role needs.
    """
    folder = reference.folder
    try:
        names = [path.name for path in folder.iterdir() if path.is_file()]
    except OSError as error:
        raise PipelineError(
            f"{setting}: got {reference.name!r}, but {folder.absolute()} is no folder that can "
            f"be read: {error.strerror}."
        ) from error
    if role != "visual":
        return [folder / name for name in hub.needed(names, role, str(folder.absolute()))]
    states = sorted(name for name in names if name.endswith(STATE_DICTS))
    if len(states) != 1:
        raise PipelineError(
            f"{setting}: got {reference.name!r}, expected a folder with one state dict "
            f"({' or '.join(STATE_DICTS)}); {folder.absolute()} has {states or 'none'}."
        )
    return [folder / states[0]]


def local_entry(reference: LocalFolder, role: Role, setting: str) -> PinnedEncoder:
    """The encoder in a folder, by the digests its files have now.

    Raises:
        PipelineError: It does not hold what the role needs.
    """
    paths = local_files(reference, role, setting)
    return PinnedEncoder(
        name=reference.name,
        role=role,
        architecture=reference.architecture or hub.architecture(reference.folder / hub.CONFIG),
        revision="local folder",
        licence="not stated",
        description="A folder of the machine that made these features.",
        files=tuple(_file(path) for path in paths),
    )


def _file(path: Path) -> PinnedFile:
    try:
        return PinnedFile(name=path.name, bytes=path.stat().st_size, sha256=sha256_file(path))
    except ValueError as error:
        raise PipelineError(
            f"{path.absolute()} is empty or has a name with other characters than letters, "
            "digits and ._-; rename it or get it again."
        ) from error
    except OSError as error:
        raise PipelineError(f"{path.absolute()} cannot be read: {error.strerror}.") from error
