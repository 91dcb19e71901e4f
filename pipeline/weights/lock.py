"""The lock of pretrained weights: every encoder's files, their digests, and where to get them.

The lock is committed, so that a result can be traced to exact bytes, and so that a file from
anywhere (a user's disk, a cache, a mirror, a package) can be trusted once its digest agrees.
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from pipeline.base.errors import PipelineError
from pipeline.base.files import sha256_file
from pipeline.base.settings import Role, Strict

LOCK_PATH = Path(__file__).with_name("lock.yaml")
REPOSITORY = r"[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*"
COMMIT = r"[0-9a-f]{40}"
# They become folder names, and arguments of pip, where a leading `-` would mean something else.
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
# Each part begins with a letter, a digit or `_`, which leaves out `..`, `/x` and hidden files.
PATH = r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*"
SOURCE = rf"^(https?://\S*[^\s/]|hub:{REPOSITORY}@{COMMIT}|pypi:{NAME}=={NAME}/{PATH})$"

RelativePath = Annotated[str, Field(pattern=f"^{PATH}$")]


class FileDigest(Strict):
    """What tells a file: its size in bytes, None if unknown, and its SHA-256, or how it begins."""

    bytes: int | None = Field(gt=0)
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]

    def difference(self, path: Path, *, verify: bool = True) -> str | None:
        """How a file on disk differs from this one, in words, or None; hashes it to `verify`."""
        try:
            if self.bytes not in (None, size := path.stat().st_size):
                return f"got {size} bytes, expected {self.bytes}"
            if verify and not (got := sha256_file(path)).startswith(self.sha256):
                return f"got SHA-256 {got}, expected {self.sha256}"
        except OSError as error:
            return f"cannot be read: {error.strerror}"
        return None


class Provenance(Strict):
    """What an encoder is and where it comes from.

    Its architecture is a torchvision model, a transformers class or `YuNet`; its revision the
    upstream release, such as `ResNet101_Weights.IMAGENET1K_V2`.
    """

    name: str = Field(min_length=1)
    role: Role
    architecture: str = Field(min_length=1)
    revision: str = Field(min_length=1)
    licence: str = Field(min_length=1)
    description: str = Field(min_length=1)


class KnownEncoder(Provenance):
    """An encoder whose files' digests are known before the files are here, as by the lock."""

    sources: tuple[Annotated[str, Field(pattern=SOURCE)], ...] = Field(min_length=1)
    files: dict[RelativePath, FileDigest] = Field(min_length=1)


Lock = dict[Annotated[str, Field(pattern=f"^{NAME}$")], KnownEncoder]


def read_lock(path: Path = LOCK_PATH) -> Lock:
    """Read the lock file: encoders by name; refuse one that breaks the schema."""
    import yaml  # here, as stages that read an encoder's folder read no lock

    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
        return TypeAdapter(Lock).validate_python({n: {"name": n, **e} for n, e in entries.items()})
    except (OSError, yaml.YAMLError, ValidationError, AttributeError, TypeError) as error:
        raise PipelineError(
            f"The weights lock {path} cannot be used; restore the committed file.\n{error}"
        ) from error


def of_role(lock: Lock, role: Role) -> list[str]:
    """Sorted names of the encoders of a role."""
    return sorted(name for name, encoder in lock.items() if encoder.role == role)
