"""The mouth rule on hand-made motion, sound and pictures; real faces: tests/extraction."""

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
import pytest

from pipeline.features.frames.mouths import PLACES, SIDE, Landmarks, Motion, mouth_motions
from pipeline.features.frames.speaker import agreement, liveliness, loudness, speaking

RATE = 1000


def noise(decibels: Sequence[float], seconds: float) -> np.ndarray:
    """Plus and minus one value by turns, so that its energy is exact: [sample]."""
    length = round(seconds * RATE)
    signs = np.resize([1.0, -1.0], length)
    return np.concatenate([signs * 10 ** (d / 20) for d in decibels]).astype(np.float32)


def test_loudness_in_decibels() -> None:
    sound = noise([-20, -40, -90], 1.0)
    # The second window holds as much of -20 dB (0.01) as of -40 dB (0.0001): 0.00505.
    found = loudness(sound, RATE, np.array([0.5, 1.0, 1.5, 2.5, 9.0]))
    half = 10 * np.log10(0.00505)
    assert found == pytest.approx([-20, half, -40, -55, -55], abs=1e-3), "35 below the loudest"


def test_loudness_of_no_sound_is_even() -> None:
    assert len(set(loudness(np.zeros(100, np.float32), RATE, np.arange(5.0)))) == 1


