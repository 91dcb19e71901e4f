"""Manifest and ledger tables: round trips, rules, versions."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.base.errors import PipelineError
from pipeline.base.tables import read_provenance
from pipeline.records import manifest
from pipeline.records.ledger import Problem, counted, page, read_ledger, summary, write_ledger
from pipeline.records.manifest import (
    Origin,
    Segment,
    Utterance,
    Vote,
    count_utterances,
    read_manifest,
    read_origin,
    write_manifest,
)
from tests.synthetic import bare_utterance

ORIGIN = Origin("meld", full=True)
CLIP = Segment("a/b.mp4", end=2.0, sha256="0" * 64, region=(0.5, 0.0, 0.5, 1.0))


def utterance(dialogue: str, turn: int, emotion: str | None = "joy") -> Utterance:
    votes = [Vote("E1", codes=["hap", "neu"]), Vote("F1", True, [], 1.0, None, 5.0)]
    return replace(bare_utterance(dialogue, turn, emotion), video=CLIP, votes=votes)


def test_a_manifest_reads_back_as_it_was(tmp_path: Path) -> None:
    rows = [utterance("d0", 0), utterance("d0", 1, None), utterance("d1", 0)]
    write_manifest(tmp_path / "m.parquet", rows, ORIGIN)
    assert read_origin(tmp_path / "m.parquet") == ORIGIN
    assert read_manifest(tmp_path / "m.parquet") == rows


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([utterance("d0", 0), utterance("d0", 0)], "d0_0: 2 times"),
        ([utterance("d0", 1)], "turns [1], expected 0, 1, 2"),
        ([utterance("d0", 0), utterance("d1", 0), utterance("d0", 1)], "do not stand together"),
        ([replace(utterance("d0", 0), video=replace(CLIP, sha256=None))], "no digest"),
        ([replace(utterance("d0", 0), video=replace(CLIP, start=3.0))], "lasts from 3.0 to 2.0 s"),
        (
            [replace(utterance("d0", 0), video=replace(CLIP, region=(0.6, 0, 0.5, 1)))],
            "not inside the picture",
        ),
        ([replace(utterance("d0", 0), speaker="")], "d0_0: speaker is empty"),
        ([replace(utterance("d0", 0), valence=float("nan"))], "d0_0: valence is nan"),
        ([replace(utterance("d0", 0), episode_start=-1.0)], "d0_0: episode_start is -1.0"),
        (
            [replace(utterance("d0", 0), votes=[Vote("E1", dominance=float("inf"))])],
            "dominance is inf",
        ),
        ([replace(utterance("d0", 0), video=replace(CLIP, sha256="00"))], "sha256 is '00'"),
        ([replace(utterance("d0", 0), video=replace(CLIP, path="../x"))], "does not lie below"),
        ([replace(utterance("d0", 0), video=replace(CLIP, path="/x/y"))], "does not lie below"),
        ([replace(utterance("d0", 0), text=None)], "'text' is declared non-nullable"),
        ([replace(utterance("d0", 0), turn="first")], "do not fit the schema manifest/3"),
    ],
)
def test_broken_rules_are_named(tmp_path: Path, rows: list[Utterance], said: str) -> None:
    with pytest.raises(PipelineError) as error:
        write_manifest(tmp_path / "m.parquet", rows, ORIGIN)
    assert said in str(error.value)


def test_what_never_was_is_none_and_a_valence_may_be_negative(tmp_path: Path) -> None:
    rows = [
        replace(utterance("d0", 0), video=None, valence=-1.8),
        replace(utterance("d0", 1), video=None, audio=None),
        utterance("d1", 0),
    ]
    write_manifest(tmp_path / "m.parquet", rows, ORIGIN)
    assert read_manifest(tmp_path / "m.parquet") == rows
    counts = [count_utterances(tmp_path / "m.parquet", m) for m in (None, "video", "audio")]
    assert counts == [3, 1, 2]
    with pytest.raises(PipelineError, match="d0_0: activation is -1"):
        write_manifest(tmp_path / "n.parquet", [replace(rows[0], activation=-1.0)], ORIGIN)


def test_another_version_is_refused(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.parquet", [utterance("d0", 0)], ORIGIN)
    with pytest.raises(PipelineError, match="of schema 'manifest/3', expected 'protocol/1'"):
        read_provenance(tmp_path / "m.parquet", "protocol/1")


def test_the_ledger_counts_by_modality_and_kind(tmp_path: Path) -> None:
    problems = [Problem("u1", "audio", "absent", "x"), Problem("u2", "audio", "absent", "y")]
    write_ledger(tmp_path / "l.parquet", problems)
    assert read_ledger(tmp_path / "l.parquet") == problems
    assert counted(problems) == {"audio absent": 2}
    assert summary(problems) == ["  audio absent: 2, such as u1 (x)"]


def test_the_ledgers_page_shows_each_kind_with_examples() -> None:
    problems = [Problem(f"u{n}", "audio", "absent", "a|b") for n in range(5)]
    text = page("mine", {"manifest": problems, "frames": []})
    assert "# What was wrong with mine" in text
    row = "| manifest | audio | absent | 5 | u0: a\\|b; u1: a\\|b; u2: a\\|b |"
    assert text.splitlines()[-1] == row
    assert "nothing" in page("mine", {"manifest": []})


def test_what_was_written_around_the_checks_is_refused_on_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.parquet"
    with monkeypatch.context() as patch:
        patch.setattr(manifest, "check", lambda utterances: None)
        write_manifest(path, [utterance("d0", 1)], ORIGIN)
    with pytest.raises(PipelineError, match=r"turns \[1\], expected 0"):
        read_manifest(path)
