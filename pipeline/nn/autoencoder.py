"""Adversarial autoencoders (Makhzani et al., 2015): codes that follow a prior."""

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from pipeline.nn.adversarial import GameSettings, accuracy, adversarial_losses, spread
from pipeline.nn.precision import precise


class AutoencoderSettings(GameSettings):
    """Sizes and weights of adversarial autoencoders; a weight of 0 leaves the part out."""

    code: int = Field(ge=1, le=4096, description="Features of a code.")
    coders: Literal["mlp", "linear"] = Field(
        description="linear: encoders and decoders without anything between their maps."
    )
    stochastic: bool = Field(
        description="In training a code is drawn, by a mean and a deviation that the encoder gives."
    )
    prior: Literal["normal", "uniform"] = Field(
        description="The distribution that codes should follow; uniform: from -1 to 1."
    )
    reconstruction: float = Field(ge=0, description="Weight of the decoders' error.")


class AdversarialAutoencoder(nn.Module):
    """An encoder, from a first map on, a decoder and a discriminator.

    `S = V dropout(ReLU(LayerNorm(U x)))`, where U x is what comes in; `Dec S = B ReLU(A S)`; the
    discriminator tells S from draws of the prior.

    Args:
        settings: Sizes, and which parts there are.
        size: Features of x.
        width: Features of U x, and inside the decoder.
        dropout: Of the encoder.
    """

    def __init__(
        self, settings: AutoencoderSettings, size: int, width: int, dropout: float
    ) -> None:
        super().__init__()
        self.settings, code = settings, settings.code
        last = nn.Linear(width, 2 * code if settings.stochastic else code)
        linear = settings.coders == "linear"
        inner = () if linear else (nn.LayerNorm(width), nn.ReLU(), nn.Dropout(dropout))
        self.encoder = nn.Sequential(*inner, last)
        first = () if linear else (nn.Linear(code, width), nn.ReLU())
        decoder = (*first, nn.Linear(code if linear else width, size))
        self.decoder = nn.Sequential(*decoder) if settings.reconstruction else None
        self.discriminator = settings.make_discriminator(code)

    def forward(self, rows: Tensor) -> Tensor:
        """Encode U x, [row, width], as [row, code]; by the mean where nothing is learnt."""
        code: Tensor = self.encoder(rows)
        if not self.settings.stochastic:
            return code
        mean, deviation = code.chunk(2, dim=-1)
        if not self.training:
            return mean
        return mean + functional.softplus(deviation) * torch.randn_like(mean)

    def error(self, codes: Tensor, targets: Tensor) -> Tensor:
        """`mean (x - Dec S)^2` over features and rows, 0 without rows; 0 without a decoder.

        Args:
            codes: S, [row, code].
            targets: x, [row, feature].
        """
        if self.decoder is None or not len(codes):
            return precise(codes).sum() * 0
        return functional.mse_loss(precise(self.decoder(codes)), targets)

    def game(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """The losses of the discriminator and of the encoder; 0 without a discriminator."""
        if self.discriminator is None:
            return (none := precise(codes).sum() * 0), none
        return adversarial_losses(self.discriminator, self.draw(codes), codes)

    def draw(self, like: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draw from the prior as many rows as there are codes."""
        drawn = torch.empty_like(like)
        if self.settings.prior == "normal":
            return drawn.normal_(generator=generator)
        return drawn.uniform_(-1, 1, generator=generator)

    def figures(self, codes: Tensor) -> dict[str, Tensor]:
        """Mean and deviation of codes, [row, code], and how often the discriminator is right."""
        figures = spread(codes, "code")
        if self.discriminator is not None:
            # Draws of its own: to be watched changes no training.
            generator = torch.Generator(codes.device).manual_seed(0)
            real = self.draw(precise(codes), generator)
            figures["discriminator_accuracy"] = accuracy(self.discriminator, real, codes)
        return figures


def figures_by(
    modalities: Sequence[str], coders: Sequence[AdversarialAutoencoder], codes: Sequence[Tensor]
) -> dict[str, Tensor]:
    """`figures` of each modality's codes, [row, code], each name followed by its modality."""
    return {
        f"{figure}_{modality}": value
        for modality, coder, rows in zip(modalities, coders, codes, strict=True)
        for figure, value in coder.figures(rows).items()
    }
