"""Pictures show names as they are, whatever they hold."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from pipeline.base.plots import plain
from pipeline.evaluation import pictures

NAMES = ("$", "$\\frac$", "a $x^2$ b", "\x00\r\n\x1b[31m", "x" * 10**5, "日本 \u202e", "_", "\\")
FIGURES = {"f1": 50.0, "f1_low": 40.0, "f1_high": 60.0}
SLICE = {"utterances": 3, "weighted_f1": 50.0, "weighted_f1_low": 40.0, "weighted_f1_high": 60.0}


@pytest.mark.parametrize("corpus", ["toy", "a_$b$", "$\\frac$"])
def test_no_name_is_mathematics(tmp_path: Path, corpus: str) -> None:
    actual = pd.DataFrame({"actual": NAMES, "predicted": NAMES})
    by_class = pd.DataFrame([{"class": n, "model": "MCN-CL", **FIGURES} for n in NAMES])
    by_speaker = pd.DataFrame(
        [{"by": by, "slice": n, **SLICE} for by in ("speaker", "x") for n in NAMES]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pictures.draw_confusion(tmp_path / "a.png", corpus, actual, NAMES)
        pictures.draw_f1(tmp_path / "b.png", corpus, by_class)
        pictures.draw_slices(tmp_path / "c.png", corpus, by_speaker)
    for name in "abc":
        picture = imread(tmp_path / f"{name}.png")
        assert max(picture.shape) < 2000 and np.ptp(picture) > 0.5


def test_a_users_matplotlibrc_changes_no_picture() -> None:
    import matplotlib

    assert callable(plain)  # whose module has set this
    assert matplotlib.rcParams["text.parse_math"] is False
