"""When sound is heard: by its time stamps, with silence where there is none."""

from collections.abc import Callable
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.media.audio import load_mono
from tests.media.make_media import tone, write_media
from tests.media.test_sound import strength

RATE = 16_000
Stamp = Callable[[float], float | None]


def beeps(seconds: int) -> np.ndarray:
    """[1, sample] at 48 kHz; the frequency of each second is 400 Hz and 200 more per second."""
    return np.concatenate([tone(1, 48_000, 400 + 200 * n) for n in range(seconds)])[None]


def is_heard(sound: np.ndarray, second: int, at: float) -> bool:
    """Whether the beep of a second of the recording is heard a second later than `at`."""
    middle = sound[round((at + 0.25) * RATE) : round((at + 0.75) * RATE)]
    return strength(middle, 400 + 200 * second) > 0.4


def restamped(path: Path, source: Path, stamp: Stamp) -> Path:
    """A copy of a file whose sound is stamped anew, in seconds, or left out where that is None."""
    with av.open(str(source)) as whole, av.open(str(path), "w") as copy:
        streams = {s.index: copy.add_stream_from_template(s) for s in whole.streams}
        for packet in whole.demux():
            if packet.dts is None:
                continue
            if packet.stream.type == "audio":
                time = stamp(float(packet.pts * packet.time_base))
                if time is None:
                    continue
                packet.pts = packet.dts = round(time / packet.time_base)
            packet.stream = streams[packet.stream.index]
            copy.mux(packet)
    return path


def clip(path: Path, seconds: int = 4, codec: str = "aac", **how: int) -> Path:
    return write_media(
        path,
        stamps=range(25 * seconds),
        rate=Fraction(25),
        sound=beeps(seconds),
        layout="mono",
        sound_codec=codec,
        **how,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.ts", "a.flv"])
def test_sound_that_begins_after_the_picture_is_padded(tmp_path: Path, name: str) -> None:
    source = clip(tmp_path / "source.mkv")
    path = restamped(tmp_path / name, source, lambda time: time + 1.5)
    whole = load_mono(path, max_seconds=60)
    assert len(whole) == pytest.approx(5.5 * RATE, abs=0.08 * RATE)
    assert not whole[: round(1.4 * RATE)].any()
    assert is_heard(whole, 0, 1.5) and is_heard(whole, 3, 4.5)
    assert not load_mono(path, end=1.0, max_seconds=60).any()
    assert len(load_mono(path, end=1.0, max_seconds=60)) == RATE
    part = load_mono(path, start=2.0, end=4.0, max_seconds=60)
    assert (part == whole[2 * RATE : 4 * RATE]).all()


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mkv", "aac"),
        ("a.mp4", "aac"),
        ("a.ts", "aac"),
        ("a.flv", "aac"),
        ("b.mkv", "pcm_s16le"),
        ("b.webm", "libopus"),
        ("b.mp4", "libmp3lame"),
        ("b.ts", "mp2"),
    ],
)
def test_a_hole_in_the_stamps_is_silent(tmp_path: Path, name: str, codec: str) -> None:
    """A segment after it gets its own sound, not that of a second later."""
    source = clip(tmp_path / "source.mkv", codec=codec)
    if name.endswith("webm"):
        source = write_media(
            tmp_path / "source.mka", sound=beeps(4), layout="mono", sound_codec=codec
        )
    path = restamped(tmp_path / name, source, lambda time: None if 1 <= time < 2 else time)
    whole = load_mono(path, max_seconds=60)
    assert len(whole) == pytest.approx(4 * RATE, abs=0.08 * RATE)
    assert [is_heard(whole, second, second) for second in range(4)] == [True, False, True, True]
    assert np.abs(whole[round(1.3 * RATE) : round(1.9 * RATE)]).max() < 1e-3
    part = load_mono(path, start=2.0, end=3.0, max_seconds=60)
    assert (part == whole[2 * RATE : 3 * RATE]).all()
    assert not load_mono(path, start=1.4, end=1.8, max_seconds=60).any()


def test_many_small_holes_do_not_add_up(tmp_path: Path) -> None:
    """Every tenth packet is lost: at the end that would be 0.4 s."""
    source = clip(tmp_path / "source.mkv")
    counts = iter(range(10_000))
    path = restamped(tmp_path / "a.mkv", source, lambda t: None if next(counts) % 10 == 5 else t)
    whole = load_mono(path, max_seconds=60)
    assert len(whole) == pytest.approx(4 * RATE, abs=0.1 * RATE)


def test_stamps_that_jitter_cut_nothing_up(tmp_path: Path) -> None:
    source = clip(tmp_path / "source.mkv")
    shifts = chain(4 * [0.0], np.random.default_rng(0).uniform(-0.009, 0.009, 10_000))
    path = restamped(tmp_path / "a.mkv", source, lambda time: time + next(shifts))
    whole, plain = (load_mono(p, max_seconds=60) for p in (path, source))
    assert (whole == plain).all()


@pytest.mark.parametrize("ahead", [0.0, 2.0, 30.0])
def test_where_a_clock_is_set_back_what_was_heard_first_stays(tmp_path: Path, ahead: float) -> None:
    """Two recordings were joined; pictures go by the same stamps."""
    early = clip(tmp_path / "early.ts")
    late = restamped(tmp_path / "late.ts", early, lambda time: time + ahead)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(late.read_bytes() + early.read_bytes())
    one, whole = load_mono(late, max_seconds=60), load_mono(joined, max_seconds=60)
    assert len(whole) == pytest.approx(len(one), abs=1600)
    assert np.abs(whole[: len(one) - 1600] - one[:-1600]).max() < 1e-6
    part = load_mono(joined, max_seconds=60, start=1.0, end=2.0)
    assert np.abs(part - whole[16000:32000]).max() < 1e-6


def test_packets_that_cannot_be_decoded_are_silent(tmp_path: Path) -> None:
    """What comes after them is heard, and in time."""
    source = clip(tmp_path / "source.mkv", codec="flac")
    path = tmp_path / "a.mkv"
    with av.open(str(source)) as whole, av.open(str(path), "w") as copy:
        stream = copy.add_stream_from_template(whole.streams.audio[0])
        for packet in whole.demux(audio=0):
            if packet.dts is None:
                continue
            if 1 <= packet.pts * packet.time_base < 2:
                broken = av.Packet(b"\xff" * packet.size)
                broken.pts, broken.dts = packet.pts, packet.dts
                broken.time_base = packet.time_base
                packet = broken
            packet.stream = stream
            copy.mux(packet)
    heard = load_mono(path, max_seconds=60)
    assert [is_heard(heard, second, second) for second in range(4)] == [True, False, True, True]
