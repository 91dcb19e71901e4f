"""Predictions as files: the same rows as CSV and Parquet, and timelines a person can read."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from pipeline.base.tables import read_provenance
from pipeline.prediction import timeline
from pipeline.prediction.predicted import write_predicted
from pipeline.prediction.timeline import draw_timelines
from pipeline.records.ledger import Problem
from tests.prediction.conversation import predicted


def test_both_files_hold_every_utterance(tmp_path: Path) -> None:
    found = predicted(3, 2)
    found = replace(found, probabilities=np.eye(3, dtype=np.float32)[[1, 0, 2, 0, 1]])
    write_predicted(tmp_path, found, {"corpus": "x"}, [])
    table = pd.read_parquet(tmp_path / "predictions.parquet")
    assert list(table.columns) == [
        *("dialogue", "utterance", "turn", "speaker", "text", "modalities present", "predicted"),
        *("probability of calm", "probability of angry", "probability of $x$"),
    ]
    assert list(table["predicted"]) == ["angry", "calm", "$x$", "calm", "angry"]
    assert list(table["modalities present"]) == [
        *("text", "text, audio", "text, audio"),
        *("text", "text, audio"),
    ]
    assert list(table["turn"]) == [0, 1, 2, 0, 1]
    assert list(table["probability of angry"]) == [1, 0, 0, 0, 1]
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "predictions.csv"), table, check_dtype=False
    )
    assert read_provenance(tmp_path / "predictions.parquet", "predicted/1") == {"corpus": "x"}


def test_the_ledger_is_a_csv_of_all_problems(tmp_path: Path) -> None:
    problem = Problem("u", "audio", "no_audio", 'it has "none"')
    write_predicted(tmp_path, predicted(1), {}, [problem])
    assert pd.read_csv(tmp_path / "ledger.csv").to_dict("records") == [
        {"utterance": "u", "modality": "audio", "kind": "no_audio", "detail": 'it has "none"'}
    ]
    write_predicted(tmp_path, predicted(1), {}, [])
    assert (tmp_path / "ledger.csv").read_text() == "utterance,modality,kind,detail\n"


def test_a_timeline_for_each_dialogue_and_none_of_an_earlier_run(tmp_path: Path) -> None:
    list(draw_timelines(tmp_path, list(predicted(3, 2, 1).dialogues())))
    names = ["1-a_d0.png", "2-a_d1.png", "3-a_d2.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    (tmp_path / "mine.png").touch()
    first = (tmp_path / "1-a_d0.png").read_bytes()
    list(draw_timelines(tmp_path, [predicted(3)]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1-a_d0.png", "mine.png"]
    assert imread(tmp_path / "1-a_d0.png").std() > 0.1
    list(draw_timelines(tmp_path, list(predicted(3, 2, 1).dialogues())))
    assert (tmp_path / "1-a_d0.png").read_bytes() == first


def test_long_dialogues_are_drawn_in_rows_and_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "ROWS_A_PAGE", 2)
    long = predicted(50)
    rows = timeline._rows(long)
    assert [row.start for row in rows[1:]] == [row.stop for row in rows[:-1]]
    assert (rows[0].start, rows[-1].stop) == (0, 50) and len(rows) == 3
    list(draw_timelines(tmp_path, [long]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1-a_d0-1.png", "1-a_d0-2.png"]
    shapes = [imread(path).shape for path in sorted(tmp_path.iterdir())]
    assert max(side for shape in shapes for side in shape) < 2**12


def test_names_are_data(tmp_path: Path) -> None:
    found = predicted(2, classes=("$\\frac$", "x" * 300))
    rows = [replace(u, dialogue="../$a$\n<b>", speaker="$_^{") for u in found.utterances]
    list(draw_timelines(tmp_path / "in", [replace(found, utterances=rows)]))
    assert [path.parent.name for path in tmp_path.rglob("*.png")] == ["in"]


@pytest.mark.parametrize("name", ["d", "demo_meld/test/dia12", "W" * 80, "日" * 80, "a talk " * 20])
@pytest.mark.parametrize("turns", [1, 5, 40])
def test_no_title_is_cut(tmp_path: Path, name: str, turns: int) -> None:
    found = predicted(turns)
    rows = [replace(u, dialogue=name) for u in found.utterances]
    (page,) = draw_timelines(tmp_path, [replace(found, utterances=rows)])
    drawn = imread(page)[:40]
    assert drawn[..., :3].min() < 0.2, "there is a title"
    assert (drawn[:, :3] == 1).all() and (drawn[:, -3:] == 1).all()
