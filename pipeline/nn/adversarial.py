"""Networks that learn against each other: a discriminator's loss and that of what it judges.

`adversarial_losses` is the non-saturating game, `reverse_gradient` the minimax one; their gradients
differ where the discriminator is sure.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from pipeline.base.settings import Section
from pipeline.nn.optimise import Player
from pipeline.nn.precision import precise

Beta = Annotated[float, Field(ge=0, lt=1)]


class GameSettings(Section):
    """How discriminators play against the rest of a system."""

    adversarial: float = Field(ge=0, description="Weight of the generators' loss; 0: no game.")
    game: Literal["simultaneous", "alternate"] = Field(
        description="Both players step after one forward, or each after a forward of its own."
    )
    discriminator_rate: float = Field(
        gt=0, le=100, description="Of the discriminators, as a share of learning_rate."
    )
    discriminator_betas: tuple[Beta, Beta] = Field(
        description="Of the discriminators' AdamW; (0.5, 0.999) since Radford et al. (ICLR 2016)."
    )
    discriminator_decay: float = Field(ge=0, description="Weight decay of the discriminators.")
    discriminator: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(
        max_length=8, description="Features of a discriminator's hidden layers."
    )

    def make_discriminator(self, features: int) -> nn.Sequential | None:
        """Make one that maps [row, feature] to logits, [row, 1]; None without a game."""
        if not self.adversarial:
            return None
        sizes = (features, *self.discriminator, 1)
        maps: list[nn.Module] = [nn.Linear(*pair) for pair in pairwise(sizes)]
        hidden = [part for each in maps[:-1] for part in (each, nn.LeakyReLU(0.2))]
        return nn.Sequential(*hidden, maps[-1])

    def rounds(self, discriminators: Sequence[nn.Module]) -> tuple[tuple[str, ...], ...]:
        """`System.ROUNDS` of the game."""
        together = self.game == "simultaneous" or not discriminators
        return () if together else (("discriminators",), ("rest",))

    def players(self, model: nn.Module, discriminators: Sequence[nn.Module]) -> dict[str, Player]:
        """`System.players` of the game: the rest alone if there are no discriminators."""
        judging = [p for module in discriminators for p in module.parameters()]
        rest = [p for p in model.parameters() if not any(p is other for other in judging)]
        players = {"rest": Player(rest)}
        if judging:
            players["discriminators"] = Player(
                judging, self.discriminator_rate, self.discriminator_betas, self.discriminator_decay
            )
        return players


def adversarial_losses(
    discriminator: nn.Module, real: Tensor, fake: Tensor
) -> tuple[Tensor, Tensor]:
    """Losses of a discriminator and of the generator that made the fakes (Goodfellow et al., 2014).

    `L_D = BCE(D(real), 1) + BCE(D(sg fake), 0)` leaves no gradient in the generator, and
    `L_G = BCE(D'(fake), 1)`, D' with frozen parameters, none in the discriminator: one backward
    of their sum gives each its own.

    Args:
        discriminator: Maps [row, feature] to logits, [row, 1].
        real: [row, feature].
        fake: [row, feature].

    Returns:
        L_D and L_G, scalars; a term without rows is 0.
    """
    frozen = {name: p.detach() for name, p in discriminator.named_parameters()}
    discrimination = _binary_entropy(discriminator(real), 1.0)
    discrimination = discrimination + _binary_entropy(discriminator(fake.detach()), 0.0)
    generation = _binary_entropy(functional_call(discriminator, frozen, (fake,)), 1.0)
    return discrimination, generation


def _binary_entropy(logits: Tensor, target: float) -> Tensor:
    logits = precise(logits)
    if not len(logits):
        return logits.sum()
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def accuracy(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """How often a discriminator is right, a mean of its shares of reals and fakes.

    NaN where there are no reals or no fakes.

    Axes as of `adversarial_losses`.
    """
    rows = ((discriminator(precise(real)) > 0), (discriminator(precise(fake)) <= 0))
    return torch.stack([part.float().mean() for part in rows]).mean()


def spread(vectors: Tensor, name: str) -> dict[str, Tensor]:
    """Mean and deviation over all rows and features, [row, feature]; NaN without rows."""
    vectors = precise(vectors)
    mean = vectors.mean()
    return {f"{name}_mean": mean, f"{name}_deviation": (vectors - mean).square().mean().sqrt()}


def recognition_loss(discriminator: nn.Module, groups: Sequence[Tensor]) -> Tensor:
    """Cross-entropy of telling which group a row comes from, each group counting alike.

    Over rows whose gradient is reversed, the rows learn to hide it.

    Args:
        discriminator: Maps [row, feature] to logits, [row, group].
        groups: [row, feature] of each, a modality say; those without rows do not count.
    """
    losses = []
    for number, rows in enumerate(groups):
        logits = precise(discriminator(rows))
        target = torch.full((len(rows),), number, device=rows.device)
        losses.append(functional.cross_entropy(logits, target) if len(rows) else logits.sum())
    filled = sum(len(rows) > 0 for rows in groups)
    return torch.stack(losses).sum() / max(1, filled)


@torch.no_grad()
def recognised(discriminator: nn.Module, groups: Sequence[Tensor]) -> Tensor:
    """Share of rows whose group is recognised, each group counting alike; 0 without any row.

    Without dropout, whose random numbers would be those of the run.

    Args:
        discriminator: As of `recognition_loss`.
        groups: Likewise.
    """
    training = discriminator.training
    discriminator.eval()
    shares = [
        # Figures are made outside of autocast, which made the rows.
        (discriminator(precise(rows)).argmax(dim=1) == number).float().mean()
        for number, rows in enumerate(groups)
        if len(rows)
    ]
    discriminator.train(training)
    return torch.stack(shares).mean() if shares else groups[0].new_zeros(())


def reverse_gradient(values: Tensor, weight: float) -> Tensor:
    """The identity, whose gradient is multiplied by -weight (Ganin & Lempitsky, ICML 2015)."""
    same: Tensor = _ReverseGradient.apply(values, weight)
    return same


def reversal_weight(progress: float) -> float:
    """Ramp of the reversal: 0 at the start of training, nearly 1 at its end.

    Args:
        progress: Share of training that is done, p in `2 / (1 + e^(-10 p)) - 1`.
    """
    return 2 / (1 + math.exp(-10 * progress)) - 1


class RampedReversal(nn.Module):
    """Gradient reversal by `reversal_weight`; what it counts is kept with the weights."""

    seen: Tensor
    planned: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.tensor(0))
        self.register_buffer("planned", torch.tensor(1))

    def plan(self, dialogues: int) -> None:
        """Set how many dialogues training reads in all of its epochs."""
        self.planned.fill_(dialogues)

    def count(self, dialogues: int) -> None:
        """Note that so many more were read."""
        self.seen += dialogues

    def forward(self, values: Tensor) -> Tensor:
        """The identity, whose gradient is reversed."""
        progress = self.seen.item() / self.planned.item()
        return reverse_gradient(values, reversal_weight(progress))


class _ReverseGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: float) -> Tensor:
        ctx.weight = weight
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.weight * gradients[0], None
