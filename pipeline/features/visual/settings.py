"""`visual`: the network that turns each frame into a vector."""

from typing import Literal

from pydantic import Field

from pipeline.base.settings import Section


class VisualSettings(Section):
    """The visual encoder."""

    encoder: str = Field(description="A `visual` entry of pipeline/weights/lock.yaml.")
    layer: Literal["logits", "pooled"] = Field(
        description="logits: the class scores (1000 for ImageNet); pooled: what they are made from."
    )
    batch_size: int = Field(ge=1, le=4096, description="Frames per forward pass, always filled up.")
    backend: Literal["torch", "onnxruntime"] = Field(
        description="What computes on a CPU. onnxruntime is faster, but exporting the network "
        "takes seconds first. A GPU always uses torch."
    )
