"""Random dialogues with the sizes of MELD's and IEMOCAP's train splits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pipeline.training.data import Dialogue

DIMENSIONS = {"text": 768, "audio": 6373, "visual": 1000}
"""RoBERTa-base, ComParE_2016, ResNet-101."""


@dataclass(frozen=True)
class Shape:
    """What decides how long an epoch takes.

    Attributes:
        name: Of the corpus.
        dialogues: In the train split.
        turns: Of the shortest, the mean and the longest dialogue.
        deviation: Standard deviation of the turns.
        speakers: Of a dialogue, at least and at most.
        classes: Utterances of each class in the train split.
        batch: Dialogues per batch, as MultiEMO's; the issue names no number.
        layers: Of cross-attention, as MultiEMO's.
    """

    name: str
    dialogues: int
    turns: tuple[int, float, int]
    deviation: float
    speakers: tuple[int, int]
    classes: tuple[int, ...]
    batch: int
    layers: int

    def scaled(self, share: float) -> "Shape":
        """The same corpus with a share of its dialogues."""
        return replace(self, dialogues=max(2, round(share * self.dialogues)))


MELD = Shape(
    name="MELD",
    dialogues=1038,
    turns=(1, 9.6, 24),
    deviation=5.8,
    speakers=(1, 9),
    classes=(4710, 1743, 1205, 1109, 683, 271, 268),
    batch=100,
    layers=2,
)
IEMOCAP = Shape(
    name="IEMOCAP",
    dialogues=120,
    turns=(8, 48.4, 110),
    deviation=17.0,
    speakers=(2, 2),
    classes=(1468, 1324, 933, 839, 742, 504),
    batch=64,
    layers=6,
)


def random_dialogues(
    shape: Shape,
    *,
    dimensions: Mapping[str, int] = DIMENSIONS,
    frames: int = 20,
    missing: float = 0.0,
    seed: int = 0,
) -> list[Dialogue]:
    """Dialogues of the shape, with noise for features.

    Args:
        shape: The corpus.
        dimensions: Number of features by modality.
        frames: Of an utterance.
        missing: Share of the utterances without a modality, drawn for each modality. If not 0,
            frame counts vary too.
        seed: Of everything random.
    """
    generator = np.random.default_rng(seed)
    torch.manual_seed(seed)
    return [
        _dialogue(str(number), turns, shape, dimensions, frames, missing, generator)
        for number, turns in enumerate(lengths(shape, generator))
    ]


def lengths(shape: Shape, generator: np.random.Generator) -> list[int]:
    """Turns of each dialogue, one of which is the longest: a beta distribution over the range."""
    shortest, mean, longest = shape.turns
    span = longest - shortest
    centre, variance = (mean - shortest) / span, (shape.deviation / span) ** 2
    total = centre * (1 - centre) / variance - 1
    shares = generator.beta(centre * total, (1 - centre) * total, shape.dialogues)
    shares[0] = 1.0
    return [int(turns) for turns in generator.permutation(np.rint(shortest + span * shares))]


def _dialogue(
    name: str,
    turns: int,
    shape: Shape,
    dimensions: Mapping[str, int],
    frames: int,
    missing: float,
    generator: np.random.Generator,
) -> Dialogue:
    present = {m: torch.rand(turns) >= missing for m in dimensions}
    counts = torch.randint(1, frames + 1, (turns, 1)) if missing else torch.tensor(frames)
    frame_mask = (torch.arange(frames) < counts) & present["visual"][:, None]
    sizes = {m: (turns, frames) if m == "visual" else (turns,) for m in dimensions}
    shares = np.array(shape.classes) / sum(shape.classes)
    return Dialogue(
        name=name,
        utterances=[f"{name}_{turn}" for turn in range(turns)],
        features={m: torch.randn(*sizes[m], width) for m, width in dimensions.items()},
        frame_mask=frame_mask,
        present=present,
        speakers=_speakers(turns, shape, generator),
        labels=torch.from_numpy(generator.choice(len(shares), turns, p=shares)),
    )


def _speakers(turns: int, shape: Shape, generator: np.random.Generator) -> Tensor:
    """Who speaks, [turn], numbered by first appearance; MELD has 2.8 people in a dialogue."""
    fewest, most = shape.speakers
    people = fewest + generator.binomial(most - fewest, 0.22)
    seen: dict[int, int] = {}
    drawn = generator.integers(people, size=turns).tolist()
    return torch.tensor([seen.setdefault(person, len(seen)) for person in drawn])
