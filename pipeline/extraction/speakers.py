"""The speaker among the tracked faces: a second, dense look at an utterance's mouths and voice."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.errors import MediaError
from pipeline.extraction.sound import RATE, sound_of
from pipeline.extractors.mouths import Landmarks, Motion, mouth_motions
from pipeline.extractors.tracks import Track
from pipeline.extractors.voices import agreement, speaking
from pipeline.manifest import Segment, Utterance
from pipeline.media.grey import grey_frames
from pipeline.media.video import Frame

LONGEST_SIDE = 640


def speaking_track(
    tracks: Sequence[Track], frames: Sequence[Frame], utterance: Utterance, root: Path
) -> Track | None:
    """The track whose mouth moves with the voice; its clip is decoded once more for that.

    Args:
        tracks: At least two.
        frames: Those the tracks were found in.
        utterance: Whose video and audio are looked at.
        root: The raw folder their paths are relative to.

    Returns:
        None where it is undecided: no face agrees with the voice clearly more than the others do,
        or there is no voice, or one of the files cannot be read.
    """
    try:
        samples = sound_of(root, utterance.audio)
        motions = _motions(tracks, frames, utterance.video, root)
    except MediaError:
        return None
    chosen = speaking([agreement(motion, samples, RATE) for motion in motions])
    return None if chosen is None else tracks[chosen]


def _motions(
    tracks: Sequence[Track], frames: Sequence[Frame], segment: Segment, root: Path
) -> list[Motion]:
    """With times from the segment's start, where its sound begins too."""
    assert segment.end is not None
    pictures = grey_frames(
        root / segment.path, segment.start, segment.end, segment.region, LONGEST_SIDE
    )
    since = ((time - segment.start, picture) for time, picture in pictures)
    return mouth_motions(since, [_landmarks(track, frames, segment.start) for track in tracks])


def _landmarks(track: Track, frames: Sequence[Frame], start: float) -> Landmarks:
    height, width = frames[0].image.shape[:2]
    points = np.array([face.landmarks for face in track.faces]) / (width, height)
    times = np.array([frames[frame].time - start for frame in track.frames])
    # A frame stands for the time to halfway to its neighbours.
    half = (frames[-1].time - frames[0].time) / max(1, len(frames) - 1) / 2
    return Landmarks(times, points, times[0] - half, times[-1] + half)
