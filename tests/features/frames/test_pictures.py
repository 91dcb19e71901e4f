"""Which part of the picture is kept, and what is recorded of how the face was chosen."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import permutations
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import cv2
import numpy as np
import pytest

from pipeline.base.cache import ClipCache
from pipeline.base.errors import PipelineError
from pipeline.base.files import sha256_file
from pipeline.features.common.images import decode_image
from pipeline.features.common.once import pictures_key
from pipeline.features.frames import pictures as module
from pipeline.features.frames.extract import FrameMaker, shares
from pipeline.features.frames.faces import Face, FaceDetector
from pipeline.features.frames.pictures import Faces, pictures_of
from pipeline.features.frames.settings import FacesSettings, FramesSettings
from pipeline.features.frames.tracks import Track
from pipeline.media.video import Frame
from pipeline.records.frames import PICTURES, Pictures, pictures_in
from pipeline.records.manifest import Segment, Utterance
from tests.conftest import YUNET
from tests.features.frames.test_extract import rows_of
from tests.inline import run_inline
from tests.media.make_media import write_media, write_parts
from tests.media.one_segment import sample_frames
from tests.media.side_by_side import pictures_of as pictures_of_clip

CLIP = Segment("a.mp4", end=1.0, sha256="a" * 64)
POINTS = ((1.0, 1.0),) * 5


def said(video: Segment = CLIP, audio: Segment = CLIP) -> Utterance:
    return Utterance("u", "d", 0, "s", "text", video, audio)


def settings(crop: Any = "face") -> FramesSettings:
    return FramesSettings(count=3, crop=crop, format="png", quality=90, max_megapixels=16)


def face(left: float, side: float = 20) -> Face:
    return Face((left, 10, side, side), POINTS, 0.9)


def frames(count: int) -> list[Frame]:
    """Pictures 120 wide and 60 high, each of one grey."""
    return [Frame(0.1 * n, np.full((60, 120, 3), 40 + n, np.uint8)) for n in range(count)]


def found(faces: Sequence[Sequence[Face]], speaker: Any = "largest") -> Pictures:
    """What is kept of frames whose faces are known."""
    detect = lambda image: list(faces[image[0, 0, 0] - 40])  # noqa: E731
    return pictures_of(frames(len(faces)), said(), Path(), settings(), Faces(detect, 0.0, speaker))


def pixels(kept: Pictures, width: int = 120, height: int = 60) -> np.ndarray:
    """Boxes in pixels of the picture, which are kept as shares of it."""
    return np.array(kept.boxes) * (width, height, width, height)


def test_one_face_is_followed_through_frames_that_lack_it() -> None:
    kept = found([[], [face(20)], [], [face(30)]])
    assert kept.speaker == "one"
    expected = [[20, 10, 20, 20], [20, 10, 20, 20], [25, 10, 20, 20], [30, 10, 20, 20]]
    assert pixels(kept) == pytest.approx(np.array(expected))


def test_a_larger_face_of_one_frame_does_not_take_the_track_over() -> None:
    kept = found([[face(20)]] * 4 + [[face(20), face(80, 30)]] + [[face(20)]] * 4)
    assert kept.speaker == "one"
    assert pixels(kept) == pytest.approx(np.array([[20, 10, 20, 20]] * 9))


def test_no_face_shows_the_whole_region() -> None:
    kept = found([[], []])
    assert kept.speaker == "none" and kept.boxes == [[0, 0, 1, 1]] * 2
    image = decode_image(kept.images[1])
    assert (image[56:168] == 41).all() and not image[:56].any() and not image[168:].any()


def test_of_several_the_largest_or_the_one_whose_mouth_moves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    several = [[face(20), face(70, 30)]] * 3
    asked: list[int] = []

    def answer(place: int | None) -> Callable[..., Track | None]:
        def speaking(tracks: Sequence[Track], *_: Any) -> Track | None:
            asked.append(len(tracks))
            return None if place is None else tracks[place]

        return speaking

    monkeypatch.setattr(module, "speaking_track", answer(0))
    kept = found(several, "mouth")
    assert (kept.speaker, round(pixels(kept)[0, 0])) == ("decided", 20)
    monkeypatch.setattr(module, "speaking_track", answer(None))
    kept = found(several, "mouth")
    assert (kept.speaker, round(pixels(kept)[0, 0])) == ("undecided", 70)
    assert asked == [2, 2]

    kept = found(several, "largest")
    assert (kept.speaker, round(pixels(kept)[0, 0])) == ("undecided", 70)
    assert found([[face(20)]] * 3, "mouth").speaker == "one"
    assert asked == [2, 2], "no second look at one face, nor where the largest is wanted"


RED, BLUE = (220, 20, 20), (20, 30, 210)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a clip, red on the left half and blue on the right one."""
    folder = tmp_path_factory.mktemp("raw")
    halves = np.full((120, 240, 3), RED, np.uint8)
    halves[:, 120:] = BLUE
    write_media(folder / "a.mp4", stamps=range(25), rate=Fraction(25), picture=lambda _: halves)
    return folder


