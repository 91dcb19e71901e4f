"""`compare`: a planted difference is found, none is not, and only the same is compared."""

import io
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from pipeline.__main__ import app
from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.commands.compare import compared, show
from pipeline.evaluation.scores import OVERALL, score
from pipeline.experiments.pair import Entrant, pair, sentence
from pipeline.records.predictions import (
    MODEL,
    ModelPredictions,
    Predictions,
    TestSet,
    write_predictions,
)

CLASSES = ("a", "b", "c")
DIALOGUES, TURNS = 60, 8


def split(seed: int = 0) -> TestSet:
    actual = np.random.default_rng(seed).choice(3, DIALOGUES * TURNS, p=[0.6, 0.3, 0.1])
    places = [divmod(number, TURNS) for number in range(DIALOGUES * TURNS)]
    return TestSet(
        CLASSES,
        tuple(f"d{d}_u{t}" for d, t in places),
        tuple(f"d{d}" for d, _ in places),
        np.zeros(DIALOGUES * TURNS, np.int32),
        actual,
    )


def table(skill: float, first: int, seeds: int = 3) -> Predictions:
    """Models that are right with probability `skill`, and otherwise say any class."""
    test_set, chances = split(), []
    for seed in range(seeds):
        generator = np.random.default_rng([first, seed])
        right = generator.random(len(test_set.actual)) < skill
        says = np.where(right, test_set.actual, generator.integers(3, size=len(test_set.actual)))
        chances.append(np.eye(3, dtype=np.float32)[says] * 0.8 + 0.2 / 3)
    shares = np.stack(chances)
    majority = ModelPredictions((0,), np.zeros((1, len(test_set.actual)), int), None)
    predictions = ModelPredictions(tuple(range(seeds)), shares.argmax(-1), shares)
    return Predictions(test_set, {MODEL: predictions, "majority": majority})


def test_a_planted_difference_is_found() -> None:
    found = pair(Entrant("weak", table(0.4, 1), MODEL), Entrant("good", table(0.6, 2), MODEL))
    apart = found.differences["weighted_f1"]
    assert apart.clear and 0 < apart.low < apart.value < apart.high
    assert found.mcnemar.other > found.mcnemar.one and found.mcnemar.p < 0.01
    predictions = sentence(found)
    assert (
        "above weak" in predictions
        and "is clear of 0" in predictions
        and "60 dialogues" in predictions
    )


def test_none_is_not() -> None:
    """Of 40 pairs that are alike, 2 are expected to be told apart, more than 6 are not."""
    clear = []
    for first in range(20, 100, 2):
        one, other = (table(0.5, seed, seeds=1) for seed in (first, first + 1))
        found = pair(Entrant("one", one, MODEL), Entrant("other", other, MODEL))
        clear.append(found.differences["weighted_f1"].clear)
        assert ("not clear of 0" in sentence(found)) is not clear[-1]
    assert sum(clear) <= 6


def test_the_same_is_exactly_the_same() -> None:
    found = pair(Entrant("one", table(0.5, 3), MODEL), Entrant("other", table(0.5, 3), MODEL))
    assert all((d.value, d.low, d.high) == (0, 0, 0) for d in found.differences.values())
    assert found.mcnemar.p == 1 and "the same as one" in sentence(found)


def test_figures_are_those_of_the_seeds() -> None:
    weak, good = table(0.4, 1), table(0.6, 2)
    found = pair(Entrant("weak", weak, MODEL), Entrant("good", good, MODEL))
    for side, source in ((found.one, weak), (found.other, good)):
        runs = [score(source.test_set.actual, r, CLASSES) for r in source.by_model[MODEL].predicted]
        for name in OVERALL:
            values = [getattr(run, name) for run in runs]
            assert side.figures[name].value == pytest.approx(np.mean(values))
            assert side.deviations[name] == pytest.approx(np.std(values, ddof=1))


def test_another_order_of_utterances_changes_nothing() -> None:
    good, order = table(0.6, 2), np.random.default_rng(5).permutation(DIALOGUES * TURNS)
    predictions, test_set = good.by_model[MODEL], good.test_set
    assert predictions.probabilities is not None
    mixed = Predictions(
        TestSet(
            CLASSES,
            tuple(test_set.utterances[n] for n in order),
            tuple(test_set.dialogues[n] for n in order),
            test_set.folds[order],
            test_set.actual[order],
        ),
        {
            MODEL: ModelPredictions(
                predictions.seeds,
                predictions.predicted[:, order],
                predictions.probabilities[:, order],
            )
        },
    )
    found = pair(Entrant("as it is", good, MODEL), Entrant("mixed", mixed, MODEL))
    assert found.differences["weighted_f1"].value == 0 and found.mcnemar.p == 1


