"""Grid search: validation chooses, the choice alone is tested, and a killed search goes on."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.experiments import command
from pipeline.experiments.outcomes import Ranking, rank
from pipeline.experiments.plan import Experiment
from pipeline.experiments.reading import Request
from pipeline.experiments.recipe import Search
from pipeline.experiments.run import Plan
from pipeline.records.epochs import EpochPrediction, write_epochs
from pipeline.records.protocol import Entry, Protocol, write_protocol
from tests.experiments.planted import BESIDE, SYSTEM, Files, outcome, reader

KEY = "CORPUS.SYSTEM.learning_rate"
SEARCH = Search(
    about="Why.",
    corpora=("x",),
    systems=(SYSTEM,),
    grid={KEY: (0.1, 0.2, 0.3)},
    budget=3,
    quick=2,
)
LABELS = {"valid": (0, 0, 0, 1), "test": (1, 1, 0, 0)}
RIGHT, ALL_ZERO, WRONG = (0, 0, 0, 1), (0, 0, 0, 0), (1, 1, 1, 0)


def trained(
    name: str,
    runs: Sequence[tuple[Sequence[int], Sequence[int]]],
    test: Sequence[int],
    system: str = SYSTEM,
) -> Files:
    """The files of an experiment that was trained on two folds with the same four labels.

    Args:
        name: Of the experiment.
        runs: By seed, what is predicted on validation at the selected epoch, and at the other.
        test: What is predicted on test at every epoch.
        system: Which was trained.
    """
    entries, rows = [], []
    for fold in (0, 1):
        for split, labels in LABELS.items():
            names = [f"{split}{fold}_{number}" for number in range(len(labels))]
            entries += [
                Entry(fold, split, f"{split}{fold}", u, "s", label)
                for u, label in zip(names, labels, strict=True)
            ]
            for seed, (selected, other) in enumerate(runs, start=1):
                for epoch, says in ((1, other), (2, selected)):
                    shares = np.eye(2, dtype=np.float32)[list(test if split == "test" else says)]
                    rows.append(
                        EpochPrediction(fold, seed, epoch, epoch == 2, split, names, shares)
                    )
    with tempfile.TemporaryDirectory() as folder:
        write_protocol(Path(folder, "protocol"), Protocol(("a", "b"), entries))
        write_epochs(Path(folder, "epochs"), rows, {})
        return {
            (name, str(paths.protocol("x"))): Path(folder, "protocol").read_bytes(),
            (name, str(paths.epochs("x", system))): Path(folder, "epochs").read_bytes(),
        }


def test_figures_are_those_of_the_selected_epochs_folds_pooled() -> None:
    """All zeros, of 6 zeros and 2 ones: F1 of a is 12/14, of b 0; weighted 6/8 of 12/14."""
    files = trained("e", [(ALL_ZERO, RIGHT), (RIGHT, WRONG)], test=RIGHT)
    plan = [Experiment("p1", "e", (), allow_missing=False, targets=())]
    found = rank(SEARCH, plan, "x", SYSTEM, reader(files)).by_seed["p1"]
    assert found == pytest.approx([100 * 6 / 8 * 12 / 14, 100])


def test_validation_chooses_though_test_would_choose_otherwise() -> None:
    good_on_test = (1, 1, 0, 0)
    files = trained("r-as_it_is", [(RIGHT, RIGHT)], good_on_test)
    files |= trained("r-p1", [(WRONG, RIGHT)], good_on_test)
    files |= trained("r-p2", [(ALL_ZERO, ALL_ZERO)], test=WRONG)
    names = ("as_it_is", "p1", "p2")
    plan = [Experiment(name, f"r-{name}", (), allow_missing=False, targets=()) for name in names]
    found = rank(SEARCH, plan, "x", SYSTEM, reader(files))
    assert found.chosen == "p2", "though p1 is right on test, and as_it_is no point of the grid"
    assert list(found.by_seed) == list(names) and found.by_seed["p1"] == [0]


@pytest.mark.parametrize(
    ("by_seed", "chosen"),
    [
        ({"as_it_is": [99], "p1": [50, 70], "p2": [60, 60], "p3": [10, 90]}, "p1"),
        ({"as_it_is": [99], "p1": [50, 70], "p2": [60, 61], "p3": [10, 90]}, "p2"),
    ],
)
def test_the_mean_over_seeds_decides_and_of_equal_points_the_first_is_taken(
    by_seed: Mapping[str, Sequence[float]], chosen: str
) -> None:
    assert Ranking("x", by_seed).chosen == chosen


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Experiments named LABEL-VARIANT-LAST; the list holds the files' state, part of each name."""
    state = [""]

    def experiments(
        label: str,
        corpora: Sequence[str],
        systems: Sequence[str],
        runs: Mapping[str, Sequence[str]],
        last: str = "end",
    ) -> list[Experiment]:
        return [
            Experiment(name, f"{label}-{name}-{last}{state[0]}", tuple(settings), False, ())
            for name, settings in runs.items()
        ]

    monkeypatch.setattr(command, "experiments", experiments)
    return state


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, workspace: Path) -> list[Experiment]:
    """What is run, which DVC would do; see test_run.py."""
    found: list[Experiment] = []
    monkeypatch.setattr(command, "run", lambda label, again, plan, jobs: found.extend(plan()))
    return found


