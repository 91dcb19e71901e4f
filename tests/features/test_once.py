"""Entries computed once: twins, damage, and pieces that take their process down with them."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.base.cache import ClipCache
from pipeline.base.errors import MediaError, PipelineError
from pipeline.features.common.once import Entries, Failures, Outcome, Piece, Tally, media_key
from pipeline.records.features import VECTORS, vectors_in, vectors_row
from pipeline.records.ledger import Problem, read_ledger
from pipeline.records.manifest import Segment, Utterance

GONE = Segment("gone.mp4", missing="absent")


def piece(turn: int, content: str | None, file: str = "d.avi") -> Piece:
    clip = GONE if content is None else Segment(file, turn, turn + 1.0, content)
    return Piece(Utterance(f"u{turn}", "d", turn, "s", "text", clip, clip), clip, media_key(clip))


def twin(turn: int, of: Piece) -> Piece:
    return Piece(Utterance(f"u{turn}", "d", turn, "s", "text", GONE, GONE), of.segment, of.key)


@dataclass(frozen=True)
class Maker:
    """Makes a vector of the segment's start; what a content is called says how it behaves."""

    cache: ClipCache
    log: Path

    def __call__(self, pieces: Sequence[Piece]) -> Failures:
        failed: Failures = {}
        for p in pieces:
            with self.log.open("a") as file:
                file.write(f"{p.segment.sha256} ")
            if p.segment.sha256 == "crash":
                os._exit(9)
            if p.segment.sha256 == "hang":
                time.sleep(600)
            if p.segment.sha256 == "bad":
                failed[p.key] = MediaError("unreadable", "seen in a process")
            else:
                self.cache.put(p.key, vectors_row(np.float32([[p.segment.start]])))
        return failed


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    return Maker(ClipCache("toy", 1, VECTORS, tmp_path / "cache"), tmp_path / "log")


def run(make: Maker, *files: list[Piece]) -> dict[str, object]:
    """What each utterance gets: its vector's value, the kind of its error, or None."""
    found: dict[str, object] = {}
    for utterance, entry in Entries(make, make.cache).of(files):
        if isinstance(entry, pa.RecordBatch):
            found[utterance.utterance] = vectors_in(entry).item()
        else:
            found[utterance.utterance] = entry and entry.kind
    return found


def made(make: Maker) -> list[str]:
    """Contents in the order they were begun, since the last call."""
    if not make.log.exists():
        return []
    names = make.log.read_text().split()
    make.log.unlink()
    return names


def test_each_content_is_made_once_and_twins_share_it(make: Maker) -> None:
    a, b = piece(0, "a", "a.mp4"), piece(1, "b", "b.mp4")
    files = [[a], [b], [piece(2, None)], [twin(3, a), twin(4, b)], [twin(5, a)]]
    expected = {"u0": 0, "u1": 1, "u2": None, "u3": 0, "u4": 1, "u5": 0}
    assert run(make, *files) == expected
    assert sorted(made(make)) == ["a", "b"]
    assert run(make, *files) == expected
    assert made(make) == []


def test_what_failed_is_told_for_its_twins_too_and_tried_again_in_the_next_run(make: Maker) -> None:
    bad = piece(0, "bad")
    assert run(make, [bad], [twin(1, bad)]) == {"u0": "unreadable", "u1": "unreadable"}
    assert run(make, [bad]) == {"u0": "unreadable"}
    assert 2 <= len(made(make)) <= 3


def test_an_entry_counts_though_another_node_failed_to_make_it(make: Maker) -> None:
    a = piece(3, "a")
    assert run(make, [a]) == {"u3": 3}
    failed = {a.key: MediaError("hung", "on a node whose disk had stopped")}
    ((_, entry),) = Entries(make, make.cache, failed=failed).of([[a]])
    assert isinstance(entry, pa.RecordBatch)


def test_a_damaged_entry_is_made_again(make: Maker) -> None:
    a = piece(4, "a")
    assert run(make, [a]) == {"u4": 4}
    (entry,) = (path for path in make.cache.folder.rglob("*") if path.is_file())
    entry.write_bytes(entry.read_bytes()[:-3])
    made(make)
    assert run(make, [a]) == {"u4": 4}
    assert made(make) == ["a"]


@pytest.mark.slow
def test_a_piece_that_crashes_costs_its_neighbours_nothing(make: Maker) -> None:
    file = [piece(0, "a"), piece(1, "crash"), piece(2, "c"), piece(3, "bad")]
    assert run(make, file, [piece(4, "e", "e.mp4")]) == {
        "u0": 0,
        "u1": "crashed",
        "u2": 2,
        "u3": "unreadable",
        "u4": 4,
    }
    begun = made(make)
    assert begun.count("crash") == 4, "twice with its neighbours, twice alone"
    assert begun.count("e") == begun.count("c") == 1


@pytest.mark.slow
def test_a_piece_that_hangs_is_given_up(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.base.workers.PATIENCE_PER_SECOND", 0.0)
    monkeypatch.setenv("ERC_PATIENCE", "1")
    assert run(make, [piece(0, "hang")], [piece(1, "b")]) == {"u0": "hung", "u1": 1}


def test_an_entry_that_vanishes_is_an_error_and_not_a_masked_utterance(tmp_path: Path) -> None:
    lost = Maker(ClipCache("toy", 1, VECTORS, tmp_path / "elsewhere"), tmp_path / "log")
    with pytest.raises(PipelineError, match="something else deletes"):
        list(Entries(lost, ClipCache("toy", 1, VECTORS, tmp_path / "cache")).of([[piece(0, "a")]]))


def test_the_tally_writes_the_ledger_and_refuses_an_empty_modality(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    problem = Problem("u1", "audio", "no_audio", "x")
    tally = Tally("audio")
    passed = list(tally.rows([Outcome("u0", 1), Outcome("u1", None, [problem])]))
    assert passed == [("u0", 1), ("u1", None)]
    tally.close(tmp_path / "l.parquet")
    tally.check("toy")
    assert read_ledger(tmp_path / "l.parquet") == [problem]
    assert "1 utterances, 1 masked" in capsys.readouterr().out
    assert "dvc repro" not in capsys.readouterr().out
    for kind, modality, stage in (("hung", "visual", "frames"), ("no_memory", "audio", "audio")):
        tally, again = Tally(modality), Problem("u1", modality, kind, "x")
        list(tally.rows([Outcome("u0", 1), Outcome("u1", None, [again])]))
        tally.check("toy")
        command = f"`dvc repro --force --single-item {stage}@toy && dvc repro` tries these again"
        assert command in capsys.readouterr().out
    empty = Tally("audio")
    list(empty.rows([Outcome("u1", None, [problem])]))
    with pytest.raises(PipelineError, match="none of 1 utterances has audio"):
        empty.check("toy")
