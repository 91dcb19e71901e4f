"""Texts to vectors: each computed once, with what is read round it, whatever stopped a run."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from pipeline.base.cache import ClipCache
from pipeline.base.params import read_params
from pipeline.base.paths import places
from pipeline.features.text import extract as text
from pipeline.features.text.extract import Reader, text_of
from pipeline.features.text.turns import Turn, Window
from pipeline.records.features import VECTORS, read_features
from pipeline.records.manifest import Origin, Segment, Utterance, write_manifest
from pipeline.weights.folder import Encoder
from tests.conftest import PARAMS

GONE = Segment("gone.mp4", missing="absent")


def said(turn: int, words: str, dialogue: str = "d") -> Utterance:
    return Utterance(f"{dialogue}{turn}", dialogue, turn, "s", words, GONE, GONE)


class Counting:
    """Lengths of a text and of those before it as features, the last text first."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.asked: list[Turn] = []
        self.stop_after = stop_after

    def encode(self, turns: Sequence[Turn]) -> Iterator[tuple[int, np.ndarray]]:
        for place in reversed(range(len(turns))):
            if len(self.asked) == self.stop_after:
                raise KeyboardInterrupt
            self.asked.append(turns[place])
            sizes = [len(turns[place].text), len("".join(turns[place].before))]
            yield place, np.array(sizes, np.float32)


@pytest.fixture
def cache(tmp_path: Path) -> ClipCache:
    return ClipCache("text", 1, VECTORS, tmp_path)


def run(
    rows: list[Utterance], context_turns: int, encoder: Counting, cache: ClipCache
) -> dict[str, list[float]]:
    reader = Reader(encoder.encode, cache)
    found = list(text_of(iter(rows), Window(context_turns), reader))
    assert [name for name, _ in found] == [row.utterance for row in rows]
    assert all(vector.shape == (1, 2) for _, vector in found)
    return {name: vector[0].tolist() for name, vector in found}


@pytest.mark.parametrize("at_once", [2, 16_384])
def test_each_text_is_computed_once(
    cache: ClipCache, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(text, "TEXTS_AT_ONCE", at_once)
    rows = [said(n, "a" * (n % 3 + 1)) for n in range(9)]
    encoder = Counting()
    found = run(rows, 0, encoder, cache)
    assert list(found.values()) == [[n % 3 + 1, 0] for n in range(9)]
    assert sorted(turn.text for turn in encoder.asked) == ["a", "aa", "aaa"]
    assert run(rows, 0, Counting(stop_after=0), cache) == found


def test_context_is_the_turns_before_in_the_same_dialogue(cache: ClipCache) -> None:
    rows = [said(n, c) for n, c in enumerate(["a", "bb", "ccc", "dddd"])]
    rows += [said(0, "eeeee", "next"), said(1, "", "next"), said(2, "f", "next")]
    encoder = Counting()
    run(rows, 2, encoder, cache)
    assert encoder.asked[::-1] == [
        Turn("a"),
        Turn("bb", ("a",)),
        Turn("ccc", ("a", "bb")),
        Turn("dddd", ("bb", "ccc")),
        Turn("eeeee"),
        Turn("", ("eeeee",)),
        Turn("f", ("eeeee", "")),
    ]


def test_entries_are_shared_where_the_same_is_read(cache: ClipCache) -> None:
    rows = [said(0, "a"), said(1, "a"), said(0, "a", "next"), said(1, "a", "next")]
    encoder = Counting()
    assert run(rows, 1, encoder, cache) == {"d0": [1, 0], "d1": [1, 1]} | {
        "next0": [1, 0],
        "next1": [1, 1],
    }
    assert len(encoder.asked) == 2
    assert set(run(rows, 0, Counting(stop_after=0), cache)) == {"d0", "d1", "next0", "next1"}
    again = Counting()
    run([*rows, said(2, "b", "next")], 3, again, cache)
    assert again.asked == [Turn("b", ("a", "a"))]


def test_a_stopped_run_goes_on_where_it_was(cache: ClipCache) -> None:
    rows = [said(n, "a" * n) for n in range(9)]
    with pytest.raises(KeyboardInterrupt):
        run(rows, 0, Counting(stop_after=5), cache)
    rest = Counting()
    assert list(run(rows, 0, rest, cache).values()) == [[n, 0] for n in range(9)]
    assert len(rest.asked) == 4


CORPUS = "demo_meld"
ENCODER = Encoder("tiny", "text", "BertModel", "1", "MIT", Path("nowhere"), {"model": "a" * 64})


def test_what_has_no_words_has_no_text(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "network", lambda *_: Counting())
    monkeypatch.setattr(text, "load", lambda folder: ENCODER)
    where = places(CORPUS)
    rows = [said(0, "one"), said(1, " \t"), said(2, ""), said(3, "three")]
    write_manifest(where.manifest, rows, Origin("meld", False))
    params = read_params(PARAMS)
    text.extract(params, CORPUS, where)
    store = read_features(where.stores["text"])
    assert store.utterances == ["d0", "d1", "d2", "d3"]
    assert store.present.tolist() == [True, False, False, True]
    assert store.values.tolist() == [[3, 0], [5, 0]]
    assert store.provenance == {**text.provenance_of(params, CORPUS, where), "dimension": 2}
    assert store.provenance["encoder"]["licence"] == "MIT"
