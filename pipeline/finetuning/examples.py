"""What fine-tuning is given: labelled utterances with words, of train and validation dialogues.

Test dialogues are left out before anything is read of them, and their labels are never read. A
turn is read with turns of its own dialogue alone, so no word of a test dialogue is in here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from pipeline import paths
from pipeline.errors import PipelineError
from pipeline.extraction.text import read_turns
from pipeline.extractors.turns import Turn, Window
from pipeline.manifest import Utterance, stream_manifest
from pipeline.protocol import Protocol, read_protocol

LEARNT = ("train", "valid")


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
            f"finetune.CORPUS.enabled: the protocol has {len(protocol.folds)} folds, and what one "
            "learns from is tested on in another, with the same features; expected one fold. Set "
            "it to false, or protocol.CORPUS.splits to another value."
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
                f"finetune.CORPUS.enabled: got no labelled utterance with words in the {split} "
                "split, expected some to learn from and some to choose the epoch by. Set it to "
                "false, or choose other labels or splits under protocol.CORPUS."
            )
    dialogues = tuple(name for name, split in split_of.items() if split == "train")
    return Examples(protocol.classes, dialogues, found["train"], found["valid"])
