"""`load_mono`: rate, downmix, loudness, clamping and segments, on real files."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.base.errors import MediaError
from pipeline.media.audio import load_mono
from tests.media.make_media import channels, tone, write_media, write_wav

LARGEST = 32767 / 32768


def strength(samples: np.ndarray, hertz: float, rate: int = 16000) -> float:
    """Amplitude of the sine of a frequency, read off the middle half."""
    middle = samples[len(samples) // 4 : 3 * len(samples) // 4].astype(float)
    turns = np.exp(-2j * np.pi * hertz * np.arange(len(middle)) / rate)
    return float(2 * abs((middle * turns).mean()))


def test_wav_comes_back_exactly(tmp_path: Path) -> None:
    sound = np.random.default_rng(0).integers(-32768, 32767, 8000) / np.float32(32768)
    path = write_wav(tmp_path / "a.wav", sound.astype(np.float32))
    got = load_mono(path, max_seconds=60)
    assert got.dtype == np.float32
    assert (got == sound.astype(np.float32)).all()


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_rate_is_the_wanted_one(tmp_path: Path, rate: int) -> None:
    path = write_wav(tmp_path / "a.wav", tone(1, 48000, 440), rate=48000)
    got = load_mono(path, rate=rate, max_seconds=60)
    assert abs(len(got) - rate) <= 2
    assert strength(got, 440, rate) == pytest.approx(0.5, rel=0.02)


def test_both_stereo_channels_are_kept(tmp_path: Path) -> None:
    stereo = channels("stereo", left=tone(2, 48000, 440), right=tone(2, 48000, 1000))
    path = write_media(tmp_path / "a.mp4", sound=stereo)
    got = load_mono(path, max_seconds=60)
    assert strength(got, 440) == pytest.approx(0.25, rel=0.05)
    assert strength(got, 1000) == pytest.approx(0.25, rel=0.05)


def test_centre_of_5_1_is_kept(tmp_path: Path) -> None:
    """MELD's dialogue lies in the centre channel: channel 0 alone would be silence."""
    surround = channels("5.1", centre=tone(2, 48000, 440), left=np.zeros(96000, np.float32))
    path = write_media(tmp_path / "a.mp4", sound=surround, layout="5.1")
    gain = 1 / (1 + 2 * 0.7071 + 2 * 0.5)  # FFmpeg's: the sum of all channels cannot clip
    assert strength(load_mono(path, max_seconds=60), 440) == pytest.approx(0.5 * gain, rel=0.05)


def test_full_scale_is_clamped_below_one(tmp_path: Path) -> None:
    """An AAC decoder and a resampler overshoot; openSMILE would wrap a sample of +1.0."""
    square = np.sign(tone(1, 48000, 300, 1.0)).astype(np.float32)
    path = write_media(tmp_path / "a.mp4", sound=square[None], layout="mono")
    got = load_mono(path, max_seconds=60)
    assert got.max() == np.float32(LARGEST)
    assert got.min() == -1


@pytest.mark.parametrize("name", ["a.mp4", "a.wav", "late.ts"])
def test_segment_is_the_slice_of_the_whole(tmp_path: Path, name: str) -> None:
    sound = np.random.default_rng(1).normal(0, 0.1, (1, 4 * 48000)).astype(np.float32)
    wav = name.endswith("wav")
    path = write_media(
        tmp_path / name,
        sound=sound,
        layout="mono",
        sound_codec="pcm_s16le" if wav else "aac",
        sound_start=5 * 48000 if name == "late.ts" else 0,
    )
    whole = load_mono(path, max_seconds=600)
    for start, end, longest in [(0, 1, 9), (1.25, 2.5, 9), (0.5, None, 1.25), (3, 99, 600)]:
        part = load_mono(path, start=start, end=end, max_seconds=longest)
        until = min(99 if end is None else end, start + longest)
        assert (part == whole[round(start * 16000) : round(until * 16000)]).all()
        assert len(part)


def test_segment_behind_the_end_is_told(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", tone(1, 16000))
    told = r"no_samples: asked for sound from 7\.500 s on; the stream holds 1\.000 s"
    with pytest.raises(MediaError, match=told):
        load_mono(path, start=7.5, max_seconds=60)


def test_channels_that_change_on_the_way(tmp_path: Path) -> None:
    """Recorded television switches between mono, stereo and 5.1 within one stream."""
    parts = []
    for layout, count in (("stereo", 2), ("mono", 1), ("5.1", 6)):
        part = tmp_path / f"{layout}.aac"
        sound = tone(1, 48000, 440)[None].repeat(count, 0)
        parts.append(write_media(part, sound=sound, layout=layout).read_bytes())
    path = tmp_path / "joined.aac"
    path.write_bytes(b"".join(parts))
    got = load_mono(path, max_seconds=60)
    assert len(got) / 16000 == pytest.approx(3, abs=0.2)
    for third in np.array_split(got, 3):
        assert strength(third, 440) > 0.3
