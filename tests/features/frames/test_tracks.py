"""Tracks from hand-made detections: who is who over time, gaps, boxes between detections."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.features.frames.faces import Box, Face
from pipeline.features.frames.tracks import (
    GAP,
    Track,
    boxes,
    lasting,
    link,
    most_prominent,
    prominence,
)

POINTS = ((1.0, 1.0), (3.0, 1.0), (2.0, 2.0), (1.0, 3.0), (3.0, 3.0))


def face(middle: float, side: float = 20.0, height: float = 50.0) -> Face:
    """A square face about (middle, height)."""
    return Face((middle - side / 2, height - side / 2, side, side), POINTS, 0.9)


def middles(track: Track) -> list[float]:
    return [f.box[0] + f.box[2] / 2 for f in track.faces]


def test_nothing_found_is_no_track() -> None:
    assert link([]) == link([[], []]) == []


def test_one_frame_gives_a_track_per_face_in_the_detectors_order() -> None:
    first, second = face(80), face(20)
    assert link([[first, second]]) == [Track((0,), (first,)), Track((0,), (second,))]


def test_faces_are_followed_whatever_the_detectors_order() -> None:
    tracks = link([[face(20), face(60)], [face(65), face(25)], [face(30), face(70)]])
    assert [middles(track) for track in tracks] == [[20, 25, 30], [60, 65, 70]]


def test_faces_that_cross_are_told_apart_by_their_side() -> None:
    near, far = 30.0, 18.0
    frames = [[face(20 + 8 * n, near), face(60 - 8 * n, far)] for n in range(6)]
    tracks = link([list(reversed(f)) if n % 2 else f for n, f in enumerate(frames)])
    assert [middles(track) for track in tracks] == [
        [20, 28, 36, 44, 52, 60],
        [60, 52, 44, 36, 28, 20],
    ]


def test_the_nearest_pair_is_joined_first() -> None:
    """The face at 24 is nearer to the track at 22 than to the one at 14, which began earlier."""
    tracks = link([[face(14), face(22)], [face(24), face(18)]])
    assert [middles(track) for track in tracks] == [[14, 18], [22, 24]]


def test_of_two_equally_near_the_first_is_taken() -> None:
    tracks = link([[face(50)], [face(55), face(45)]])
    assert [middles(track) for track in tracks] == [[50, 55], [45]]
    tracks = link([[face(45), face(55)], [face(50)]])
    assert [middles(track) for track in tracks] == [[45, 50], [55]]


@pytest.mark.parametrize(
    ("face_after", "joined"),
    [
        (face(69), True),  # 19 of 20 pixels away
        (face(71), False),
        (face(50, side=50), True),  # |ln 2.5| = 0.92
        (face(50, side=60), False),  # |ln 3| = 1.10
        (face(60, side=40), False),  # 10 / 30 + |ln 2| = 1.03
    ],
)
def test_how_far_a_face_may_be(face_after: Face, joined: bool) -> None:
    assert (len(link([[face(50)], [face_after]])) == 1) is joined


@pytest.mark.parametrize(("missed", "joined"), [(1, True), (GAP, True), (GAP + 1, False)])
def test_short_gaps_are_bridged(missed: int, joined: bool) -> None:
    tracks = link([[face(50)], *[[]] * missed, [face(52)]])
    assert (len(tracks) == 1) is joined
    assert tracks[0].frames == ((0, missed + 1) if joined else (0,))


def test_a_face_of_few_frames_does_not_count_beside_one_that_lasts() -> None:
    long, short = Track((0, 1), (face(1), face(2))), Track((3,), (face(90),))
    assert lasting([long, short], 10) == [long]
    assert lasting([long, short], 5) == [long, short]
    assert lasting([short], 20) == [short] and lasting([], 20) == []


def test_the_most_prominent_is_large_surely_a_face_and_seen_for_long() -> None:
    brief = Track((0,), (face(1, side=30),))
    lasts = Track((0, 1, 2), (face(50, side=20),) * 3)
    assert most_prominent([brief, lasts]) is lasts
    same = Track((1, 2, 3), (face(70, side=20),) * 3)
    assert most_prominent([lasts, same]) is lasts and most_prominent([same, lasts]) is same
    large = Track((0, 1, 2), (face(50, side=30),) * 3)
    assert most_prominent([lasts, large]) is large
    # The back of a head: (0.84 / 0.16)^2 * 60 = 1654; a face: (0.92 / 0.08)^2 * 20 = 2645.
    back = Track((0, 1, 2), (replace(face(90, side=60), score=0.84),) * 3)
    sure = Track((0, 1, 2), (replace(face(20, side=20), score=0.92),) * 3)
    assert most_prominent([back, sure]) is sure
    assert prominence(back) == pytest.approx(3 * 1653.75)
    # Above 0.95 a score says no more.
    tiny = Track((0, 1, 2), (replace(face(20, side=19), score=0.999),) * 3)
    near = Track((0, 1, 2), (replace(face(50, side=20), score=0.95),) * 3)
    assert most_prominent([tiny, near]) is near


def test_a_track_ends_with_its_shot_and_goes_on_when_the_shot_does() -> None:
    faces = [[face(50)], [face(52)], [face(53)], [face(54)], [face(56)]]
    tracks = link(faces, [0, 0, 1, 1, 0])
    assert [(t.frames, t.shot, middles(t)) for t in tracks] == [
        ((0, 1, 4), 0, [50, 52, 56]),
        ((2, 3), 1, [53, 54]),
    ]
    times = [0.0, 1.0, 2.0, 3.0, 4.0]
    shown = boxes(tracks[0], times, [0, 0, 1, 1, 0])
    assert [box and box[0] for box in shown] == [40, 42, None, None, 46]


def test_gaps_are_counted_in_frames_of_the_shot() -> None:
    shots = [0, *[1] * (GAP + 3), 0]
    faces = [[face(50)], *[[]] * (GAP + 3), [face(52)]]
    assert [track.frames for track in link(faces, shots)] == [(0, GAP + 4)]


def test_boxes_lie_between_detections_by_time_and_stay_outside_them() -> None:
    one, other = Face((10, 20, 30, 40), POINTS, 0.9), Face((20, 30, 40, 60), POINTS, 0.9)
    track = Track((1, 4), (one, other))
    expected: list[Box] = [
        one.box,
        one.box,
        (12, 22, 32, 44),  # a fifth of the way: 1.2 between 1 and 2
        (15, 25, 35, 50),
        other.box,
        other.box,
    ]
    for got, wanted in zip(boxes(track, [0.0, 1.0, 1.2, 1.5, 2.0, 9.0]), expected, strict=True):
        assert got == pytest.approx(wanted)


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 99), st.sampled_from([10, 20, 40])), max_size=4),
        max_size=12,
    )
)
def test_every_detection_is_in_one_track_and_none_twice_in_a_frame(
    detections: list[list[tuple[int, int]]],
) -> None:
    faces = [[face(middle, side) for middle, side in found] for found in detections]
    tracks = link(faces)
    assert all(list(t.frames) == sorted(set(t.frames)) for t in tracks)
    linked = Counter((n, f) for t in tracks for n, f in zip(t.frames, t.faces, strict=True))
    assert linked == Counter((n, f) for n, found in enumerate(faces) for f in found)
