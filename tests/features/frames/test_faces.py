"""YuNet on real talking heads."""

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pipeline.base.errors import PipelineError
from pipeline.features.audio.smile import Smile
from pipeline.features.frames.faces import FaceDetector
from pipeline.media.audio import load_mono
from tests.conftest import YUNET
from tests.media.one_segment import sample_frames

COUNT = 8


def test_rubbish_is_no_detector(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "yunet.onnx"
    for data in (None, b"", b"version https://git-lfs.github.com/spec/v1", bytes(range(256)) * 9):
        if data is not None:
            path.write_bytes(data)
        with pytest.raises(PipelineError, match="is no face detector OpenCV can read"):
            FaceDetector(path, 0.6)
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


def test_functionals_of_talking_clips_are_finite(clips: list[Path]) -> None:
    functionals = Smile("ComParE_2016", "functionals")
    vectors = [functionals.extract(load_mono(clip, max_seconds=60), 16000) for clip in clips]
    assert np.isfinite(vectors).all()
    assert np.ptp(vectors, axis=0).astype(bool).mean() > 0.9
