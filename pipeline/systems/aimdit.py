"""AIMDiT, our reading: a turn's modalities as an image, then transformers across and within."""

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from pipeline.nn.batch import DialogueBatch, Packing
from pipeline.nn.inputs import Inputs
from pipeline.nn.subnetworks import mlp
from pipeline.nn.transformer_layers import PreNormLayer
from pipeline.systems.base import Output, Settings, Shape, Source, System

KERNELS = (1, 3, 5)


class AimditSettings(Settings):
    """Sizes of the network, all ours."""

    width: int = Field(ge=1, le=4096, description="Features per modality and utterance.")
    channels: int = Field(ge=1, le=256, description="Of the image between two convolutions.")
    heads: int = Field(ge=1, le=64)
    feedforward: int = Field(ge=1, le=16384, description="Features inside a transformer layer.")
    dropout: float = Field(ge=0, lt=1, description="In transformer layers and the last layers.")

    @model_validator(mode="after")
    def _agree(self) -> "AimditSettings":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class Inception(nn.Module):
    """The mean of convolutions with kernels of several sizes (after Szegedy et al., 2015)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(inputs, outputs, kernel, padding="same") for kernel in KERNELS
        )

    def forward(self, image: Tensor) -> Tensor:
        """Map [row, channel, height, width] to other channels."""
        return torch.stack([convolve(image) for convolve in self.convolutions]).mean(dim=0)


class Aimdit(System):
    """Modality augmentation, then interaction.

    The image U of a turn has a row of features per modality, zeros for one that it lacks:
    `m_m = LayerNorm((U + I_2(GELU(I_1 U)))_m)`, I being Inceptions of 1 to C channels and back.
    Pre-norm transformer layers read the turns that have the modality of their keys: `c_mn` of m
    from n, `s_m` of m from itself; `logits = MLP([s_m; mean_n c_mn] of all m)`. There are no
    positions of turns. With one modality the image has one row, and no layer goes across.
    """

    Settings = AimditSettings
    SOURCE = Source(
        fidelity="our reading",
        citation="after Wu et al., arXiv 2407.00743, 2024",
        adapted="only the abstract could be read: it names a one- to two-dimensional "
        "transformation with an Inception block within and across modalities, and cross-modal and "
        "self-modal transformers; all equations and sizes are ours",
    )

    def __init__(self, settings: AimditSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        width, count, dropout = settings.width, len(shape.features), settings.dropout
        self.inputs = Inputs(shape.features, width, settings.limit)
        self.widen, self.narrow = (
            Inception(*channels) for channels in ((1, settings.channels), (settings.channels, 1))
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(count))
        self.layers = nn.ModuleList(
            nn.ModuleList(
                PreNormLayer(width, settings.heads, settings.feedforward, dropout)
                for _ in range(count)
            )
            for _ in range(count)
        )
        parts = count * (2 if count > 1 else 1)
        self.head = mlp(parts * width, width, shape.classes, dropout)

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn of every dialogue."""
        available = batch.all_available(self.inputs.modalities)
        packing, lacking = Packing(batch.turn_mask), ~available.unsqueeze(-1)
        images = packing.pack(self.inputs(batch).masked_fill(lacking, 0)).transpose(0, 1)
        rows = self._augment(images).transpose(0, 1)
        parts = zip(self.norms, rows, strict=True)
        turns = torch.stack([packing.unpack(norm(vectors)) for norm, vectors in parts])
        turns = turns.masked_fill(lacking, 0)
        usable = available.unsqueeze(2)  # of every query alike
        features = []
        for m, layers in enumerate(self.layers):
            assert isinstance(layers, nn.ModuleList)
            read = [layer(turns[m], turns[n], usable[n]) for n, layer in enumerate(layers)]
            others = read[:m] + read[m + 1 :]
            features += [read[m], *([torch.stack(others).mean(dim=0)] if others else [])]
        return Output(self.head(torch.cat(features, dim=-1)))

    def _augment(self, images: Tensor) -> Tensor:
        """Add to each row of an image what is around it, [row, modality, width]."""
        image = images.unsqueeze(1)
        added: Tensor = self.narrow(functional.gelu(self.widen(image)))
        return (image + added).squeeze(1)
