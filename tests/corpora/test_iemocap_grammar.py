"""IEMOCAP's two grammars: the lines of the real files, their oddities, and arbitrary text."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpora.iemocap_grammar import (
    DOUBTFUL,
    EVALUATION,
    OUTSIDE,
    UNNAMED,
    UNTIMED,
    Line,
    parse_evaluations,
    parse_transcription,
)
from pipeline.records.manifest import Vote

BLOCK = """% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.0000]
C-E2:\tNeutral;\t()
C-E3:\tNeutral; Anger;\t()
C-F1:\tNeutral;\t(curious)
A-E3:\tval 3; act 2; dom  2;\t()
A-E4:\tval 2; act 3; dom  3;\t(mildly aggravated but staying polite, attitude)
A-F1:\tval 3; act 2; dom  1;\t()

"""


def test_a_block_of_the_real_files() -> None:
    skipped: Counter[str] = Counter()
    found = parse_evaluations(BLOCK, skipped)
    (turn, evaluation), *rest = found.items()
    assert turn == "Ses01F_impro01_F000" and not rest and not +skipped
    assert evaluation.code == "neu"
    assert (evaluation.valence, evaluation.activation, evaluation.dominance) == (2.5, 2.5, 2.0)
    assert list(evaluation.votes.values()) == [
        Vote("E2", codes=["neu"]),
        Vote("E3", codes=["neu", "ang"], valence=3, activation=2, dominance=2),
        Vote("F1", self_report=True, codes=["neu"], valence=3, activation=2, dominance=1),
        Vote("E4", valence=2, activation=3, dominance=3),
    ]


TURNS = "Ses01F_impro01_F000 [1.0-2.0]: Hi.\nSes01F_impro01_M000 [2.0-3.0]: A \x85 b\n"


@pytest.mark.parametrize("end", ["\r\n", "\r", "\r\r\n", "\n\r"])
def test_other_line_ends_change_nothing(end: str) -> None:
    first, second = (parse_evaluations(t, Counter()) for t in (BLOCK, BLOCK.replace("\n", end)))
    assert first == second
    first_lines = parse_transcription(TURNS, Counter())
    assert len(first_lines) == 2 and first_lines[1].text == "A \x85 b"
    assert parse_transcription(TURNS.replace("\n", end), Counter()) == first_lines


def test_odd_rater_lines_are_kept_and_counted() -> None:
    skipped: Counter[str] = Counter()
    odd = "C-E1:\t; ;\t()\nA-E1:\tval ; act 2; dom  ;\t()\nC-E5:\tBored;\t()\n"
    (evaluation,) = parse_evaluations(BLOCK + BLOCK.split("\n")[2] + "\n" + odd, skipped).values()
    assert len(evaluation.votes) == 4, "the second block of a turn is passed over"
    head = BLOCK.split("\n")[2].replace("F000", "M001").replace("2.5000, 2.5000, 2.0000", "n/a")
    found = parse_evaluations(f"{head}\n{odd}", skipped := Counter())
    votes = found["Ses01F_impro01_M001"].votes
    assert votes["E1"] == Vote("E1", activation=2)
    assert votes["E5"].codes == ["Bored"]
    assert found["Ses01F_impro01_M001"].valence is None
    assert +skipped == {
        "votes without a label": 1,
        "ratings without a number": 1,
        "labels outside the vocabulary": 1,
        "evaluations without three mean ratings": 1,
    }


@pytest.mark.parametrize(
    "line",
    [
        "C-E2:\tNeutral;\t()",  # before any head line
        "[6.2901 - 8.2357] Ses01F_impro01_F000 neu [2.5, 2.5, 2.5]",  # no tabs
        "[a - b]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]",
        "[6.2901 - 8.2357]\tSes01F_impro01_F000\tneutral\t[2.5000, 2.5000, 2.5000]",
        "Ses01F_impro01_F000 :Neutral state; ()",  # the grammar of the files per rater
    ],
)
def test_lines_outside_the_evaluation_grammar_are_counted(line: str) -> None:
    skipped: Counter[str] = Counter()
    assert parse_evaluations(line + "\n", skipped) == {}
    assert +skipped == {EVALUATION: 1}


def test_a_transcription_keeps_its_order_and_its_text() -> None:
    text = (
        "Ses01F_impro01_F000 [006.2901-008.2357]: Excuse  me.\n"
        "Ses01F_impro01_M001 [005.0000-007.0000]: [LAUGHTER] Do\tyou?  \r\n"
        "Ses01F_impro01_F001 [014.8872-018.0175]:Yeah: so.\n"
    )
    found = parse_transcription(text, skipped := Counter())
    assert not skipped
    assert found == [
        Line("Ses01F_impro01_F000", 6.2901, 8.2357, "Excuse  me."),
        Line("Ses01F_impro01_M001", 5.0, 7.0, "[LAUGHTER] Do\tyou?  "),
        Line("Ses01F_impro01_F001", 14.8872, 18.0175, "Yeah: so."),
    ]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("M: It's all right.", UNNAMED),
        ("F:  Uh-huh.", UNNAMED),
        ("Ses01F_impro01_MXX0 [010.0000-011.0000]: Hm.", DOUBTFUL),
        ("Ses01F_impro01_FXX3: Hm.", DOUBTFUL),
        ("Ses01F_impro01_F003: Hm.", UNTIMED),
        ("Ses01F_impro01_F03 [010.0000-011.0000]: Hm.", OUTSIDE),
        ("\x85", None),
        ("[LAUGHTER]", OUTSIDE),
    ],
)
def test_other_lines_are_counted_by_kind(line: str, kind: str | None) -> None:
    assert parse_transcription(f"\n{line}\n\n", skipped := Counter()) == []
    assert skipped == ({kind: 1} if kind else {})


def test_the_first_of_two_lines_of_a_turn_counts() -> None:
    text = "".join(f"Ses01F_impro01_F000 [001.0-002.0]: {word}\n" for word in ("one", "two"))
    (line,) = parse_transcription(text, skipped := Counter())
    assert line.text == "one"
    assert skipped == {"transcriptions of a turn that has one already": 1}


lines = st.sampled_from([*BLOCK.split("\n"), "M: x", "Ses01F_impro01_F000 [006.2-008.2]: x"])


@given(st.lists(st.one_of(lines, st.text(max_size=40))).map("\n".join))
def test_no_text_is_refused(text: str) -> None:
    skipped: Counter[str] = Counter()
    evaluations, turns = parse_evaluations(text, skipped), parse_transcription(text, skipped)
    assert len(evaluations) <= 1 and len(turns) <= 1
