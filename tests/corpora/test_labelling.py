"""Labels and official splits of a protocol, and who may read which label."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.base.errors import PipelineError
from pipeline.corpora.protocol import make_protocol, remarks
from pipeline.corpora.registry import READERS
from pipeline.corpora.settings import ProtocolSettings
from pipeline.records.protocol import counts, read_protocol, write_protocol
from tests.synthetic import bare_utterance

MELD = READERS["meld"]


def settings(label_set: str = "emotion", unlabelled: str = "drop") -> ProtocolSettings:
    return ProtocolSettings(
        label_set=label_set,
        label_policy="consensus",
        unlabelled=unlabelled,  # type: ignore[arg-type]
        splits="official",
    )


ROWS = [
    bare_utterance("train/d0", 0),
    bare_utterance("train/d0", 1, "xxx"),
    bare_utterance("train/d0", 2, "anger"),
    bare_utterance("dev/d0", 0, "fear", "dev"),
    bare_utterance("test/d0", 0, "anger", "test"),
]


def test_class_numbers_follow_the_fields_order() -> None:
    protocol = make_protocol(ROWS, settings(), MELD)
    assert [(e.split, e.label) for e in protocol.entries] == [
        ("train", 4),
        ("train", 6),
        ("valid", 2),
        ("test", 6),
    ]
    assert counts(protocol)["valid"]["fear"] == 1
    rows = [*ROWS[:2], replace(ROWS[2], sentiment="negative"), *ROWS[3:]]
    sentiment = make_protocol(rows, settings("sentiment"), MELD)
    assert [e.label for e in sentiment.entries] == [1, 1, 2, 1, 1]


def test_unlabelled_utterances_can_stay_as_context() -> None:
    protocol = make_protocol(ROWS, settings(unlabelled="context"), MELD)
    assert [e.label for e in protocol.entries] == [4, None, 6, 2, 6]


def test_training_cannot_see_test_labels(tmp_path: Path) -> None:
    write_protocol(tmp_path / "p.parquet", make_protocol(ROWS, settings(), MELD))
    assert [e.label for e in read_protocol(tmp_path / "p.parquet").entries] == [4, 6, 2, 6]
    seen = read_protocol(tmp_path / "p.parquet", labels_of=("train", "valid"))
    assert [e.label for e in seen.entries] == [4, 6, 2, None]
    assert seen.classes[4] == "joy"


def test_an_empty_split_or_an_unknown_one_is_told() -> None:
    with pytest.raises(PipelineError, match=r"splits \['test'\] of fold 0 has a label"):
        make_protocol(ROWS[:4], settings(), MELD)
    with pytest.raises(PipelineError, match="official split None"):
        make_protocol([replace(ROWS[0], official_split=None)], settings(), MELD)


@pytest.mark.parametrize("kept", ["drop", "context"])
def test_a_train_split_of_one_class_is_refused_before_anything_is_trained(kept: str) -> None:
    with pytest.raises(PipelineError, match="train split of fold 0 are of one class"):
        make_protocol([*ROWS[:2], *ROWS[3:]], settings(unlabelled=kept), MELD)


def test_what_has_no_label_and_codes_nobody_has_are_counted() -> None:
    chosen = settings(label_set={"good": ["joy", "exce"], "bad": ["anger", "fear"]})  # type: ignore[arg-type]
    assert remarks(ROWS, chosen, MELD) == [
        "left out, without a label in the set: 1 utterances (xxx 1)",
        "no utterance has the label set's code 'exce'",
    ]
    assert "(no code 1)" in remarks([replace(ROWS[0], emotion=None)], chosen, MELD)[0]
