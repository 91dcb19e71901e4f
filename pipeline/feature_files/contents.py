"""What a file of published features holds, in one form for all layouts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.base.settings import Modality, TrainedOn

# The text, and further layers of its encoder, by their names among the vectors.
TEXT_LAYERS = ("text", "text2", "text3", "text4")
# [frame, feature] of each row, in the file's own type, one frame where a turn has one vector; None
# where the file has no row for the turn. Zeros, NaN and infinities are as the file has them.
Vectors = Sequence[np.ndarray | None]


@dataclass(frozen=True)
class Turn:
    """A turn as a feature file has it, in the terms of the manifest; None where the file is silent.

    Attributes:
        dialogue: As this project names it: `train/dia0`, `Ses01F_impro01`.
        utterance: The official id, `train/dia0_utt3`; None where the file has no ids.
        speaker: Unique over the corpus: `Ses01F`; `train/dia0#1` where a file numbers the speakers
            of each dialogue.
        text: The words, as the file has them.
        emotion: Raw code of the corpus, `hap`; a plain number as text, `3`, where the order of the
            classes is not known.
        sentiment: Likewise.
        valence: A continuous label on the corpus' scale.
        split: The official one: `train`, `dev` or `test`.
        session: The recording session.
    """

    dialogue: str
    utterance: str | None = None
    speaker: str | None = None
    text: str | None = None
    emotion: str | None = None
    sentiment: str | None = None
    valence: float | None = None
    split: str | None = None
    session: str | None = None


@dataclass(frozen=True)
class Contents:
    """What a file or folder of features holds.

    Attributes:
        layout: Name of the layout, `mmgcn`.
        corpus: Whose labels it has: a name of `pipeline/corpora/registry.py`, `other` if none.
        turns: In the file's order, dialogue by dialogue.
        vectors: By modality, of the text also by layer. Each is as long as `turns`.
        label_policy: Which policy of the corpus its emotions follow.
        label_sets: Of the corpus, those whose classes its emotions tell apart; None: all.
        trained_on: By modality; `unknown` where nothing is known.
        known_as: What a file of these very bytes is known as; None where it is not known.
        sha256: Of a file, None of a folder.
        remarks: What a user should know, in sentences.
        as_file: Whom the file's own lists put into which split, by dialogue: `train`, `valid`,
            `test`. Dialogues that are in no list are not in it.
    """

    layout: str
    corpus: str
    turns: Sequence[Turn]
    vectors: Mapping[str, Vectors]
    label_policy: str = "consensus"
    label_sets: tuple[str, ...] | None = None
    trained_on: Mapping[Modality, TrainedOn] = field(default_factory=dict)
    known_as: str | None = None
    sha256: str | None = None
    remarks: Sequence[str] = ()
    as_file: Mapping[str, str] = field(default_factory=dict)
