"""What the sections of params.yaml share: the modalities, the roles of encoders, and `compute`."""

from pathlib import PurePosixPath
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

Modality = Literal["text", "audio", "visual"]
MODALITIES: tuple[Modality, ...] = ("text", "audio", "visual")
# Whose labels an encoder has seen before it computed features.
TrainedOn = Literal["none", "train", "train+dev", "unknown"]
# What a pretrained encoder is for.
Role = Literal["faces", "visual", "text", "audio"]
ROLES: tuple[Role, ...] = get_args(Role)


class Strict(BaseModel):
    """A record that refuses unknown keys and never changes."""

    # Sections are imported by name, all of them; those that a stage does not read cost it nothing.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


class Section(Strict):
    """A section of params.yaml for one corpus."""


def canonical(modalities: tuple[Modality, ...]) -> tuple[Modality, ...]:
    """The modalities in the one order used everywhere.

    Raises:
        ValueError: One is named twice.
    """
    if len(set(modalities)) != len(modalities):
        raise ValueError(f"names a modality twice: {list(modalities)}")
    return tuple(m for m in MODALITIES if m in modalities)


def below(file: str) -> str:
    """The path of a file below the raw folder of a corpus.

    Raises:
        ValueError: It leads elsewhere.
    """
    path = PurePosixPath(file)
    if path.is_absolute() or not path.name or ".." in path.parts:
        raise ValueError(f"{file!r} does not lie below the raw folder of the corpus")
    return file


class ComputeSettings(Section):
    """Where and how exactly networks run.

    Threads enter the numbers: other thread counts sum in another order, so bytes are only
    promised for one value.
    """

    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        description="auto takes cuda where there is one, else cpu. mps is accepted but untested."
    )
    threads: int = Field(ge=1, le=256, description="CPU threads of an encoder.")
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        description="Arithmetic of encoders and training on a GPU; a CPU always uses float32."
    )
    arithmetic: Literal["auto", "portable", "native"] = Field(
        description="portable: a CPU gives the bytes of any other x86-64 CPU with AVX2; native: as "
        "fast as the CPU can; auto: portable for generated corpora, native for the others."
    )
    deterministic: bool = Field(
        description="Refuse GPU kernels whose results vary from run to run (slower)."
    )
