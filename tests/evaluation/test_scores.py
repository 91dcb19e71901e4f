"""Scores by hand, selection on validation, the test-selected column, baselines, the files."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from pipeline import paths
from pipeline.evaluation.baselines import _rotated, labelled, logistic_regression, majority, tfidf
from pipeline.evaluation.evaluate import metrics, runs_chosen_on_test, selected_runs
from pipeline.evaluation.scores import score, summarised
from pipeline.features import read_features
from pipeline.protocol import Entry, Protocol
from pipeline.training.epochs import EpochPrediction, read_epochs, write_epochs
from tests.synthetic import CLASSES, lay_out

ABC = ("a", "b", "c")


def test_scores_by_hand() -> None:
    """Actual a a a b b c, predicted a a b b c c.

    a: precision 2/2, recall 2/3, F1 0.8; b: 1/2 and 1/2, F1 0.5; c: 1/2 and 1/1, F1 2/3.
    Weighted: (3 * 0.8 + 2 * 0.5 + 2/3) / 6 = 0.67778; macro: 0.65556; accuracy 4/6.
    """
    found = score(np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2, 2]), ABC)
    assert found.f1 == pytest.approx({"a": 80, "b": 50, "c": 200 / 3})
    assert found.weighted_f1 == pytest.approx(67.7778, abs=1e-3)
    assert found.macro_f1 == pytest.approx(65.5556, abs=1e-3)
    assert found.accuracy == pytest.approx(66.6667, abs=1e-3)


def test_a_class_without_utterances_counts_as_zero_in_macro_f1() -> None:
    found = score(np.array([0, 0]), np.array([0, 0]), ABC)
    assert found.weighted_f1 == 100 and found.macro_f1 == pytest.approx(100 / 3)


def test_mean_and_sample_deviation_over_seeds() -> None:
    runs = [score(np.array([0, 1]), np.array(p), ("a", "b")) for p in ([0, 1], [0, 0])]
    found = summarised(runs)
    assert found["accuracy"] == 75 and found["accuracy_std"] == pytest.approx(35.36)
    assert "accuracy_std" not in summarised(runs[:1])


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
    found = metrics(ROWS, PROTOCOL, {})
    assert found["test"]["accuracy"] == 33.33
    assert found["test_selected"]["accuracy"] == 100.0
    assert found["validation"]["accuracy"] == 100.0


def test_epochs_read_back(tmp_path: Path) -> None:
    write_epochs(tmp_path / "e.parquet", ROWS)
    for row, found in zip(ROWS, read_epochs(tmp_path / "e.parquet"), strict=True):
        assert np.array_equal(row.probabilities, found.probabilities)
        assert (row.epoch, row.selected, row.utterances) == (
            found.epoch,
            found.selected,
            found.utterances,
        )


def test_baselines_learn_from_train_alone(workspace: Path) -> None:
    entries = lay_out("toy")
    splits = labelled(entries, 0)
    most = np.bincount(splits.labels["train"]).argmax()
    assert set(majority(splits)) == {most}
    texts = {e.utterance: f"word{e.label} and more" for e in entries}
    assert (tfidf(splits, texts, (100.0,)) == splits.labels["test"]).all()
    stores = {m: read_features(paths.features("toy", m)) for m in ("text", "audio", "visual")}
    guess = logistic_regression(splits, stores, (0.1, 1.0))
    assert (guess == splits.labels["test"]).mean() > 0.6


def test_fewer_features_give_the_same_logistic_regression() -> None:
    generator = np.random.default_rng(0)
    wide = {s: generator.normal(size=(n, 90)) for s, n in (("train", 40), ("test", 20))}
    labels = generator.integers(0, 3, 40)
    narrow = _rotated(wide)
    assert narrow["train"].shape == (40, 40) and narrow["test"].shape == (20, 40)
    scores = [
        LogisticRegression(tol=1e-10, max_iter=5000)
        .fit(matrices["train"], labels)
        .decision_function(matrices["test"])
        for matrices in (wide, narrow)
    ]
    assert np.abs(scores[0] - scores[1]).max() < 1e-5


def test_the_stage_writes_every_file_and_prints_a_table(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.params import read_params
    from stages import evaluate
    from tests.conftest import ROOT

    monkeypatch.setenv("COLUMNS", "140")
    entries = lay_out("demo_meld")
    generator = np.random.default_rng(0)
    rows = []
    for split in ("valid", "test"):
        names = [e.utterance for e in entries if e.split == split]
        chances = generator.dirichlet(np.ones(len(CLASSES)), len(names)).astype(np.float32)
        rows.append(EpochPrediction(0, 1, 1, True, split, names, chances))
    write_epochs(paths.epochs("demo_meld"), rows)
    history = pd.DataFrame(
        {"fold": [0], "seed": [1], "epoch": [1], "train_total": [1.0]}
        | {f"{split}_weighted_f1": [10.0] for split in ("train", "valid")}
    )
    paths.metrics("demo_meld", "x").parent.mkdir(parents=True)
    history.to_csv(paths.metrics("demo_meld", "history.csv"), index=False)
    evaluate.work(read_params(ROOT / "params.yaml"), "demo_meld")
    written = {path.name for path in Path("metrics/demo_meld").iterdir()}
    assert {"metrics.json", "run.json", "confusion.csv", "f1.csv", "curves.csv"} <= written
    assert {"confusion.png", "f1.png", "history.png"} <= written
    predictions = pd.read_parquet(paths.predictions("demo_meld"))
    found = json.loads(paths.metrics("demo_meld", "metrics.json").read_text())
    right = (predictions["actual"] == predictions["predicted"]).mean()
    assert found["test"]["accuracy"] == pytest.approx(100 * right, abs=0.01)
    chances = predictions[list(CLASSES)].to_numpy()
    assert np.array_equal(np.array(CLASSES)[chances.argmax(1)], predictions["predicted"])
    printed = capsys.readouterr().out
    assert "validation-" in printed and "test-" in printed and "fear" in printed
