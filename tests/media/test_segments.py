"""Many segments of one file in one pass: the same frames as one at a time, and a failure's reach.

Each picture carries its number, so a frame that was skipped, taken twice or shown at another time
is seen.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline.base.errors import MediaError
from pipeline.media import video
from pipeline.media.packets import Window
from pipeline.media.video import Frame, Wanted, sample_segments
from tests.media.make_media import read_counter, write_media
from tests.media.one_segment import sample_frames

RATE, FRAMES = 10, 600
KINDS = {
    "avi": {"video_codec": "mpeg4", "video_options": {"bf": "2", "g": "12"}},
    "plain.avi": {"video_codec": "mpeg4", "video_options": {"bf": "0", "g": "12"}},
    "mp4": {"video_options": {"bf": "3", "g": "25", "preset": "ultrafast"}},
    "mpg": {"video_codec": "mpeg1video", "rate": Fraction(25), "video_options": {"g": "12"}},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("dialogues")
    usual = {"stamps": range(FRAMES), "rate": Fraction(RATE)}
    return {
        kind: write_media(folder / f"d.{kind}", **{**usual, **how}) for kind, how in KINDS.items()
    }


def wanted(start: float, end: float, half: float | None = None) -> Wanted:
    region = None if half is None else (half, 0.25, 0.5, 0.5)
    return Wanted(Window(start, end, 60), region)


def numbers(found: list[Frame] | MediaError) -> list[int]:
    assert not isinstance(found, MediaError), found
    return [read_counter(frame.image) for frame in found]


@pytest.mark.parametrize("kind", KINDS)
@example(segments=[(0.0, 1.0), (0.0, 1.0)])  # complete with the same frame
@given(segments=st.lists(st.tuples(st.floats(0, 20), st.floats(0.05, 6)), min_size=1, max_size=8))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_pass_gives_the_frames_of_one_at_a_time(
    made: dict[str, Path], kind: str, segments: list[tuple[float, float]]
) -> None:
    asked = [wanted(start, start + length) for start, length in segments]
    found = dict(sample_segments(made[kind], 4, asked))
    assert set(found) == set(range(len(asked)))
    for place, one in enumerate(asked):
        ((_, alone),) = sample_segments(made[kind], 4, [one])
        together = found[place]
        if isinstance(alone, MediaError) or isinstance(together, MediaError):
            assert type(alone) is type(together)
        else:
            assert numbers(together) == numbers(alone)
            assert [f.time for f in together] == [f.time for f in alone]


def test_each_segment_gets_its_own_half(made: dict[str, Path]) -> None:
    asked = [wanted(1, 3, half=0.0), wanted(2, 4, half=0.5)]
    found = dict(sample_segments(made["avi"], 3, asked))
    for place, (start, end) in enumerate([(1, 3), (2, 4)]):
        (whole, *_) = sample_frames(made["avi"], 3, start=start, end=end)
        (part, *_) = found[place]  # type: ignore[misc]
        half = slice(0, 80) if place == 0 else slice(80, 160)
        assert part.image.shape == (48, 80, 3)
        assert (part.image == whole.image[24:72, half]).all()


@pytest.mark.parametrize(
    ("starts", "openings"), [([0, 4, 9, 2, 15], 1), ([0, 30], 2), ([31, 0, 30, 55], 3)]
)
def test_a_file_is_opened_once_but_for_long_gaps(
    made: dict[str, Path], monkeypatch: pytest.MonkeyPatch, starts: list[float], openings: int
) -> None:
    opened: list[Path] = []
    real = video.open_media

    @contextmanager
    def counting(path: Path) -> Iterator[Any]:
        opened.append(path)
        with real(path) as container:
            yield container

    monkeypatch.setattr(video, "open_media", counting)
    found = dict(sample_segments(made["plain.avi"], 2, [wanted(s, s + 1) for s in starts]))
    assert len(found) == len(starts) and len(opened) == openings


def test_segments_are_given_as_soon_as_they_are_complete(made: dict[str, Path]) -> None:
    asked = [wanted(8, 9), wanted(0, 1), wanted(0.2, 7), wanted(2, 3)]
    assert [place for place, _ in sample_segments(made["avi"], 5, asked)] == [1, 3, 2, 0]


def test_damage_in_the_middle_hides_its_own_frames_alone(
    made: dict[str, Path], tmp_path: Path
) -> None:
    data = bytearray(made["plain.avi"].read_bytes())
    chunk = data.index(b"00dc", len(data) // 2)
    data[chunk + 12 : chunk + 40] = bytes(28)  # of a frame's data; its header stays
    path = tmp_path / "damaged.avi"
    path.write_bytes(data)
    asked = [wanted(s, s + 2) for s in range(0, 58, 4)]
    found = dict(sample_segments(path, 3, asked))
    whole = dict(sample_segments(made["plain.avi"], 3, asked))
    right = [numbers(found[n]) == numbers(whole[n]) for n in range(len(asked))]
    assert right.count(False) <= 2 and all(right[:5]) and all(right[-5:])


def test_what_lies_past_a_cut_is_told_apart(made: dict[str, Path], tmp_path: Path) -> None:
    data = made["plain.avi"].read_bytes()
    path = tmp_path / "cut.avi"
    path.write_bytes(data[: len(data) // 2])
    found = dict(sample_segments(path, 3, [wanted(s, s + 2) for s in (0, 10, 50, 56)]))
    assert numbers(found[0]) and numbers(found[1])
    for place in (2, 3):
        late = found[place]
        assert isinstance(late, MediaError) and late.kind == "no_frames"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("start", [0.0, 7.3, 14.2])
def test_a_stretch_too_large_to_hold_is_read_twice_with_the_same_frames(
    made: dict[str, Path], kind: str, start: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [wanted(start, start + 5.0), wanted(start + 2.1, start + 9.0)]
    held = dict(sample_segments(made[kind], 6, asked))
    monkeypatch.setattr("pipeline.media.packets.MOST_BYTES", 500)
    again = dict(sample_segments(made[kind], 6, asked))
    assert {p: numbers(f) for p, f in again.items()} == {p: numbers(f) for p, f in held.items()}
    assert all(len(numbers(f)) == 6 for f in held.values())