def test_only_the_same_utterances_and_labels_are_compared() -> None:
    one, other = table(0.5, 1), table(0.5, 2)
    labels = other.test_set.actual.copy()
    labels[3] = (labels[3] + 1) % 3
    names = ("new", *other.test_set.utterances[1:])
    test_set = TestSet(CLASSES, names, other.test_set.dialogues, other.test_set.folds, labels)
    with pytest.raises(PipelineError) as told:
        pair(
            Entrant("one", one, MODEL),
            Entrant("other", Predictions(test_set, other.by_model), MODEL),
        )
    for words in (
        "1 utterances of one alone: d0_u0",
        "1 utterances of other alone: new",
        "1 utterances with another label or dialogue: d0_u3",
    ):
        assert words in str(told.value)


def test_other_classes_are_told() -> None:
    one, other = table(0.5, 1), table(0.5, 2)
    test_set = replace(other.test_set, classes=("a", "b", "d"))
    with pytest.raises(PipelineError) as told:
        pair(
            Entrant("one", one, MODEL),
            Entrant("other", Predictions(test_set, other.by_model), MODEL),
        )
    _, why, advice = str(told.value).splitlines()
    assert why == "  other has other classes (a, b, d)" and advice.startswith("Only models")


def test_a_baseline_is_named_after_a_colon(workspace: Path) -> None:
    write_predictions(paths.predictions("toy"), table(0.7, 1))
    (found,) = compared(("workspace", "workspace:majority"), ["toy"], _no_reader)
    assert found.other.seeds == (0,) and found.differences["weighted_f1"].high < 0
    with pytest.raises(PipelineError, match="got the model 'svm', expected one of"):
        compared(("workspace", "workspace:svm"), ["toy"], _no_reader)


def _no_reader(name: str, path: Path) -> bytes:
    raise AssertionError(f"{name} {path} is not in the workspace")


@pytest.fixture
def revisions(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a weak result at the tag `weak` and a better one at HEAD."""
    monkeypatch.setenv("COLUMNS", "160")

    def run(*words: str) -> None:
        subprocess.run(words, check=True, capture_output=True)

    run("git", "init", "-q")
    run("git", "config", "user.email", "a@b.c")
    run("git", "config", "user.name", "a")
    run("dvc", "init", "-q")
    Path("dvc.lock").write_text("schema: '2.0'\n")
    for skill, first, tag in ((0.4, 1, "weak"), (0.6, 2, "good")):
        write_predictions(paths.predictions("toy"), table(skill, first))
        run("dvc", "add", "-q", "data/predictions/toy.parquet")
        run("git", "add", "-A")
        run("git", "commit", "-qm", tag)
        run("git", "tag", tag)
    return workspace


def test_the_command_reads_any_two_revisions(revisions: Path) -> None:
    found = CliRunner().invoke(app, ["compare", "weak", "HEAD", "--corpus", "toy"])
    assert found.exit_code == 0, found.output
    assert "480 test utterances in 60 dialogues" in found.output
    assert "above weak" in found.output and "is clear of 0" in found.output
    alike = CliRunner().invoke(app, ["compare", "good", "workspace", "--corpus", "toy"])
    assert "the same as good" in alike.output


def test_long_names_of_experiments_are_not_cut_off() -> None:
    names = [f"finetune-meld_text-finetuned{end}:finetuned_head" for end in ("", "_context")]
    found = pair(*(Entrant(name, table(0.5, 2), MODEL) for name in names))
    file = io.StringIO()
    show("toy", found, Console(file=file, width=80))
    shown, _, _ = file.getvalue().partition("Weighted F1 of")
    rows = [line.split("┃") for line in shown.splitlines() if line.startswith("┃")]
    heads = ["".join(row[column].strip() for row in rows) for column in (2, 3)]
    assert [head.startswith(name) for head, name in zip(heads, names, strict=True)] == [True, True]


@pytest.mark.parametrize("wrong", ["nowhere", "HEAD~9"])
def test_an_unknown_revision_is_told(revisions: Path, wrong: str) -> None:
    found = CliRunner().invoke(app, ["compare", wrong, "HEAD", "--corpus", "toy"])
    assert isinstance(found.exception, PipelineError) and wrong in str(found.exception)


def test_a_corpus_without_predictions_is_told(revisions: Path) -> None:
    found = CliRunner().invoke(app, ["compare", "weak", "HEAD", "--corpus", "other"])
    assert isinstance(found.exception, PipelineError)
    assert "data/predictions/other.parquet" in str(found.exception)
