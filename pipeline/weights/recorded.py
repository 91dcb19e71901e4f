"""Encoder folders that hold a record and no files: of no encoder, or of one that lies elsewhere."""

import os
from pathlib import Path

from pipeline.base.files import replacing_folder
from pipeline.weights.record import read_record, write_record


def write_none(folder: Path) -> None:
    """Writes the encoder folder of a modality that is switched off; one there is replaced."""
    with replacing_folder(folder) as part:
        write_record(part, None)


def write_pointer(target: Path, folder: Path) -> None:
    """Writes the encoder folder of an encoder whose files lie in another one.

    Args:
        target: An encoder folder with files.
        folder: The folder to write; one that is there is replaced.

    Raises:
        PipelineError: `target` has no usable record.
    """
    way = Path(os.path.relpath(target, folder)).as_posix()
    record = read_record(target).model_copy(update={"folder": way})
    with replacing_folder(folder) as part:
        write_record(part, record)
