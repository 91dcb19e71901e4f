"""A drawn talking head, frame by frame."""

from collections.abc import Iterator

import cv2
import numpy as np

from pipeline.demo.conversation import Cue
from pipeline.demo.expression import ACTIONS, Motion, speaking
from pipeline.demo.looks import (
    CENTRE,
    EYES_Y,
    MOUTH_Y,
    NOSE_Y,
    Colour,
    Look,
    head_layers,
    scene,
)

SHIFT = 4  # OpenCV draws in 1/16 pixels
PALE, FLUSHED = (1.12, 1.08, 0.94), (0.72, 0.74, 1.12)  # factors of blue, green and red
MOUTH = (52, 44, 132)
GRAIN = 64  # pixels by which the noise is shifted at most from frame to frame


class Portrait:
    """A speaker before a background.

    Args:
        look: The speaker's looks.
        size: Width and height of the frames, pixels.
        rng: Draws the background and the noise.
        markers: Whether the face wears markers for motion capture.
    """

    def __init__(
        self, look: Look, size: tuple[int, int], rng: np.random.Generator, markers: bool = False
    ) -> None:
        self.look, self.size, self._rng = look, size, rng
        self._head, self._cover = head_layers(look, markers)
        self._still = scene(look, size, rng)
        shape = (size[1] + GRAIN, size[0] + GRAIN, 3)
        self._grain = rng.normal(0, 3.0, shape).astype(np.float32)

    def draw(self, motion: Motion, frame: int) -> np.ndarray:
        """One frame of `motion`, (height, width, 3), uint8, BGR."""
        action = dict(zip(ACTIONS, motion.actions[frame].tolist(), strict=True))
        drawn, sway = _tinted(self._head, action["tint"]), motion.sway[frame]
        _draw_eyes(drawn, self.look, action, float(motion.shut[frame]), sway[:2])
        _draw_brows(drawn, self.look, action)
        _draw_mouth(drawn, action, float(motion.loudness[frame]))
        picture = _place(drawn, self._cover, self._still, self.look, sway[2:])
        dy, dx = self._rng.integers(GRAIN, size=2)
        noise = self._grain[dy : dy + self.size[1], dx : dx + self.size[0]]
        return np.asarray(cv2.add(picture, noise, dtype=cv2.CV_8U))


def talking_head(
    look: Look,
    cue: Cue,
    loudness: np.ndarray,
    size: tuple[int, int],
    fps: int,
    rng: np.random.Generator,
) -> Iterator[np.ndarray]:
    """Draws a speaker saying one utterance.

    Args:
        look: The speaker's looks.
        cue: What the face shows.
        loudness: Of the voice, 0–1, one value per frame, (frames,).
        size: Width and height of the frames, pixels.
        fps: Frames per second.
        rng: Draws the motion, the background and the noise.

    Yields:
        Frames (height, width, 3), uint8, BGR.
    """
    motion = speaking(cue, loudness, fps, rng)
    portrait = Portrait(look, size, rng)
    for frame in range(len(loudness)):
        yield portrait.draw(motion, frame)


def _tinted(head: np.ndarray, tint: float) -> np.ndarray:
    strength = min(abs(tint), 1.2)
    factors = tuple(1 + (factor - 1) * strength for factor in (FLUSHED if tint > 0 else PALE))
    return np.asarray(cv2.multiply(head, (*factors, 1.0), dtype=cv2.CV_8U))


def _polygon(image: np.ndarray, points: np.ndarray, colour: Colour) -> None:
    """Fills a polygon; points (n, 2) in pixels, with fractions."""
    fixed = np.round(points * 2**SHIFT).astype(np.int32)
    cv2.fillPoly(image, [fixed], colour, cv2.LINE_AA, SHIFT)


def _stroke(image: np.ndarray, points: np.ndarray, colour: Colour, width: int) -> None:
    fixed = np.round(points * 2**SHIFT).astype(np.int32)
    cv2.polylines(image, [fixed], False, colour, width, cv2.LINE_AA, SHIFT)


