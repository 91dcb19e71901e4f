"""Colours and regions of decoded pictures: red is red in RGB, a half holds that half alone."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pipeline.base.errors import MediaError, PipelineError
from pipeline.features.common.images import decode_image, encode_image
from pipeline.features.frames.faces import face_crop
from tests.media.make_media import tone, write_media
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
    with pytest.raises(PipelineError, match=f"{len(data)} bytes that are no JPEG or PNG"):
        decode_image(data)


def test_an_encoder_error_is_no_media_error() -> None:
    """A damaged frame store is not a damaged clip: the ledger must not swallow it."""
    with pytest.raises(PipelineError) as caught:
        decode_image(b"no picture")
    assert not isinstance(caught.value, MediaError)


def _assert_colour(image: np.ndarray, colour: tuple[int, int, int]) -> None:
    assert np.abs(image.reshape(-1, 3).astype(int) - colour).max() <= 12
