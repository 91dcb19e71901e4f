"""Readers of fine-tuned features, pooled over encoders."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.finetune_heads import page, pooled, rows
from pipeline.evaluation.finetuned import NAME
from pipeline.evaluation.scores import score
from pipeline.records.predictions import MODEL, Predictions, Said
from tests.experiments.planted import guesses, split

CLASSES = ("neutral", "fear", "disgust")


def encoder(number):
    """Its head is right more often than MCN-CL, which has two seeds."""
    tested = split(CLASSES)
    skills = {NAME: (0.9,), MODEL: (0.5, 0.6), "logistic_regression": (0.88,)}
    said = {
        name: Said(tuple(range(len(each))), guesses(tested, each, 10 * number + place), None)
        for place, (name, each) in enumerate(skills.items())
    }
    return Predictions(tested, said)


def test_all_runs_of_all_encoders_are_counted():
    tables = [encoder(number) for number in (1, 2, 3)]
    head, mcn, linear = rows(pooled(tables), CLASSES)
    assert [row[1] for row in (head, mcn, linear)] == ["3", "6", "3"]
    actual = tables[0].tested.actual
    runs = [score(actual, run, CLASSES) for t in tables for run in t.said[MODEL].predicted]
    assert mcn[2].startswith(f"{np.mean([s.weighted_f1 for s in runs]):.1f} [")
    assert head[5:] == ["", "", ""] and mcn[5].startswith("-") and "[-" in mcn[5]
    assert f"| MCN-CL | 6 | {mcn[2]} |" in page(tables)


def test_tables_of_other_labels_are_refused():
    one, other = encoder(1), encoder(2)
    labels = (other.tested.actual + 1) % 3
    with pytest.raises(SystemExit, match="not of the same"):
        pooled([one, replace(other, tested=replace(other.tested, actual=labels))])