def syllables(seed: int, count: int = 75) -> np.ndarray:
    """Loudness of frames of 40 ms, in decibels, changing every third one."""
    levels = np.random.default_rng(seed).uniform(-40, -10, count // 3)
    return np.repeat(levels, 3)


def moving(values: np.ndarray, start: float = 0.02) -> Motion:
    return Motion([start + 0.04 * n for n in range(len(values))], list(values))


@pytest.mark.parametrize("lag", [0.0, 0.08, 0.2])
def test_a_mouth_that_moves_as_loud_as_the_voice_agrees(lag: float) -> None:
    levels = syllables(0)
    late = np.concatenate([np.full(round(lag * RATE), 1e-4), noise(levels, 0.04)])
    mouth = agreement(moving(levels + 50), late.astype(np.float32), RATE)
    assert mouth > 0.9
    assert agreement(moving(2 * levels + 500), late.astype(np.float32), RATE) == pytest.approx(
        mouth
    ), "neither contrast nor how far a mouth opens counts"
    assert agreement(moving(-levels), late.astype(np.float32), RATE) < 0.5


def test_a_mouth_that_moves_before_or_long_after_the_voice_does_not_agree() -> None:
    levels = syllables(1)
    voice = noise(levels, 0.04)
    assert agreement(moving(np.roll(levels, 10)), voice, RATE) < 0.5
    assert agreement(moving(np.roll(levels, -10)), voice, RATE) < 0.5


def test_nothing_speaks_for_a_still_brief_or_unheard_mouth() -> None:
    levels = syllables(2)
    voice = noise(levels, 0.04)
    assert agreement(Motion(), voice, RATE) == 0
    assert agreement(moving(np.full(75, 3.0)), voice, RATE) == 0
    assert agreement(moving(levels[:25]), voice, RATE) == 0, "0.96 s"
    assert agreement(moving(levels[:27]), voice, RATE) > 0.5, "1.04 s"
    assert agreement(moving(levels), noise([-20], 3.0), RATE) == 0
    assert agreement(moving(levels), noise([-20], 2.5), RATE) == 0, "its end is no sign of a voice"
    assert agreement(moving(levels), voice[: RATE // 2], RATE) == 0


def test_a_short_look_counts_for_less() -> None:
    levels = syllables(3, 300)
    voice = noise(levels, 0.04)
    mouth = moving(levels)
    brief = Motion(mouth.times[:38], mouth.values[:38])  # 1.48 s
    correlation = agreement(mouth, voice, RATE)
    assert correlation > 0.9, "12 s count in full"
    assert agreement(brief, voice, RATE) == pytest.approx((1.48 / 3) ** 0.5 * 0.95, abs=0.05)


def test_liveliness_is_the_motion_while_the_voice_is_heard() -> None:
    voice = noise([-20, -45, -20], 1.0)  # 25 decibels below the loudest do not count
    times = [0.1 * n for n in range(1, 28)]
    moved = Motion(times, [4.0 if not 0.97 < t < 1.87 else 50.0 for t in times])
    assert liveliness(moved, voice, RATE) == pytest.approx(np.log(4), abs=0.01)
    twice = Motion(times, [2 * value for value in moved.values])
    assert liveliness(twice, voice, RATE) == pytest.approx(np.log(8), abs=0.01)
    still = liveliness(Motion(times, [0.0] * 27), voice, RATE)
    assert still == liveliness(Motion(), voice, RATE) < np.log(0.5)


@pytest.mark.parametrize(
    ("agreements", "moves", "who"),
    [
        ([0.1, 0.7], [1, 1], 1),
        ([0.7, 0.1], [1, 1], 0),
        ([0.6, 0.2], [1, 1], None),  # too near to each other
        ([0.4, 0.2], [3, 1], 0),  # 0.2 + 0.4 ln 3 = 0.64
        ([0.4, 0.2], [1, 3], None),  # 0.64 - 0.4
        ([0.14, -0.9], [9, 1], None),  # too little for anybody: somebody unseen may speak
        ([0.9, 0.41], [1, 1], None),  # both mouths move with the voice
        ([0.2, 0.9, 0.3], [1, 1, 1], 1),
        ([0.2, 0.9, 0.7], [1, 1, 1], None),
        ([0.7, 0.7], [2, 2], None),
    ],
)
def test_who_speaks(agreements: list[float], moves: list[float], who: int | None) -> None:
    assert speaking(agreements, list(np.log(moves))) == who


# A picture in which the upright face lies as it is: pixel (x, y) of the face at (x + 16, y + 16).
EDGE = 16
WIDTH = SIDE + 2 * EDGE


def placed(times: Sequence[float], shifts: Sequence[float], last: float = 9.0) -> Landmarks:
    points = np.array([PLACES + EDGE + (shift, 0) for shift in shifts]) / WIDTH
    return Landmarks(np.array(times), points, 0.0, last)


def head(mouth: float, shift: float = 0) -> np.ndarray:
    """A textured head whose mouth is `mouth` brighter than at rest, moved to the right."""
    texture = cv2.GaussianBlur(np.random.default_rng(0).normal(size=(WIDTH, WIDTH)), (0, 0), 2.0)
    picture = 100 + 25 * texture / texture.std()
    picture[EDGE + 38 : EDGE + 62, EDGE + 14 : EDGE + 50] += mouth
    move = np.array([[1, 0, shift], [0, 1, 0]], float)
    moved = cv2.warpAffine(picture, move, (WIDTH, WIDTH), borderMode=cv2.BORDER_REPLICATE)
    return np.round(moved).astype(np.uint8)


def test_motion_is_the_difference_of_successive_mouths() -> None:
    brightness = [0, 10, 10, 40, 35]
    pictures = [(0.04 * n, head(b)) for n, b in enumerate(brightness)]
    (motion,) = mouth_motions(pictures, [placed([0.0], [0])])
    assert motion.times == pytest.approx([0.02, 0.06, 0.10, 0.14])
    assert motion.values == pytest.approx([10, 0, 30, 5], abs=0.05)


def test_a_head_that_shakes_with_its_mouth_still_does_not_speak() -> None:
    shakes = [0, 3, -2, 1, -3, 2]
    pictures = [(0.04 * n, head(0, shift)) for n, shift in enumerate(shakes)]
    (motion,) = mouth_motions(pictures, [placed([0.0], [0])])
    bare = [
        np.abs(b.astype(float) - a)[EDGE + 38 : EDGE + 62, EDGE + 14 : EDGE + 50].mean()
        for (_, a), (_, b) in pairwise(pictures)
    ]
    assert min(bare) > 5
    assert np.max(motion.values) < 2


def test_a_head_is_followed_between_its_detections() -> None:
    """It walks 2 pixels a frame; the mouth brightens by 10 once."""
    pictures = [(0.04 * n, head(10 * (n > 4), 2 * n - 10)) for n in range(11)]
    (motion,) = mouth_motions(pictures, [placed([0.0, 0.2, 0.4], [-10, 0, 10])])
    assert np.argmax(motion.values) == 4
    assert motion.values[4] == pytest.approx(10, abs=2)
    assert np.max(np.delete(motion.values, 4)) < 2


def test_a_face_is_looked_at_only_while_it_is_there() -> None:
    pictures = [(0.1 * n, head(n)) for n in range(10)]
    brief, long = mouth_motions(pictures, [placed([0.0], [0], last=0.35), placed([0.0], [0])])
    assert len(brief.values) == 3 and len(long.values) == 9
