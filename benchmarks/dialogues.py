"""Random dialogues of the sizes of MELD's and IEMOCAP's train splits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pipeline.nn.batch import Dialogue

DIMENSIONS = {"text": 768, "audio": 6373, "visual": 1000}
"""RoBERTa-base, ComParE_2016, ResNet-101."""


@dataclass(frozen=True)
class CorpusShape:
    """What decides how long an epoch takes.

    Attributes:
        name: The corpus.
        dialogues: Number in the train split.
        turns: Of the shortest, the mean and the longest dialogue.
        deviation: Standard deviation of the turns.
        speakers: Fewest and most in a dialogue.
        classes: Utterances of each class in the train split.
        batch: Dialogues per batch, as MultiEMO's.
        layers: Cross-attention layers, as MultiEMO's.
    """

    name: str
    dialogues: int
    turns: tuple[int, float, int]
    deviation: float
    speakers: tuple[int, int]
    classes: tuple[int, ...]
    batch: int
    layers: int

    def scaled(self, share: float) -> "CorpusShape":
        """The same corpus with a share of its dialogues."""
        return replace(self, dialogues=max(2, round(share * self.dialogues)))


MELD_CLASSES = (4710, 1743, 1205, 1109, 683, 271, 268)
IEMOCAP_CLASSES = (1468, 1324, 933, 839, 742, 504)
MELD = CorpusShape("MELD", 1038, (1, 9.6, 24), 5.8, (1, 9), MELD_CLASSES, 100, 2)
IEMOCAP = CorpusShape("IEMOCAP", 120, (8, 48.4, 110), 17.0, (2, 2), IEMOCAP_CLASSES, 64, 6)


def random_dialogues(
    shape: CorpusShape,
    *,
    dimensions: Mapping[str, int] = DIMENSIONS,
    frames: int = 20,
    missing: float = 0.0,
) -> list[Dialogue]:
    """Dialogues of the shape with noise for features, the same on every call.

    Args:
        shape: The corpus.
        dimensions: Number of features by modality.
        frames: Per utterance; at most so many where `missing` is not 0.
        missing: Share of the utterances that lack a modality, drawn for each modality.
    """
    generator = np.random.default_rng(0)
    torch.manual_seed(0)
    shares = np.array(shape.classes) / sum(shape.classes)
    dialogues = []
    for number, turns in enumerate(lengths(shape, generator)):
        present = {m: torch.rand(turns) >= missing for m in dimensions}
        counts = torch.randint(1, frames + 1, (turns, 1)) if missing else torch.tensor(frames)
        sizes = {m: (turns, frames) if m == "visual" else (turns,) for m in dimensions}
        dialogue = Dialogue(
            name=str(number),
            utterances=[f"{number}_{turn}" for turn in range(turns)],
            features={m: torch.randn(*sizes[m], width) for m, width in dimensions.items()},
            frame_mask=(torch.arange(frames) < counts) & present["visual"][:, None],
            present=present,
            speakers=_speakers(turns, shape, generator),
            labels=torch.from_numpy(generator.choice(len(shares), turns, p=shares)),
            texts=[f"so what about {turn} then?" for turn in range(turns)],
        )
        dialogues.append(dialogue)
    return dialogues


def lengths(shape: CorpusShape, generator: np.random.Generator) -> list[int]:
    """Turns of each dialogue, one of which is the longest: a beta distribution over the range."""
    shortest, mean, longest = shape.turns
    if shortest == longest:
        return [longest] * shape.dialogues
    span = longest - shortest
    centre, variance = (mean - shortest) / span, (shape.deviation / span) ** 2
    total = centre * (1 - centre) / variance - 1
    shares = generator.beta(centre * total, (1 - centre) * total, shape.dialogues)
    shares[0] = 1.0
    return [int(turns) for turns in generator.permutation(np.rint(shortest + span * shares))]


def _speakers(turns: int, shape: CorpusShape, generator: np.random.Generator) -> Tensor:
    """The speaker of each turn, [turn], by first appearance; MELD has 2.8 people in a dialogue."""
    fewest, most = shape.speakers
    people = fewest + generator.binomial(most - fewest, 0.22)
    seen: dict[int, int] = {}
    drawn = generator.integers(people, size=turns).tolist()
    return torch.tensor([seen.setdefault(person, len(seen)) for person in drawn])
