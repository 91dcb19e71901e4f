"""What fine-tuning reads: labelled utterances of train and validation, as padded batches of tokens.

Test dialogues are left out before anything is read of them, and their labels are never read. A
turn is read with turns of its own dialogue alone, so no word of a test dialogue enters.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.base.files import chunked
from pipeline.features.text.encoder import TextNetwork, TurnBatch
from pipeline.features.text.tokens import Tokens
from pipeline.features.text.turns import Turn, Window, read_turns
from pipeline.records.manifest import Utterance, stream_manifest
from pipeline.records.protocol import LEARNT, Protocol, read_protocol

TOKENS_AT_ONCE = 8192
# Kernels of a GPU want rows of whole multiples.
MULTIPLE_ON_GPU = 8


class PaddedTurns:
    """Turns of a split.

    Args:
        network: Whose batches they become.
        tokens: Of each turn.
        padding: The token to pad with.
        device: Where they are kept.

    Attributes:
        lengths: Tokens of each turn.
    """

    def __init__(
        self, network: TextNetwork, tokens: Sequence[Tokens], padding: int, device: str
    ) -> None:
        self.lengths = [len(of_turn.ids) for of_turn in tokens]
        self._multiple = MULTIPLE_ON_GPU if device == "cuda" else 1
        self._all = network.batch(tokens, max(self.lengths, default=0), padding).to(device)

    def batch(self, places: Sequence[int]) -> TurnBatch:
        """Some of the turns, padded to the longest of them."""
        longest = max(self.lengths[place] for place in places)
        return self._all.rows(places, math.ceil(longest / self._multiple) * self._multiple)

    def by_length(self) -> Iterator[list[int]]:
        """All places, in batches of turns of similar length and about as many tokens."""
        order = sorted(range(len(self.lengths)), key=lambda place: (self.lengths[place], place))
        longest = max(self.lengths, default=1)
        return iter(chunked(order, max(1, TOKENS_AT_ONCE // longest)))


BATCHES_PER_POOL = 32


def draw(labels: Tensor, sampling: str, generator: torch.Generator) -> Tensor:
    """The utterances of an epoch, by place, in random order.

    Args:
        labels: [utterance].
        sampling: `all`: each once; `class_balanced`: as many, with replacement, each class being
            as likely as the others.
        generator: Of the draw.
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
    """Batches of utterances of similar length, which leaves little padding.

    Utterances are sorted by length within pools of 32 batches, so that batches hold others in
    each epoch.

    Args:
        drawn: Places of utterances, in random order.
        lengths: Tokens of each utterance, by place.
        batch_size: Utterances per batch; the last has the rest.
        generator: Of the order of the batches.
    """
    pool = batch_size * BATCHES_PER_POOL
    order = drawn.tolist()
    ordered = [
        place
        for start in range(0, len(order), pool)
        for place in sorted(order[start : start + pool], key=lengths.__getitem__)
    ]
    found = [ordered[n : n + batch_size] for n in range(0, len(ordered), batch_size)]
    return [found[n] for n in torch.randperm(len(found), generator=generator).tolist()]


class Example(NamedTuple):
    """A labelled utterance with words.

    Attributes:
        dialogue: Its dialogue's id.
        turn: What is read.
        label: Class number.
        sentiment: Raw code, None where there is none.
    """

    dialogue: str
    turn: Turn
    label: int
    sentiment: str | None


@dataclass(frozen=True)
class Examples:
    """The labelled utterances with words of two splits, in manifest order.

    Attributes:
        classes: Names by class number.
        dialogues: All of the train split, those without a label too, in protocol order.
        train: To learn from.
        valid: To choose the epoch by.
    """

    classes: tuple[str, ...]
    dialogues: tuple[str, ...]
    train: list[Example]
    valid: list[Example]


def read_examples(corpus: str, window: Window) -> Examples:
    """Reads a corpus.

    Args:
        corpus: Which.
        window: How much of a dialogue is read with each turn.

    Raises:
        PipelineError: A file is missing, the protocol has several folds, or a split has no labelled
            utterance with words.
    """
    protocol = read_protocol(paths.protocol(corpus), labels_of=LEARNT)
    return examples(stream_manifest(paths.manifest(corpus)), protocol, window)


def examples(utterances: Iterable[Utterance], protocol: Protocol, window: Window) -> Examples:
    """Joins texts and labels.

    Args:
        utterances: In manifest order.
        protocol: Test labels are not looked at.
        window: How much of a dialogue is read with each turn.

    Raises:
        PipelineError: The protocol has several folds: one encoder for all of them would have seen
            the test dialogues of some. Or a split has no labelled utterance with words.
    """
    if len(protocol.folds) > 1:
        raise PipelineError(
            f"CORPUS.finetune.enabled: the protocol has {len(protocol.folds)} folds, and what one "
            "learns from is tested on in another, with the same features; expected one fold. Set "
            "it to false, or CORPUS.protocol.splits to another value."
        )
    learnt = [e for e in protocol.entries if e.split in LEARNT]
    split_of = {e.dialogue: e.split for e in learnt}
    labels = {e.utterance: e.label for e in learnt}
    found: dict[str, list[Example]] = {"train": [], "valid": []}
    for u, turn in read_turns((u for u in utterances if u.dialogue in split_of), window):
        label = labels.get(u.utterance)
        if label is not None and u.text.strip():
            found[split_of[u.dialogue]].append(Example(u.dialogue, turn, label, u.sentiment))
    for split, examples_of in found.items():
        if not examples_of:
            raise PipelineError(
                f"CORPUS.finetune.enabled: got no labelled utterance with words in the {split} "
                "split, expected some to learn from and some to choose the epoch by. Set it to "
                "false, or choose other labels or splits under CORPUS.protocol."
            )
    dialogues = tuple(name for name, split in split_of.items() if split == "train")
    return Examples(protocol.classes, dialogues, found["train"], found["valid"])
