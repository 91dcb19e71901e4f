"""`compare`: a planted difference is found, none is not, and only the same is compared."""

import io
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from typer.testing import CliRunner

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.cli import app
from pipeline.evaluation.scores import OVERALL, score
from pipeline.experiments.compare import entrants, pair, sentence, show
from pipeline.experiments.rows import Entrant
from pipeline.records.predictions import (
    Predictions,
    SystemPredictions,
    TestSet,
    write_predictions,
)
from tests.conftest import PARAMS

CORPUS, CLASSES = "demo_meld", ("a", "b", "c")
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


def good(name: str, skill: float, first: int, seeds: int = 3) -> Entrant:
    """A system that is right with probability `skill`, and otherwise says any class."""
    test_set, chances = split(), []
    for seed in range(seeds):
        generator = np.random.default_rng([first, seed])
        right = generator.random(len(test_set.actual)) < skill
        says = np.where(right, test_set.actual, generator.integers(3, size=len(test_set.actual)))
        chances.append(np.eye(3, dtype=np.float32)[says] * 0.8 + 0.2 / 3)
    shares = np.stack(chances)
    return Entrant(
        name, test_set, SystemPredictions(tuple(range(seeds)), shares.argmax(-1), shares)
    )


def write(entrant: Entrant, system: str = "mcn_cl") -> Path:
    path = paths.predictions(CORPUS, system)
    write_predictions(path, Predictions(entrant.test_set, {system: entrant.predictions}))
    return path


def majority() -> Entrant:
    says = np.zeros((1, DIALOGUES * TURNS), int)
    return Entrant("majority", split(), SystemPredictions((0,), says, None))


def test_a_planted_difference_is_found() -> None:
    weak, better, test = pair(good("weak", 0.4, 1), good("good", 0.6, 2))
    apart = better.differences["weighted_f1"]
    assert apart.clear and 0 < apart.low < apart.value < apart.high
    assert test.other > test.one and test.p < 0.01 and not weak.differences
    words = sentence(weak, better, test)
    assert "above weak" in words and "is clear of 0" in words and "60 dialogues" in words


@pytest.mark.slow
def test_none_is_not() -> None:
    """Of 40 pairs that are alike, 2 are expected to be told apart, more than 6 are not."""
    clear = []
    for first in range(20, 100, 2):
        one, other, test = pair(good("one", 0.5, first, 1), good("other", 0.5, first + 1, 1))
        clear.append(other.differences["weighted_f1"].clear)
        assert ("not clear of 0" in sentence(one, other, test)) is not clear[-1]
    assert sum(clear) <= 6


def test_the_same_is_exactly_the_same() -> None:
    one, other, test = pair(good("one", 0.5, 3), good("other", 0.5, 3))
    assert all((d.value, d.low, d.high) == (0, 0, 0) for d in other.differences.values())
    assert test.p == 1 and "the same as one" in sentence(one, other, test)


def test_figures_are_those_of_the_seeds() -> None:
    sides = good("weak", 0.4, 1), good("good", 0.6, 2)
    for row, side in zip(pair(*sides)[:2], sides, strict=True):
        runs = [score(side.test_set.actual, run, CLASSES) for run in side.predictions.predicted]
        for name in OVERALL:
            values = [getattr(run, name) for run in runs]
            assert row.figures[name].value == pytest.approx(np.mean(values))
            assert row.by_seed[name] == pytest.approx(values)
            assert row.std(name) == pytest.approx(np.std(values, ddof=1))


def mixed(side: Entrant) -> Entrant:
    """The same in another order."""
    order, test_set = np.random.default_rng(5).permutation(DIALOGUES * TURNS), side.test_set
    return side.on(
        TestSet(
            CLASSES,
            tuple(test_set.utterances[n] for n in order),
            tuple(test_set.dialogues[n] for n in order),
            test_set.folds[order],
            test_set.actual[order],
        )
    )


def test_another_order_of_utterances_changes_nothing() -> None:
    _, other, test = pair(good("as it is", 0.6, 2), mixed(good("mixed", 0.6, 2)))
    assert other.differences["weighted_f1"].value == 0 and test.p == 1


def test_only_the_same_utterances_and_labels_are_compared() -> None:
    one, other = good("one", 0.5, 1), good("other", 0.5, 2)
    labels = other.test_set.actual.copy()
    labels[3] = (labels[3] + 1) % 3
    names = ("new", *other.test_set.utterances[1:])
    test_set = replace(other.test_set, utterances=names, actual=labels)
    with pytest.raises(PipelineError) as told:
        pair(one, replace(other, test_set=test_set))
    for words in (
        "1 utterances of one alone: d0_u0",
        "1 utterances of other alone: new",
        "1 utterances with another label or dialogue: d0_u3",
    ):
        assert words in str(told.value)


def test_other_classes_are_told() -> None:
    other = good("other", 0.5, 2)
    with pytest.raises(PipelineError) as told:
        pair(
            good("one", 0.5, 1),
            replace(other, test_set=replace(other.test_set, classes=("a", "b", "d"))),
        )
    _, why, advice = str(told.value).splitlines()
    assert why == "  other has other classes (a, b, d)" and advice.startswith("Only results")


