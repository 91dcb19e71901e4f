"""Selection on validation, the test-selected column, folds, and the files of the stage."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.base import paths
from pipeline.base.display import write_csv
from pipeline.base.errors import PipelineError
from pipeline.base.params import read_params
from pipeline.evaluation.evaluate import (
    collect_predictions,
    metrics,
    on_test,
    runs_chosen_on_test,
    selected_runs,
)
from pipeline.records.epochs import EpochPrediction, read_epochs, write_epochs
from pipeline.records.predictions import PROBABILITY, read_predictions
from pipeline.records.protocol import Entry, Protocol
from stages import evaluate
from tests.conftest import PARAMS
from tests.synthetic import CLASSES, lay_out

ABC = ("a", "b", "c")


def prediction(split: str, epoch: int, selected: bool, classes: list[int]) -> EpochPrediction:
    probabilities = np.eye(3, dtype=np.float32)[classes]
    names = [f"{split}{n}" for n in range(len(classes))]
    return EpochPrediction(0, 1, epoch, selected, split, names, probabilities)


ROWS = [
    prediction("valid", 1, True, [0, 1, 2]),
    prediction("test", 1, True, [0, 0, 0, 2]),
    prediction("valid", 2, False, [0, 0, 0]),
    prediction("test", 2, False, [0, 1, 1, 2]),
]
PROTOCOL = Protocol(
    ABC,
    [
        Entry(0, split, "d", f"{split}{n}", "s", label)
        for split, labels in (("valid", [0, 1, 2]), ("test", [0, 1, 1, None]))
        for n, label in enumerate(labels)
    ],
)


def test_validation_chooses_and_test_selected_stands_apart() -> None:
    (chosen,) = selected_runs(ROWS, PROTOCOL, "test")
    assert chosen.predicted.tolist() == [0, 0, 0], "epoch 1; the unlabelled turn is left out"
    (best,) = runs_chosen_on_test(ROWS, PROTOCOL)
    assert best.predicted.tolist() == [0, 1, 1]
    figures = metrics(ROWS, PROTOCOL)
    assert figures["test"]["accuracy"] == 33.33
    assert figures["test_selected"]["accuracy"] == 100.0
    assert figures["validation"]["accuracy"] == 100.0


def test_folds_are_pooled_and_told_apart() -> None:
    """Fold 0: a b right, weighted F1 100. Fold 1: b as a, 0. Pooled: a 2/3, b 2/3."""
    entries = [Entry(0, "test", "d", "u0", "s", 0), Entry(0, "test", "d", "u1", "s", 1)]
    entries += [Entry(1, "test", "e", "v0", "s", 1)]
    entries += [Entry(fold, "valid", "f", "w", "s", 0) for fold in (0, 1)]
    protocol = Protocol(ABC[:2], entries)
    right = np.eye(2, dtype=np.float32)
    rows = [
        EpochPrediction(fold, seed, 1, True, split, names, right[classes])
        for seed in (1, 2)
        for fold, split, names, classes in (
            (0, "valid", ["w"], [0]),
            (0, "test", ["u0", "u1"], [0, 1]),
            (1, "valid", ["w"], [0]),
            (1, "test", ["v0"], [0]),
        )
    ]
    figures = metrics(rows, protocol)
    assert figures["folds"]["fold 0"]["weighted_f1"] == 100
    assert figures["folds"]["fold 0"]["utterances"] == 2
    assert figures["folds"]["fold 1"]["weighted_f1"] == 0
    assert figures["test"]["weighted_f1"] == 66.67 and figures["test"]["weighted_f1_std"] == 0
    test_set, predictions = collect_predictions(rows, protocol)
    assert "ece" in on_test(test_set, predictions)
    without = replace(predictions, probabilities=None)
    assert "ece" not in on_test(test_set, without), "it gives no probabilities"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (prediction("test", 1, True, [0, 0]), "are for 2 labelled test utterances, not just for"),
        (prediction("test", 2, True, [0, 0, 0, 2]), "are for 6 labelled test utterances"),
        (
            replace(ROWS[1], probabilities=np.full((4, 2), 0.5, np.float32)),
            r"are for \[2\] classes, the protocol has",
        ),
    ],
)
def test_predictions_of_another_training_are_refused(row: EpochPrediction, message: str) -> None:
    kept = ROWS if row.epoch == 2 else ROWS[:1]
    with pytest.raises(PipelineError, match=message):
        collect_predictions([*kept, row], PROTOCOL)


def test_epochs_read_back(tmp_path: Path) -> None:
    write_epochs(tmp_path / "e.parquet", ROWS, {"fidelity": "code"})
    rows, about = read_epochs(tmp_path / "e.parquet")
    assert about == {"fidelity": "code"}
    for row, copy in zip(ROWS, rows, strict=True):
        assert np.array_equal(row.probabilities, copy.probabilities)
        assert (row.epoch, row.selected) == (copy.epoch, copy.selected)
        assert row.utterances == copy.utterances


ABOUT = {"fidelity": "paper", "settings": {"modalities": ["text", "audio"]}}
OWN = {"metrics.json", "history.csv", "classes.csv", "confusion.csv", "tables"}
TABLES = {"slices.csv", "reliability.csv", "curves.csv"}


def evaluated(rows: list[EpochPrediction], about: dict[str, Any]) -> dict[str, Any]:
    """Run the stage on what a training wrote, and return metrics.json."""
    folder = paths.metrics("demo_meld", "mcn_cl")
    runs = {"fold": [0], "seed": [1], "epoch": [1], "train_total": [1.0]}
    history = pd.DataFrame(runs | {f"{s}_weighted_f1": [10.0] for s in ("train", "valid")})
    write_epochs(paths.epochs("demo_meld", "mcn_cl"), rows, about)
    write_csv(folder / "history.csv", history[: len(rows)])
    evaluate.work(read_params(PARAMS), "demo_meld", "mcn_cl")
    assert {path.name for path in folder.iterdir()} == OWN
    assert {path.name for path in (folder / "tables").iterdir()} == TABLES
    return dict(json.loads((folder / "metrics.json").read_text()))


def test_the_stage_writes_every_file_and_prints_a_headline(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = lay_out("demo_meld")
    generator = np.random.default_rng(0)
    rows = []
    for split in ("valid", "test"):
        names = [e.utterance for e in entries if e.split == split]
        chances = generator.dirichlet(np.ones(len(CLASSES)), len(names)).astype(np.float32)
        rows.append(EpochPrediction(0, 1, 1, True, split, names, chances))
    figures = evaluated(rows, ABOUT)
    path = paths.predictions("demo_meld", "mcn_cl")
    assert read_predictions(path).about == {"mcn_cl": ABOUT}
    table = pd.read_parquet(path)
    assert list(table["system"].unique()) == ["mcn_cl"]
    right = (table["actual"] == table["predicted"]).mean()
    assert figures["test"]["accuracy"] == pytest.approx(100 * right, abs=0.01)
    chances = table[[f"{PROBABILITY}{name}" for name in CLASSES]].to_numpy()
    assert np.array_equal(np.array(CLASSES)[chances.argmax(1)], table["predicted"])
    interval = [figures["test"][f"accuracy_{end}"] for end in ("low", "high")]
    assert interval[0] <= figures["test"]["accuracy"] <= interval[1]
    slices = pd.read_csv(paths.metrics("demo_meld", "mcn_cl", "tables", "slices.csv"))
    assert set(slices.loc[slices["by"] == "modalities present", "slice"]) == {"1", "2"}, "it reads"
    printed = capsys.readouterr().out
    assert printed.startswith("demo_meld, mcn_cl: weighted F1 ")
    assert "on validation" in printed and "on test" in printed


def test_a_system_that_is_left_out_has_files_that_say_why(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And tables with their heads alone, which DVC can plot."""
    lay_out("demo_meld")
    about = {"fidelity": "code", "left_out": "no text holds a word"}
    assert evaluated([], about) == {"left_out": "no text holds a word"}
    assert read_predictions(paths.predictions("demo_meld", "mcn_cl")).about == {"mcn_cl": about}
    confusion = pd.read_csv(paths.metrics("demo_meld", "mcn_cl", "confusion.csv"))
    assert list(confusion) == ["actual", "predicted", "percent"] and not len(confusion)
    assert "demo_meld, mcn_cl: left out, no text holds a word" in capsys.readouterr().out
