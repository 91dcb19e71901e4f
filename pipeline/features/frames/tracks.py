"""Tracks: the detections of one face over the frames of an utterance, within one shot.

Frame by frame of a shot, the pairs of a track and a detection are joined in the order of their
distance: the distance of their centres in face sides, plus |ln| of the ratio of their sides (of two
people who cross, the nearer one stays the larger one). Pairs further apart than `REACH` are not
joined, and a track that has missed more than `GAP` frames has ended. What is left over begins new
tracks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import hypot, log

import numpy as np

from pipeline.features.frames.faces import Box, Face

REACH = 1.0
GAP = 5
# A face seen in fewer of the frames is a passer-by or a mistake of the detector.
PRESENCE = 0.2
# Scores above say no more of a picture than that a face is near and lit.
SURE = 0.95


@dataclass(frozen=True)
class Track:
    """One face over time: the rising numbers of the frames it was found in, and its detections."""

    frames: tuple[int, ...]
    faces: tuple[Face, ...]
    shot: int = 0

    def joined(self, frame: int, face: Face) -> "Track":
        """With one more detection at its end."""
        return replace(self, frames=(*self.frames, frame), faces=(*self.faces, face))


def link(faces: Sequence[Sequence[Face]], shots: Sequence[int] = ()) -> list[Track]:
    """Link the detections of each frame, in order of time, to tracks: shot by shot, as they begin.

    Boxes are in pixels of pictures of one size; without `shots` all frames are of one. Of equally
    near detections the first is taken.
    """
    shots = shots or [0] * len(faces)
    tracks: list[Track] = []
    for shot in dict.fromkeys(shots):
        frames = [frame for frame, its in enumerate(shots) if its == shot]
        for track in _linked([faces[frame] for frame in frames]):
            tracks.append(Track(tuple(frames[n] for n in track.frames), track.faces, shot))
    return tracks


def _linked(faces: Sequence[Sequence[Face]]) -> list[Track]:
    tracks: list[Track] = []
    for frame, detected in enumerate(faces):
        pairs = _pairs(tracks, frame, detected)
        for number, face in enumerate(detected):
            if number in pairs:
                tracks[pairs[number]] = tracks[pairs[number]].joined(frame, face)
            else:
                tracks.append(Track((frame,), (face,)))
    return tracks


def _pairs(tracks: Sequence[Track], frame: int, detected: Sequence[Face]) -> dict[int, int]:
    """Number of the track that each detection belongs to, by number of the detection."""
    near = sorted(
        (distance, t, f)
        for t, track in enumerate(tracks)
        if frame - track.frames[-1] <= GAP + 1
        for f, face in enumerate(detected)
        if (distance := _distance(track.faces[-1].box, face.box)) <= REACH
    )
    pairs: dict[int, int] = {}
    for _, t, f in near:
        if f not in pairs and t not in pairs.values():
            pairs[f] = t
    return pairs


def _distance(one: Box, other: Box) -> float:
    sides = _side(one), _side(other)
    across, down = (one[n] + one[n + 2] / 2 - other[n] - other[n + 2] / 2 for n in (0, 1))
    return hypot(across, down) / ((sides[0] + sides[1]) / 2) + abs(log(sides[0] / sides[1]))


def _side(box: Box) -> float:
    return max(box[2], box[3], 1.0)


def lasting(tracks: Sequence[Track], frames: int) -> list[Track]:
    """The tracks that are found in at least `PRESENCE` of `frames` frames; all if none is."""
    enough = [track for track in tracks if len(track.frames) >= PRESENCE * frames]
    return enough or list(tracks)


def most_prominent(tracks: Sequence[Track]) -> Track:
    """The track that is large, surely a face, and seen for long; of equal ones the first."""
    return max(tracks, key=prominence)


def prominence(track: Track) -> float:
    """The sum over a track's detections of side times the square of score / (1 - score).

    The back of a head and a pattern are found again and again too, larger than faces, but with
    scores of 0.6 to 0.85, where faces that speak to somebody have 0.9 and more.
    """
    scores = [min(face.score, SURE) for face in track.faces]
    odds = [score / (1 - score) for score in scores]
    return sum(_side(f.box) * odd**2 for f, odd in zip(track.faces, odds, strict=True))


def boxes(track: Track, times: Sequence[float], shots: Sequence[int] = ()) -> list[Box | None]:
    """A box at each time: linear between detections, the nearest detection's outside them.

    There is none in another shot than the track's; see `link`.
    """
    sides = np.array([face.box for face in track.faces])
    seen = [times[frame] for frame in track.frames]
    left, top, width, height = (np.interp(times, seen, side).tolist() for side in sides.T)
    among = [shot == track.shot for shot in shots] or [True] * len(times)
    shown = zip(left, top, width, height, strict=True)
    return [box if there else None for box, there in zip(shown, among, strict=True)]
