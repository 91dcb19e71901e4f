"""The encoder folder: what the feature stages depend on, one per corpus and role.

The store in `models/weights` belongs to the machine and is no part of the DVC graph. An
encoder folder is: it holds copies of one encoder's files and `encoder.json`, which says what they
are. A change of encoder changes the folder's bytes, and with them every feature made from it.

The folder of the text encoder that `finetune` writes holds a fine-tuned encoder, or only the record
of the pretrained one, which says in which folder its files are.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.base.errors import PipelineError
from pipeline.base.files import sha256_file
from pipeline.base.settings import Role
from pipeline.weights.record import RECORD, EncoderRecord, read_record

PART_FOLDER = "part"


@dataclass(frozen=True)
class Encoder:
    """An encoder folder that was checked.

    Attributes:
        name: As the lock, its publisher or params.yaml has it.
        role: `faces`, `visual`, `text` or `audio`.
        architecture: A torchvision model's or a transformers class's name, or `YuNet`.
        revision: The upstream release, such as `ResNet101_Weights.IMAGENET1K_V2`.
        licence: As its publisher states it.
        folder: Where the files lie.
        files: Hex SHA-256 by file name.
        parts: Dialogues that are read by another encoder, number 0, 1, ...; see `part`.
    """

    name: str
    role: Role
    architecture: str
    revision: str
    licence: str
    folder: Path
    files: dict[str, str]
    parts: Sequence[Sequence[str]] = ()

    @property
    def whole(self) -> "Encoder":
        """The encoder of all dialogues that are in no part."""
        own = {name: sha256 for name, sha256 in self.files.items() if "/" not in name}
        return replace(self, files=own, parts=()) if self.parts else self

    def part(self, number: int) -> "Encoder":
        """The encoder of the dialogues of one part."""
        start = f"{PART_FOLDER}{number}/"
        own = {n.removeprefix(start): s for n, s in self.files.items() if n.startswith(start)}
        return replace(self, folder=self.folder / start, files=own, parts=())

    @property
    def digest(self) -> str:
        """One hex SHA-256 for all files: that of the lines `SHA-256  NAME`, sorted by name."""
        lines = "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(self.files.items()))
        return hashlib.sha256(lines.encode()).hexdigest()

    @property
    def identity(self) -> dict[str, str]:
        """What tells it from every other encoder."""
        return {
            "name": self.name,
            "architecture": self.architecture,
            "revision": self.revision,
            "sha256": self.digest,
        }

    @property
    def about(self) -> dict[str, str]:
        """What a feature store keeps of its encoder."""
        return {**self.identity, "licence": self.licence}


def load(folder: Path, *, verify: bool = True) -> Encoder:
    """Reads an encoder folder and checks that it holds just the files of its record.

    Args:
        folder: What `install.install` wrote.
        verify: Whether to hash the files; without, only their sizes are compared.

    Raises:
        PipelineError: If there is no usable record, or the files are not those of the record.
    """
    record = read_record(folder)
    files = folder / record.folder if record.folder else folder
    problems = _problems(files, record, verify)
    if problems:
        raise PipelineError(
            f"The encoder folder {files} is not as {folder / RECORD} says:\n"
            + "\n".join(f"  {problem}" for problem in problems)
            + "\nDelete the folder and run `dvc repro` to have it written anew."
        )
    return Encoder(
        name=record.name,
        role=record.role,
        architecture=record.architecture,
        revision=record.revision,
        licence=record.licence,
        folder=files,
        files={name: file.sha256 for name, file in sorted(record.files.items())},
        parts=record.finetuned.parts if record.finetuned else (),
    )


def _problems(folder: Path, record: EncoderRecord, verify: bool) -> list[str]:
    """What differs between the folder and its record, one line per file.

    Files that the record does not name count too: transformers would pick some of them up.
    """
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    problems = [f"{name}: not expected here" for name in sorted(found - {RECORD, *record.files})]
    for name, file in sorted(record.files.items()):
        path = folder / name
        if not path.is_file():
            problems.append(f"{name}: missing")
        elif (size := path.stat().st_size) != file.bytes:
            problems.append(f"{name}: got {size} bytes, expected {file.bytes}")
        elif verify and (got := sha256_file(path)) != file.sha256:
            problems.append(f"{name}: got SHA-256 {got}, expected {file.sha256}")
    return problems
