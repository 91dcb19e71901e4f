"""The table on the terminal."""

import io

import pandas as pd
import pytest
from rich.console import Console

from pipeline.base import paths
from pipeline.base.display import write_csv
from pipeline.base.errors import PipelineError
from pipeline.base.files import write_json
from pipeline.evaluation.summary import headline, show
from pipeline.systems.registry import SYSTEMS

SCORES = ("weighted_f1", "macro_f1", "rare_f1", "difference")
RUN = {"features": {}, "masked": {}, "ledger": {"manifest": {"audio absent": 3}}}


@pytest.fixture
def board(workspace):
    """A leaderboard of all registered systems, the first with three seeds."""
    rows = []
    for place, (name, title) in enumerate(SYSTEMS.items()):
        row = {"system": name, "title": title, "first": 50.0, "rank": place + 1}
        for score in SCORES:
            row |= {score: 60.154, f"{score}_low": 58.16, f"{score}_high": 62.16}
            row |= {f"{score}_std": 0.254} if not place else {}
        rows.append(row)
    table = pd.DataFrame(rows)
    write_csv(paths.metrics("x", "leaderboard.csv"), table)
    write_json(paths.metrics("x", "run.json"), RUN)
    return table


@pytest.mark.parametrize("width", [80, 160])
def test_every_figure_of_every_system_fits_on_a_terminal(board, width):
    file = io.StringIO()
    show("x", Console(file=file, width=width))
    lines = file.getvalue().splitlines()
    assert "…" not in file.getvalue() and max(map(len, lines)) <= width
    words = " ".join(line[:25].strip() for line in lines).split()
    for title in SYSTEMS.values():
        assert " ".join(title.split()) in " ".join(words), "long ones in two lines"
    printed = file.getvalue()
    assert printed.count("60.15 ± 0.25") == 2 and printed.count("60.15") == 2 * len(SYSTEMS)
    assert printed.count("58.2 to 62.2") == 2 * len(SYSTEMS)
    assert printed.count("+60.2") == printed.count("+58.2 to +62.2") == len(SYSTEMS)
    assert "  ledger: manifest: audio absent 3" in lines


def test_the_reference_has_no_difference(board, workspace):
    board.loc[0, ["difference", "difference_low", "difference_high"]] = None
    write_csv(paths.metrics("x", "leaderboard.csv"), board)
    file = io.StringIO()
    show("x", Console(file=file, width=80))
    assert file.getvalue().count("+60.2") == len(SYSTEMS) - 1 and " - " in file.getvalue()


def test_without_results_it_says_what_to_run(workspace):
    with pytest.raises(PipelineError, match=r"leaderboard\.csv is missing: run `dvc repro` first"):
        show("x")


@pytest.mark.parametrize("name", ["leaderboard.csv", "run.json"])
@pytest.mark.parametrize("content", ["", "{", "a,b\n1,2\n"])
def test_files_that_were_damaged_are_refused(board, name, content):
    paths.metrics("x", name).write_text(content)
    with pytest.raises(PipelineError, match=rf"{name}: .*. Delete it and run `dvc repro`"):
        show("x")


def test_a_system_in_a_line():
    figures = {
        "validation": {"weighted_f1": 61.5, "weighted_f1_std": 1.2},
        "test": {"weighted_f1": 60.0},
    }
    line = headline("x", "tfidf", figures)
    assert line == "x, tfidf: weighted F1 61.50 ± 1.20 on validation, 60.00 on test"
