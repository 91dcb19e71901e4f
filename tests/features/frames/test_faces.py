"""YuNet on real talking heads, and what is cut out: squares round faces, whole pictures."""

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pipeline.base.errors import PipelineError
from pipeline.features.frames.faces import Box, FaceDetector, face_crop, whole
from tests.conftest import YUNET
from tests.media.one_segment import sample_frames

COUNT = 8


def test_rubbish_is_no_detector(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "yunet.onnx"
    for data in (None, b"", b"version https://git-lfs.github.com/spec/v1", bytes(range(256)) * 9):
        if data is not None:
            path.write_bytes(data)
        with pytest.raises(PipelineError, match="is not a face detector that OpenCV can read"):
            FaceDetector(path, 0.6).detect(np.zeros((96, 96, 3), np.uint8))
    del capfd  # keeps OpenCV's own complaint out of the report


@pytest.fixture(scope="module")
def clips(shared: Path) -> list[Path]:
    found = sorted((shared / "talking_clips").glob("*.mpg"))
    if not found:
        pytest.skip("needs talking clips, of which there are none")
    return found


def test_every_frame_of_every_talking_clip_has_a_face(
    detector: FaceDetector, clips: list[Path]
) -> None:
    for clip in clips:
        frames = sample_frames(clip, COUNT, max_seconds=60)
        assert len(frames) == COUNT
        for frame in frames:
            found = detector.detect(frame.image)
            assert len(found) == 1
            left, top, width, height = found[0].box
            assert found[0].score > 0.8
            assert 0.2 < width / frame.image.shape[1] < 0.6
            assert 0 < left + width / 2 < frame.image.shape[1]
            assert 0 < top + height / 2 < frame.image.shape[0]


def test_boxes_are_in_pixels_of_the_picture(detector: FaceDetector, clips: list[Path]) -> None:
    (frame,) = sample_frames(clips[0], 1, max_seconds=60)
    twice = frame.image.repeat(2, 0).repeat(2, 1)
    (one,), (two,) = detector.detect(frame.image), detector.detect(twice)
    assert np.array(two.box) / 2 == pytest.approx(np.array(one.box), abs=3)


def test_landmarks_lie_where_they_are_said_to(detector: FaceDetector, clips: list[Path]) -> None:
    for clip in clips:
        (frame,) = sample_frames(clip, 1, max_seconds=60)
        (found,) = detector.detect(frame.image)
        left_eye, right_eye, nose, left_corner, right_corner = found.landmarks
        assert left_eye[0] < nose[0] < right_eye[0] and left_corner[0] < right_corner[0]
        assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_corner[1], right_corner[1])
        left, top, width, height = found.box
        for x, y in found.landmarks:
            assert left < x < left + width and top < y < top + height


def test_a_detector_passes_to_other_processes(detector: FaceDetector, clips: list[Path]) -> None:
    images = [f.image for clip in clips for f in sample_frames(clip, 2, max_seconds=60)]
    here = [detector.detect(image) for image in images]
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        assert list(pool.map(detector.detect, images)) == here
    assert [pickle.loads(pickle.dumps(detector)).detect(image) for image in images] == here


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (480, 360)])
def test_a_grey_picture_has_no_face(detector: FaceDetector, size: tuple[int, int]) -> None:
    assert detector.detect(np.full((*size, 3), 128, np.uint8)) == []


def test_opencv_says_nothing(detector: FaceDetector, capfd: pytest.CaptureFixture[str]) -> None:
    assert FaceDetector(YUNET, 0.6).detect(np.zeros((96, 96, 3), np.uint8)) == []
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("box", "margin", "square"),
    [
        ((40, 30, 20, 20), 0.0, (40, 30, 20)),
        ((40, 30, 20, 20), 0.5, (35, 25, 30)),
        ((40, 30, 20, 10), 0.0, (40, 25, 20)),  # the longer side, about the same centre
        ((-5, -5, 20, 20), 0.0, (0, 0, 20)),  # moved inside at the left and the top
        ((90, 70, 20, 20), 0.0, (80, 60, 20)),  # and at the right and the bottom
        ((10, 10, 90, 60), 0.0, (10, -5, 90)),  # higher than the picture: centred
        ((0, 0, 100, 80), 1.0, (-50, -60, 200)),  # larger than the picture
    ],
)
def test_square_that_is_cut(box: Box, margin: float, square: tuple[int, int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8)
    left, top, length = square

    cut, where = face_crop(image, box, margin, side=length)

    assert where == (left, top, length, length)
    rows = np.clip(np.arange(top, top + length), 0, 79)
    columns = np.clip(np.arange(left, left + length), 0, 99)
    assert (cut == image[rows][:, columns]).all()


def test_crop_is_scaled_to_its_side() -> None:
    image = np.zeros((80, 100, 3), np.uint8)
    image[20:60, 30:50] = (200, 10, 10)
    for side in (16, 224):
        cut, _ = face_crop(image, (30, 20, 40, 40), 0.0, side)
        assert cut.shape == (side, side, 3)
        edge = side // 8  # where the two colours are blended
        assert (cut[:, : side // 2 - edge] == (200, 10, 10)).all()
        assert (cut[:, side // 2 + edge :] == 0).all()


@pytest.mark.parametrize(
    ("height", "width", "rows", "columns"),
    [
        (50, 100, slice(56, 168), slice(0, 224)),  # wide: 112 rows, 56 above them
        (400, 100, slice(0, 224), slice(84, 140)),  # high: 56 columns
        (30, 30, slice(0, 224), slice(0, 224)),
        (1, 1000, slice(111, 112), slice(0, 224)),  # never less than a pixel
    ],
)
def test_a_whole_picture_keeps_its_shape_between_black_bars(
    height: int, width: int, rows: slice, columns: slice
) -> None:
    square, box = whole(np.full((height, width, 3), (200, 100, 50), np.uint8))

    assert square.shape == (224, 224, 3) and box == (0, 0, width, height)
    assert (square[rows, columns] == (200, 100, 50)).all()
    square[rows, columns] = 0
    assert not square.any()


def test_nothing_of_a_whole_picture_is_lost() -> None:
    image = np.zeros((60, 120, 3), np.uint8)
    image[:10, :10], image[-10:, -10:] = (255, 0, 0), (0, 0, 255)
    square, _ = whole(image)
    assert (square[58:70, 2:14] == (255, 0, 0)).all()
    assert (square[154:166, 210:222] == (0, 0, 255)).all()
