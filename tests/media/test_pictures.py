"""Decoded pictures: red is red, a half holds that half alone, upright, as wide as shown."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pipeline.base.errors import MediaError, PipelineError
from pipeline.features.common.images import decode_image, encode_image
from pipeline.features.frames.faces import face_crop
from pipeline.media import video
from pipeline.media.grey import grey_frames
from pipeline.media.packets import Window
from pipeline.media.upright import Decoded
from pipeline.media.video import Wanted, sample_segments
from tests.media.make_media import tone, write_media, write_parts
from tests.media.one_segment import sample_frames

RED, GREEN, BLUE = (220, 20, 20), (20, 200, 30), (20, 30, 210)
LEFT_HALF, RIGHT_HALF = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 0.5, 1.0)


def plain(colour: tuple[int, int, int], width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def halves(_: int) -> np.ndarray:
    """IEMOCAP's picture: two half frames, letterboxed to rows 112 to 368."""
    picture = np.concatenate([plain(RED, 360, 480), plain(BLUE, 360, 480)], 1)
    picture[:112] = picture[368:] = 0
    return picture


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_a_red_frame_is_red_on_its_whole_way(tmp_path: Path, codec: str) -> None:
    path = write_media(
        tmp_path / "red.mp4",
        stamps=range(5),
        rate=Fraction(25),
        video_codec=codec,
        picture=lambda _: plain(RED, 320, 240),
    )
    for frame in sample_frames(path, 3, max_seconds=60):
        assert frame.image.shape == (240, 320, 3)
        _assert_colour(frame.image, RED)
        cut, _ = face_crop(frame.image, (40, 40, 80, 60), 0.2)
        _assert_colour(cut, RED)
        for kind in ("jpeg", "png"):
            _assert_colour(decode_image(encode_image(cut, kind, 90)), RED)


@pytest.fixture(scope="module")
def avi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_media(
        tmp_path_factory.mktemp("avi") / "Ses01F_impro01.avi",
        stamps=range(60),
        rate=Fraction(30000, 1001),
        video_codec="mpeg4",
        picture=halves,
        sound=tone(2, 16000)[None].repeat(2, 0),
        sound_rate=16000,
        sound_codec="pcm_s16le",
    )


@pytest.mark.parametrize(("region", "colour"), [(LEFT_HALF, RED), (RIGHT_HALF, BLUE)])
def test_region_keeps_one_half(
    avi: Path, region: tuple[float, float, float, float], colour: tuple[int, int, int]
) -> None:
    for frame in sample_frames(avi, 4, start=0.5, end=1.7, region=region, max_seconds=60):
        assert frame.image.shape == (480, 360, 3)
        assert frame.image.flags.c_contiguous
        _assert_colour(frame.image[128:352, 16:-16], colour)
        assert frame.image[:96].max() < 30


def test_region_is_counted_in_fractions_of_the_picture(avi: Path) -> None:
    (frame,) = sample_frames(avi, 1, region=(0.25, 0.5, 0.5, 0.125), max_seconds=60)
    assert frame.image.shape == (60, 360, 3)
    _assert_colour(frame.image[:, :160], RED)
    _assert_colour(frame.image[:, 200:], BLUE)


def test_png_is_exact_and_jpeg_is_stable() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    assert (decode_image(encode_image(noise, "png", 90)) == noise).all()
    assert encode_image(noise, "jpeg", 90) == encode_image(noise.copy(), "jpeg", 90)
    assert len(encode_image(noise, "jpeg", 30)) < len(encode_image(noise, "jpeg", 95))


@pytest.mark.parametrize("data", [b"", b"no picture", b"\xff\xd8\xff\xe0" + b"\0" * 40])
def test_bytes_that_are_no_picture_are_told(data: bytes) -> None:
    with pytest.raises(PipelineError, match=f"{len(data)} bytes that are no JPEG or PNG") as caught:
        decode_image(data)
    assert not isinstance(caught.value, MediaError), "a damaged store is not a damaged clip"


GREY = (128, 128, 128)
CORNERS = ((RED, GREEN), (BLUE, GREY))


