"""Files that cannot be used: every way is told apart, in words that name no folder."""

import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import av
import numpy as np
import pytest

from pipeline.base.errors import MediaError
from pipeline.media.audio import load_mono
from pipeline.media.opening import open_media
from pipeline.media.probe import VideoInfo, probe, unusable
from tests.media.make_media import tone, write_media, write_wav
from tests.media.one_segment import sample_frames

READERS: dict[str, Callable[[Path], Any]] = {
    "probe": probe,
    "frames": lambda path: sample_frames(path, 4, max_seconds=60),
    "sound": lambda path: load_mono(path, max_seconds=60),
}
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
VIDEO = {"stamps": range(25), "rate": Fraction(25)}
STEREO = {"sound": tone(1, 48000)[None].repeat(2, 0)}


def clip(path: Path) -> bytes:
    return write_media(path, **VIDEO, **STEREO).read_bytes()


def without_index(folder: Path) -> bytes:
    data = clip(folder / "whole.mp4")
    assert data.index(b"moov") > data.index(b"mdat")
    return data[: data.index(b"moov") - 4]


def noise(_: Path) -> bytes:
    return np.random.default_rng(0).bytes(50_000)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda _: None, "absent", "no such file"),
        (lambda _: b"", "empty", "0 bytes"),
        (lambda _: LFS, "lfs_pointer", "git lfs pull"),
        (without_index, "truncated", "no moov atom"),
        (noise, "unreadable", "cannot open"),
        (lambda _: b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X" + bytes(80), "unreadable", "open"),
    ],
    ids=["absent", "empty", "lfs", "moov", "noise", "apple_double"],
)
def test_file_that_cannot_be_opened(
    tmp_path: Path, reader: str, make: Callable[[Path], bytes | None], kind: str, words: str
) -> None:
    path = tmp_path / "dia125_utt3.mp4"
    data = make(tmp_path)
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(MediaError) as caught:
        READERS[reader](path)
    assert caught.value.kind == kind
    assert words in caught.value.detail
    assert str(tmp_path) not in str(caught.value)
    assert path.name not in caught.value.detail


def test_pictures_of_a_codec_that_nobody_knows(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(clip(path).replace(b"avc1", b"zzzz"))
    assert str(unusable(probe(path), "video")).startswith("no_decoder")
    with pytest.raises(MediaError, match="no decoder") as caught:
        sample_frames(path, 4, max_seconds=60)
    assert caught.value.kind == "no_decoder"
    assert len(load_mono(path, max_seconds=60))


def test_folder_in_a_files_place(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="absent: a folder has this name"):
        probe(tmp_path)


def test_file_one_may_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mp4"
    clip(path)

    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with (
        pytest.raises(MediaError, match="unreadable: the file cannot be read: Permission denied"),
        open_media(path),
    ):
        pass


def test_clip_without_sound(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.mp4", **VIDEO)
    assert len(sample_frames(path, 4, max_seconds=60)) == 4
    with pytest.raises(MediaError, match="no_audio"):
        load_mono(path, max_seconds=60)
    told = unusable(probe(path), "audio")
    assert str(told) == "no_audio: the file holds no audio stream, only video"
    assert unusable(probe(path), "video") is None


def test_clip_without_pictures(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.mp4", **STEREO)
    assert len(load_mono(path, max_seconds=60))
    with pytest.raises(MediaError, match="no_video"):
        sample_frames(path, 4, max_seconds=60)
    assert str(unusable(probe(path), "video")).startswith("no_video")


@pytest.mark.parametrize("reader", ["frames", "sound"])
def test_clip_whose_streams_are_rubbish(tmp_path: Path, reader: str) -> None:
    """An index that promises frames over bytes that hold none."""
    path = tmp_path / "a.mp4"
    data = clip(path)
    start, stop = data.index(b"mdat") + 4, data.index(b"moov") - 4
    path.write_bytes(data[:start] + bytes(stop - start) + data[stop:])
    with pytest.raises(MediaError) as caught:
        READERS[reader](path)
    assert caught.value.kind in {"unreadable", "no_frames", "no_samples"}
    assert str(tmp_path) not in str(caught.value)


def test_names_that_look_like_protocols(tmp_path: Path) -> None:
    for name in ("dia1:2.mp4", "http: a b.mp4", "50%d#é.mp4"):
        path = write_media(tmp_path / "a.mp4", **VIDEO).rename(tmp_path / name)
        assert probe(path).video is not None


def test_probe_tells_what_a_file_holds(tmp_path: Path) -> None:
    surround = tone(1, 48000)[None].repeat(6, 0)
    found = probe(write_media(tmp_path / "a.mp4", **VIDEO, sound=surround, layout="5.1"))
    assert found.video == VideoInfo(160, 96, 25, "h264")
    assert found.audio is not None
    assert (found.audio.rate, found.audio.channels, found.audio.codec) == (48000, 6, "aac")
    assert found.duration == pytest.approx(1, abs=0.05)


def test_probe_of_a_sentence(tmp_path: Path) -> None:
    found = probe(write_wav(tmp_path / "a.wav", tone(1.5, 16000)))
    assert found.video is None
    assert found.audio is not None
    assert (found.audio.rate, found.audio.channels, found.duration) == (16000, 1, 1.5)
    assert unusable(found, "audio") is None


def test_sentence_of_no_length_is_told(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", "not compressed"))
    assert str(unusable(probe(tmp_path / "a.wav"), "audio")).startswith("no_duration")


def test_a_mistake_of_ours_does_not_pass_for_the_files(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", tone(1, 16000))
    with pytest.raises(ValueError, match="of ours"), open_media(path):
        raise ValueError("of ours")
    with pytest.raises(ValueError, match="reshape"), open_media(path):
        np.zeros(0).reshape(0, -1)
    with pytest.raises(MediaError, match="Invalid layout: no such layout"), open_media(path):
        av.AudioLayout("no such layout")


def test_lack_of_memory_is_not_the_files_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reaches the process, which tries the file again alone."""
    path = write_wav(tmp_path / "a.wav", tone(1, 16000))
    error = av.error.MemoryError(12, "Cannot allocate memory")
    with pytest.raises(MemoryError), open_media(path):
        raise error
    monkeypatch.setattr("pipeline.media.audio.Mixer.feed", Mock(side_effect=error))
    with pytest.raises(MemoryError):
        load_mono(path, max_seconds=60)
    monkeypatch.setattr("pipeline.media.opening.av.open", Mock(side_effect=error))
    for read in READERS.values():
        with pytest.raises(MemoryError):
            read(path)
