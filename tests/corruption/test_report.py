"""What a person reads: page, table, picture and the command that makes them."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from pipeline.corruption import report
from pipeline.corruption.corruptions import CORRUPTIONS
from pipeline.corruption.curves import Curve, Point, Robustness
from pipeline.corruption.scoring import Score
from pipeline.evaluation.evaluate import selected_runs
from pipeline.evaluation.intervals import Difference
from pipeline.records.epochs import read_epochs
from pipeline.records.protocol import read_protocol
from tests.conftest import ROOT
from tests.dag.clone import python

DEMO = "demo_meld"


def points(corruption: int, *values: float) -> Curve:
    """A curve below a clean 60; each interval is 5 wide on both sides."""
    chosen = CORRUPTIONS[corruption]
    return Curve(
        chosen,
        [
            Point(level, 3, score(value), Difference(value - 60, value - 65, value - 55))
            for level, value in zip(chosen.levels, values, strict=False)
        ],
    )


def score(value: float) -> Score:
    return Score(value, 1.25, value - 5, value + 5)


FOUND = Robustness(
    corpus="toy",
    seeds=(1, 2),
    folds=1,
    utterances=20,
    dialogues=4,
    masked={"text": 0, "audio": 3},
    left_out=("visual",),
    clean=score(60.0),
    majority=20.0,
    curves=[points(0, 59.0, 58.0, 50.0), points(3, 61.0, 66.5, 40.0)],
)


def test_the_page(workspace: Path) -> None:
    paths = report.write(FOUND, quick=True)
    assert [str(path) for path in paths] == [
        f"docs/robustness/quick/toy.{kind}" for kind in ("md", "csv", "png")
    ]
    page = paths[0].read_text()
    assert page.split("```")[1] == "sh\npython -m pipeline robustness toy --quick\n"
    assert "20 labelled test utterances in 4 dialogues; seeds 1, 2." in page
    for line in (
        "- clean: 60.0 ± 1.2 [55.0, 65.0]; majority class: 20.0",
        "- text drop: clearly worse at 75 % of utterances; "
        "-10.0 [-15.0, -5.0] at 75 % of utterances",
        "- audio noise: clearly worse at 10 dB; -20.0 [-25.0, -15.0] at 10 dB",
        "- visual: not in the model, so left out",
        "| audio | noise | none | 3 | 60.0 ± 1.2 [55.0, 65.0] |  |  |",
        "| audio | noise | 40 dB | 3 | 61.0 ± 1.2 [56.0, 66.0] | +1.0 [-4.0, +6.0] | not clear |",
        "| audio | noise | 20 dB | 3 | 66.5 ± 1.2 [61.5, 71.5] | +6.5 [+1.5, +11.5] | better |",
        "| audio | noise | 10 dB | 3 | 40.0 ± 1.2 [35.0, 45.0] | -20.0 [-25.0, -15.0] | worse |",
    ):
        assert line in page.splitlines(), line
    assert str(report.write(FOUND, quick=False)[0]) == "docs/robustness/toy.md"


def test_the_table_and_the_picture(workspace: Path) -> None:
    _, table, picture = report.write(FOUND, quick=False)
    rows = pd.read_csv(table)
    assert list(rows["level"].fillna(-1)) == [-1, 25, 50, 75, -1, 40, 20, 10]
    last = rows.iloc[-1]
    assert (last["modality"], last["corruption"], last["unit"], last["masked"]) == (
        *("audio", "noise", "dB"),
        3,
    )
    assert (last["weighted_f1"], last["weighted_f1_std"]) == (40.0, 1.25)
    assert list(last[["difference", "difference_low", "difference_high"]]) == [-20, -25, -15]
    assert pd.isna(rows.iloc[4]["difference"]) and rows.iloc[4]["weighted_f1"] == 60
    first = picture.read_bytes()
    assert first.startswith(b"\x89PNG")
    report.write(FOUND, quick=False)
    assert picture.read_bytes() == first


def test_the_terminals_table_fits_eighty_columns(capsys: pytest.CaptureFixture[str]) -> None:
    report.show(FOUND, Console(width=80))
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert "-20.0 [-25.0, -15.0]" in printed and "visual: not in the model" in printed


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
    assert len(rows) == len(CORRUPTIONS) * 4
    protocol = read_protocol(tmp_path / f"data/protocols/{DEMO}.parquet")
    runs = selected_runs(read_epochs(tmp_path / f"data/epochs/{DEMO}.parquet"), protocol, "test")
    clean = next(run for run in runs if run.seed == 1).scores(protocol.classes).weighted_f1
    assert np.allclose(rows[rows["level"].isna()]["weighted_f1"], clean, atol=0.005)
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
    assert f"`dvc repro train@{DEMO}` trains them" in stopped.stderr
