"""Small grey pictures of a segment: which, when, how large."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pipeline.base.errors import MediaError
from pipeline.media.grey import grey_frames
from tests.media.make_media import read_counter, tone, write_media


def film(path: Path, count: int, rate: int, codec: str = "libx264") -> Path:
    return write_media(path, stamps=range(count), rate=Fraction(rate), video_codec=codec)


def looked(path: Path, start: float, end: float) -> list[tuple[float, int]]:
    found = grey_frames(path, start, end, None, 640)
    return [(time, read_counter(image[..., None])) for time, image in found]


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.avi", "mpeg4")])
def test_every_frame_of_the_segment_with_its_time(tmp_path: Path, name: str, codec: str) -> None:
    path = film(tmp_path / name, 100, 25, codec)
    for start, end in ((0.0, 0.2), (1.0, 1.2), (3.0, 99.0)):
        numbers = range(round(start * 25), min(100, round(end * 25)))
        found = looked(path, start, end)
        assert [number for _, number in found] == list(numbers)
        assert [time for time, _ in found] == pytest.approx([n / 25 for n in numbers])


def test_at_most_about_30_a_second(tmp_path: Path) -> None:
    for rate, step in ((24, 1), (30, 1), (50, 2), (60, 2), (120, 4)):
        found = looked(film(tmp_path / f"{rate}.mp4", 60, rate), 0.0, 0.5)
        assert [number for _, number in found] == list(range(0, rate // 2, step))


def test_a_region_of_a_scaled_picture_with_black_and_white_in_full_range(tmp_path: Path) -> None:
    half = np.zeros((240, 480, 3), np.uint8)
    half[:, 240:] = 255
    path = write_media(
        tmp_path / "a.mp4", stamps=range(5), rate=Fraction(25), picture=lambda _: half
    )
    for region, level in (((0.0, 0.0, 0.5, 1.0), 0), ((0.5, 0.5, 0.5, 0.5), 255)):
        (_, image), *_ = grey_frames(path, 0.0, 1.0, region, 320)
        assert image.shape == ((160, 160) if level == 0 else (80, 160))
        assert image[:, 8:-8].min() >= level - 3 and image[:, 8:-8].max() <= level + 3


def test_what_cannot_be_looked_at_is_told(tmp_path: Path) -> None:
    sound = write_media(tmp_path / "a.mp4", sound=tone(1, 48000)[None].repeat(2, 0))
    (tmp_path / "b.mp4").write_bytes(b"rubbish" * 100)
    for path, kind in (
        (sound, "no_video"),
        (tmp_path / "b.mp4", "unreadable"),
        (tmp_path / "c.mp4", "absent"),
    ):
        with pytest.raises(MediaError, match=kind):
            list(grey_frames(path, 0.0, 1.0, None, 320))
