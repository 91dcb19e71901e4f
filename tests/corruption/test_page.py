"""What a person reads: page, table, picture and the command that makes them."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from pipeline.corruption import page
from pipeline.corruption.corruptions import CORRUPTIONS, Corruption
from pipeline.corruption.curves import Robustness
from pipeline.corruption.figure import figure
from pipeline.evaluation.evaluate import selected_runs
from pipeline.evaluation.intervals import Difference, Interval
from pipeline.experiments.rows import WEIGHTED, Entrant, Row
from pipeline.records.epochs import read_epochs
from pipeline.records.predictions import SystemPredictions, TestSet
from pipeline.records.protocol import read_protocol
from tests.conftest import ROOT
from tests.dag.clone import SYSTEMS, python

DEMO = "demo_meld"
DROP, NOISE = CORRUPTIONS[0], CORRUPTIONS[3]
TESTED = TestSet(
    classes=("calm", "angry"),
    utterances=tuple(f"d{n % 4}_{n}" for n in range(20)),
    dialogues=tuple(f"d{n % 4}" for n in range(20)),
    folds=np.zeros(20, np.int32),
    actual=np.zeros(20, np.int64),
)


def row(step: str, value: float, clean: float, seeds: tuple[int, ...]) -> Row:
    """A row; each interval is 5 wide on both sides, and two seeds are 2.5 apart."""
    less = value - clean
    return Row(
        Entrant(step, TESTED, SystemPredictions(seeds, np.zeros((len(seeds), 20), int), None)),
        np.zeros((len(seeds), 4, 2, 2)),
        {WEIGHTED: Interval(value, value - 5, value + 5)},
        {},
        {WEIGHTED: (value - 1.25, value + 1.25)[: len(seeds)]},
        {} if step == "none" else {WEIGHTED: Difference(less, less - 5, less + 5)},
        "",
    )


def rows(corruption: Corruption, seeds: tuple[int, ...], *values: float) -> list[Row]:
    """A curve whose first value is clean."""
    steps = ("none", *map(corruption.step, STEPS[corruption]))
    return [row(step, v, values[0], seeds) for step, v in zip(steps, values, strict=False)]


STEPS = {DROP: (25.0, 50.0, 100.0), NOISE: (40.0, 20.0, 0.0)}
FOUND = Robustness(
    corpus="toy",
    steps=STEPS,
    rows={
        ("mcn_cl", DROP): rows(DROP, (1, 2), 60.0, 59.0, 58.0, 50.0),
        ("mcn_cl", NOISE): rows(NOISE, (1, 2), 60.0, 61.0, 66.5, 40.0),
        ("tfidf", DROP): rows(DROP, (0,), 55.0, 50.0, 40.0, 30.0),
        ("tfidf", NOISE): rows(NOISE, (0,), 55.0),
    },
    masked={DROP: (0, 5, 10, 20), NOISE: (3, 3, 3, 4)},
)


def test_the_page(workspace: Path) -> None:
    paths = page.write(FOUND, [], quick=True)
    assert [str(path) for path in paths] == [
        f"docs/robustness/quick/toy.{kind}" for kind in ("md", "csv", "png")
    ]
    text = paths[0].read_text()
    assert text.split("```")[1] == "sh\npython -m pipeline robustness toy --quick\n"
    for line in (
        "20 labelled test utterances in 4 dialogues.",
        "![Weighted F1 by system, corruption and step](toy.png)",
        "| system | clean | text drop 100 % of utterances | audio noise 0 dB |",
        "| MCN-CL | 60.0 ± 1.8 [55.0, 65.0] | -10.0 * | -20.0 * |",
        "| TF-IDF | 55.0 [50.0, 60.0] | -25.0 * |  |",
        "<details><summary>MCN-CL, seeds 1, 2</summary>",
        "<details><summary>TF-IDF, seed 0</summary>",
        "| audio | noise | none | 3 | 60.0 ± 1.8 [55.0, 65.0] |  |  |",
        "| audio | noise | 40 dB | 3 | 61.0 ± 1.8 [56.0, 66.0] | +1.0 [-4.0, +6.0] | not clear |",
        "| audio | noise | 20 dB | 3 | 66.5 ± 1.8 [61.5, 71.5] | +6.5 [+1.5, +11.5] | better |",
        "| audio | noise | 0 dB | 4 | 40.0 ± 1.8 [35.0, 45.0] | -20.0 [-25.0, -15.0] | worse |",
        f"- text drop: {DROP.about}.",
    ):
        assert line in text.splitlines(), line
    assert text.count("| audio | noise |") == 4, "TF-IDF hears nothing"
    assert str(page.write(FOUND, [], quick=False)[0]) == "docs/robustness/toy.md"
    of_one = page.write(FOUND, ["tfidf"], quick=False)
    assert str(of_one[0]) == "docs/robustness/toy-tfidf.md"
    assert "robustness toy --system tfidf\n" in of_one[0].read_text()


def test_the_table_and_the_picture(workspace: Path) -> None:
    _, table, picture = page.write(FOUND, [], quick=False)
    rows = pd.read_csv(table)
    assert list(rows["system"]) == ["mcn_cl"] * 8 + ["tfidf"] * 4
    assert list(rows["level"].fillna(-1)[:8]) == [-1, 25, 50, 100, -1, 40, 20, 0]
    last = rows.iloc[7]
    assert (last["modality"], last["corruption"], last["unit"], last["masked"]) == (
        *("audio", "noise", "dB"),
        4,
    )
    assert (last["weighted_f1"], last["weighted_f1_std"]) == (40.0, 1.77), "1.25 times root 2"
    assert list(last[["difference", "difference_low", "difference_high"]]) == [-20, -25, -15]
    assert pd.isna(rows.iloc[4]["difference"]) and rows.iloc[4]["weighted_f1"] == 60
    first = picture.read_bytes()
    assert first.startswith(b"\x89PNG")
    page.write(FOUND, [], quick=False)
    assert picture.read_bytes() == first


def test_the_figure_has_a_line_for_each_system_also_for_what_it_does_not_read() -> None:
    drop, noise = figure(FOUND).axes
    assert [line.get_ydata().tolist() for line in noise.lines] == [
        [60.0, 61.0, 66.5, 40.0],
        [55.0] * 4,
    ]
    assert [line.get_linestyle() for line in noise.lines] == ["-", ":"]
    assert [line.get_label() for line in drop.lines] == ["MCN-CL", "TF-IDF"]
    assert [tick.get_text() for tick in noise.get_xticklabels()] == ["none", "40", "20", "0"]


def test_many_systems_are_rows_of_cells_the_best_clean_score_first(workspace: Path) -> None:
    names = ["tfidf", "mcn_cl", "bc_lstm", "mmgcn", "icon", "sdt", "misa", "tfn"]
    curves = {
        (name, c): [replace(r, figures={WEIGHTED: Interval(n + k, 0, 0)}) for k, r in enumerate(rs)]
        for n, name in enumerate(names)
        for c, rs in ((c, FOUND.rows["tfidf" if name == "tfidf" else "mcn_cl", c]) for c in STEPS)
    }
    many = replace(FOUND, rows=curves)
    text = page.write(many, [], quick=False)[0].read_text()
    assert "All steps: [toy.csv](toy.csv).\n" in text and "<details>" not in text
    assert " |\n\n## What is done\n\n- text drop" in text
    (axes,) = figure(many).axes
    shown = np.ma.filled(axes.images[0].get_array(), np.nan)
    assert [label.get_text() for label in axes.get_yticklabels()][::7] == ["TFN", "TF-IDF"]
    assert shown[0].tolist() == [7, 8, 9, 10, 8, 9, 10]
    assert shown[-1, :4].tolist() == [0, 1, 2, 3] and np.isnan(shown[-1, 4:]).all()
    steps = [tick.get_text() for tick in axes.get_xticklabels()]
    assert steps == ["clean", "25", "50", "100", "40", "20", "0"]
    assert "text:\ndrop\n(% of utterances)" in [text.get_text() for text in axes.texts]


def test_the_terminals_table_fits_eighty_columns(capsys: pytest.CaptureFixture[str]) -> None:
    page.show(FOUND, Console(width=80))
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert "-20.0 *" in printed and " 60.0 " in printed


def entries(folder: Path) -> dict[str, int]:
    files = [path for path in (folder / "data/cache").glob("*/*/*/*") if path.is_file()]
    return {str(path): path.stat().st_mtime_ns for path in files}


@pytest.mark.slow
def test_the_command_on_a_reproduced_corpus(reproduced: Path, tmp_path: Path) -> None:
    """The clean point is evaluate's; again, without raw files, nothing is computed."""
    for name in ("data", "models"):
        shutil.copytree(reproduced / name, tmp_path / name, symlinks=True)
    shutil.copy(reproduced / "params.yaml", tmp_path)
    words = ("pipeline", "robustness", DEMO, "--quick")
    done = python(tmp_path, *words, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    pages = tmp_path / "docs/robustness/quick"
    first = {path.name: path.read_bytes() for path in pages.iterdir()}
    assert set(first) == {f"{DEMO}.md", f"{DEMO}.csv", f"{DEMO}.png"}
    rows = pd.read_csv(pages / f"{DEMO}.csv")
    assert (rows["system"] == "mcn_cl").sum() == len(CORRUPTIONS) * 4
    assert set(rows["system"]) == set(SYSTEMS)
    protocol = read_protocol(tmp_path / f"data/protocols/{DEMO}.parquet")
    for system, of_system in rows.groupby("system"):
        epochs, _ = read_epochs(tmp_path / f"data/epochs/{DEMO}/{system}.parquet")
        runs = selected_runs(epochs, protocol, "test")
        clean = runs[0].scores(protocol.classes).weighted_f1
        assert np.allclose(of_system[of_system["level"].isna()]["weighted_f1"], clean, atol=0.005)
    dropped = rows[(rows["corruption"] == "drop") & (rows["level"] == 100)]
    assert (dropped["masked"] == len(runs[0].utterances)).all()

    kept = entries(tmp_path)
    shutil.rmtree(tmp_path / "data/raw")
    again = python(tmp_path, *words, PYTHONPATH=str(ROOT))
    assert again.returncode == 0, again.stderr
    assert {path.name: path.read_bytes() for path in pages.iterdir()} == first
    assert entries(tmp_path) == kept

    shutil.rmtree(tmp_path / "models/checkpoints" / DEMO)
    stopped = python(tmp_path, *words, PYTHONPATH=str(ROOT))
    assert stopped.returncode == 1 and "Traceback" not in stopped.stderr
    assert f"{DEMO} has no checkpoint in models/checkpoints/{DEMO}" in stopped.stderr
    assert "`dvc repro` trains" in stopped.stderr
