"""What may stand before a fusion so that noise of a modality does not enter it.

Two bottlenecks through which the vectors of all modalities go, each with losses of its own: MISA's
shared and private spaces, and MCIHN's adversarial autoencoders.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pipeline.nn.autoencoder import AdversarialAutoencoder, AutoencoderSettings, figures_by
from pipeline.nn.mmd import mmd
from pipeline.nn.optimise import Player
from pipeline.nn.precision import precise
from pipeline.nn.shared_private import SharedPrivate

Kind = Literal["misa", "mcihn"]
DIFFERENCE = 0.3  # MISA's weight; those of its other terms are 1
DISCREPANCY = 0.1  # of MCIHN, as params.yaml has it for the system itself


def autoencoders(width: int) -> AutoencoderSettings:
    """What params.yaml has for MCIHN itself, with codes of half the width."""
    return AutoencoderSettings(
        adversarial=0.1,
        game="simultaneous",
        discriminator_rate=1.0,
        discriminator_betas=(0.5, 0.999),
        discriminator_decay=0.0,
        discriminator=(128, 64),
        code=width // 2,
        coders="mlp",
        stochastic=False,
        prior="normal",
        reconstruction=1.0,
    )


class Decoupling(nn.Module):
    """Vectors of modalities go in and out, [modality, row, width]."""

    def players(self, model: nn.Module) -> dict[str, Player]:
        """Who learns in the model that it is a part of; empty without discriminators."""
        return {}

    def forward(self, features: Tensor, available: Tensor) -> tuple[Tensor, Any]:
        """Give what the fusion reads, and what the losses need.

        Args:
            features: [modality, row, width].
            available: True where a modality is, [modality, row].
        """
        raise NotImplementedError

    def losses(self, made: Any, weight: float) -> dict[str, Tensor]:
        """Terms by name, weighted but for a discriminator's own.

        Rows without a modality enter none of its own.
        """
        raise NotImplementedError

    def figures(self, made: Any, modalities: Sequence[str]) -> dict[str, Tensor]:
        """What the history shows of it."""
        return {}


class MisaDecoupling(Decoupling):
    """`R_m (p_m + c_m)`, see `SharedPrivate`."""

    def __init__(self, modalities: int, width: int) -> None:
        super().__init__()
        self.spaces = SharedPrivate(modalities, width, restores=True)

    def forward(self, features: Tensor, available: Tensor) -> tuple[Tensor, Any]:
        """See `Decoupling`."""
        spaces = self.spaces(features, available)
        return self.spaces.restore(spaces), spaces

    def losses(self, made: Any, weight: float) -> dict[str, Tensor]:
        """MISA's three; one modality has no similarity."""
        terms = {"similarity": weight * made.similarity()} if len(made.own) > 1 else {}
        terms["difference"] = weight * DIFFERENCE * made.difference(fixed_lengths=True)
        return terms | {"reconstruction": weight * self.spaces.error(made)}


class McihnDecoupling(Decoupling):
    """`W_m S_m`, where S_m is the code of an adversarial autoencoder."""

    def __init__(self, modalities: int, width: int, dropout: float) -> None:
        super().__init__()
        self.settings = settings = autoencoders(width)
        self.first = nn.ModuleList(nn.Linear(width, width) for _ in range(modalities))
        self.coders = nn.ModuleList(
            AdversarialAutoencoder(settings, width, width, dropout) for _ in range(modalities)
        )
        self.last = nn.ModuleList(nn.Linear(settings.code, width) for _ in range(modalities))

    def players(self, model: nn.Module) -> dict[str, Player]:
        """The discriminators and the rest."""
        judges = [coder.discriminator for coder in self._typed()]
        return self.settings.players(model, [judge for judge in judges if judge is not None])

    def _typed(self) -> list[AdversarialAutoencoder]:
        return [coder for coder in self.coders if isinstance(coder, AdversarialAutoencoder)]

    def forward(self, features: Tensor, available: Tensor) -> tuple[Tensor, Any]:
        """See `Decoupling`."""
        layers = zip(self.first, self.coders, features, strict=True)
        codes = torch.stack([coder(first(rows)) for first, coder, rows in layers])
        made = torch.stack([layer(rows) for layer, rows in zip(self.last, codes, strict=True)])
        return made, (precise(features).detach(), codes, made, available)

    def losses(self, made: Any, weight: float) -> dict[str, Tensor]:
        """MCIHN's: reconstruction, the game, and the discrepancy of each pair of modalities."""
        targets, codes, vectors, available = made
        settings = self.settings
        rows = zip(self._typed(), codes, targets, available, strict=True)
        each = [(coder, code[there], target[there]) for coder, code, target, there in rows]
        errors = [coder.error(code, target) for coder, code, target in each]
        games = [coder.game(code) for coder, code, _ in each]
        discrimination, generation = (torch.stack(side).sum() for side in zip(*games, strict=True))
        terms = {
            "reconstruction": weight * settings.reconstruction * torch.stack(errors).mean(),
            "discriminator": discrimination,
            "adversarial": weight * settings.adversarial * generation,
        }
        pairs = [(m, n, available[m] & available[n]) for m, n in combinations(range(len(codes)), 2)]
        if pairs:
            gaps = [mmd(vectors[m][both], vectors[n][both]) for m, n, both in pairs]
            terms["mmd"] = weight * DISCREPANCY * torch.stack(gaps).sum()
        return terms

    def figures(self, made: Any, modalities: Sequence[str]) -> dict[str, Tensor]:
        """What becomes of the codes and of the game."""
        _, codes, _, available = made
        present = [code[there] for code, there in zip(codes, available, strict=True)]
        return figures_by(modalities, self._typed(), present)


def make_decoupling(
    kind: Literal["none"] | Kind, modalities: int, width: int, dropout: float
) -> Decoupling | None:
    """Make the one of that name; None for `none`."""
    if kind == "misa":
        return MisaDecoupling(modalities, width)
    return McihnDecoupling(modalities, width, dropout) if kind == "mcihn" else None
