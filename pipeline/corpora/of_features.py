"""Corpora that are read from files of published features alone: their labels and counts.

Continuous labels are cut into classes as MMSA cuts them (thuiar/MMSA, `metricsTop.py`). It compares
in float32, so that a rating at a bound is on the side on which it is there.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from pipeline.base.errors import PipelineError
from pipeline.corpora.labels import Binned, LabelSet, plain
from pipeline.corpora.published import Published, groups
from pipeline.corpora.reader import RawCorpus, Reader, ReaderOptions


def _binned(classes: str, number: Callable[[float], int | None]) -> Binned:
    return Binned("valence", tuple(classes.split()), {}, number)


def rounded(limit: int) -> Callable[[float], int]:
    """Bins whole numbers from -limit to limit; halves go to the even one, as numpy rounds them."""
    return lambda rating: round(min(max(rating, -limit), limit)) + limit


def up_to(*bounds: float) -> Callable[[float], int]:
    """Bins that end at each of the bounds, which they include, and one of what is above."""
    single = [np.float32(bound) for bound in bounds]
    return lambda rating: bisect_left(single, np.float32(rating))


THREE = "negative neutral positive"
MOSI = {
    "seven": _binned("-3 -2 -1 0 1 2 3", rounded(3)),
    "five": _binned("-2 -1 0 1 2", rounded(2)),
    "three": _binned(THREE, rounded(1)),
    "two": _binned("negative nonnegative", lambda rating: int(rating >= 0)),
    "two_nonzero": _binned("negative positive", lambda rating: int(rating > 0) if rating else None),
}
SIMS = {
    "two": _binned("nonpositive positive", up_to(0)),
    "three": _binned(THREE, up_to(-0.1, 0.1)),
    "five": _binned(
        "negative weakly_negative neutral weakly_positive positive", up_to(-0.7, -0.1, 0.1, 0.7)
    ),
}
DAILY = {
    "emotion": plain(
        "emotion", "none", "anger", "disgust", "fear", "happiness", "sadness", "surprise"
    )
}


def _no_raw_tree(root: Path, options: ReaderOptions) -> RawCorpus:
    raise PipelineError(f"{root}: {options.reader} is read from files of features alone.")


def _reader(title: str, label_sets: Mapping[str, LabelSet], counts: str) -> Reader:
    return Reader(
        title=title,
        options=ReaderOptions,
        read=_no_raw_tree,
        label_sets=label_sets,
        published=Published("official_split", groups(counts) if counts else {}),
    )


FROM_FILES: Mapping[str, Reader] = {
    "mosi": _reader(
        "CMU-MOSI",
        MOSI,
        """
              utterances
        train       1284
        dev          229
        test         686
        """,
    ),
    "sims": _reader(
        "CH-SIMS",
        SIMS,
        """
              utterances
        train       1368
        dev          456
        test         457
        """,
    ),
    "dailydialog": _reader(
        "DailyDialog",
        DAILY,
        """
              utterances dialogues
        train      87170     11118
        dev         8069      1000
        test        7740      1000
        """,
    ),
    "other": _reader("another corpus", {}, ""),
}