def _draw_eyes(
    image: np.ndarray, look: Look, action: dict[str, float], shut: float, gaze: np.ndarray
) -> None:
    opening = max(9.0 + 6.0 * action["lids"], 3.0) * (1 - 0.85 * shut)
    along = np.linspace(-1, 1, 13)
    arch = 1 - along**2
    skin = tuple(round(c * 0.62) for c in look.skin)
    for side in (-1, 1):
        x, y = CENTRE[0] + side * look.eye_gap, EYES_Y
        upper = np.stack([x + 20 * along, y - opening * arch], axis=1)
        lower = np.stack([x + 20 * along, y + 0.55 * opening * arch], axis=1)[::-1]
        patch = image[y - 20 : y + 20, x - 26 : x + 26]
        white = np.zeros(patch.shape[:2], np.uint8)
        _polygon(white, np.concatenate([upper, lower]) - (x - 26, y - 20), (255, 255, 255))
        eye = np.full_like(patch, 226)
        centre = (round(26 + 3 * gaze[0]), round(20 + 1.5 * gaze[1]))
        cv2.circle(eye, centre, 10, look.iris, -1, cv2.LINE_AA)
        cv2.circle(eye, centre, 5, (12, 12, 12), -1, cv2.LINE_AA)
        cv2.circle(eye, (centre[0] - 3, centre[1] - 3), 2, (250, 250, 250), -1, cv2.LINE_AA)
        cv2.copyTo(eye, white, patch)
        _stroke(image, upper, (30, 30, 36), 3)
        _stroke(image, lower, (skin[0], skin[1], skin[2]), 1)


def _draw_brows(image: np.ndarray, look: Look, action: dict[str, float]) -> None:
    along = np.linspace(0, 1, 7)  # from the inner to the outer end
    colour = tuple(round(c * 0.8) for c in look.hair)
    for side in (-1, 1):
        inner = 13 * action["brow_knit"] - 13 * action["inner_brow"]
        y = EYES_Y - 25 - 15 * action["brow_raise"] + inner * (1 - along) - 7 * along * (1 - along)
        y = y + 5 * action["inner_brow"] * along
        x = CENTRE[0] + side * (look.eye_gap - 20 - 5 * action["brow_knit"] + 44 * along)
        _stroke(image, np.stack([x, y], axis=1), (colour[0], colour[1], colour[2]), look.brow)
        depth = min(max(action["wrinkle"], 0.0), 1.0)
        if depth > 0.15:
            fold = [[CENTRE[0] + side * 18, NOSE_Y - 4], [CENTRE[0] + side * 38, NOSE_Y + 30]]
            shade = tuple(round(c * (1 - 0.5 * depth)) for c in look.skin)
            _stroke(image, np.array(fold, float), (shade[0], shade[1], shade[2]), 4)


def _draw_mouth(image: np.ndarray, action: dict[str, float], loudness: float) -> None:
    along = np.linspace(-1, 1, 15)
    arch = 1 - along**2
    width = 31 + 11 * action["smile"] - 7 * max(action["open"], 0.0)
    corner = -11 * action["smile"] * along**2
    gap = max(14 * action["open"] + 9 * loudness, 0.0)
    x = CENTRE[0] + width * along
    top, bottom = MOUTH_Y - 0.4 * gap * arch + corner, MOUTH_Y + 1.3 * gap * arch + corner
    upper, lower = top - 6 * arch, bottom + 8 * arch
    _polygon(image, _ring(x, upper, lower), (92, 88, 176))
    if gap > 1:
        _polygon(image, _ring(x, top, bottom), MOUTH)
        teeth = np.minimum(top + 5 * arch, bottom)
        _polygon(image, _ring(x[3:-3], top[3:-3], teeth[3:-3]), (225, 228, 232))
    else:
        _stroke(image, np.stack([x, (top + bottom) / 2], axis=1), (50, 46, 96), 2)


def _ring(x: np.ndarray, upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    return np.concatenate([np.stack([x, upper], axis=1), np.stack([x, lower], axis=1)[::-1]])


def _place(
    head: np.ndarray, cover: np.ndarray, still: np.ndarray, look: Look, sway: np.ndarray
) -> np.ndarray:
    """Puts the head into the scene, swayed (x, y, roll, distance), as uint8."""
    height, width = still.shape[:2]
    scale = look.scale * height / (2 * look.half_height) * (1 + 0.02 * float(sway[3]))
    turn = cv2.getRotationMatrix2D(CENTRE, 3.0 * float(sway[2]), scale)
    turn[0, 2] += look.place * width - CENTRE[0] + 4 * float(sway[0])
    turn[1, 2] += 0.52 * height - CENTRE[1] + 3 * float(sway[1])
    layers = cv2.merge([head, cover])
    placed = cv2.warpAffine(layers, turn, (width, height), flags=cv2.INTER_LINEAR)
    inside = cv2.compare(cv2.extractChannel(placed, 3), 127, cv2.CMP_GT)
    return np.asarray(cv2.copyTo(cv2.cvtColor(placed, cv2.COLOR_BGRA2BGR), inside, still.copy()))
