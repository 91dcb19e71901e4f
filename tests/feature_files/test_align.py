"""Turns of a feature file find their utterances, with labels and words as witnesses."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.base.errors import PipelineError
from pipeline.feature_files.align import aligned, same_words
from pipeline.feature_files.contents import Contents, Turn
from pipeline.records.manifest import Utterance

CODES = {"hap": "happy", "sad": "sad", "neu": "neutral"}
# Two dialogues; the second turn of the first has no label, so published files leave it out.
MANIFEST = [
    Utterance(f"{dialogue}_{turn}", dialogue, turn, "Ses01F", text, None, None, emotion=code)
    for dialogue, turn, text, code in (
        ("d1", 0, "Hello  there.", "hap"),
        ("d1", 1, "What?", "xxx"),
        ("d1", 2, "No.", "sad"),
        ("d2", 0, "Fine.", "neu"),
    )
]
CLASSES = [CODES.get(u.emotion or "") for u in MANIFEST]
WHOLE = [0, 1, 2, 3]
LABELLED = [0, None, 1, 2]


def turns(*rows: int, ids: bool = False, **changed: str | None) -> list[Turn]:
    chosen = [MANIFEST[row] for row in rows]
    return [
        replace(
            Turn(u.dialogue, u.utterance if ids else None, None, u.text, u.emotion),
            **changed,
        )
        for u in chosen
    ]


def places(found: Sequence[Turn]) -> list[int | None]:
    contents = Contents("mmgcn", "iemocap", found, {"text": [np.zeros((1, 2))] * len(found)})
    return aligned(Path("x.pkl"), contents, MANIFEST, CLASSES, CODES)


def refusal(found: Sequence[Turn]) -> str:
    with pytest.raises(PipelineError) as error:
        places(found)
    return str(error.value)


def test_dialogues_of_equal_length_are_matched_turn_by_turn() -> None:
    every = [replace(turn, emotion=None) for turn in turns(0, 1, 2, 3)]
    assert places(every) == WHOLE


def test_a_file_without_unlabelled_turns_is_matched_with_the_labelled_ones() -> None:
    assert places(turns(0, 2, 3)) == LABELLED


def test_the_order_of_dialogues_in_the_file_does_not_matter() -> None:
    assert places(turns(3, 0, 2)) == [1, None, 2, 0]


def test_ids_decide_where_the_file_has_them() -> None:
    assert places(turns(3, 2, 0, ids=True)) == [2, None, 1, 0]
    part = places(turns(2, ids=True))
    assert part == [None, None, 0, None]


def test_ids_of_another_corpus_are_refused_with_the_first_of_them() -> None:
    strange = [*turns(0, ids=True), replace(turns(2, ids=True)[0], utterance="d9_9")]
    assert "d9_9 is of no utterance here" in refusal(strange)


def test_ids_that_nobody_knows_here_leave_it_to_the_places() -> None:
    other = [replace(t, utterance=f"u{n}") for n, t in enumerate(turns(0, 2, 3))]
    assert places(other) == LABELLED


def test_a_turn_too_few_is_refused_with_both_lengths() -> None:
    assert "d1 has 1 turns there, 3 here" in refusal(turns(0, 3))


def test_a_dialogue_of_another_corpus_is_refused() -> None:
    assert "d7 is no dialogue here" in refusal([*turns(0, 2), replace(turns(3)[0], dialogue="d7")])


def test_two_turns_swapped_are_refused_by_labels_and_by_words() -> None:
    first, second, third = turns(0, 2, 3)
    assert "d1_0: sad there, happy here" in refusal([second, first, third])
    words = [replace(first, text=second.text), replace(second, text=first.text), third]
    message = refusal(words)
    assert "d1_0: 'No.' there, 'Hello  there.' here" in message and "2 differ" in message


def test_labels_that_are_numbers_must_be_one_number_of_each_class() -> None:
    numbers = {"hap": "5", "sad": "1", "neu": "0"}
    found = [replace(t, emotion=numbers[t.emotion or ""]) for t in turns(0, 2, 3)]
    assert places(found) == LABELLED
    twice = [replace(t, emotion="1") for t in turns(0, 2, 3)]
    assert "its labels are not those of this corpus: 2 differ" in refusal(twice)


def test_a_file_without_labels_and_words_is_matched_by_its_lengths() -> None:
    assert places(turns(0, 2, 3, emotion=None, text=None)) == LABELLED


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It\x92s  fine", "It\u2019s fine"),
        ("It\xe2\x80\x99s fine", "It\u2019s fine"),
        ("a\xa0b", "a b"),
        ("na\xefve caf\xe9", "nave caf"),
        (" x\n y", "x y"),
    ],
)
def test_texts_are_the_same_however_they_were_encoded(one: str, other: str) -> None:
    assert same_words(one, other) and same_words(other, one)


def test_other_words_are_not_the_same() -> None:
    assert not same_words("No.", "No!")
    assert not same_words("\u2019", "a")


def test_a_dialogue_whose_turns_stand_apart_is_refused() -> None:
    first, second, third = turns(0, 2, 3)
    assert "do not stand together" in refusal([first, third, second])


def test_codes_of_no_class_are_no_labels() -> None:
    found = turns(0, 1, 2, 3)
    assert places(found) == WHOLE, "xxx here, xxx there"
    assert "d1_0: xxx there, happy here" in refusal([replace(found[0], emotion="xxx"), *found[1:]])


def test_unknown_ids_are_named_where_there_is_nothing_else() -> None:
    (message,) = [refusal([Turn("", "dia0_utt0")])]
    assert "dia0_utt0 is of no utterance here" in message
