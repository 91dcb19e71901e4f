"""`encoder.json`: what an encoder folder holds, in words and digests."""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from pipeline.base.errors import PipelineError
from pipeline.base.files import write_text
from pipeline.base.settings import Role
from pipeline.weights.lock import PinnedEncoder, RelativePath, Sha256, Strict

RECORD = "encoder.json"
FORMAT: Literal["encoder/1"] = "encoder/1"
NO_ENCODER = {"format": FORMAT, "name": None}


class FileRecord(Strict):
    """Size and digest of one file."""

    bytes: int = Field(gt=0)
    sha256: Sha256


class FinetunedRecord(Strict):
    """How an encoder was fine-tuned.

    Attributes:
        corpus: Whose train split it learned from.
        settings: The sections `finetune` and `text`, and the arithmetic.
        epoch: The one that validation chose.
        history: One row of numbers per epoch.
        parts: Dialogues that the encoder in the folder `part0`, `part1`, ... has not seen, and
            that it reads; the encoder beside the record reads all others. Empty without cross-fit.
    """

    corpus: str
    settings: dict[str, Any]
    epoch: int
    history: tuple[dict[str, float], ...]
    parts: tuple[tuple[str, ...], ...] = ()


class EncoderRecord(Strict):
    """What `encoder.json` holds.

    Attributes:
        files: By name.
        folder: Where the files lie, from the record's folder on; None: in it.
        finetuned: None for a pretrained encoder.
    """

    format: Literal["encoder/1"]
    name: str
    role: Role
    architecture: str
    revision: str
    licence: str
    description: str
    files: dict[RelativePath, FileRecord] = Field(min_length=1)
    folder: str | None = None
    finetuned: FinetunedRecord | None = None


def record_of(entry: PinnedEncoder, folder: Path) -> EncoderRecord:
    """The record of an encoder whose verified files lie in `folder`."""
    sizes = {file.name: (folder / file.name).stat().st_size for file in entry.files}
    return EncoderRecord(
        format=FORMAT,
        name=entry.name,
        role=entry.role,
        architecture=entry.architecture,
        revision=entry.revision,
        licence=entry.licence,
        description=entry.description,
        files={f.name: FileRecord(bytes=sizes[f.name], sha256=f.sha256) for f in entry.files},
    )


def write_record(folder: Path, record: EncoderRecord | None) -> None:
    """Writes a record, or that there is no encoder (None).

    Keys are sorted and there are no dates, so that equal encoders are equal bytes.
    """
    content = record.model_dump(exclude_none=True) if record else NO_ENCODER
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False)
    write_text(folder / RECORD, text + "\n")


def read_record(folder: Path) -> EncoderRecord:
    """Reads and checks `encoder.json`.

    Raises:
        PipelineError: If there is none, if it is not one, or if it says that there is no encoder.
    """
    path = folder / RECORD
    try:
        text = path.read_text(encoding="utf-8")
        if json.loads(text) == NO_ENCODER:
            raise PipelineError(
                f"{folder} holds no encoder, as its modality is switched off in params.yaml; "
                "switch it on and run `dvc repro`."
            )
        return EncoderRecord.model_validate_json(text)
    except (OSError, ValueError, ValidationError) as error:
        raise PipelineError(
            f"No usable encoder in {folder}: cannot read {RECORD}; "
            f"run `dvc repro` to have it written.\n{error}"
        ) from error
