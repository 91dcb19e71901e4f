"""EmoDB, the Berlin Database of Emotional Speech: actors say ten sentences in seven emotions.

Each clip is a dialogue of a single utterance, and there is sound alone. The letter of an emotion is
that of its German name.
"""

import re
from pathlib import Path
from typing import Literal

from pipeline.corpora.labels import LabelSet
from pipeline.corpora.published import Published, groups
from pipeline.corpora.reader import MediaOptions, RawCorpus, Reader, alone
from pipeline.corpora.tree import files_below, wrong_tree

SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
EMOTIONS = {
    "W": "anger",  # Wut
    "L": "boredom",  # Langeweile
    "E": "disgust",  # Ekel
    "A": "fear",  # Angst
    "F": "happiness",  # Freude
    "T": "sadness",  # Trauer
    "N": "neutral",
}
# Speaker, sentence, emotion, and which of several takes.
CLIP = re.compile(rf"([0-9]{{2}})({'|'.join(SENTENCES)})([{''.join(EMOTIONS)}])[a-z]?\.wav")
EXPECTED = "the folder wav (03a01Fa.wav, ...), or its files"
PUBLISHED = Published(
    "session",
    groups("""
            utterances dialogues speakers   W  L  E  A  F  T  N
        all        535       535       10 127 81 46 69 71 62 79
    """),
)


class EmodbOptions(MediaOptions):
    """The block `CORPUS.corpus` of an EmoDB corpus."""

    reader: Literal["emodb"]


def read(root: Path, options: EmodbOptions) -> RawCorpus:
    """Read every clip in a folder and those below it; refuse a tree without any."""
    clips, others = files_below(root, CLIP)
    if not clips:
        raise wrong_tree(root, "holds no clip of EmoDB", EXPECTED)
    utterances = [
        alone(name.removesuffix(".wav"), name[:2], SENTENCES[name[2:5]], name[5], None, clips[name])
        for name in sorted(clips)
    ]
    return RawCorpus(utterances, {"files that are not clips": others})


READER = Reader(
    title="EmoDB",
    options=EmodbOptions,
    read=read,
    label_sets={"emotion": LabelSet("emotion", tuple(EMOTIONS.values()), EMOTIONS)},
    published=PUBLISHED,
    marks=CLIP.pattern,
)