@pytest.fixture
def files() -> Files:
    """p2 is the best on validation; only what is then tested has figures on test."""
    found = trained("r-as_it_is-train", [(ALL_ZERO, RIGHT)] * 2, RIGHT)
    found |= trained("r-p1-train", [(WRONG, RIGHT)] * 2, (1, 1, 0, 0))
    found |= trained("r-p2-train", [(RIGHT, RIGHT)] * 2, WRONG)
    found |= trained("r-p3-train", [(ALL_ZERO, RIGHT), (WRONG, WRONG)], RIGHT)
    return found | outcome("r-as_it_is-end", (0.8, 0.8)) | outcome("r-chosen-end", (0.5, 0.6))


def search(files: Files) -> list[Path]:
    return command.search(Request("r"), SEARCH, reader(files))


def test_only_the_choice_is_tested(
    ran: list[Experiment], planned: list[str], files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    page, table, plot = search(files)
    points = [f"r-{name}-train" for name in ("as_it_is", "p1", "p2", "p3")]
    assert [e.name for e in ran] == [*points, "r-as_it_is-end", "r-chosen-end"]
    assert ran[-1].settings == ("x.mcn_cl.learning_rate=0.2",)
    assert "x: validation chose p2, CORPUS.SYSTEM.learning_rate=0.2" in capsys.readouterr().out

    text = page.read_text()
    assert text.startswith("# r\n\n```sh\npython -m pipeline experiment r\n```\n")
    for said in (
        "The budget is 3 points; the grid has 3, so all were tried.",
        f"| point | {KEY} | x |\n|---|---|---:|\n| as_it_is |  | 64.3 ± 0.0 |\n| p1 | 0.1 | 0.0 ± ",
        "| p2 | 0.2 | 100.0 ± 0.0, chosen |\n| p3 | 0.3 | 32.1 ± 45.5 |\n",
        "x: validation chose p2, CORPUS.SYSTEM.learning_rate=0.2.",
        "](r.png)",
        "| chosen | ",
    ):
        assert said in text, text
    rows = pd.read_csv(table).set_index("point")
    assert rows["validation_weighted_f1"].to_dict() == {
        "as_it_is": 64.29,
        "p1": 0,
        "p2": 100,
        "p3": 32.14,
    }
    assert rows["chosen"].to_dict() == {name: name == "p2" for name in rows.index}
    assert rows["test_weighted_f1"].isna().to_dict() == {
        "as_it_is": False,
        "p1": True,
        "p2": False,
        "p3": True,
    }
    assert rows["test_difference"]["p2"] < 0 and plot.is_file()


@pytest.mark.slow
def test_again_the_bytes_are_the_same(
    ran: list[Experiment], planned: list[str], files: Files
) -> None:
    written = [file.read_bytes() for file in search(files)]
    assert [file.read_bytes() for file in search(files)] == written


def test_a_point_that_fails_leaves_nothing_tested(
    monkeypatch: pytest.MonkeyPatch, planned: list[str], files: Files
) -> None:
    def failing(label: str, again: str, plan: Plan, jobs: int) -> None:
        assert {e.name for e in plan()} == {f"r-{n}-train" for n in ("as_it_is", "p1", "p2", "p3")}
        raise PipelineError("1 of 4 experiments failed")

    monkeypatch.setattr(command, "run", failing)
    with pytest.raises(PipelineError, match="1 of 4 experiments failed"):
        search(files)


def test_each_system_chooses_on_its_own(
    ran: list[Experiment], planned: list[str], workspace: Path
) -> None:
    """The first system's best point is the other's worst."""
    systems = (SYSTEM, BESIDE[1])
    two = SEARCH.model_copy(update={"systems": systems, "grid": {KEY: (0.1, 0.2)}, "budget": 2})
    files = outcome("r-as_it_is-end", (0.8, 0.8)) | outcome("r-chosen-end", (0.5, 0.6))
    predicted = {"as_it_is": (WRONG, WRONG), "p1": (RIGHT, WRONG), "p2": (WRONG, RIGHT)}
    for point, selected in predicted.items():
        for system, labels in zip(systems, selected, strict=True):
            files |= trained(f"r-{point}-train", [(labels, labels)], RIGHT, system)
    page, *_ = command.search(Request("r"), two, reader(files))
    assert ran[-1].settings == (
        f"x.{systems[0]}.learning_rate=0.1",
        f"x.{systems[1]}.learning_rate=0.2",
    )
    text = page.read_text()
    assert f"| point | {KEY} | x, MCN-CL |" in text
    assert f"| point | {KEY} | x, logistic regression |" in text


def test_files_that_change_during_the_search_leave_nothing_tested(
    ran: list[Experiment], planned: list[str], files: Files
) -> None:
    kept = reader(files)

    def read(name: str, path: Path) -> bytes:
        planned[0] = "-changed"
        return kept(name, path)

    with pytest.raises(PipelineError, match=r"changed during the search\. `python -m pipeline exp"):
        command.search(Request("r"), SEARCH, read)
    assert not any("end" in experiment.name for experiment in ran)


def test_a_sample_is_said_to_be_one(
    ran: list[Experiment], planned: list[str], files: Files
) -> None:
    points = SEARCH.model_copy(update={"budget": 2}).points()
    assert len(points) == 2
    page, *_ = command.search(Request("r"), SEARCH.model_copy(update={"budget": 2}), reader(files))
    said = "The grid has 3 points, the budget is 2: those were drawn without replacement, with seed"
    assert said in page.read_text()
