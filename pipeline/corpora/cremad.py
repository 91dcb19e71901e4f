"""CREMA-D as its repository lies on disk: actors say twelve sentences in six emotions.

There are no dialogues: each clip is one of a single utterance, so nothing but the clip itself can
show the emotion. What an actor was asked to show is the label.
"""

import re
from pathlib import Path
from typing import Literal

from pipeline.base.folders import is_folder, names_in
from pipeline.corpora.labels import LabelSet
from pipeline.corpora.published import Published, groups
from pipeline.corpora.reader import MediaOptions, RawCorpus, Reader, alone
from pipeline.corpora.tree import unpacked, wrong_tree

VIDEO, SOUND = "VideoFlash", "AudioWAV"
SENTENCES = {
    "IEO": "It's eleven o'clock.",
    "TIE": "That is exactly what happened.",
    "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.",
    "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.",
    "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
EMOTIONS = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happiness",
    "NEU": "neutral",
    "SAD": "sadness",
}
# Actor, sentence, emotion, intensity; copies from before October 2022 have one with a single X.
CLIP = re.compile(rf"(1[0-9]{{3}})_({'|'.join(SENTENCES)})_({'|'.join(EMOTIONS)})_(LO|MD|HI|XX?)")
EXPECTED = f"the folders {VIDEO} (1001_DFA_ANG_XX.flv, ...) and {SOUND} (the same, .wav)"
LABEL_SETS = {"emotion": LabelSet("emotion", tuple(EMOTIONS.values()), EMOTIONS)}
# Every clip is a dialogue, so a lost clip shows as a lost dialogue, not as an edited text.
PUBLISHED = Published(
    "session",
    groups("""
            utterances dialogues speakers  NEU  ANG  DIS  FEA  HAP  SAD
        all       7442      7442       91 1087 1271 1271 1271 1271 1271
    """),
)


class CremadOptions(MediaOptions):
    """The block `CORPUS.corpus` of a CREMA-D corpus."""

    reader: Literal["cremad"]


def read(root: Path, options: CremadOptions) -> RawCorpus:
    """Read a CREMA-D tree, the repository's folder or one that holds it; refuse others."""
    home = unpacked(root, lambda folder: any(is_folder(folder / n) for n in (VIDEO, SOUND)))
    if home is None:
        raise wrong_tree(root, "is not a CREMA-D tree", EXPECTED)
    videos, no_videos = _clips(home / VIDEO, ".flv")
    sounds, no_sounds = _clips(home / SOUND, ".wav")
    clips = sorted({*videos, *sounds})
    if not clips:
        folder = next(home / name for name in (SOUND, VIDEO) if is_folder(home / name))
        raise wrong_tree(root, f"holds no clip in {folder.relative_to(root)}", EXPECTED, folder)
    place = home.relative_to(root)
    utterances = []
    for clip in clips:
        actor, sentence, emotion, _ = clip.split("_")
        video = place / VIDEO / videos.get(clip, f"{clip}.flv")
        sound = place / SOUND / sounds.get(clip, f"{clip}.wav")
        seen, heard = video.as_posix() if videos else None, sound.as_posix() if sounds else None
        utterances.append(alone(clip, actor, SENTENCES[sentence], emotion, seen, heard))
    return RawCorpus(utterances, {"files that are not clips": no_videos + no_sounds})


def _clips(folder: Path, ending: str) -> tuple[dict[str, str], int]:
    """The file of each clip in a folder by the clip's name, and the number of other files."""
    names = names_in(folder)
    stems = [name.removesuffix(ending) for name in names if name.endswith(ending)]
    # `1040_ITH_SAD_X.wav` lacks an X that its picture's name has.
    clips = {re.sub("_X$", "_XX", s): f"{s}{ending}" for s in stems if CLIP.fullmatch(s)}
    return clips, len(names) - len(clips)


READER = Reader(
    title="CREMA-D",
    options=CremadOptions,
    read=read,
    label_sets=LABEL_SETS,
    published=PUBLISHED,
    marks=VIDEO,
)
