"""What a speaker looks like: colours, proportions, place in the picture, and the still layers.

A head is drawn on a canvas of its own (`HEAD`, pixels) and placed into the frame afterwards;
all that does not move within it is drawn once here. Colours are BGR, as OpenCV draws.
"""

from dataclasses import dataclass

import cv2
import numpy as np

HEAD = (260, 320)  # width, height of the head's canvas, pixels
CENTRE = (130, 172)  # of the face
EYES_Y, NOSE_Y, MOUTH_Y = 150, 196, 234
SKINS = ((150, 178, 222), (132, 165, 212), (110, 146, 200), (92, 124, 178), (70, 98, 148))
HAIRS = ((28, 32, 40), (38, 58, 88), (60, 110, 165), (40, 50, 120), (120, 120, 125))
# Of motion capture, one side of the face: pixels right of the centre, and from above.
MARKERS = ((14, 116), (44, 112), (60, 186), (44, 200), (56, 220), (16, 264))
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
    """A speaker's looks; skin and hair cycle through the cast, the rest is drawn."""
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


def head_layers(look: Look, markers: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The head without eyes, brows and mouth, with or without markers for motion capture.

    Returns:
        Its colours (height, width, 3), float32 in 0–255, and where it is (height, width), uint8,
        255 inside.
    """
    cover = np.zeros((HEAD[1], HEAD[0]), np.uint8)
    head = np.zeros((HEAD[1], HEAD[0], 3), np.uint8)
    for image, hair, skin in ((head, look.hair, look.skin), (cover, (255,) * 3, (255,) * 3)):
        _hair_behind(image, look, hair)
        cv2.ellipse(image, CENTRE, (look.half_width, look.half_height), 0, 0, 360, skin, -1, 16)
        for side in (-1, 1):
            ear = (CENTRE[0] + side * look.half_width, 168)
            cv2.ellipse(image, ear, (11, 22), 0, 0, 360, skin, -1, 16)
    shaded = head.astype(np.float32) * _light(look)[:, :, None]
    shaded = _nose(shaded)
    _fringe(shaded, look)
    if markers:
        for x, y in MARKERS:
            for side in (-1, 1):
                cv2.circle(shaded, (CENTRE[0] + side * x, y), 3, (240.0,) * 3, -1, cv2.LINE_8)
    return shaded, cover


def scene(look: Look, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """The wall, a shelf or two and the shoulders, (height, width, 3) uint8; `size` is (w, h)."""
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
    shade = tuple(round(c * 0.7) for c in look.skin)
    cv2.rectangle(picture, (x - neck, top - neck), (x + neck, height), shade, -1)
    shoulders = (round(150 * unit), round(80 * unit))
    cv2.ellipse(picture, (x, top + shoulders[1]), shoulders, 0, 0, 360, look.shirt, -1, 16)
    return picture


def _colour(rng: np.random.Generator, low: int, high: int) -> Colour:
    blue, green, red = (int(rng.integers(low, high)) for _ in range(3))
    return blue, green, red


def _hair_behind(image: np.ndarray, look: Look, colour: tuple[int, ...]) -> None:
    axes = (look.half_width + 14, look.half_height + 6)
    cv2.ellipse(image, (CENTRE[0], CENTRE[1] - 18), axes, 0, 180, 360, colour, -1, 16)
    if look.long_hair:
        left, right = CENTRE[0] - axes[0], CENTRE[0] + axes[0]
        cv2.rectangle(image, (left, CENTRE[1] - 20), (right, CENTRE[1] + 110), colour, -1)


def _fringe(image: np.ndarray, look: Look) -> None:
    cap = np.zeros(image.shape[:2], np.uint8)
    axes = (look.half_width + 2, look.half_height + 4)
    cv2.ellipse(cap, CENTRE, axes, 0, 180, 360, 255, -1, 16)
    brow_line = (CENTRE[0], CENTRE[1] + 10)
    below = (look.half_width - 8, look.half_height - look.fringe + 8)
    cv2.ellipse(cap, brow_line, below, 0, 0, 360, 0, -1, 16)
    cover = cv2.GaussianBlur(cap, (5, 5), 0)[:, :, None].astype(np.float32) / 255
    image += cover * (np.array(look.hair, np.float32) - image)


def _light(look: Look) -> np.ndarray:
    """Light from the upper left, falling off at the face's edge and in the eye sockets."""
    y, x = np.mgrid[: HEAD[1], : HEAD[0]].astype(np.float32)
    across, down = (x - CENTRE[0]) / look.half_width, (y - CENTRE[1]) / look.half_height
    light = 1.08 - 0.3 * (across**2 + 0.6 * down**2) - 0.08 * across
    for side in (-1, 1):
        light -= 0.22 * _spot(x, y, CENTRE[0] + side * look.eye_gap, EYES_Y - 3, 24, 15)
        light += 0.08 * _spot(x, y, CENTRE[0] + side * 46, NOSE_Y + 4, 20, 18)
    light -= 0.14 * _spot(x, y, CENTRE[0], MOUTH_Y + 22, 24, 7)
    return np.asarray(light)


def _nose(image: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[: HEAD[1], : HEAD[0]].astype(np.float32)
    light = 0.14 * _spot(x, y, CENTRE[0] - 2, NOSE_Y - 26, 5, 28)
    light += 0.12 * _spot(x, y, CENTRE[0], NOSE_Y - 2, 9, 8)
    light -= 0.16 * _spot(x, y, CENTRE[0] + 14, NOSE_Y - 14, 5, 22)
    light -= 0.25 * _spot(x, y, CENTRE[0], NOSE_Y + 12, 18, 5)
    for side in (-1, 1):
        light -= 0.5 * _spot(x, y, CENTRE[0] + side * 9, NOSE_Y + 9, 4.5, 3)
    return np.asarray(image * (1 + light)[:, :, None])


def _spot(x: np.ndarray, y: np.ndarray, at_x: float, at_y: float, w: float, h: float) -> np.ndarray:
    return np.asarray(np.exp(-(((x - at_x) / w) ** 2) - ((y - at_y) / h) ** 2))
