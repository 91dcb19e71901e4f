"""Cross-fitting: parts of the train dialogues, each read by an encoder that has not seen it.

Features of utterances that an encoder learned from look surer than those of any other utterance,
and what is trained on them trusts them too much. All encoders start from the same weights, head
included, and run for the same number of epochs at the same learning rates, so that their vectors
stay comparable; how far they do is measured by what one encoder's head makes of another's vectors.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from pipeline.finetuning.examples import Example
from pipeline.finetuning.network import TunedEncoder
from pipeline.finetuning.writing import figures


def parts_of(dialogues: Sequence[str], count: int, seed: int) -> list[tuple[str, ...]]:
    """Deals dialogues out to parts, at random.

    Args:
        dialogues: Of the train split.
        count: How many parts; 0: none.
        seed: Of the draw.

    Returns:
        The dialogues of each part in their former order; their numbers differ by one at most.
    """
    if not count:
        return []
    dealt = np.random.default_rng(seed).permutation(len(dialogues)) % count
    return [
        tuple(name for name, part in zip(dialogues, dealt, strict=True) if part == number)
        for number in range(count)
    ]


@dataclass
class Gap:
    """What heads say of train utterances, seen and unseen.

    Attributes:
        whole: The encoder that saw them all.
        classes: Names by class number.
    """

    whole: TunedEncoder
    classes: Sequence[str]
    _labels: list[int] = field(default_factory=list)
    _found: dict[str, list[Tensor]] = field(default_factory=dict)

    def add(self, examples: Sequence[Example], unseeing: TunedEncoder) -> None:
        """Takes in a part.

        Args:
            examples: Of the part.
            unseeing: The encoder that has not seen them.
        """
        turns = [e.turn for e in examples]
        unseen = unseeing.vectors(unseeing.read(turns))
        seen = self.whole.vectors(self.whole.read(turns))
        for name, found in (
            ("seen", self.whole.probabilities(seen)),
            ("unseen", unseeing.probabilities(unseen)),
            ("unseen_by_the_whole_head", self.whole.probabilities(unseen)),
        ):
            self._found.setdefault(name, []).append(found)
        self._labels += [e.label for e in examples]

    def figures(self) -> dict[str, float]:
        """Weighted F1 on train utterances, in percent.

        `seen`: of the encoder that learned from them; `unseen`: of those that did not; the last:
        of the first one's head on the others' vectors, equal to `unseen` where vectors of several
        encoders can be told apart by one map as well as by their own.
        """
        return {
            name: figures(self._labels, torch.cat(parts).numpy(), self.classes)["weighted_f1"]
            for name, parts in self._found.items()
        }
