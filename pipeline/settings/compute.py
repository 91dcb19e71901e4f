"""`compute`: the machine's share in the numbers. One block for all corpora."""

from typing import Literal

from pydantic import Field

from pipeline.settings.base import Section


class ComputeSettings(Section):
    """Where and how exactly networks run.

    Threads enter the numbers: other thread counts sum in another order, so bytes are only
    promised for one value on one CPU type.
    """

    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        description="auto takes cuda where there is one, else cpu. mps is accepted but untested."
    )
    threads: int = Field(ge=1, le=256, description="CPU threads of an encoder.")
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        description="Arithmetic of encoders and training on a GPU; a CPU always uses float32."
    )
    deterministic: bool = Field(
        description="Refuse GPU kernels whose results vary from run to run (slower)."
    )
