"""`speech_of`: decoded in processes, computed once, masked where media are broken, in order."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.base.cache import ClipCache
from pipeline.base.errors import MediaError
from pipeline.features.audio import extract as speech
from pipeline.features.audio.extract import Decoder, Found, speech_of
from pipeline.records.features import VECTORS
from pipeline.records.ledger import Problem
from pipeline.records.manifest import Segment, Utterance
from tests.media.make_media import tone, write_wav

GONE = Segment("gone.mp4", missing="absent")


def heard(turn: int, segment: Segment) -> Utterance:
    return Utterance(f"u{turn}", "d", turn, "s", "text", segment, segment)


def clip(turn: int, content: str) -> Utterance:
    return heard(turn, Segment(f"{turn}.mp4", end=1.0, sha256=content))


def lengths(samples: np.ndarray) -> np.ndarray:
    return np.array([len(samples), samples.max()], np.float32)


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs here what would run in processes, where fakes would not be seen."""

    def run(work: Callable[[Any], Any], items: Iterable[Any], *_: object) -> Iterator[Any]:
        return map(work, items)

    monkeypatch.setattr(speech, "isolated_map", run)


def test_processes_decode_segments_of_real_media(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", tone(1, 16000))
    write_wav(tmp_path / "b.wav", tone(1, 16000))
    (tmp_path / "broken.wav").write_bytes(b"no media")
    whole = Segment("a.wav", end=1.0, sha256="aa")
    part = Segment("b.wav", start=0.25, end=0.75, sha256="bb")
    broken = Segment("broken.wav", end=1.0, sha256="cc")
    rows = [heard(n, s) for n, s in enumerate([whole, GONE, broken, part, whole])]
    cache = ClipCache("audio", 1, VECTORS, tmp_path / "cache")
    calls: list[int] = []

    def encode(samples: np.ndarray) -> np.ndarray:
        calls.append(len(samples))
        return lengths(samples)

    found = list(speech_of(rows, Decoder(tmp_path), encode, cache))
    assert [name for name, _, _ in found] == ["u0", "u1", "u2", "u3", "u4"]
    assert [None if v is None else v[0, 0] for _, v, _ in found] == [
        16000, None, None, 8000, 16000
    ]  # fmt: skip
    assert [p.kind for _, _, problems in found for p in problems] == ["unreadable"]
    assert calls == [16000, 8000], "the same content is read once"


class FakeDecoder(Decoder):
    """Sounds by content; notes what was decoded."""

    decoded: list[str] = []  # noqa: RUF012

    def __call__(self, segment: Segment) -> np.ndarray | MediaError:
        content = segment.sha256 or ""
        self.decoded.append(content)
        if content == "c":
            return MediaError("no_audio", "x")
        return np.full(10, ord(content) - ord("a"), np.float32)


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("at_once", [2, 512])
def test_vectors_go_to_their_utterance_and_are_computed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(speech, "UTTERANCES_AT_ONCE", at_once)
    monkeypatch.setattr(FakeDecoder, "decoded", [])
    cache = ClipCache("audio", 1, VECTORS, tmp_path)
    rows = [clip(0, "a"), heard(1, GONE), clip(2, "c"), clip(3, "d"), clip(4, "a"), clip(5, "f")]

    def run() -> list[Found]:
        return list(speech_of(iter(rows), FakeDecoder(tmp_path), lengths, cache))

    first = run()
    assert [None if v is None else v.tolist() for _, v, _ in first] == [
        [[10, 0]], None, None, [[10, 3]], [[10, 0]], [[10, 5]]
    ]  # fmt: skip
    assert [problems for _, _, problems in first] == [
        [], [], [Problem("u2", "audio", "no_audio", "x")], [], [], []
    ]  # fmt: skip
    assert FakeDecoder.decoded == ["a", "c", "d", "f"]
    FakeDecoder.decoded.clear()
    again = run()
    assert FakeDecoder.decoded == ["c"], "what worked is cached, what failed is tried again"
    assert [name for name, _, _ in again] == [name for name, _, _ in first]


@pytest.mark.usefixtures("inline")
def test_rows_come_as_soon_as_they_are_known(tmp_path: Path) -> None:
    cache = ClipCache("audio", 1, VECTORS, tmp_path)
    calls: list[float] = []

    def encode(samples: np.ndarray) -> np.ndarray:
        calls.append(samples[0])
        return lengths(samples)

    rows = speech_of([clip(n, "abd"[n]) for n in range(3)], FakeDecoder(tmp_path), encode, cache)
    assert next(rows)[0] == "u0" and calls == [0]
    assert next(rows)[0] == "u1" and calls == [0, 1]


@pytest.mark.usefixtures("inline")
def test_a_vector_that_is_none_masks_the_utterance(tmp_path: Path) -> None:
    def encode(samples: np.ndarray) -> np.ndarray:
        raise MediaError("not_finite", "of no use")

    cache = ClipCache("audio", 1, VECTORS, tmp_path)
    ((name, vector, problems),) = speech_of([clip(0, "a")], FakeDecoder(tmp_path), encode, cache)
    assert (name, vector) == ("u0", None)
    assert problems == [Problem("u0", "audio", "not_finite", "of no use")]
