"""What is read with a turn: which turns, whose they are, and what is cut where room is short."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.features.text.tokens import kept
from pipeline.features.text.turns import Turn, Window, read_turns
from pipeline.records.manifest import Segment, Utterance

GONE = Segment("gone.mp4", missing="absent")
SAID = [("Ross", "a"), ("Joey", "b"), ("Ross", ""), ("Mona", "d"), ("Joey", "e")]
DIALOGUE = [Utterance(f"u{n}", "d", n, *said, GONE, GONE) for n, said in enumerate(SAID)]


def turns(window: Window) -> list[Turn]:
    pairs = list(read_turns(DIALOGUE, window))
    assert [utterance for utterance, _ in pairs] == DIALOGUE
    return [turn for _, turn in pairs]


def read(place: int, *window: int, marks: str = "none") -> Turn:
    return turns(Window(*window, speaker_marks=marks))[place]  # type: ignore[arg-type]


def test_alone() -> None:
    assert turns(Window()) == [Turn(text) for _, text in SAID]


def test_before_and_after() -> None:
    assert read(1, 2, 1) == Turn("b", ("a",), ("",))
    assert read(3, 3, 3) == Turn("d", ("a", "b", ""), ("e",))


def test_names() -> None:
    assert read(0, marks="names") == Turn("a", ("Ross:",))
    assert read(3, 3, 1, marks="names") == Turn("d", ("Ross: a", "Joey: b", "Mona:"), ("Joey: e",))


def test_a_turn_that_says_nothing_counts_but_has_no_mark() -> None:
    assert read(3, 1, 0, marks="names") == Turn("d", ("Mona:",))


def test_letters_begin_with_the_turns_own_speaker_and_go_back_first() -> None:
    assert read(3, 3, 1, marks="letters") == Turn("d", ("C: a", "B: b", "A:"), ("B: e",))
    assert read(0, 0, 4, marks="letters") == Turn("a", ("A:",), ("B: b", "C: d", "B: e"))


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        (-1, (0, 0)),
        (0, (0, 0)),
        (1, (1, 0)),  # the piece just before comes first
        (2, (2, 0)),
        (3, (2, 1)),
        (5, (2, 3)),  # then the one just after
        (6, (3, 3)),  # of the oldest its last token
        (9, (6, 3)),
        (10, (6, 4)),
        (99, (6, 5)),
    ],
)
def test_what_is_furthest_is_cut_first(room: int, expected: tuple[int, int]) -> None:
    assert kept([4, 2], [3, 2], room) == expected


def test_a_piece_that_is_cut_ends_that_which_is_kept() -> None:
    assert kept([1, 1, 5], [1], 4) == (4, 0)


@given(st.lists(st.integers(0, 9)), st.lists(st.integers(0, 9)), st.integers(-5, 120))
def test_room_is_used_and_never_exceeded(before: list[int], after: list[int], room: int) -> None:
    found = kept(before, after, room)
    assert found[0] <= sum(before) and found[1] <= sum(after)
    assert sum(found) == min(max(0, room), sum(before) + sum(after))
