"""RAVDESS: actors say two sentences in eight emotions, as sound, as silent video, and as both.

Each clip is a dialogue of a single utterance, whatever files it lies in. Songs are left aside.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pipeline.corpora.labels import folded, plain
from pipeline.corpora.published import Published, groups
from pipeline.corpora.reader import MediaOptions, RawCorpus, Reader, alone
from pipeline.corpora.tree import files_below, wrong_tree
from pipeline.records.manifest import Utterance

# From 01 to 08.
EMOTIONS = (
    "neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised",
)  # fmt: skip
SENTENCES = ("Kids are talking by the door.", "Dogs are sitting by the door.")
# Modality, channel (01 is speech), emotion, intensity, sentence, repetition, actor.
CLIP = re.compile(r"0[1-3]-0[12]-0[1-8]-0[12]-0[12]-0[12]-(0[1-9]|1[0-9]|2[0-4])\.(mp4|wav)")
SPEECH = "01"
Kind = tuple[str, str]  # modality and ending
# Those in which a speaker is seen, and heard; the first that a clip has is taken.
VIDEOS: tuple[Kind, ...] = (("01", ".mp4"), ("02", ".mp4"))
SOUNDS: tuple[Kind, ...] = (("03", ".wav"), ("01", ".wav"), ("01", ".mp4"))
EXPECTED = "the folders Actor_01 to Actor_24 (01-01-06-01-02-01-12.mp4, 03-01-06-01-02-01-12.wav)"
LABEL_SETS = {
    "emotion": plain("emotion", *EMOTIONS),
    "without_calm": folded(
        "emotion", {"neutral": list(EMOTIONS[:2])} | {name: [name] for name in EMOTIONS[2:]}
    ),
}
PUBLISHED = Published(
    "session",
    groups("""
            utterances dialogues speakers neutral calm happy sad angry fearful disgust surprised
        all       1440      1440       24      96  192   192 192   192     192     192       192
    """),
)


class RavdessOptions(MediaOptions):
    """The block `CORPUS.corpus` of a RAVDESS corpus."""

    reader: Literal["ravdess"]


def read(root: Path, options: RavdessOptions) -> RawCorpus:
    """Read every clip of speech in a folder and those below it; refuse a tree without any."""
    files, others = files_below(root, CLIP)
    spoken = {name: path for name, path in files.items() if name[3:5] == SPEECH}
    if not spoken:
        raise wrong_tree(root, "holds no clip of RAVDESS' speech", EXPECTED)
    kinds = {(name[:2], name[-4:]) for name in spoken}
    videos, sounds = ([kind for kind in of if kind in kinds] for of in (VIDEOS, SOUNDS))
    utterances = [
        _utterance(clip, spoken, videos, sounds) for clip in sorted({name[3:-4] for name in spoken})
    ]
    left = {"songs": len(files) - len(spoken), "files that are not clips": others}
    return RawCorpus(utterances, left)


def _utterance(
    clip: str, files: Mapping[str, str], videos: Sequence[Kind], sounds: Sequence[Kind]
) -> Utterance:
    _, emotion, _, sentence, _, actor = clip.split("-")
    video, sound = (_path(clip, files, kinds) for kinds in (videos, sounds))
    text = SENTENCES[int(sentence) - 1]
    return alone(clip, actor, text, EMOTIONS[int(emotion) - 1], video, sound)


def _path(clip: str, files: Mapping[str, str], kinds: Sequence[Kind]) -> str | None:
    """The clip's file of the first kind that it has; None where no clip has any of them.

    A clip that has none where others do is named as the release names it.
    """
    names = [f"{modality}-{clip}{ending}" for modality, ending in kinds]
    there = [files[name] for name in names if name in files]
    return next(iter([*there, *(f"Actor_{clip[-2:]}/{name}" for name in names)]), None)


READER = Reader(
    title="RAVDESS",
    options=RavdessOptions,
    read=read,
    label_sets=LABEL_SETS,
    published=PUBLISHED,
    marks=r"actor_[0-9]{2}",
)
