"""Label sets, their codes, who may read them, and the rule behind IEMOCAP's 7,433 utterances."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.base.errors import PipelineError
from pipeline.corpora.iemocap import erc7433
from pipeline.corpora.labels import CONSENSUS
from pipeline.corpora.of_features import FROM_FILES
from pipeline.corpora.protocol import make_protocol, remarks
from pipeline.corpora.registry import READERS
from pipeline.corpora.settings import ProtocolSettings
from pipeline.records.manifest import Segment, Utterance, Vote
from pipeline.records.protocol import Entry, counts, read_protocol, write_protocol
from tests.synthetic import bare_utterance

MELD = READERS["meld"]
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
        "control": "none",
        "splits": "official",
    }
    return ProtocolSettings.model_validate({**usual, **changes})


@pytest.mark.parametrize(
    ("corpus", "name", "ratings", "numbers"),
    [
        # numpy's rounding, halves to the even number, of ratings cut to the range
        ("mosi", "seven", [-3.2, -2.5, -1.5, -0.5, 0.0], [0, 1, 1, 3, 3]),
        ("mosi", "seven", [0.5, 1.5, 2.5, 2.6], [3, 5, 5, 6]),
        ("mosi", "five", [-3.0, -1.5, -0.6, 0.4, 1.5, 3.0], [0, 0, 1, 2, 4, 4]),
        ("mosi", "three", [-3.0, -0.5, 0.5, 0.6, 3.0], [0, 1, 1, 2, 2]),
        ("mosi", "two", [-0.2, 0.0, 0.2], [0, 1, 1]),
        ("mosi", "two_nonzero", [-0.2, 0.0, 0.2], [0, None, 1]),
        ("sims", "two", [-1.0, 0.0, 0.2], [0, 0, 1]),
        ("sims", "three", [-1.0, -0.1, 0.0, 0.1, 0.2], [0, 0, 1, 1, 2]),
        ("sims", "five", [-1.0, -0.7, -0.6, -0.1, 0.1, 0.7, 0.8], [0, 0, 1, 1, 2, 3, 4]),
        # As float32 they are above the doubles 0.1 and -0.7, and still at the bounds.
        ("sims", "five", [float(np.float32(0.1)), float(np.float32(-0.7))], [2, 0]),
    ],
)
def test_continuous_labels_are_cut_as_mmsa_cuts_them(
    corpus: str, name: str, ratings: list[float], numbers: list[int | None]
) -> None:
    label_set = FROM_FILES[corpus].label_set(name)
    assert [label_set.index(rating) for rating in ratings] == numbers
    assert label_set.index(None) is None
    inside = [n for n in numbers if n is not None]
    assert max(inside) < len(label_set.classes)


def test_a_protocol_of_ratings_leaves_out_what_has_none() -> None:
    rows = [
        Utterance(f"{split}{n}", f"{split}{n}", 0, "s", "t", None, None, valence=rating,
                  official_split=split)
        for split in ("train", "dev", "test")
        for n, rating in enumerate([-1.2, 0.0, 0.4, None])
    ]  # fmt: skip
    settings = protocol(label_set="two_nonzero")
    found = make_protocol(rows, settings, FROM_FILES["mosi"])
    assert found.classes == ("negative", "positive")
    assert [e.label for e in found.entries] == [0, 1] * 3
    assert remarks(rows, settings, FROM_FILES["mosi"]) == [
        "left out, without a label in the set: 6 utterances (0.0 3, no code 3)"
    ]
    assert list(settings.unknown_to(FROM_FILES["mosi"])) == []
    assert list(settings.unknown_to(FROM_FILES["sims"])) == [
        "label_set: got 'two_nonzero', expected one of ['five', 'three', 'two'], those of CH-SIMS"
    ]
    assert list(settings.unknown_to(FROM_FILES["other"])) == []


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
        ({"label_set": "nine"}, "expected one of"),
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
        ({"splits": "leave_one_speaker_out"}, "need valid_fraction"),
        (
            {"splits": "leave_one_speaker_out", "valid_fraction": 0.1, "test_fraction": 0.1},
            "do not use test_fraction",
        ),
        ({"splits": "speakers", "valid_fraction": 1.0, "test_fraction": 0.1}, "less than 1"),
    ],
)
def test_settings_that_do_not_agree_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        protocol(**changes)


ROWS = [
    bare_utterance("train/d0", 0),
    bare_utterance("train/d0", 1, "xxx"),
    bare_utterance("train/d0", 2, "anger"),
    bare_utterance("dev/d0", 0, "fear", "dev"),
    bare_utterance("test/d0", 0, "anger", "test"),
]


def test_class_numbers_of_a_protocol() -> None:
    made = make_protocol(ROWS, protocol(label_set="emotion"), MELD)
    assert [(e.split, e.label) for e in made.entries] == [
        ("train", 4),
        ("train", 6),
        ("valid", 2),
        ("test", 6),
    ]
    assert counts(made)["valid"]["fear"] == 1
    rows = [*ROWS[:2], replace(ROWS[2], sentiment="negative"), *ROWS[3:]]
    sentiment = make_protocol(rows, protocol(label_set="sentiment"), MELD)
    assert [e.label for e in sentiment.entries] == [1, 1, 2, 1, 1]


def test_unlabelled_utterances_can_stay_as_context() -> None:
    made = make_protocol(ROWS, protocol(label_set="emotion", unlabelled="context"), MELD)
    assert [e.label for e in made.entries] == [4, None, 6, 2, 6]


def test_training_cannot_see_test_labels(tmp_path: Path) -> None:
    write_protocol(tmp_path / "p.parquet", make_protocol(ROWS, protocol(label_set="emotion"), MELD))
    assert [e.label for e in read_protocol(tmp_path / "p.parquet").entries] == [4, 6, 2, 6]
    seen = read_protocol(tmp_path / "p.parquet", labels_of=("train", "valid"))
    assert [e.label for e in seen.entries] == [4, 6, 2, None]
    assert seen.classes[4] == "joy"


def test_an_empty_split_or_an_unknown_one_is_told() -> None:
    with pytest.raises(PipelineError, match=r"splits \['test'\] of fold 0 has a label"):
        make_protocol(ROWS[:4], protocol(label_set="emotion"), MELD)
    with pytest.raises(PipelineError, match="official split None"):
        make_protocol([replace(ROWS[0], official_split=None)], protocol(label_set="emotion"), MELD)


@pytest.mark.parametrize("kept", ["drop", "context"])
def test_a_train_split_of_one_class_is_refused_before_anything_is_trained(kept: str) -> None:
    with pytest.raises(PipelineError, match="train split of fold 0 are of one class"):
        make_protocol([*ROWS[:2], *ROWS[3:]], protocol(label_set="emotion", unlabelled=kept), MELD)


def test_what_has_no_label_and_codes_nobody_has_are_counted() -> None:
    chosen = protocol(label_set={"good": ["joy", "exce"], "bad": ["anger", "fear"]})
    assert remarks(ROWS, chosen, MELD) == [
        "left out, without a label in the set: 1 utterances (xxx 1)",
        "no utterance has the label set's code 'exce'",
    ]
    assert "(no code 1)" in remarks([replace(ROWS[0], emotion=None)], chosen, MELD)[0]


TALKS = [
    (split, f"{split}/{number}", turns)
    for split in ("train", "dev", "test")
    for number, turns in enumerate((4, 3, 5))
]
TURNS = [
    bare_utterance(name, turn, code, split)
    for first, (split, name, turns) in enumerate(TALKS)
    for turn, code in enumerate((["joy", "anger", "fear", "joy", "xxx"] * 4)[first:][:turns])
]


@pytest.mark.parametrize("unlabelled", ["drop", "context"])
@pytest.mark.parametrize("control", ["within_dialogues", "across_dialogues"])
def test_a_control_exchanges_labels_and_nothing_else(control: str, unlabelled: str) -> None:
    def made(**changes: object) -> list[Entry]:
        chosen = protocol(label_set="emotion", unlabelled=unlabelled, **changes)
        return make_protocol(TURNS, chosen, MELD).entries

    real, exchanged = made(), made(control=control)
    assert [replace(e, label=None) for e in exchanged] == [replace(e, label=None) for e in real]
    assert [e.label is None for e in exchanged] == [e.label is None for e in real]
    assert exchanged != real and exchanged == made(control=control), "the same each time"
    for split in ("train", "valid", "test"):
        within = control == "within_dialogues"
        for name in {e.dialogue for e in real if e.split == split} if within else [""]:
            before, after = (
                sorted(e.label for e in some if e.split == split and e.label is not None
                       and e.dialogue.startswith(name))
                for some in (real, exchanged)
            )  # fmt: skip
            assert before == after, "the counts stay"


def test_across_dialogues_no_turn_keeps_a_label_of_its_own_dialogue() -> None:
    codes = {"a": "joy", "b": "anger", "c": "fear"}
    rows = [
        bare_utterance(f"{split}/{name}", turn, codes[name], split)
        for split in ("train", "dev", "test")
        for name, turns in (("a", 4), ("b", 2), ("c", 3))
        for turn in range(turns)
    ]
    chosen = protocol(label_set="emotion", control="across_dialogues")
    real = make_protocol(rows, protocol(label_set="emotion"), MELD).entries
    for before, after in zip(real, make_protocol(rows, chosen, MELD).entries, strict=True):
        assert before.label != after.label
    with pytest.raises(
        PipelineError, match=r"labels of train, whose longest dialogue has 4 of its 6"
    ):
        make_protocol([r for r in rows if not r.dialogue.endswith("/c")], chosen, MELD)
    assert remarks(rows, chosen, MELD)[-1] == (
        "control: across_dialogues has exchanged labels: figures say nothing of a system"
    )


def test_utterances_of_their_own_that_are_sorted_by_label_lose_it_too() -> None:
    """As RAVDESS' are: the next one's label would be their own, or follow from it."""
    rows = [
        bare_utterance(f"{split}/{number:03}", 0, code, split)
        for split in ("train", "dev", "test")
        for number, code in enumerate(["joy"] * 60 + ["anger"] * 60)
    ]
    real, exchanged = (
        make_protocol(rows, protocol(label_set="emotion", control=control), MELD).entries
        for control in ("none", "across_dialogues")
    )
    kept = sum(a.label == b.label for a, b in zip(real, exchanged, strict=True))
    assert 140 < kept < 220, "about half of 360, where it would be 354"
    with pytest.raises(PipelineError, match=r"has 1 of its 120 .* use control: across_dialogues"):
        make_protocol(rows, protocol(label_set="emotion", control="within_dialogues"), MELD)
