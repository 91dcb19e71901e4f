"""The table on the terminal."""

import io
import json
from typing import get_args

import pytest
from rich.console import Console

from pipeline.base import paths
from pipeline.evaluation.baselines import FINETUNED_HEAD
from pipeline.evaluation.scores import OVERALL
from pipeline.evaluation.settings import EvaluateSettings
from pipeline.evaluation.summary import show
from pipeline.records.predictions import NAMES

CLASSES = ("neutral", "surprise", "fear")


def summary(value, *, seeds):
    """Figures as in metrics.json."""
    figures = {"f1": dict.fromkeys(CLASSES, value)}
    for name in OVERALL:
        figures |= {name: value, f"{name}_low": value - 2, f"{name}_high": value + 2}
        figures |= {f"{name}_std": 0.25} if seeds > 1 else {}
    return figures


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    metrics = {
        "test": summary(60.154, seeds=3),
        "test_selected": dict.fromkeys(OVERALL, 61.5),
        "baselines": {name: summary(30.0, seeds=1) for name in NAMES},
    }
    run = {"features": {}, "masked": {}, "ledger": {"manifest": {"audio absent": 3}}}
    for name, content in (("metrics.json", metrics), ("run.json", run)):
        path = paths.metrics("x", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))


@pytest.mark.parametrize("width", [80, 160])
def test_every_figure_of_every_model_fits_on_a_terminal(results, width):
    file = io.StringIO()
    show("x", Console(file=file, width=width))
    lines = file.getvalue().splitlines()
    assert "…" not in file.getvalue() and max(map(len, lines)) <= width
    words = file.getvalue().split()
    assert words.count("58.2-62.2") == len(OVERALL) and words.count("60.15") > len(OVERALL)
    assert words.count("28.0-32.0") == len(OVERALL) * len(NAMES)
    assert "  ledger: manifest: audio absent 3" in lines


def test_every_baseline_has_a_readable_name():
    baselines = EvaluateSettings.model_fields["baselines"].annotation
    (names, _) = get_args(baselines)
    assert {*get_args(names), FINETUNED_HEAD} == NAMES.keys()
