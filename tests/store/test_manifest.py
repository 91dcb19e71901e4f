"""Manifest, ledger and protocol tables: round trips, rules, versions."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.labelling import make_protocol
from pipeline.ledger import Problem, counted, read_ledger, summary, write_ledger
from pipeline.manifest import Segment, Utterance, Vote, read_manifest, write_manifest
from pipeline.protocol import counts, read_protocol, write_protocol
from pipeline.settings.protocol import ProtocolSettings
from pipeline.tables import read_about

CLIP = Segment("a/b.mp4", end=2.0, sha256="00", region=(0.5, 0.0, 0.5, 1.0))
GONE = Segment("a/c.mp4", missing="absent")


def utterance(
    dialogue: str, turn: int, emotion: str | None = "joy", split: str = "train"
) -> Utterance:
    return Utterance(
        utterance=f"{dialogue}_{turn}",
        dialogue=dialogue,
        turn=turn,
        speaker="Ross",
        text="Hi “there”",
        video=CLIP,
        audio=GONE,
        emotion=emotion,
        sentiment="positive",
        official_split=split,
        votes=[Vote("E1", ["Happiness", "Neutral"])],
    )


def test_a_manifest_reads_back_as_it_was(tmp_path: Path) -> None:
    rows = [utterance("d0", 0), utterance("d0", 1, None), utterance("d1", 0)]
    write_manifest(tmp_path / "m.parquet", rows)
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
    ],
)
def test_broken_rules_are_named(tmp_path: Path, rows: list[Utterance], said: str) -> None:
    with pytest.raises(PipelineError) as error:
        write_manifest(tmp_path / "m.parquet", rows)
    assert said in str(error.value)


def test_another_version_is_refused(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.parquet", [utterance("d0", 0)])
    with pytest.raises(PipelineError, match="of schema 'manifest/1', expected 'protocol/1'"):
        read_about(tmp_path / "m.parquet", "protocol/1")


def test_the_ledger_counts_by_modality_and_kind(tmp_path: Path) -> None:
    problems = [Problem("u1", "audio", "absent", "x"), Problem("u2", "audio", "absent", "y")]
    write_ledger(tmp_path / "l.parquet", problems)
    assert read_ledger(tmp_path / "l.parquet") == problems
    assert counted(problems) == {"audio absent": 2}
    assert summary(problems) == "  audio absent: 2, such as u1 (x)"


def settings(label_set: str = "emotion", unlabelled: str = "drop") -> ProtocolSettings:
    return ProtocolSettings.model_validate(
        {"label_set": label_set, "unlabelled": unlabelled, "splits": "official"}
    )


ROWS = [
    utterance("train/d0", 0),
    utterance("train/d0", 1, "xxx"),
    utterance("dev/d0", 0, "fear", "dev"),
    utterance("test/d0", 0, "anger", "test"),
]


def test_class_numbers_follow_the_fields_order() -> None:
    protocol = make_protocol(ROWS, settings())
    assert [(e.split, e.label) for e in protocol.entries] == [
        ("train", 4),
        ("valid", 2),
        ("test", 6),
    ]
    assert counts(protocol)["valid"]["fear"] == 1
    sentiment = make_protocol(ROWS, settings("sentiment"))
    assert [e.label for e in sentiment.entries] == [1, 1, 1, 1]


def test_unlabelled_utterances_can_stay_as_context() -> None:
    protocol = make_protocol(ROWS, settings(unlabelled="context"))
    assert [e.label for e in protocol.entries] == [4, None, 2, 6]


def test_training_cannot_see_test_labels(tmp_path: Path) -> None:
    write_protocol(tmp_path / "p.parquet", make_protocol(ROWS, settings()))
    assert [e.label for e in read_protocol(tmp_path / "p.parquet").entries] == [4, 2, 6]
    seen = read_protocol(tmp_path / "p.parquet", labels_of=("train", "valid"))
    assert [e.label for e in seen.entries] == [4, 2, None]
    assert seen.classes[4] == "joy"


def test_an_empty_split_or_an_unknown_one_is_told() -> None:
    with pytest.raises(PipelineError, match=r"splits \['test'\] has a label"):
        make_protocol(ROWS[:3], settings())
    with pytest.raises(PipelineError, match="official split None"):
        make_protocol([replace(ROWS[0], official_split=None)], settings())
