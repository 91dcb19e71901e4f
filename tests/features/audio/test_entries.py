"""Vectors of sounds by both extractors: decoded in processes, once, masked where media break."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.base.cache import ClipCache
from pipeline.base.errors import MediaError, PipelineError
from pipeline.base.files import sha256_file
from pipeline.features.audio.extract import (
    audio_of,
    opensmile_entries,
    sounds,
    speech_entries,
)
from pipeline.features.common import sound
from pipeline.features.common.once import Entries
from pipeline.records.features import VECTORS
from pipeline.records.ledger import Problem
from pipeline.records.manifest import Segment, Utterance
from tests.inline import run_inline
from tests.media.make_media import tone, write_wav

GONE = Segment("gone.mp4", missing="absent")
Found = list[tuple[str, list[list[float]] | None, list[Problem]]]


def heard(turn: int, segment: Segment) -> Utterance:
    return Utterance(f"u{turn}", "d", turn, "s", "text", segment, segment)


def clip(turn: int, content: str) -> Utterance:
    return heard(turn, Segment(f"{content}.mp4", end=1.0, sha256=content))


def lengths(samples: np.ndarray, rate: int = 16000) -> np.ndarray:
    return np.array([len(samples), samples.max()], np.float32)


def found(rows: Sequence[Utterance], entries: Entries) -> Found:
    return [
        (name, None if vector is None else vector.tolist(), list(problems))
        for name, vector, problems in audio_of(entries.of(sounds(rows)))
    ]


WAYS: dict[str, Callable[[Path, ClipCache], Entries]] = {
    "opensmile": lambda root, cache: opensmile_entries(root, lengths, cache),
    "speech": lambda root, cache: speech_entries(root, lengths, cache),
}
both = pytest.mark.parametrize("way", WAYS)


@pytest.fixture
def cache(tmp_path: Path) -> ClipCache:
    return ClipCache("audio", 1, VECTORS, tmp_path / "cache")


@both
def test_what_never_had_a_sound_is_masked_without_a_problem(
    way: str, cache: ClipCache, tmp_path: Path
) -> None:
    silent = Utterance("u0", "d", 0, "s", "text", None, None)
    assert found([silent], WAYS[way](tmp_path, cache)) == [("u0", None, [])]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes the contents that are decoded, here and not in processes; `c` has no sound."""
    contents: list[str] = []

    def load(path: Path, **_: object) -> np.ndarray:
        contents.append(path.stem)
        if path.stem == "c":
            raise MediaError("no_audio", "x")
        return np.full(10, ord(path.stem) - ord("a"), np.float32)

    run_inline(monkeypatch)
    monkeypatch.setattr(sound, "load_mono", load)
    return contents


@both
def test_processes_decode_segments_of_real_media(
    tmp_path: Path, cache: ClipCache, way: str
) -> None:
    write_wav(tmp_path / "a.wav", tone(1, 16000))
    write_wav(tmp_path / "b.wav", tone(1, 16000))
    (tmp_path / "broken.wav").write_bytes(b"no media")
    whole = Segment("a.wav", end=1.0, sha256=sha256_file(tmp_path / "a.wav"))
    part = Segment("b.wav", start=0.25, end=0.75, sha256=sha256_file(tmp_path / "b.wav"))
    broken = Segment("broken.wav", end=1.0, sha256=sha256_file(tmp_path / "broken.wav"))
    rows = [heard(n, s) for n, s in enumerate([whole, GONE, broken, part, whole])]
    first = found(rows, WAYS[way](tmp_path, cache))
    assert [name for name, _, _ in first] == ["u0", "u1", "u2", "u3", "u4"]
    assert [v and v[0][0] for _, v, _ in first] == [16000, None, None, 8000, 16000]
    assert [p.kind for _, _, problems in first for p in problems] == ["unreadable"]


@both
@pytest.mark.parametrize("swapped", ["before", "while"])
def test_a_sound_that_replaced_the_manifests_is_kept_under_no_digest(
    tmp_path: Path, cache: ClipCache, monkeypatch: pytest.MonkeyPatch, way: str, swapped: str
) -> None:
    file = write_wav(tmp_path / "a.wav", tone(1, 16000))
    of, same_size = file.stat(), write_wav(tmp_path / "b.wav", tone(1, 16000, 300.0)).read_bytes()
    segment = Segment("a.wav", end=1.0, sha256=sha256_file(file))
    whole = sound.load_mono

    def swap() -> None:
        file.write_bytes(same_size)
        os.utime(file, ns=(of.st_atime_ns, of.st_mtime_ns))

    def load(*arguments: Any, **named: Any) -> np.ndarray:
        samples = whole(*arguments, **named)
        swap()
        return samples

    run_inline(monkeypatch)
    if swapped == "before":
        swap()
    else:
        monkeypatch.setattr(sound, "load_mono", load)
    assert file.stat().st_size == of.st_size and file.stat().st_mtime_ns == of.st_mtime_ns
    with pytest.raises(PipelineError, match=r"a\.wav was replaced after the manifest was written"):
        found([heard(0, segment)], WAYS[way](tmp_path, cache))
    assert not list(cache.folder.rglob("*"))


@both
def test_vectors_go_to_their_utterance_and_are_computed_once(
    tmp_path: Path, cache: ClipCache, decoded: list[str], way: str
) -> None:
    rows = [clip(0, "a"), heard(1, GONE), clip(2, "c"), clip(3, "d"), clip(4, "a"), clip(5, "f")]
    first = found(rows, WAYS[way](tmp_path, cache))
    assert first == [
        ("u0", [[10, 0]], []),
        ("u1", None, []),
        ("u2", None, [Problem("u2", "audio", "no_audio", "x")]),
        ("u3", [[10, 3]], []),
        ("u4", [[10, 0]], []),
        ("u5", [[10, 5]], []),
    ]
    assert decoded == ["a", "c", "d", "f"]
    decoded.clear()
    assert found(rows, WAYS[way](tmp_path, cache)) == first
    assert decoded == ["c"], "what worked is cached, what failed is tried again"


@both
def test_rows_come_as_soon_as_they_are_known(
    tmp_path: Path, cache: ClipCache, decoded: list[str], way: str
) -> None:
    clips = [clip(n, "abd"[n]) for n in range(3)]
    rows = audio_of(WAYS[way](tmp_path, cache).of(sounds(clips)))
    assert next(rows).utterance == "u0" and decoded == ["a"]
    assert next(rows).utterance == "u1" and decoded == ["a", "b"]


@pytest.mark.usefixtures("decoded")
def test_a_vector_that_is_none_masks_the_utterance(tmp_path: Path, cache: ClipCache) -> None:
    def encode(samples: np.ndarray, rate: int = 16000) -> np.ndarray:
        raise MediaError("not_finite", "of no use")

    problem = Problem("u0", "audio", "not_finite", "of no use")
    for entries in (
        opensmile_entries(tmp_path, encode, cache),
        speech_entries(tmp_path, encode, cache),
    ):
        assert found([clip(0, "a")], entries) == [("u0", None, [problem])]
