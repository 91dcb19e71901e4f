"""What may stand before a fusion so that noise of a modality does not enter it.

Two bottlenecks through which the vectors of all modalities go, each with losses of its own: MISA's
shared and private spaces, and MCIHN's adversarial autoencoders.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pipeline.nn.autoencoder import AdversarialAutoencoder, AutoencoderSettings
from pipeline.nn.mmd import mmd
from pipeline.nn.optimise import Player
from pipeline.nn.precision import precise
from pipeline.nn.shared_private import SharedPrivate

Kind = Literal["misa", "mcihn"]
DIFFERENCE = 0.3  # MISA's weight; those of its other terms are 1
MCIHN = AutoencoderSettings(
    adversarial=0.1,
    game="simultaneous",
    discriminator_rate=1.0,
    discriminator=(128, 64),
    code=128,
    coders="mlp",
    stochastic=False,
    prior="normal",
    reconstruction=1.0,
)
"""What params.yaml has for the system itself."""

DISCREPANCY = 0.1  # likewise


class Decoupling(nn.Module):
    """Vectors of modalities go in and out, [modality, row, width]."""

    discriminators: Sequence[nn.Module] = ()
    """Networks that play against it."""

    def players(self, model: nn.Module) -> dict[str, Player]:
        """The discriminators, if there are any, and the rest of the model that it is a part of."""
        return MCIHN.players(model, self.discriminators)

    def forward(self, features: Tensor, available: Tensor) -> tuple[Tensor, Any]:
        """Give what the fusion reads, and what the losses need.

        Args:
            features: [modality, row, width].
            available: True where a modality is, [modality, row].
        """
        raise NotImplementedError

    def losses(self, made: Any) -> dict[str, Tensor]:
        """Terms by name; rows without a modality enter none of its own."""
        raise NotImplementedError


class MisaDecoupling(Decoupling):
    """`R_m (p_m + c_m)`, see `SharedPrivate`."""

    def __init__(self, modalities: int, width: int) -> None:
        super().__init__()
        self.spaces = SharedPrivate(modalities, width, restores=True)

    def forward(self, features: Tensor, available: Tensor) -> tuple[Tensor, Any]:
        """See `Decoupling`."""
        spaces = self.spaces(features, available)
        return self.spaces.restore(spaces), spaces

    def losses(self, made: Any) -> dict[str, Tensor]:
        """MISA's three; one modality has no similarity."""
        terms = {"similarity": made.similarity()} if len(made.own) > 1 else {}
        terms["difference"] = DIFFERENCE * made.difference(fixed_lengths=True)
        return terms | {"reconstruction": self.spaces.error(made)}


class McihnDecoupling(Decoupling):
    """`W_m S_m`, where S_m is the code of an adversarial autoencoder."""

    def __init__(self, modalities: int, width: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.ModuleList(nn.Linear(width, width) for _ in range(modalities))
        self.coders = nn.ModuleList(
            AdversarialAutoencoder(MCIHN, width, width, dropout) for _ in range(modalities)
        )
        self.last = nn.ModuleList(nn.Linear(MCIHN.code, width) for _ in range(modalities))
        judges = [coder.discriminator for coder in self._typed()]
        self.discriminators = [judge for judge in judges if judge is not None]

    def _typed(self) -> list[AdversarialAutoencoder]:
        return [coder for coder in self.coders if isinstance(coder, AdversarialAutoencoder)]

    def forward(self, features: Tensor, available: Tensor) -> tuple[Tensor, Any]:
        """See `Decoupling`."""
        layers = zip(self.first, self.coders, features, strict=True)
        codes = torch.stack([coder(first(rows)) for first, coder, rows in layers])
        made = torch.stack([layer(rows) for layer, rows in zip(self.last, codes, strict=True)])
        return made, (precise(features).detach(), codes, made, available)

    def losses(self, made: Any) -> dict[str, Tensor]:
        """MCIHN's: reconstruction, the game, and the discrepancy of each pair of modalities."""
        targets, codes, vectors, available = made
        rows = zip(self._typed(), codes, targets, available, strict=True)
        each = [(coder, code[there], target[there]) for coder, code, target, there in rows]
        errors = [coder.error(code, target) for coder, code, target in each]
        games = [coder.game(code) for coder, code, _ in each]
        discrimination, generation = (torch.stack(side).sum() for side in zip(*games, strict=True))
        terms = {
            "reconstruction": MCIHN.reconstruction * torch.stack(errors).mean(),
            "discriminator": discrimination,
            "adversarial": MCIHN.adversarial * generation,
        }
        pairs = [(m, n, available[m] & available[n]) for m, n in combinations(range(len(codes)), 2)]
        if pairs:
            gaps = [mmd(vectors[m][both], vectors[n][both]) for m, n, both in pairs]
            terms["mmd"] = DISCREPANCY * torch.stack(gaps).sum()
        return terms


def make_decoupling(
    kind: Literal["none"] | Kind, modalities: int, width: int, dropout: float
) -> Decoupling | None:
    """Make the one of that name; None for `none`."""
    if kind == "misa":
        return MisaDecoupling(modalities, width)
    return McihnDecoupling(modalities, width, dropout) if kind == "mcihn" else None