RIGHT = Segment("a.mp4", end=1.0, sha256="a" * 64, region=(0.5, 0.0, 0.5, 1.0))


@pytest.mark.parametrize(
    ("crop", "speaker", "left", "right"),
    [
        ("region", "not_looked", BLUE, BLUE),
        ("frame", "not_looked", RED, BLUE),
        ("face", "none", BLUE, BLUE),
    ],
)
def test_region_and_frame(
    root: Path, tmp_path: Path, crop: str, speaker: str, left: Any, right: Any
) -> None:
    if crop == "face" and not YUNET.is_file():
        pytest.skip(f"needs {YUNET}")
    cache = ClipCache("frames", crop, PICTURES, tmp_path)
    faces = FacesSettings(encoder="yunet", score_threshold=0.6, margin=0.3, speaker="mouth")
    make = FrameMaker(root, settings(crop), faces, YUNET if crop == "face" else None, cache)
    clip = replace(RIGHT, sha256=sha256_file(root / "a.mp4"))
    ((_, batch, problems),) = rows_of([said(clip, clip)], make)
    assert batch is not None
    kept = pictures_in(batch)
    assert (kept.speaker, kept.boxes) == (speaker, [[0, 0, 1, 1]] * 3)
    assert [p.kind for p in problems] == (["no_face"] if speaker == "none" else [])
    image = decode_image(kept.images[0]).astype(int)
    assert np.abs(image[112, 20] - left).max() < 12
    assert np.abs(image[112, -20] - right).max() < 12


def seen(clip: Path, detector: FaceDetector, count: int = 10) -> Pictures:
    """What is kept of a whole clip without sound."""
    how = settings().model_copy(update={"count": count})
    faces = Faces(detector.detect, 0.3, "mouth")
    return pictures_of(sample_frames(clip, count), said(), clip.parent, how, faces)


@pytest.fixture(scope="module")
def people(shared: Path) -> list[list[np.ndarray]]:
    """The pictures of real talking clips, three quarters of their size."""
    clips = sorted((shared / "talking_clips").glob("*.mpg"))
    if len(clips) < 4:
        pytest.skip("needs four talking clips")
    return [pictures_of_clip(clip, 0.75) for clip in clips]


@pytest.mark.slow
def test_a_phones_video_gives_the_same_face_as_an_upright_one(
    detector: FaceDetector, people: list[list[np.ndarray]], tmp_path: Path
) -> None:
    upright, lying = people[0], [np.ascontiguousarray(np.rot90(image)) for image in people[0]]
    how = {"stamps": range(len(upright)), "rate": Fraction(25)}
    plain = write_media(tmp_path / "a.mp4", picture=upright.__getitem__, **how)
    phone = {"picture": lying.__getitem__, "turned": (270, False, False), **how}
    one, other = (seen(p, detector) for p in (plain, write_media(tmp_path / "b.mp4", **phone)))
    assert one.speaker == other.speaker == "one"
    assert np.array(other.boxes) == pytest.approx(np.array(one.boxes), abs=0.02)
    for mine, its in zip(one.images, other.images, strict=True):
        assert np.abs(decode_image(mine).astype(int) - decode_image(its)).mean() < 8