def test_a_system_is_named_after_a_colon(workspace: Path) -> None:
    write(good("", 0.7, 1))
    write(majority(), "majority")
    sides = entrants(("workspace", "workspace:majority"), CORPUS, "mcn_cl", _no_reader)
    assert [side.name for side in sides] == ["workspace:mcn_cl", "workspace:majority"]
    _, other, _ = pair(*sides)
    assert other.entrant.predictions.seeds == (0,) and other.differences["weighted_f1"].high < 0
    for wrong in ("mcn-cl", "../x"):
        with pytest.raises(PipelineError, match=f"workspace:{wrong}: got the system '{wrong}'"):
            entrants(("workspace", f"workspace:{wrong}"), CORPUS, "mcn_cl", _no_reader)


def test_a_system_that_is_left_out_is_told_with_its_reason(workspace: Path) -> None:
    write(good("", 0.7, 1))
    path = paths.predictions(CORPUS, "finetuned_head")
    empty = TestSet(CLASSES, (), (), np.zeros(0, np.int32), np.zeros(0, np.int64))
    write_predictions(path, Predictions(empty, {}, {"finetuned_head": {"left_out": "no head"}}))
    with pytest.raises(PipelineError, match="workspace:finetuned_head has no predictions: no head"):
        entrants(("workspace:finetuned_head", "workspace"), CORPUS, "mcn_cl", _no_reader)


@pytest.mark.parametrize("sides", [("mine.csv", "workspace:mcn_cl"), ("mine.csv", "mine.csv")])
def test_predictions_of_others_are_joined_to_the_corpus(
    workspace: Path, sides: tuple[str, str]
) -> None:
    write(good("", 0.7, 1))
    table = pq.read_table(paths.predictions(CORPUS, "mcn_cl")).to_pandas()
    mine = table[["utterance", "predicted", "seed"]].sample(frac=1, random_state=1)
    mine.to_csv("mine.csv", index=False)
    one, other, test = pair(*entrants(sides, CORPUS, "mcn_cl", _no_reader))
    assert one.entrant.name == "mine.csv" and one.entrant.predictions.seeds == (0, 1, 2)
    assert other.differences["weighted_f1"].value == 0 and test.p == 1
    mine[1:].to_csv("mine.csv", index=False)
    with pytest.raises(PipelineError, match="1 of 480 test utterances are not in it"):
        entrants(sides, CORPUS, "mcn_cl", _no_reader)


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
    Path("params.yaml").write_bytes(PARAMS.read_bytes())
    for skill, first, tag in ((0.4, 1, "weak"), (0.6, 2, "good")):
        run("dvc", "add", "-q", str(write(good(tag, skill, first))))
        run("git", "add", "-A")
        run("git", "commit", "-qm", tag)
        run("git", "tag", tag)
    return workspace


@pytest.mark.slow
def test_the_command_reads_any_two_revisions(revisions: Path) -> None:
    found = CliRunner().invoke(app, ["compare", "weak", "HEAD", "--corpus", CORPUS])
    assert found.exit_code == 0, found.output
    assert "480 test utterances in 60 dialogues" in found.output
    assert "above weak" in found.output and "is clear of 0" in found.output
    alike = CliRunner().invoke(app, ["compare", "good", "workspace", "--corpus", CORPUS])
    assert "the same as good" in alike.output


def test_long_names_of_experiments_are_not_cut_off() -> None:
    names = [f"finetune-meld_text-finetuned{end}:finetuned_head" for end in ("", "_context")]
    file = io.StringIO()
    show("toy", *(good(name, 0.5, 2) for name in names), Console(file=file, width=80))
    shown, _, _ = file.getvalue().partition("Weighted F1 of")
    rows = [line.split("┃") for line in shown.splitlines() if line.startswith("┃")]
    heads = ["".join(row[column].strip() for row in rows) for column in (2, 3)]
    assert [head.startswith(name) for head, name in zip(heads, names, strict=True)] == [True, True]


@pytest.mark.slow
@pytest.mark.parametrize("wrong", ["nowhere", "HEAD~9"])
def test_an_unknown_revision_is_told(revisions: Path, wrong: str) -> None:
    found = CliRunner().invoke(app, ["compare", wrong, "HEAD", "--corpus", CORPUS])
    assert isinstance(found.exception, PipelineError) and wrong in str(found.exception)


@pytest.mark.slow
def test_a_corpus_without_predictions_is_told(revisions: Path) -> None:
    found = CliRunner().invoke(app, ["compare", "weak", "HEAD", "--corpus", "meld"])
    assert isinstance(found.exception, PipelineError)
    assert "data/predictions/meld/mcn_cl.parquet" in str(found.exception)


@pytest.mark.slow
def test_a_mistyped_corpus_is_told(revisions: Path) -> None:
    found = CliRunner().invoke(app, ["compare", "weak", "HEAD", "--corpus", "demo_mled"])
    assert isinstance(found.exception, PipelineError) and "'demo_meld'" in str(found.exception)
