"""Where a film cuts, and what is no cut: movement, few frames a second, flashes, noise."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.base.errors import MediaError
from pipeline.media.packets import Window
from pipeline.media.video import Wanted, sample_segments
from tests.media.make_media import write_media
from tests.media.one_segment import sample_frames

HEIGHT, WIDTH = 180, 320


def scene(seed: int, height: int = HEIGHT, width: int = WIDTH, level: float = 110) -> np.ndarray:
    """A picture of soft spots, another one for each seed."""
    noise = np.random.default_rng(seed).normal(size=(height, width))
    soft = cv2.GaussianBlur(noise, (0, 0), 25)
    return level * (1 + 0.5 * soft / soft.std())


def shots(path: Path, picture: Callable[[int], np.ndarray], rate: int = 25) -> list[int]:
    """The shots of 20 frames of two seconds."""

    def rgb(number: int) -> np.ndarray:
        grey = np.clip(picture(number), 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, 2)

    write_media(path, stamps=range(2 * rate), rate=Fraction(rate), picture=rgb)
    return [frame.shot for frame in sample_frames(path, 20)]


@pytest.mark.parametrize("level", [110, 40])
@pytest.mark.parametrize("rate", [10, 25, 60])
def test_a_cut_begins_a_shot_and_a_known_picture_goes_on_with_its_own(
    tmp_path: Path, rate: int, level: float
) -> None:
    scenes = [scene(n, level=level) for n in (0, 1, 0, 2)]
    found = shots(tmp_path / "a.mp4", lambda n: scenes[4 * n // (2 * rate)], rate)
    assert found == [0] * 5 + [1] * 5 + [0] * 5 + [2] * 5


@pytest.mark.parametrize("rate", [8, 25])
def test_a_fast_pan_a_shaking_hand_and_noise_are_no_cuts(tmp_path: Path, rate: int) -> None:
    wide = scene(5, HEIGHT + 60, 10 * WIDTH)
    speed = 400 // rate  # more than a picture a second

    def pan(n: int) -> np.ndarray:
        place = max(0, n - rate // 2) * speed
        return wide[:HEIGHT, place : place + WIDTH]

    def shake(n: int) -> np.ndarray:
        x, y = np.random.default_rng(n).integers(0, 40, 2)
        return wide[y : y + HEIGHT, x : x + WIDTH]

    def noisy(n: int) -> np.ndarray:
        return wide[:HEIGHT, :WIDTH] + np.random.default_rng(n).normal(size=(HEIGHT, WIDTH)) * 25

    for name, picture in (("pan", pan), ("shake", shake), ("noisy", noisy)):
        assert set(shots(tmp_path / f"{name}.mp4", picture, rate)) == {0}, name


def test_drawings_of_which_each_is_shown_twice_are_no_cuts(tmp_path: Path) -> None:
    wide = scene(5, HEIGHT, 10 * WIDTH)
    twos = lambda n: wide[:, n // 2 * 24 : n // 2 * 24 + WIDTH]  # noqa: E731
    assert shots(tmp_path / "a.mp4", twos) == [0] * 20


@pytest.mark.parametrize("length", [1, 2, 6])
def test_after_a_flash_the_shot_goes_on(tmp_path: Path, length: int) -> None:
    still = scene(3)
    flash = lambda n: np.full_like(still, 255) if 20 <= n < 20 + length else still  # noqa: E731
    found = shots(tmp_path / "a.mp4", flash)
    assert found[:7] == [0] * 7 and found[-8:] == [0] * 8


def test_a_dissolve_is_no_cut(tmp_path: Path) -> None:
    """What is seen in its middle is both."""
    one, other = scene(0), scene(1)
    mix = lambda n: one + (other - one) * np.clip((n - 15) / 20, 0, 1)  # noqa: E731
    assert shots(tmp_path / "a.mp4", mix) == [0] * 20


def test_the_shots_of_a_segment_do_not_depend_on_what_else_is_asked_for(tmp_path: Path) -> None:
    """Here the other scene flashes just before it, which would hide the cut that follows."""
    scenes = [scene(0), scene(1)]

    def rgb(number: int) -> np.ndarray:
        grey = np.clip(scenes[number in (47, 49) or number >= 52], 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, 2)

    how = {"g": "50", "bf": "0", "sc_threshold": "0"}  # the segment begins with a key frame
    rate = Fraction(25)
    path = write_media(
        tmp_path / "a.mp4", stamps=range(100), rate=rate, picture=rgb, video_options=how
    )
    before, asked = (Wanted(Window(a, b, 60.0), None) for a, b in ((0.0, 2.0), (2.0, 3.0)))
    found = [dict(sample_segments(path, 25, wanted)) for wanted in ([before, asked], [asked])]
    together, alone = found[0][1], found[1][0]
    assert not isinstance(together, MediaError) and not isinstance(alone, MediaError)
    assert [f.shot for f in together] == [f.shot for f in alone] == [0, 0] + [1] * 23
