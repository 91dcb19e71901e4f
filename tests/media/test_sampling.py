"""Which frames `sample_frames` takes, against a decode of everything.

Each picture carries its number, so a frame that was skipped, taken twice or shown at another time
is seen.
"""

from fractions import Fraction
from itertools import pairwise
from math import inf
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.errors import MediaError
from pipeline.media.video import nearest, spaced
from tests.media.make_media import (
    all_frames,
    counter,
    naive_sample,
    read_counter,
    tone,
    write_media,
)
from tests.media.one_segment import sample_frames

RATE = Fraction(25)
FRAMES = 100
TWO_CHANNELS = {"sound": tone(4, 48000)[None].repeat(2, 0)}
MANY_B_FRAMES = {"bf": "4", "g": "30", "b_strategy": "0"}
KINDS = ["mp4", "all_intra.mp4", "b_frames.avi", "start.ts", "start.mkv", "variable.mp4", "mpg"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("videos")
    late = {"stamps": range(125, 125 + FRAMES), "rate": RATE}
    usual = {"stamps": range(FRAMES), "rate": RATE}
    uneven = [n * n for n in range(1, FRAMES + 1)]
    mpeg4 = {"video_codec": "mpeg4", "video_options": {"bf": "2", "g": "30"}}
    write = {
        "mp4": {**usual, **TWO_CHANNELS, "video_options": MANY_B_FRAMES},
        "all_intra.mp4": {**usual, "video_options": {"g": "1"}},
        "b_frames.avi": {**usual, **mpeg4, "picture": lambda n: counter(n, 720, 480)},
        "start.ts": {**late, **TWO_CHANNELS, "sound_start": 5 * 48000},
        "start.mkv": {**late, "video_options": MANY_B_FRAMES},
        "variable.mp4": {"stamps": uneven, "video_options": {"bf": "0", "g": "30"}},
        "mpg": {**usual, "video_codec": "mpeg1video", "video_options": {"g": "30"}},
    }
    return {
        kind: write_media(folder / f"clip.{kind}", **arguments) for kind, arguments in write.items()
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 2, 7, 16])
@pytest.mark.parametrize(
    ("start", "end", "longest"),
    [
        (0.0, None, 600.0),
        (0.0, None, 1.5),
        (1.03, 2.51, 600.0),
        (2.0, None, 0.7),
        (0.5, 99.0, 600.0),
        (3.3, 3.45, 600.0),
    ],
)
def test_frames_are_the_nearest_to_evenly_spaced_times(
    made: dict[str, Path], kind: str, count: int, start: float, end: float | None, longest: float
) -> None:
    frames = _known(made[kind])
    times = [time for time, _ in frames]
    begin = max(start, times[0])
    last = times[-1] + (0.04 if kind != "variable.mp4" else times[-1] - times[-2])
    until = min(inf if end is None else end, last, begin + longest)
    expected = naive_sample(times, count, begin, until)

    got = sample_frames(made[kind], count, start=start, end=end, max_seconds=longest)

    numbers = [read_counter(frame.image) for frame in got]
    if kind == "variable.mp4":
        # How long the last frame is shown is the muxer's guess; it may move a centre by a frame.
        assert len(numbers) == len(expected)
        assert all(abs(a - b) <= 1 for a, b in zip(numbers, expected, strict=True))
    else:
        assert numbers == [frames[number][1] for number in expected]
    assert [frame.time for frame in got] == pytest.approx([times[number] for number in numbers])


_read: dict[Path, list[tuple[float, int]]] = {}


def _known(path: Path) -> list[tuple[float, int]]:
    if path not in _read:
        _read[path] = [(time, read_counter(image)) for time, image in all_frames(path)]
        assert [number for _, number in _read[path]] == list(range(FRAMES))
    return _read[path]


def test_pictures_equal_those_of_a_plain_decode(made: dict[str, Path]) -> None:
    reference = all_frames(made["mp4"])
    for frame in sample_frames(made["mp4"], 9, max_seconds=600):
        assert (frame.image == reference[read_counter(frame.image)][1]).all()
        assert frame.image.flags.c_contiguous


def test_one_frame_clip(tmp_path: Path) -> None:
    path = write_media(tmp_path / "one.mp4", stamps=[0], rate=RATE)
    (frame,) = sample_frames(path, 8, max_seconds=600)
    assert (read_counter(frame.image), frame.time) == (0, 0)


def test_segment_behind_the_end_is_told(made: dict[str, Path]) -> None:
    told = r"no_frames: asked for 50\.000 s to 51\.500 s; the video ends at 4\.000 s"
    with pytest.raises(MediaError, match=told):
        sample_frames(made["mp4"], 4, start=50, end=51.5, max_seconds=600)


def test_cut_file_gives_the_frames_before_the_cut(tmp_path: Path) -> None:
    fast = {"movflags": "faststart"}
    whole = write_media(
        tmp_path / "whole.mp4", stamps=range(FRAMES), rate=RATE, container_options=fast
    )
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.7)])
    numbers = [read_counter(frame.image) for frame in sample_frames(cut, 8, max_seconds=600)]
    assert 1 <= len(numbers) <= 8
    assert numbers == sorted(set(numbers))


@given(begin=st.floats(0, 1e4), length=st.floats(0.01, 1e3), count=st.integers(1, 64))
def test_spaced_are_centres_of_equal_parts(begin: float, length: float, count: int) -> None:
    times = spaced(begin, begin + length, count)
    assert len(times) == count
    assert times[0] - begin == pytest.approx(length / count / 2, abs=1e-6)
    assert begin + length - times[-1] == pytest.approx(length / count / 2, abs=1e-6)
    for one, other in pairwise(times):
        assert other - one == pytest.approx(length / count, abs=1e-6)


@given(
    times=st.lists(st.integers(0, 1000), min_size=1, max_size=60, unique=True).map(sorted),
    targets=st.lists(st.integers(-100, 1100), min_size=1, max_size=30).map(sorted),
)
def test_nearest_equals_a_search_through_all(times: list[int], targets: list[int]) -> None:
    expected = [min(times, key=lambda time: (abs(time - target), time)) for target in targets]
    assert [item for _, item in nearest(((t, t) for t in times), targets)] == expected


def test_nearest_reads_no_further_than_needed() -> None:
    items = ((float(n), n) if n < 4 else pytest.fail("read too far") for n in range(9))
    assert [item for _, item in nearest(items, [0.2, 2.6])] == [0, 3]
