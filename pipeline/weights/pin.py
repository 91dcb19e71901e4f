"""`pinned.json` in the store: the digests of an encoder that the weights' lock does not know.

It is written once all its files came and agreed with what their publisher says of them. From
then on every byte is checked against it, without a network too.
"""

from pathlib import Path

from pydantic import ValidationError

from pipeline.base.errors import PipelineError
from pipeline.base.files import sha256_file, write_text
from pipeline.weights import hub
from pipeline.weights.lock import EncoderEntry, PinnedEncoder, PinnedFile, WantedFile

PIN = "pinned.json"


def pinned(entry: EncoderEntry, folder: Path) -> PinnedEncoder:
    """An encoder with the whole digests of its files, which lie verified in `folder`."""
    facts = entry.model_dump(exclude={"files"})
    if (folder / hub.CONFIG).is_file():
        facts["architecture"] = hub.architecture(folder / hub.CONFIG)
    return PinnedEncoder(**facts, files=tuple(_pinned_file(file, folder) for file in entry.files))


def _pinned_file(file: WantedFile, folder: Path) -> PinnedFile:
    path = folder / file.name
    return PinnedFile(
        name=file.name,
        bytes=path.stat().st_size,
        sources=file.sources,
        sha256=sha256_file(path),
    )


def write_pin(folder: Path, pin: PinnedEncoder) -> None:
    """Keeps a pin beside the files it is of."""
    write_text(folder / PIN, pin.model_dump_json(indent=2) + "\n")


def read_pin(folder: Path) -> PinnedEncoder | None:
    """The pin of a folder of the store; None where there is none yet.

    Raises:
        PipelineError: It cannot be read.
    """
    path = folder / PIN
    try:
        return PinnedEncoder.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, ValidationError) as error:
        raise PipelineError(
            f"{path.absolute()} cannot be used; delete it to have the files checked against "
            f"their publisher's digests again.\n{error}"
        ) from error
