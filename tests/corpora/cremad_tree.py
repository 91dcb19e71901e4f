"""A CREMA-D tree, of empty files or of real media, for tests of the reader and for the docs."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np

from pipeline.corpora.cremad import SOUND, VIDEO
from tests.media.make_media import counter, tone, write_media, write_wav

FOLDERS = {VIDEO: ".flv", SOUND: ".wav"}
EMOTIONS = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")


def names(actors: int, sentences: Iterable[str] = ("DFA",)) -> list[str]:
    """The clips of so many actors, each saying the sentences in all emotions."""
    said = list(sentences)
    return [
        f"{1001 + actor}_{sentence}_{emotion}_XX"
        for actor in range(actors)
        for sentence in said
        for emotion in EMOTIONS
    ]


def lay_out(root: Path, clips: Iterable[str], content: bytes = b"x") -> Path:
    """Writes both files of each clip, all with the same bytes."""
    for clip in clips:
        for folder, ending in FOLDERS.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            (root / folder / f"{clip}{ending}").write_bytes(content)
    return root


def lay_out_media(root: Path, clips: Iterable[str], pictures: int = 5) -> Path:
    """Writes both files of each clip as the release has them: Sorenson H.263 in flv, and wav."""
    for number, clip in enumerate(clips):
        for folder in FOLDERS:
            (root / folder).mkdir(parents=True, exist_ok=True)

        def shifted(n: int, first: int = number * pictures) -> np.ndarray:
            return counter(first + n)

        write_media(
            root / VIDEO / f"{clip}.flv",
            stamps=range(pictures),
            picture=shifted,
            video_codec="flv",
            rate=Fraction(10),
        )
        write_wav(root / SOUND / f"{clip}.wav", tone(pictures / 10, 16000, 200.0 + number))
    return root