def test_a_face_is_followed_through_a_change_of_size(
    detector: FaceDetector, people: list[list[np.ndarray]], tmp_path: Path
) -> None:
    small = [cv2.resize(image, None, fx=2 / 3, fy=2 / 3) for image in people[1][38:]]
    path = write_parts(tmp_path / "a.ts", people[1][:38], small)
    whole = write_parts(tmp_path / "b.ts", people[1])
    one, other = seen(path, detector), seen(whole, detector)
    assert one.speaker == "one"
    assert np.array(one.boxes) == pytest.approx(np.array(other.boxes), abs=0.06)


@pytest.mark.parametrize("swapped", ["a.mp4", "b.wav", "while"])
def test_pictures_of_a_clip_that_replaced_the_manifests_are_kept_under_no_digest(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swapped: str
) -> None:
    """Nor those of a voice that may have picked the face."""
    for name in ("a.mp4", "b.wav"):
        shutil.copy(root / "a.mp4", tmp_path / name)
    digest = sha256_file(root / "a.mp4")
    video, voice = (Segment(name, end=1.0, sha256=digest) for name in ("a.mp4", "b.wav"))

    def swap(name: str) -> None:
        (tmp_path / name).write_bytes((root / "a.mp4").read_bytes()[::-1])
        os.utime(tmp_path / name, (1, 1))

    def seen(*_: Any) -> Pictures:
        swap("a.mp4")
        return Pictures([], [], "one", [])

    run_inline(monkeypatch)
    monkeypatch.setattr(module, "pictures_of", seen)
    if swapped != "while":
        swap(swapped)
    cache = ClipCache("frames", swapped, PICTURES, tmp_path / "cache")
    faces = FacesSettings(encoder="yunet", score_threshold=0.6, margin=0.3, speaker="mouth")
    monkeypatch.setattr("pipeline.features.frames.faces.FaceDetector", Mock())
    make = FrameMaker(tmp_path, settings(), faces, tmp_path / "net", cache)
    with pytest.raises(PipelineError, match=r"(a\.mp4|b\.wav) was replaced after the manifest"):
        list(rows_of([said(video, voice)], make))
    assert not list(cache.folder.rglob("*"))


def foliage(height: int, width: int) -> np.ndarray:
    """Green leaves without a face."""
    noise = np.random.default_rng(3).normal(size=(height, width, 1))
    leaves = cv2.GaussianBlur(noise, (0, 0), 3)[..., None]
    return np.clip(110 + 40 * leaves / leaves.std() * (0.5, 1, 0.3), 0, 255).astype(np.uint8)


def film(path: Path, images: list[np.ndarray]) -> Path:
    rate = Fraction(25)
    return write_media(path, stamps=range(len(images)), rate=rate, picture=images.__getitem__)


def parts_of(kept: Pictures) -> list[bool]:
    """Which frames show a face, not the whole region."""
    return [box != [0, 0, 1, 1] for box in kept.boxes]


def test_after_a_cut_no_box_is_held_and_the_ledger_says_so(
    detector: FaceDetector, people: list[list[np.ndarray]], tmp_path: Path
) -> None:
    leaves = [foliage(*people[0][0].shape[:2])] * 30
    path = film(tmp_path / "a.mp4", [*people[0][:45], *leaves])
    kept = seen(path, detector)
    assert kept.speaker == "one"
    assert parts_of(kept) == [True] * 6 + [False] * 4
    green = decode_image(kept.images[-1]).astype(int)
    assert not green[:20].any(), "the whole region, between black bars"
    alone = seen(film(tmp_path / "b.mp4", people[0][:45]), detector, 6)
    assert np.array(kept.boxes[:6]) == pytest.approx(np.array(alone.boxes), abs=0.03)

    cache = ClipCache("frames", 1, PICTURES, tmp_path)
    how = FacesSettings(encoder="yunet", score_threshold=0.6, margin=0.3, speaker="largest")
    make = FrameMaker(tmp_path, settings().model_copy(update={"count": 10}), how, YUNET, cache)
    clip = Segment("a.mp4", end=3.0, sha256=sha256_file(path))
    ((_, _, problems),) = rows_of([said(clip, clip)], make)
    detail = "another shot in 4 of 10 frames; the whole region is shown"
    assert [(p.kind, p.detail) for p in problems] == [("face_in_part", detail)]


