"""The encoder folder: what the feature stages depend on, one per corpus and role.

It holds copies of one encoder's files and `encoder.json`, which says what they are. A change of
encoder changes the folder's bytes, and with them every feature made from it.

The folder of the text encoder that `finetune` writes holds a fine-tuned encoder, or only the record
of the pretrained one, which says in which folder its files are.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from pipeline.base.errors import PipelineError
from pipeline.base.files import replacing_folder, sha256_file, write_text
from pipeline.base.settings import Role, Strict
from pipeline.weights.lock import PATH, FileDigest, Provenance, RelativePath

RECORD = "encoder.json"
FORMAT: Literal["encoder/1"] = "encoder/1"
NO_ENCODER = {"format": FORMAT, "name": None}
# Where a file of an encoder names others, which transformers then reads wherever they lie.
NAMING = {
    "config.json": "transformers_weights",
    "model.safetensors.index.json": "weight_map",
    "tokenizer_config.json": "fast_tokenizer_files",
}


class FinetunedRecord(Strict):
    """How an encoder was fine-tuned.

    Attributes:
        corpus: Whose train split it learned from.
        settings: The sections `finetune` and `text`, and the arithmetic.
        epoch: The one that validation chose.
        history: One row of numbers per epoch.
    """

    corpus: str
    settings: dict[str, Any]
    epoch: int
    history: tuple[dict[str, float], ...]


class EncoderRecord(Provenance):
    """What `encoder.json` holds."""

    format: Literal["encoder/1"] = FORMAT
    files: dict[RelativePath, FileDigest] = Field(min_length=1)
    # Where the files lie, from the record's folder on, if not in it. From
    # models/encoders/CORPUS/text it cannot leave models/.
    folder: Annotated[str, Field(pattern=rf"^(\.\./){{0,3}}{PATH}$")] | None = None
    finetuned: FinetunedRecord | None = None


@dataclass(frozen=True)
class Encoder:
    """An encoder folder that was checked; see `Provenance`.

    Attributes:
        folder: Where the files lie.
        files: Hex SHA-256 by file name.
    """

    name: str
    role: Role
    architecture: str
    revision: str
    licence: str
    folder: Path
    files: dict[str, str]

    @property
    def digest(self) -> str:
        """One hex SHA-256 for all files: that of the lines `SHA-256  NAME`, sorted by name."""
        lines = "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(self.files.items()))
        return hashlib.sha256(lines.encode()).hexdigest()

    @property
    def about(self) -> dict[str, str]:
        """What a feature store keeps of its encoder."""
        return {
            "name": self.name,
            "architecture": self.architecture,
            "revision": self.revision,
            "sha256": self.digest,
            "licence": self.licence,
        }


def load(folder: Path, *, verify: bool = True) -> Encoder:
    """Read an encoder folder; refuse one that does not hold just the files of its record.

    Files are hashed to `verify` them; without, only their sizes are compared.
    """
    record = read_record(folder)
    place = folder / record.folder if record.folder else folder
    if problems := _problems(place, record, verify):
        raise PipelineError(
            f"The encoder folder {place} is not as {folder / RECORD} says:\n"
            + "\n".join(f"  {problem}" for problem in problems)
            + "\nDelete the folder and run `dvc repro` to have it written anew."
        )
    return Encoder(
        **record.model_dump(include={"name", "role", "architecture", "revision", "licence"}),
        folder=place,
        files={name: file.sha256 for name, file in sorted(record.files.items())},
    )


def _problems(folder: Path, record: EncoderRecord, verify: bool) -> list[str]:
    """What differs between the folder and its record, one line per file.

    Files that the record does not name count too: transformers would pick some of them up. So do
    pipes, and links to folders, whose files have no digest.
    """
    names = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }
    problems = [f"{name}: not expected here" for name in sorted(names - {RECORD, *record.files})]
    for name, file in sorted(record.files.items()):
        path = folder / name
        if not path.is_file():
            problems.append(f"{name}: missing")
        elif difference := file.difference(path, verify=verify):
            problems.append(f"{name}: {difference}")
    return [*problems, *_led_astray(folder, record.files)]


def _led_astray(folder: Path, names: Iterable[str]) -> Iterator[str]:
    """A line for each file that names another one outside the folder, which has no digest."""
    for name in sorted(names):
        if (key := NAMING.get(Path(name).name)) is None:
            continue
        try:
            named = json.loads((folder / name).read_text(encoding="utf-8")).get(key, ())
            others = named.values() if isinstance(named, dict) else named
            others = {named} if isinstance(named, str) else set(others or ())
        except (OSError, ValueError, RecursionError, AttributeError, TypeError):
            continue  # transformers cannot read it either
        for other in sorted(map(str, others)):
            if not re.fullmatch(PATH, other):
                yield f"{name}: names {other!r} in {key}, expected a file of this folder"


def record_of(
    folder: Path, provenance: Provenance, finetuned: FinetunedRecord | None = None
) -> EncoderRecord:
    """The record of an encoder and all files that lie in its folder.

    Refuse empty files, names of other characters than letters, digits and `._-`, and files that
    name others outside the folder.
    """
    content = provenance.model_dump(include=set(Provenance.model_fields))
    try:
        files = {
            path.relative_to(folder).as_posix(): FileDigest(
                bytes=path.stat().st_size, sha256=sha256_file(path)
            )
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path != folder / RECORD
        }
        record = EncoderRecord(**content, files=files, finetuned=finetuned)
    except ValidationError as error:
        raise PipelineError(
            f"{provenance.name} cannot be used as an encoder: a file is empty or has a name with "
            f"other characters than letters, digits and ._-; rename it or get it again.\n{error}"
        ) from error
    if astray := list(_led_astray(folder, files)):
        raise PipelineError(
            f"{provenance.name} cannot be used as an encoder, as it reads files that are not its "
            "own; get it again, or save it anew with save_pretrained.\n" + "\n".join(astray)
        )
    return record


def write_record(folder: Path, record: EncoderRecord | None) -> None:
    """Write a record, or that there is no encoder (None).

    Keys are sorted and there are no dates, so that equal encoders are equal bytes.
    """
    content = record.model_dump(exclude_none=True) if record else NO_ENCODER
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False)
    write_text(folder / RECORD, text + "\n")


def read_record(folder: Path) -> EncoderRecord:
    """Read and check `encoder.json`; refuse an absent or odd one, and one that names no encoder."""
    try:
        text = (folder / RECORD).read_text(encoding="utf-8")
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


def write_none(folder: Path) -> None:
    """Write the encoder folder of a modality that is switched off; one there is replaced."""
    with replacing_folder(folder) as part:
        write_record(part, None)


def write_pointer(target: Path, folder: Path) -> None:
    """Write the encoder folder of the encoder whose files lie in `target`, another one."""
    way = Path(os.path.relpath(target, folder)).as_posix()
    record = read_record(target).model_copy(update={"folder": way})
    with replacing_folder(folder) as part:
        write_record(part, record)
