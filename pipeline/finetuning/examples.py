"""What a fine-tuning learns from: labelled utterances, in padded batches of tokens, and settings.

Test dialogues are left out before their texts are read, and their labels are never read. A turn's
context comes from its own dialogue alone, so no word of a test dialogue enters.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.base.files import chunked
from pipeline.base.settings import ComputeSettings
from pipeline.features.text.encoder import TextNetwork, TurnBatch
from pipeline.features.text.settings import TextSettings
from pipeline.features.text.tokens import Tokens
from pipeline.features.text.turns import Turn, Window, read_turns
from pipeline.finetuning.settings import FinetuneSettings
from pipeline.records.manifest import Utterance, stream_manifest
from pipeline.records.protocol import LEARNT, Protocol, read_protocol

TOKENS_AT_ONCE = 8192
BATCHES_PER_POOL = 32
# GPU kernels are fastest when row lengths are multiples of this.
MULTIPLE_ON_GPU = 8


class PaddedTurns:
    """The tokenised turns of a split, kept on a device.

    Attributes:
        lengths: Number of tokens of each turn.
    """

    def __init__(
        self, network: TextNetwork, tokens: Sequence[Tokens], padding: int, device: torch.device
    ) -> None:
        self.lengths = [len(of_turn.ids) for of_turn in tokens]
        self._multiple = MULTIPLE_ON_GPU if device.type == "cuda" else 1
        self._all = network.batch(tokens, max(self.lengths), padding).to(device.type)

    def batch(self, places: Sequence[int]) -> TurnBatch:
        """Batch some of the turns, padded to the longest of them."""
        longest = max(self.lengths[place] for place in places)
        return self._all.rows(places, math.ceil(longest / self._multiple) * self._multiple)

    def by_length(self) -> Iterator[list[int]]:
        """All indices, in batches of turns of similar length and about the same size in tokens."""
        order = sorted(range(len(self.lengths)), key=lambda place: (self.lengths[place], place))
        return chunked(order, max(1, TOKENS_AT_ONCE // max(self.lengths)))


def draw(labels: Tensor, sampling: str, generator: torch.Generator) -> Tensor:
    """Draw the utterance indices of an epoch in random order.

    Args:
        labels: [utterance].
        sampling: `all`: each once; `class_balanced`: the same number with replacement, all
            classes equally likely.
        generator: Source of randomness.
    """
    if sampling == "all":
        return torch.randperm(len(labels), generator=generator)
    counts = torch.bincount(labels).double()
    return torch.multinomial(
        (1 / counts)[labels], len(labels), replacement=True, generator=generator
    )


def batches(
    drawn: Tensor, lengths: Sequence[int], batch_size: int, generator: torch.Generator
) -> list[list[int]]:
    """Make batches of utterances of similar length, which need little padding.

    Utterances are sorted by length within pools of `BATCHES_PER_POOL` batches, so that batches
    differ from epoch to epoch.

    Args:
        drawn: Utterance indices in random order.
        lengths: Number of tokens by utterance index.
        batch_size: Utterances per batch; the last has the rest.
        generator: Source of randomness for the order of the batches.
    """
    pools = chunked(drawn.tolist(), batch_size * BATCHES_PER_POOL)
    ordered = [place for pool in pools for place in sorted(pool, key=lengths.__getitem__)]
    whole = list(chunked(ordered, batch_size))
    return [whole[n] for n in torch.randperm(len(whole), generator=generator).tolist()]


class Example(NamedTuple):
    """A labelled utterance with text.

    Attributes:
        turn: Its text with context.
        label: Class number.
    """

    turn: Turn
    label: int


@dataclass(frozen=True)
class Examples:
    """The labelled utterances with text of two splits, in manifest order.

    Attributes:
        classes: Names by class number.
        train: Examples of the train split.
        valid: Examples of the validation split.
    """

    classes: tuple[str, ...]
    train: list[Example]
    valid: list[Example]


@dataclass(frozen=True)
class Task:
    """What one fine-tuning learns from, and how.

    Attributes:
        folder: Folder of the pretrained encoder.
        text: Settings of reading and pooling turns.
        compute: Settings of the machine; `device` is resolved, never `auto`.
    """

    folder: Path
    examples: Examples
    text: TextSettings
    settings: FinetuneSettings
    compute: ComputeSettings


def read_examples(corpus: str, window: Window) -> Examples:
    """Read a corpus' examples.

    Raises:
        PipelineError: A file is missing, the protocol has several folds, or a split has no labelled
            utterance with text.
    """
    protocol = read_protocol(paths.protocol(corpus), labels_of=LEARNT)
    return examples(stream_manifest(paths.manifest(corpus)), protocol, window)


def examples(utterances: Iterable[Utterance], protocol: Protocol, window: Window) -> Examples:
    """Join texts, in manifest order, and labels; test labels are not looked at.

    Raises:
        PipelineError: The protocol has several folds: one encoder for all of them would have seen
            the test dialogues of some. Or a split has no labelled utterance with text.
    """
    if len(protocol.folds) > 1:
        raise PipelineError(
            f"CORPUS.finetune.enabled: the protocol has {len(protocol.folds)} folds, expected one: "
            "one encoder for all folds would learn from the test dialogues of some. Set it to "
            "false, or change CORPUS.protocol.splits."
        )
    learnt = [e for e in protocol.entries if e.split in LEARNT]
    split_of = {e.dialogue: e.split for e in learnt}
    labels = {e.utterance: e.label for e in learnt}
    by_split: dict[str, list[Example]] = {"train": [], "valid": []}
    for u, turn in read_turns((u for u in utterances if u.dialogue in split_of), window):
        label = labels.get(u.utterance)
        if label is not None and u.text.strip():
            by_split[split_of[u.dialogue]].append(Example(turn, label))
    for split, members in by_split.items():
        if not members:
            raise PipelineError(
                f"CORPUS.finetune.enabled: the {split} split has no labelled utterance with text, "
                "expected some in train and in validation. Set it to false, or choose other "
                "labels or splits in CORPUS.protocol."
            )
    return Examples(protocol.classes, by_split["train"], by_split["valid"])