def quarters(height: int, width: int) -> np.ndarray:
    """Four colours, one in each quarter."""
    rows = [np.hstack([plain(c, width // 2, height // 2) for c in row]) for row in CORNERS]
    return np.vstack(rows)


def corners(image: np.ndarray) -> tuple[tuple[str, str], ...]:
    """The colours of the quarters by their names' first letters, row by row."""
    height, width = image.shape[0] // 4, image.shape[1] // 4
    known = dict(zip("rgb.", (RED, GREEN, BLUE, GREY), strict=True))
    near = lambda p: min(known, key=lambda n: np.abs(p.astype(int) - known[n]).sum())  # noqa: E731
    return tuple(tuple(near(image[y, x]) for x in (width, -width)) for y in (height, -height))


def written(path: Path, height: int = 120, width: int = 160, **how: Any) -> Path:
    picture = quarters(height, width)
    return write_media(path, stamps=range(8), rate=Fraction(25), picture=lambda _: picture, **how)


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_turned_or_mirrored_picture_is_upright(
    tmp_path: Path, degrees: int, left: bool, down: bool, suffix: str
) -> None:
    path = written(tmp_path / f"a.{suffix}", turned=(degrees, left, down))
    expected = np.rot90(quarters(120, 160), degrees // 90)
    expected = expected[:: -1 if down else 1, :: -1 if left else 1]
    for frame in sample_frames(path, 3):
        assert frame.image.shape == expected.shape
        assert corners(frame.image) == corners(expected)
        assert frame.image.flags.c_contiguous
    for _, image in grey_frames(path, 0.0, 1.0, None, 640):
        assert image.shape == expected.shape[:2]
        assert np.abs(image[30, 30] - expected[30, 30] @ (0.299, 0.587, 0.114)) < 12


def test_a_region_is_counted_in_the_upright_picture(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mp4", turned=(90, False, False))
    for frame in sample_frames(path, 2, region=(0.0, 0.0, 1.0, 0.5)):
        assert frame.image.shape == (80, 120, 3)
        _assert_colour(frame.image[8:-8, 8:52], GREEN)
    for _, image in grey_frames(path, 0.0, 1.0, (0.5, 0.5, 0.5, 0.5), 80):
        assert image.shape == (40, 30)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "ts", "mpg"])
@pytest.mark.parametrize("ratio", [Fraction(2), Fraction(4, 3), Fraction(1, 2)])
def test_pixels_that_are_not_square_are_made_square(
    tmp_path: Path, suffix: str, ratio: Fraction
) -> None:
    codec = {"avi": "mpeg4", "mpg": "mpeg2video"}.get(suffix, "libx264")
    path = written(tmp_path / f"a.{suffix}", pixel_ratio=ratio, video_codec=codec)
    width = round(160 * ratio)
    if suffix == "mpg":  # MPEG-2 knows few shapes of a picture: it states 16:9 or so
        width = {2: 265, Fraction(4, 3): 213, Fraction(1, 2): 160}[ratio]
    for frame in sample_frames(path, 2):
        assert frame.image.shape == (120, width, 3)
        assert corners(frame.image) == corners(quarters(120, 160))
    for _, image in grey_frames(path, 0.0, 1.0, None, 640):
        assert image.shape == (120, width)


def test_square_pixels_of_a_turned_picture(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mp4", turned=(90, False, False), pixel_ratio=Fraction(2))
    (frame,) = sample_frames(path, 1)
    assert frame.image.shape == (320, 120, 3)
    assert corners(frame.image) == corners(np.rot90(quarters(120, 160)))


def test_size_and_turn_may_change_in_the_middle(tmp_path: Path) -> None:
    sizes = [(120, 160), (240, 320), (160, 120)]
    path = write_parts(tmp_path / "a.ts", *([quarters(*size)] * 20 for size in sizes))
    frames = sample_frames(path, 6)
    assert [f.image.shape[:2] for f in frames] == [size for size in sizes for _ in range(2)]
    assert {corners(f.image) for f in frames} == {corners(quarters(120, 160))}
    assert [f.shot for f in frames] == [0, 0, 0, 0, 1, 1], "another shape is another shot"
    assert {i.shape for _, i in grey_frames(path, 0.0, 3.0, None, 160)} == {(120, 160), (160, 120)}

    still = [quarters(120, 160)] * 20
    path = write_parts(tmp_path / "b.ts", still, still, codec="libx264", turned={1: 90})
    frames = sample_frames(path, 4)
    turned = np.rot90(quarters(120, 160))
    assert [corners(f.image) for f in frames] == [corners(still[0])] * 2 + [corners(turned)] * 2


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_a_picture_above_the_limit_is_told_before_it_is_decoded(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / f"a.{suffix}", 1080, 1920)
    window = Wanted(Window(0.0, 1.0, 60))
    assert dict(sample_segments(path, 2, [window], 1920 * 1080))
    monkeypatch.delattr(Decoded, "rgb")
    with pytest.raises(MediaError) as caught:
        list(sample_segments(path, 2, [window], 1920 * 1080 - 1))
    assert caught.value.kind == "too_large"
    assert "1920 x 1080" in caught.value.detail and "max_megapixels" in caught.value.detail


def test_a_picture_that_grows_above_the_limit_is_told(tmp_path: Path) -> None:
    parts = [quarters(120, 160)] * 20, [quarters(480, 640)] * 20
    path = write_parts(tmp_path / "a.ts", *parts)
    with pytest.raises(MediaError, match="too_large: pictures of 640 x 480"):
        list(sample_segments(path, 4, [Wanted(Window(0.0, 9.0, 60))], 100_000))


def test_all_pictures_of_a_segment_together_stay_below_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "a.mp4", 480, 640)
    monkeypatch.setattr(video, "MOST_PIXELS_HELD", 4 * 320 * 240)
    frames = sample_frames(path, 4)
    assert [f.image.shape for f in frames] == [(240, 320, 3)] * 4
    assert corners(frames[0].image) == corners(quarters(480, 640))
    assert sample_frames(path, 1)[0].image.shape == (480, 640, 3)


@pytest.mark.parametrize("form", ["rgb4", "bgr4"])
def test_pixels_that_cannot_be_turned_into_rgb_are_told(tmp_path: Path, form: str) -> None:
    path = tmp_path / "a.nut"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, form
        frame = av.VideoFrame(64, 48, form)
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        container.mux(stream.encode(frame))
    for read in (lambda: sample_frames(path, 1), lambda: list(grey_frames(path, 0, 1, None, 64))):
        with pytest.raises(MediaError, match=f"unreadable: FFmpeg .* pixels of {form}") as caught:
            read()
        assert str(tmp_path) not in caught.value.detail


def _assert_colour(image: np.ndarray, colour: tuple[int, int, int]) -> None:
    assert np.abs(image.reshape(-1, 3).astype(int) - colour).max() <= 12
