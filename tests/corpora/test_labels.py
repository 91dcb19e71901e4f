"""Label sets, their codes, and the rule behind the published 7,433 utterances of IEMOCAP."""

import pytest
from pydantic import ValidationError

from pipeline.corpora.iemocap import erc7433
from pipeline.corpora.labels import CONSENSUS
from pipeline.corpora.protocol import make_protocol
from pipeline.corpora.registry import READERS
from pipeline.corpora.settings import ProtocolSettings
from pipeline.records.manifest import Segment, Utterance, Vote

GONE = Segment("x.avi", missing="absent")


def utterance(code: str | None, *votes: Vote) -> Utterance:
    return Utterance("u", "d", 0, "s", "t", GONE, GONE, emotion=code, votes=list(votes))


def raters(*codes: str) -> list[Vote]:
    return [Vote(f"E{n}", codes=code.split()) for n, code in enumerate(codes, start=1)]


OWN = Vote("F1", self_report=True, codes=["hap"])


@pytest.mark.parametrize(
    ("code", "votes", "expected"),
    [
        ("xxx", [*raters("hap", "neu", "exc"), OWN], "hap"),
        ("xxx", [*raters("hap", "neu", "neu"), OWN], "xxx"),  # two and two
        ("xxx", [*raters("neu", "sad", "exc"), OWN], "xxx"),  # one each
        ("xxx", [*raters("hap neu", "neu exc", "hap sad"), OWN], "hap"),  # 3 against 2
        ("xxx", raters("hap", "hap", "neu"), "xxx"),  # no self-report
        ("xxx", [*raters("hap", "neu", "exc"), Vote("F1", True, ["hap", "neu"])], "xxx"),
        ("xxx", [*raters("hap", "neu", "exc"), Vote("F1", True, ["exc"])], "xxx"),
        ("xxx", [*raters("hap hap", "neu", "neu"), OWN], "xxx"),  # one vote per label and rater
        ("neu", [*raters("hap", "hap", "hap"), OWN], "neu"),  # a majority stands
        (None, [OWN], None),
    ],
)
def test_the_rule_by_hand(code: str | None, votes: list[Vote], expected: str | None) -> None:
    u = utterance(code, *votes)
    assert erc7433(u) == expected
    assert CONSENSUS.code(u) == code


@pytest.mark.parametrize(
    ("reader", "name", "numbers"),
    [
        (
            "iemocap",
            "six",
            {"hap": 0, "sad": 1, "neu": 2, "ang": 3, "exc": 4, "fru": 5, "sur": None},
        ),
        ("iemocap", "four", {"hap": 0, "exc": 0, "sad": 1, "neu": 2, "ang": 3, "fru": None}),
        ("iemocap", "four_no_exc", {"hap": 0, "exc": None, "sad": 1, "neu": 2, "ang": 3}),
        ("iemocap", "all", {"fru": 5, "sur": 6, "fea": 7, "dis": 8, "oth": 9, "xxx": None}),
        (
            "meld",
            "emotion",
            {"neutral": 0, "surprise": 1, "fear": 2, "joy": 4, "anger": 6, "xxx": None},
        ),
    ],
)
def test_class_numbers_follow_the_fields_order(
    reader: str, name: str, numbers: dict[str, int | None]
) -> None:
    label_set = READERS[reader].label_set(name)
    assert {code: label_set.index(code) for code in numbers} == numbers
    assert label_set.index(None) is None


def protocol(**changes: object) -> ProtocolSettings:
    usual = {
        "label_set": "six",
        "label_policy": "consensus",
        "unlabelled": "drop",
        "splits": "official",
    }
    return ProtocolSettings.model_validate({**usual, **changes})


def test_a_label_set_of_params_names_its_codes() -> None:
    settings = protocol(label_set={"good": ["hap", "exc"], "bad": ["ang", "fru", "sad"]})
    rows = [
        Utterance(f"{split}{n}", split, n, "s", "t", GONE, GONE, code, official_split=split)
        for split in ("train", "dev", "test")
        for n, code in enumerate(["exc", "neu", "fru"])
    ]
    found = make_protocol(rows, settings, READERS["meld"])
    assert found.classes == ("good", "bad")
    assert [e.label for e in found.entries] == [0, 1] * 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"label_set": "seven"}, "expected one of"),
        ({"label_set": {"one": ["hap"]}}, "two classes or more"),
        ({"label_set": {"one": ["hap"], "two": ["hap"]}}, "codes that occur once"),
        ({"label_set": {"one": ["hap"], "two": []}}, "two classes or more"),
        ({"label_policy": "majority"}, r"expected one of \['consensus', 'erc7433'\]"),
        ({"splits": "session5"}, "need validation"),
        ({"validation": "cosmic"}, "do not use validation: set it to null"),
        ({"splits": "session5", "validation": "fraction"}, "need valid_fraction"),
        (
            {"splits": "session5", "validation": "cosmic", "valid_fraction": 0.1},
            "do not use valid_fraction",
        ),
        (
            {"splits": "leave_one_session_out", "validation": "cosmic"},
            "validation 'cosmic' names dialogues",
        ),
        ({"splits": "speakers", "valid_fraction": 0.1}, "need test_fraction"),
        ({"splits": "speakers", "valid_fraction": 1.0, "test_fraction": 0.1}, "less than 1"),
    ],
)
def test_settings_that_do_not_agree_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        protocol(**changes)
