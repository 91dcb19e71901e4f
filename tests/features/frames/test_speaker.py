"""Who of two people speaks: real talking clips side by side, with the sound of one."""

from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import pytest

from pipeline.base.errors import MediaError
from pipeline.features.frames import speaker as speakers
from pipeline.features.frames.faces import FaceDetector
from pipeline.features.frames.speaker import speaking_track
from pipeline.features.frames.tracks import Track, link
from pipeline.media.video import Frame
from pipeline.records.manifest import Segment, Utterance
from tests.media.one_segment import sample_frames
from tests.media.side_by_side import Pictures, pictures_of, silent, write_pair

COUNT = 20
SECONDS = 3.0
GONE = Segment("gone.wav", missing="absent")


@pytest.fixture(scope="module")
def people(shared: Path) -> dict[Path, Pictures]:
    clips = sorted((shared / "talking_clips").glob("*.mpg"))
    if len(clips) < 4:
        pytest.skip("needs four talking clips")
    return {clip: pictures_of(clip) for clip in clips}


def utterance(video: Path, audio: Segment | None = None) -> Utterance:
    seen = Segment(video.name, end=SECONDS, sha256="a" * 64)
    return Utterance("u", "d", 0, "s", "text", seen, audio or seen)


def tracked(
    path: Path, detector: FaceDetector, start: float = 0.0, end: float = SECONDS
) -> tuple[list[Track], list[Frame]]:
    """The two people, the left one first."""
    frames = sample_frames(path, COUNT, start=start, end=end)
    tracks = link([detector.detect(frame.image) for frame in frames])
    assert len(tracks) == 2
    return sorted(tracks, key=lambda track: track.faces[0].box[0]), frames


def chosen(
    path: Path, detector: FaceDetector, start: float = 0.0, end: float = SECONDS
) -> str | None:
    """`left`, `right` or None."""
    tracks, frames = tracked(path, detector, start, end)
    seen = Segment(path.name, start=start, end=end, sha256="a" * 64)
    said = Utterance("u", "d", 0, "s", "text", seen, seen)
    track = speaking_track(tracks, frames, said, path.parent)
    return None if track is None else ("left", "right")[tracks.index(track)]


@pytest.mark.slow
def test_the_one_who_speaks_beside_one_who_is_silent(
    detector: FaceDetector, people: dict[Path, Pictures], tmp_path: Path
) -> None:
    (first, one), (second, other), *_ = people.items()
    left = write_pair(tmp_path / "left.mp4", one, silent(other), first)
    assert chosen(left, detector) == "left"
    right = write_pair(tmp_path / "right.mp4", silent(one), other, second)
    assert chosen(right, detector) == "right"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("other", "lost", "window", "least", "wrong"),
    [
        (silent, 0, (0.0, SECONDS), 11, 0),
        (silent, 0, (0.6, 2.6), 10, 0),  # as long as a turn: correlation alone decided half
        (silent, 48_000, (0.0, SECONDS), 8, 0),
        (list, 0, (0.0, SECONDS), 0, 1),  # both speak: at least nine are undecided
    ],
    ids=["silent", "two seconds", "sound begins late", "both speak"],
)
def test_of_all_pairs_nearly_none_is_wrong_and_most_are_decided(
    detector: FaceDetector,
    people: dict[Path, Pictures],
    tmp_path: Path,
    other: Callable[[Pictures], Pictures],
    lost: int,
    window: tuple[float, float],
    least: int,
    wrong: int,
) -> None:
    found = []
    for a, b in permutations(people, 2):
        path = write_pair(tmp_path / "a.mp4", people[a], other(people[b]), a, lost)
        found.append(chosen(path, detector, *window))
    assert found.count("right") <= wrong and found.count("left") >= least
    assert least or found.count(None) >= 9


@pytest.mark.slow
def test_sound_that_begins_after_the_pictures_is_heard_in_time(
    detector: FaceDetector, people: dict[Path, Pictures], tmp_path: Path
) -> None:
    """A recording whose first second of sound is lost."""
    found = [
        chosen(write_pair(tmp_path / name, people[a], silent(people[b]), a, 48_000), detector)
        for name, (a, b) in zip(("a.mp4", "b.mkv"), permutations(people, 2), strict=False)
    ]
    assert found == ["left", "left"]


@pytest.fixture(scope="module")
def pair(
    detector: FaceDetector, people: dict[Path, Pictures], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The left one speaks."""
    (first, one), (_, other), *_ = people.items()
    path = tmp_path_factory.mktemp("pair") / "a.mp4"
    return write_pair(path, one, silent(other), first)


def test_a_voice_in_a_file_of_its_own_counts_from_its_own_start(
    detector: FaceDetector, people: dict[Path, Pictures], pair: Path
) -> None:
    """As in IEMOCAP: the dialogue's video, and the sentence's sound from 0 on."""
    tracks, frames = tracked(pair, detector)
    voice = next(iter(people))
    own = Segment(voice.name, end=SECONDS, sha256="b" * 64)
    (pair.parent / voice.name).write_bytes(voice.read_bytes())
    track = speaking_track(tracks, frames, utterance(pair, own), pair.parent)
    assert track is tracks[0]


def test_without_a_voice_or_with_a_broken_file_it_is_undecided(
    detector: FaceDetector, pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracks, frames = tracked(pair, detector)
    (pair.parent / "broken.wav").write_bytes(b"rubbish")
    for audio in (GONE, Segment("broken.wav", end=1.0, sha256="b" * 64)):
        assert speaking_track(tracks, frames, utterance(pair, audio), pair.parent) is None

    def fail(*_: object) -> None:
        raise MediaError("unreadable", "a frame cannot be decoded")

    assert speaking_track(tracks, frames, utterance(pair), pair.parent) is tracks[0]
    monkeypatch.setattr(speakers, "grey_frames", fail)
    assert speaking_track(tracks, frames, utterance(pair), pair.parent) is None