@pytest.mark.parametrize(("one", "other"), list(permutations(range(4), 2)))
def test_two_people_one_after_the_other_are_never_one_track(
    detector: FaceDetector,
    people: list[list[np.ndarray]],
    tmp_path: Path,
    one: int,
    other: int,
) -> None:
    kept = seen(film(tmp_path / "a.mp4", [*people[one][:50], *people[other][:25]]), detector, 9)
    assert kept.speaker == "undecided"
    assert parts_of(kept) == [True] * 6 + [False] * 3, "the one who is seen for longer"


def test_a_reaction_between_two_shots_of_one_person_does_not_end_the_track(
    detector: FaceDetector, people: list[list[np.ndarray]], tmp_path: Path
) -> None:
    one, other = people[0], people[3]
    path = film(tmp_path / "a.mp4", [*one[:25], *other[:15], *one[25:60]])
    kept = seen(path, detector, 15)
    assert parts_of(kept) == [True] * 5 + [False] * 3 + [True] * 7
    alone = seen(film(tmp_path / "b.mp4", [*one[:25], *[one[25]] * 15, *one[25:60]]), detector, 15)
    assert np.array(kept.boxes)[parts_of(kept)] == pytest.approx(
        np.array(alone.boxes)[parts_of(kept)], abs=0.05
    )


def pattern(contrast: int, blur: float) -> np.ndarray:
    """A drawn mask that the detector takes for a face, with scores of 0.75 to 0.8."""
    image = np.full((300, 260, 3), 120, np.uint8)
    dark, shade = (170 - contrast,) * 3, (170 - contrast // 3,) * 3
    cv2.ellipse(image, (130, 150), (90, 120), 0, 0, 360, (170, 150, 130), -1)
    for x in (95, 165):
        cv2.ellipse(image, (x, 120), (18, 9), 0, 0, 360, dark, -1)
    cv2.ellipse(image, (130, 160), (10, 22), 0, 0, 360, shade, -1)
    cv2.ellipse(image, (130, 215), (34, 10), 0, 0, 360, dark, -1)
    return cv2.GaussianBlur(image, (0, 0), blur) if blur else image


@pytest.mark.parametrize(("contrast", "blur", "scale"), [(40, 0, 0.53), (30, 8, 0.44)])
def test_a_small_face_beside_a_large_pattern(
    detector: FaceDetector,
    people: list[list[np.ndarray]],
    tmp_path: Path,
    contrast: int,
    blur: float,
    scale: float,
) -> None:
    still = np.full((360, 640, 3), 120, np.uint8)
    still[30:330, 340:600] = pattern(contrast, blur)
    images = []
    for image in people[0]:
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        images.append(still.copy())
        images[-1][: small.shape[0], : small.shape[1]] = small
    scores = {round(f.box[2] / 100): f.score for f in detector.detect(images[0])}
    assert scores[2] < 0.8 < 0.85 < scores[0], "nearly four times as large"
    kept = seen(film(tmp_path / "a.mp4", images), detector)
    assert kept.speaker == "undecided"
    assert all(left < 0.3 and width < 0.2 for left, _, width, _ in kept.boxes)


def test_another_voice_may_pick_another_face() -> None:
    other = Segment("b.wav", end=1.0, sha256="b" * 64)
    keys = {pictures_key(said(v, a)) for v in (CLIP, RIGHT) for a in (CLIP, other)}
    assert len(keys) == 4
    assert pictures_key(said()) in keys


def test_the_summary_has_the_share_of_each_choice() -> None:
    assert shares(Counter(one=5, decided=2, undecided=1)) == [
        "  faces: 62.5 % one face (5)",
        "  faces: 25.0 % several, decided by mouth and voice (2)",
        "  faces: 12.5 % several, undecided: the most prominent (1)",
        "  faces: 0.0 % none: the whole region (0)",
        "  faces: of 3 with several faces, mouth and voice decided 2",
    ]
    assert shares(Counter(not_looked=3)) == []
