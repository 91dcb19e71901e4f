"""A drawn talking head, frame by frame.

The head is drawn on a canvas of its own (`HEAD`) and then placed into the frame. What does not
move within it is drawn once. Colours are BGR, as OpenCV draws.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.demo.conversation import Cue
from pipeline.demo.expression import ACTIONS, Motion, speaking

HEAD = (260, 320)  # width, height of the head's canvas, pixels
CENTRE = (130, 172)  # of the face
EYES_Y, NOSE_Y, MOUTH_Y = 150, 196, 234
Y, X = np.mgrid[: HEAD[1], : HEAD[0]].astype(np.float32)
SKINS = ((150, 178, 222), (132, 165, 212), (110, 146, 200), (92, 124, 178), (70, 98, 148))
HAIRS = ((28, 32, 40), (38, 58, 88), (60, 110, 165), (40, 50, 120), (120, 120, 125))
MOUTH = (52, 44, 132)
PALE, FLUSHED = (1.12, 1.08, 0.94), (0.72, 0.74, 1.12)  # factors of blue, green and red
# Motion-capture markers on one side of the face: pixels right of the centre, and from the top.
MARKERS = ((14, 116), (44, 112), (60, 186), (44, 200), (56, 220), (16, 264))
SHIFT = 4  # OpenCV draws in 1/16 pixels
GRAIN = 64  # pixels by which the noise is shifted at most from frame to frame
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Look:
    """A speaker's looks; lengths in pixels of the head canvas."""

    skin: Colour
    hair: Colour
    iris: Colour
    shirt: Colour
    wall: Colour
    half_width: int
    half_height: int
    long_hair: bool
    fringe: int
    brow: int
    eye_gap: int
    place: float  # of the head's centre, as a share of the frame's width
    scale: float  # face height as a share of the frame's height


