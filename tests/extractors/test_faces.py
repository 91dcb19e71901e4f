"""Faces: which box is chosen, what is cut out, and YuNet on real talking heads."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import PipelineError
from pipeline.extractors.audio import Functionals
from pipeline.extractors.faces import Box, Face, FaceDetector, choose_boxes, crop
from pipeline.media.audio import load_mono
from tests.conftest import ROOT
from tests.media.one_segment import sample_frames

YUNET = ROOT / "models/weights/yunet/face_detection_yunet_2023mar.onnx"
COUNT = 8


def face(left: float, top: float, width: float, height: float, score: float = 0.9) -> Face:
    return Face((left, top, width, height), score)


SMALL, LARGE, OTHER = face(1, 2, 10, 10, 0.99), face(50, 60, 20, 30), face(7, 8, 9, 9)


@pytest.mark.parametrize(
    ("faces", "expected"),
    [
        ([], []),
        ([[], []], [None, None]),
        ([[SMALL, LARGE]], [LARGE.box]),
        ([[], [SMALL], [], [], [OTHER], []], [SMALL, SMALL, SMALL, OTHER, OTHER, OTHER]),
        ([[SMALL], [], [OTHER]], [SMALL, SMALL, OTHER]),  # of two equally near, the earlier
    ],
)
def test_chosen_boxes(faces: list[list[Face]], expected: list[Face | Box | None]) -> None:
    boxes = [box.box if isinstance(box, Face) else box for box in expected]
    assert choose_boxes(faces) == boxes


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
        (None, 0.3, (10, 0, 80)),  # the middle
    ],
)
def test_square_that_is_cut(box: Box | None, margin: float, square: tuple[int, int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8)
    left, top, length = square

    cut, where = crop(image, box, margin, side=length)

    assert where == (left, top, length, length)
    rows = np.clip(np.arange(top, top + length), 0, 79)
    columns = np.clip(np.arange(left, left + length), 0, 99)
    assert (cut == image[rows][:, columns]).all()


def test_crop_is_scaled_to_its_side() -> None:
    image = np.zeros((80, 100, 3), np.uint8)
    image[20:60, 30:50] = (200, 10, 10)
    for side in (16, 224):
        cut, _ = crop(image, (30, 20, 40, 40), 0.0, side)
        assert cut.shape == (side, side, 3)
        edge = side // 8  # where the two colours are blended
        assert (cut[:, : side // 2 - edge] == (200, 10, 10)).all()
        assert (cut[:, side // 2 + edge :] == 0).all()


def test_rubbish_is_no_detector(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "yunet.onnx"
    for data in (None, b"", b"version https://git-lfs.github.com/spec/v1", bytes(range(256)) * 9):
        if data is not None:
            path.write_bytes(data)
        with pytest.raises(PipelineError, match="is no face detector OpenCV can read"):
            FaceDetector(path, 0.6)
    del capfd  # keeps OpenCV's own complaint out of the report


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    if not YUNET.is_file():
        pytest.skip(f"needs {YUNET}; `python -m pipeline weights` tells how to get it")
    return FaceDetector(YUNET, 0.6)


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


def test_threads_find_the_same(detector: FaceDetector, clips: list[Path]) -> None:
    images = [f.image for clip in clips for f in sample_frames(clip, 4, max_seconds=60)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(detector.detect, images)) == [detector.detect(i) for i in images]


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (480, 360)])
def test_a_grey_picture_has_no_face(detector: FaceDetector, size: tuple[int, int]) -> None:
    assert detector.detect(np.full((*size, 3), 128, np.uint8)) == []


def test_opencv_says_nothing(detector: FaceDetector, capfd: pytest.CaptureFixture[str]) -> None:
    assert FaceDetector(YUNET, 0.6).detect(np.zeros((96, 96, 3), np.uint8)) == []
    work: Callable[[int], object] = lambda _: FaceDetector(YUNET, 0.6)  # noqa: E731
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(8)))
    assert capfd.readouterr().err == ""


def test_functionals_of_talking_clips_are_finite(clips: list[Path]) -> None:
    functionals = Functionals("ComParE_2016")
    vectors = [functionals.extract(load_mono(clip, max_seconds=60), 16000) for clip in clips]
    assert np.isfinite(vectors).all()
    assert np.ptp(vectors, axis=0).astype(bool).mean() > 0.9
