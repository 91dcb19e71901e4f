"""The plan at the default size, nothing rendered: names, times, classes and faulty ratings."""

import re
from collections import Counter
from itertools import pairwise

import pytest

from pipeline.demo.iemocap_plan import dialogue_names, plan

COMMON = {"neu", "sad", "ang", "hap", "exc", "fru"}
NAME = re.compile(r"Ses0\d[FM]_(impro0[1-8]|script0[1-3]_[1-3]|impro05a|script01_1b)")


@pytest.fixture(scope="module")
def dialogues(full_iemocap):
    return plan(full_iemocap)


@pytest.fixture(scope="module")
def turns(dialogues):
    return [turn for one in dialogues for turn in one.annotation.turns]


def is_happy_by_report(turn):
    """The rule of corpora.md 1.5 that turns `xxx` into `hap`."""
    own = [r.labels for r in turn.ratings if r.rater[0] in "FM"]
    votes = Counter(label for r in turn.ratings for label in set(r.labels))
    unique = all(n < votes["Happiness"] for label, n in votes.items() if label != "Happiness")
    return turn.code == "xxx" and own == [("Happiness",)] and unique


@pytest.mark.slow
def test_plan_repeats_and_follows_the_seed(full_iemocap, dialogues):
    assert plan(full_iemocap) == dialogues
    assert plan(full_iemocap.model_copy(update={"seed": 5})) != dialogues


@pytest.mark.parametrize("session", range(1, 6))
def test_all_names_of_a_session_are_iemocaps(session):
    names = dialogue_names(session, 28)
    assert len(set(names)) == 28
    assert all(NAME.fullmatch(name) and name[4] == str(session) for name in names)
    early = names[:3]
    assert {name[5] for name in early} == {"F", "M"}
    assert {name[7] for name in early} == {"i", "s"}


def test_one_name_begins_with_another():
    assert {"Ses05M_script01_1", "Ses05M_script01_1b"} <= set(dialogue_names(5, 2))


def test_sessions_have_two_people_and_the_common_classes(dialogues):
    for session in range(1, 6):
        those = [one for one in dialogues if one.session == session]
        assert [one.number for one in those] == [0, 1, 2]
        assert len({turn.speaker for one in those for turn in one.turns}) == 2
        codes = Counter(turn.code for one in those for turn in one.annotation.turns)
        assert min(codes[code] for code in COMMON) >= 2
    assert len({turn.speaker for one in dialogues for turn in one.turns}) == 10


def test_turns_are_numbered_per_speaker_without_a_gap(dialogues):
    for one in dialogues:
        name, count = one.annotation.dialogue, Counter()
        for turn, annotated in zip(one.turns, one.annotation.turns, strict=True):
            letter = "FM"[turn.speaker % 2]
            assert annotated.utterance == f"{name}_{letter}{count[letter]:03}"
            count[letter] += 1


def test_times(dialogues):
    overlaps = backward = neighbours = 0
    for one in dialogues:
        turns = one.annotation.turns
        assert all(0 < turn.start < turn.end < one.seconds for turn in turns)
        for letter in "FM":
            own = [turn for turn in turns if turn.utterance[-4] == letter]
            assert all(a.end < b.start for a, b in pairwise(own))
        overlaps += sum(b.start < a.end for a, b in pairwise(turns))
        backward += sum(b.start < a.start for a, b in pairwise(turns))
        neighbours += len(turns) - 1
    assert 0.4 < overlaps / neighbours < 0.8
    assert 1 <= backward < 0.1 * neighbours


def test_times_are_whole_samples_and_have_four_decimals(turns):
    for turn in turns:
        for time in (turn.start, turn.end):
            assert (time * 16000).is_integer() or abs(time * 16000 - round(time * 16000)) < 1e-6
            assert float(f"{time:.4f}") == time


def test_texts_are_ascii_with_markers_and_double_spaces(turns):
    texts = [turn.text for turn in turns]
    assert all(text.isascii() and text and ":" not in text for text in texts)
    assert 0.05 < sum("  " in text for text in texts) / len(texts) < 0.5
    assert any("[LAUGHTER]" in text for text in texts)
    assert any("[BREATHING]" in text for text in texts)


def test_ratings_have_the_real_ones_faults(turns):
    lines = [rating for turn in turns for rating in turn.ratings]
    assert any(len(rating.labels) == 2 for rating in lines)
    assert any(rating.labels == () for rating in lines)
    assert any(None in (r.valence, r.activation, r.dominance) for r in lines)
    assert any(not rating.comment.isascii() for rating in lines)
    assert {len(turn.ratings) for turn in turns} == {3, 4}
    assert 0.02 < sum(turn.code == "xxx" for turn in turns) / len(turns) < 0.3


def test_some_turns_are_happy_only_by_the_rule_of_erc7433(turns):
    sessions = {int(turn.utterance[4]) for turn in turns if is_happy_by_report(turn)}
    assert min(sessions) < 5
    assert max(sessions) == 5


def test_one_wav_is_absent_and_one_empty(dialogues, turns):
    absent = [name for one in dialogues for name in one.absent]
    empty = [name for one in dialogues for name in one.empty]
    assert len(absent) == len(empty) == 1
    assert absent != empty
    codes = {turn.utterance: turn.code for turn in turns}
    early = Counter(code for name, code in codes.items() if name[4] != "5" and code != "xxx")
    most = early.most_common(1)[0][0]
    for name in (*absent, *empty):
        assert codes[name] == most
        assert name[4] in "1234"