def draw_look(rng: np.random.Generator, speaker: int) -> Look:
    """Draw a speaker's looks; skin and hair cycle through the cast."""
    return Look(
        skin=SKINS[speaker % len(SKINS)],
        hair=HAIRS[(speaker * 3 + speaker // 5) % len(HAIRS)],
        iris=_colour(rng, 30, 110),
        shirt=_colour(rng, 40, 220),
        wall=_colour(rng, 70, 200),
        half_width=int(rng.integers(76, 89)),
        half_height=int(rng.integers(104, 115)),
        long_hair=bool(rng.random() < 0.5),
        fringe=int(rng.integers(18, 40)),
        brow=int(rng.integers(6, 10)),
        eye_gap=int(rng.integers(34, 40)),
        place=float(rng.uniform(0.4, 0.6)),
        scale=float(rng.uniform(0.64, 0.78)),
    )


class Portrait:
    """A speaker before a background, with or without markers for motion capture."""

    def __init__(
        self, look: Look, size: tuple[int, int], rng: np.random.Generator, markers: bool = False
    ) -> None:
        self.look, self.size, self._rng = look, size, rng
        self._head, self._cover = _head_layers(look, markers)
        self._scene = _scene(look, size, rng)
        shape = (size[1] + GRAIN, size[0] + GRAIN, 3)
        self._grain = rng.normal(0, 3.0, shape).astype(np.float32)

    def draw(self, motion: Motion, frame: int) -> np.ndarray:
        """Draw one frame of `motion`, (height, width, 3), uint8, BGR."""
        action = dict(zip(ACTIONS, motion.actions[frame].tolist(), strict=True))
        head, sway = _tinted(self._head, action["tint"]), motion.sway[frame]
        _draw_eyes(head, self.look, action, float(motion.shut[frame]), sway[:2])
        _draw_brows(head, self.look, action)
        _draw_mouth(head, action, float(motion.loudness[frame]))
        picture = self._place(head, sway[2:])
        dy, dx = self._rng.integers(GRAIN, size=2)
        noise = self._grain[dy : dy + self.size[1], dx : dx + self.size[0]]
        return np.asarray(cv2.add(picture, noise, dtype=cv2.CV_8U))

    def _place(self, head: np.ndarray, sway: np.ndarray) -> np.ndarray:
        """Put the head into the scene; sway is x, y, roll and distance."""
        look, (width, height) = self.look, self.size
        scale = look.scale * height / (2 * look.half_height) * (1 + 0.02 * float(sway[3]))
        turn = cv2.getRotationMatrix2D(CENTRE, 3.0 * float(sway[2]), scale)
        turn[0, 2] += look.place * width - CENTRE[0] + 4 * float(sway[0])
        turn[1, 2] += 0.52 * height - CENTRE[1] + 3 * float(sway[1])
        layers = cv2.merge([head, self._cover])
        placed = cv2.warpAffine(layers, turn, (width, height), flags=cv2.INTER_LINEAR)
        inside = cv2.compare(cv2.extractChannel(placed, 3), 127, cv2.CMP_GT)
        colours = cv2.cvtColor(placed, cv2.COLOR_BGRA2BGR)
        return np.asarray(cv2.copyTo(colours, inside, self._scene.copy()))


def talking_head(
    look: Look,
    cue: Cue,
    loudness: np.ndarray,
    size: tuple[int, int],
    fps: int,
    rng: np.random.Generator,
) -> Iterator[np.ndarray]:
    """Draw a speaker saying one utterance, (height, width, 3), uint8, BGR each frame.

    `loudness`, 0–1 of the voice, is (frames,); `rng` draws motion, background and noise.
    """
    motion = speaking(cue, loudness, fps, rng)
    portrait = Portrait(look, size, rng)
    for frame in range(len(loudness)):
        yield portrait.draw(motion, frame)


def _colour(rng: np.random.Generator, low: int, high: int) -> Colour:
    blue, green, red = (int(rng.integers(low, high)) for _ in range(3))
    return blue, green, red


def _darker(colour: Colour, factor: float) -> Colour:
    blue, green, red = (round(value * factor) for value in colour)
    return blue, green, red


def _scene(look: Look, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """The wall, some shelves and the shoulders, (height, width, 3), uint8."""
    width, height = size
    fall = np.linspace(1.1, 0.75, width, dtype=np.float32)[None, :, None]
    wall = np.ones((height, width, 3), np.float32) * np.array(look.wall, np.float32) * fall
    picture = np.clip(wall, 0, 255).astype(np.uint8)
    for _ in range(rng.integers(2, 5)):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        corner = (x + int(rng.integers(20, 90)), y + int(rng.integers(20, 90)))
        cv2.rectangle(picture, (x, y), corner, _colour(rng, 40, 200), -1)
    picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 4))
    unit = look.scale * height / (2 * look.half_height)
    x, top = round(look.place * width), round(height * 0.5 + unit * look.half_height * 0.8)
    neck = round(40 * unit)
    shade = _darker(look.skin, 0.7)
    cv2.rectangle(picture, (x - neck, top - neck), (x + neck, height), shade, -1)
    shoulders = (round(150 * unit), round(80 * unit))
    cv2.ellipse(picture, (x, top + shoulders[1]), shoulders, 0, 0, 360, look.shirt, -1, 16)
    return picture


def _head_layers(look: Look, markers: bool) -> tuple[np.ndarray, np.ndarray]:
    """The head without eyes, brows and mouth: colours, float32 in 0–255, and cover, 255 inside."""
    cover = np.zeros((HEAD[1], HEAD[0]), np.uint8)
    head = np.zeros((HEAD[1], HEAD[0], 3), np.uint8)
    for image, hair, skin in ((head, look.hair, look.skin), (cover, (255,) * 3, (255,) * 3)):
        _hair_behind(image, look, hair)
        cv2.ellipse(image, CENTRE, (look.half_width, look.half_height), 0, 0, 360, skin, -1, 16)
        for side in (-1, 1):
            ear = (CENTRE[0] + side * look.half_width, 168)
            cv2.ellipse(image, ear, (11, 22), 0, 0, 360, skin, -1, 16)
    shaded = head.astype(np.float32) * _light(look)[:, :, None] * (1 + _nose())[:, :, None]
    _draw_fringe(shaded, look)
    if markers:
        for x, y in MARKERS:
            for side in (-1, 1):
                cv2.circle(shaded, (CENTRE[0] + side * x, y), 3, (240.0,) * 3, -1, cv2.LINE_8)
    return shaded, cover


def _hair_behind(image: np.ndarray, look: Look, colour: tuple[int, ...]) -> None:
    axes = (look.half_width + 14, look.half_height + 6)
    cv2.ellipse(image, (CENTRE[0], CENTRE[1] - 18), axes, 0, 180, 360, colour, -1, 16)
    if look.long_hair:
        left, right = CENTRE[0] - axes[0], CENTRE[0] + axes[0]
        cv2.rectangle(image, (left, CENTRE[1] - 20), (right, CENTRE[1] + 110), colour, -1)


def _draw_fringe(image: np.ndarray, look: Look) -> None:
    cap = np.zeros(image.shape[:2], np.uint8)
    axes = (look.half_width + 2, look.half_height + 4)
    cv2.ellipse(cap, CENTRE, axes, 0, 180, 360, 255, -1, 16)
    brow_line = (CENTRE[0], CENTRE[1] + 10)
    below = (look.half_width - 8, look.half_height - look.fringe + 8)
    cv2.ellipse(cap, brow_line, below, 0, 0, 360, 0, -1, 16)
    cover = cv2.GaussianBlur(cap, (5, 5), 0)[:, :, None].astype(np.float32) / 255
    image += cover * (np.array(look.hair, np.float32) - image)


def _light(look: Look) -> np.ndarray:
    """Light from the upper left, fading at the face's edge and in the eye sockets."""
    across, down = (X - CENTRE[0]) / look.half_width, (Y - CENTRE[1]) / look.half_height
    light = 1.08 - 0.3 * (across**2 + 0.6 * down**2) - 0.08 * across
    for side in (-1, 1):
        light -= 0.22 * _spot(CENTRE[0] + side * look.eye_gap, EYES_Y - 3, 24, 15)
        light += 0.08 * _spot(CENTRE[0] + side * 46, NOSE_Y + 4, 20, 18)
    light -= 0.14 * _spot(CENTRE[0], MOUTH_Y + 22, 24, 7)
    return np.asarray(light)


def _nose() -> np.ndarray:
    light = 0.14 * _spot(CENTRE[0] - 2, NOSE_Y - 26, 5, 28)
    light += 0.12 * _spot(CENTRE[0], NOSE_Y - 2, 9, 8)
    light -= 0.16 * _spot(CENTRE[0] + 14, NOSE_Y - 14, 5, 22)
    light -= 0.25 * _spot(CENTRE[0], NOSE_Y + 12, 18, 5)
    for side in (-1, 1):
        light -= 0.5 * _spot(CENTRE[0] + side * 9, NOSE_Y + 9, 4.5, 3)
    return light


def _spot(x: float, y: float, width: float, height: float) -> np.ndarray:
    return np.asarray(np.exp(-(((X - x) / width) ** 2) - ((Y - y) / height) ** 2))


def _tinted(head: np.ndarray, tint: float) -> np.ndarray:
    strength = min(abs(tint), 1.2)
    factors = tuple(1 + (factor - 1) * strength for factor in (FLUSHED if tint > 0 else PALE))
    return np.asarray(cv2.multiply(head, (*factors, 1.0), dtype=cv2.CV_8U))


def _polygon(image: np.ndarray, points: np.ndarray, colour: Colour) -> None:
    """Fill a polygon; points (n, 2) in pixels, with fractions."""
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
        _stroke(image, lower, _darker(look.skin, 0.62), 1)


def _draw_brows(image: np.ndarray, look: Look, action: dict[str, float]) -> None:
    along = np.linspace(0, 1, 7)  # from the inner to the outer end
    for side in (-1, 1):
        inner = 13 * action["brow_knit"] - 13 * action["inner_brow"]
        y = EYES_Y - 25 - 15 * action["brow_raise"] + inner * (1 - along) - 7 * along * (1 - along)
        y = y + 5 * action["inner_brow"] * along
        x = CENTRE[0] + side * (look.eye_gap - 20 - 5 * action["brow_knit"] + 44 * along)
        _stroke(image, np.stack([x, y], axis=1), _darker(look.hair, 0.8), look.brow)
        depth = min(max(action["wrinkle"], 0.0), 1.0)
        if depth > 0.15:
            fold = [[CENTRE[0] + side * 18, NOSE_Y - 4], [CENTRE[0] + side * 38, NOSE_Y + 30]]
            _stroke(image, np.array(fold, float), _darker(look.skin, 1 - 0.5 * depth), 4)


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
