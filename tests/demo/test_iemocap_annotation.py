"""How often raters are right, what the majority makes of it, and IEMOCAP's text grammars."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from pipeline.demo.iemocap_annotation import (
    EXTERNAL,
    RIGHT,
    AnnotatedTurn,
    Annotation,
    Rating,
    consensus,
    draw_raters,
    evaluation_text,
    mean_numbers,
    rate,
    rater_files,
    split_happiness,
    transcription_text,
)

NEUTRAL = ("Neutral",)
FIRST = AnnotatedTurn(
    "Ses01F_impro01_F000",
    "Excuse me.",
    6.2901,
    8.2357,
    "neu",
    2.5,
    2.5,
    2.5,
    (
        Rating("E3", NEUTRAL, 3, 2, 2),
        Rating("E4", NEUTRAL, 2, 3, 3),
        Rating("F1", NEUTRAL, 3, 2, 1, "curious"),
    ),
)
OTHER = AnnotatedTurn(
    "Ses01F_impro01_M000",
    "Do you  have your forms?",
    8.0,
    111.3333,
    "xxx",
    2.0,
    3.6667,
    2.0,
    (Rating("E2", (), 2, 4, None), Rating("M1", ("Neutral", "Anger"), None, 3, 2, "blas\xe9")),
)
SECOND = replace(FIRST, utterance="Ses01F_impro01_F001", start=112.5, end=113.0, ratings=())
DIALOGUE = Annotation("Ses01F_impro01", (FIRST, OTHER, SECOND))

EVALUATION = (
    "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n"
    "\n"
    "[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]\n"
    "C-E3:\tNeutral;\t()\n"
    "C-E4:\tNeutral;\t()\n"
    "C-F1:\tNeutral;\t(curious)\n"
    "A-E3:\tval 3; act 2; dom  2;\t()\n"
    "A-E4:\tval 2; act 3; dom  3;\t()\n"
    "A-F1:\tval 3; act 2; dom  1;\t()\n"
    "\n"
    "[112.5000 - 113.0000]\tSes01F_impro01_F001\tneu\t[2.5000, 2.5000, 2.5000]\n"
    "\n"
    "[8.0000 - 111.3333]\tSes01F_impro01_M000\txxx\t[2.0000, 3.6667, 2.0000]\n"
    "C-E2:\t; ;\t()\n"
    "C-M1:\tNeutral; Anger;\t(blas\xe9)\n"
    "A-E2:\tval 2; act 4; dom  ;\t()\n"
    "A-M1:\tval ; act 3; dom  2;\t()\n"
    "\n"
)
TRANSCRIPTION = (
    "Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.\n"
    "Ses01F_impro01_M000 [008.0000-111.3333]: Do you  have your forms?\n"
    "Ses01F_impro01_F001 [112.5000-113.0000]: Excuse me.\n"
)


def test_evaluation():
    assert evaluation_text(DIALOGUE) == EVALUATION


def test_transcription():
    assert transcription_text(DIALOGUE) == TRANSCRIPTION


def test_who_wears_the_markers_is_evaluated_first():
    turns = tuple(
        replace(turn, utterance=turn.utterance.replace("01F_", "01M_")) for turn in DIALOGUE.turns
    )
    text = evaluation_text(Annotation("Ses01M_impro01", turns))
    assert [line.split("\t")[1][-4:] for line in text.splitlines() if line[:1] == "["] == [
        "M000",
        "F000",
        "F001",
    ]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("Categorical/Ses01F_impro01_e3_cat.txt", "Ses01F_impro01_F000 :Neutral state; ()\n"),
        (
            "Attribute/Ses01F_impro01_e2_atr.txt",
            "Ses01F_impro01_M000 :act 4;  :val 2;  :dom ;  ()\n",
        ),
        (
            "Self-evaluation/Ses01F_impro01_m1_cat.txt",
            "Ses01F_impro01_M000 :Neutral state; :Anger; (blas\xe9)\n",
        ),
    ],
)
def test_files_of_each_rater(path, text):
    assert dict(rater_files(DIALOGUE))[path] == text


A, F, N, H = "Anger", "Frustration", "Neutral", "Happiness"


def votes(*lines):
    names = ("E1", "E2", "E4", "M1")
    return [Rating(n, labels, 3, 3, 3) for n, labels in zip(names, lines, strict=False)]


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (((A,), (A,), (F,)), "ang"),
        (((A,), (F,), (N,)), "xxx"),
        (((A,), (F,), (N,), (A,)), "xxx"),  # the self-report has no vote
        (((A, F), (F,), (N,)), "fru"),
        (((A, F), (F,), (A,)), "xxx"),  # two each
        (((), (H,), (H,)), "hap"),
        (((), (H,), (N,)), "xxx"),
        (((), (), ()), "xxx"),
    ],
)
def test_majority(lines, code):
    assert consensus(votes(*lines)) == code


def test_numbers_are_the_external_raters_mean():
    ratings = [
        Rating("E1", (A,), 1, None, 5),
        Rating("E2", (A,), 2, None, 4),
        Rating("E3", (A,), 2, None, None),
        Rating("F1", (A,), 5, 5, 5),
    ]
    assert mean_numbers(ratings) == (1.6667, 3.0, 4.5)


def test_raters_are_three_of_four():
    drawn = {draw_raters(np.random.default_rng(seed)) for seed in range(40)}
    assert drawn == {tuple(e for e in EXTERNAL if e != left) for left in EXTERNAL}


def test_raters_are_mostly_right():
    rng = np.random.default_rng(0)
    lines = [r for _ in range(800) for r in rate(rng, "anger", EXTERNAL[:3], "F")]
    labelled = [r.labels[0] for r in lines if r.labels]
    assert abs(np.mean([label == A for label in labelled]) - RIGHT) < 0.03
    wrong = Counter(label for label in labelled if label != A)
    assert wrong.most_common(1)[0][0] == F
    assert wrong["Other"] > 0
    assert {r.rater for r in lines} == {"E1", "E2", "E3", "F1"}


def test_split_happiness_has_no_majority_without_the_report():
    ratings = split_happiness(np.random.default_rng(0), EXTERNAL[:3], "M")
    assert consensus(ratings) == "xxx"
    assert ratings[-1].rater == "M1"
    assert ratings[-1].labels == (H,)
    assert Counter(label for r in ratings for label in r.labels).most_common(1) == [(H, 2)]
