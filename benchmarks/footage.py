"""Pictures that cost a decoder what real footage costs: texture that moves, grain, a face.

A flat or still picture is decoded at a fraction of the price, because nothing of it is coded.
"""

from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np

from pipeline.demo.conversation import Cue
from pipeline.demo.face import talking_head
from pipeline.demo.looks import draw_look

FACE = (360, 288)  # width, height of the faces' pictures, pixels
FACE_RATE = 25
OCTAVES = (8, 16, 32, 64, 128, 256)  # cells of the texture along its height
FACE_SHARE = 0.8  # of the height, for the face's picture
SWING = 48  # pixels by which the camera moves to each side
HEAD_SWING = 8  # likewise the head
ZOOM = 0.02
GRAIN = 64  # pixels by which the noise is shifted at most from frame to frame
GRAIN_DEVIATION = 4.0
CAMERA_PERIOD = 5.0  # seconds


def footage(
    size: tuple[int, int],
    fps: int,
    seconds: float,
    faces: list[np.ndarray],
    rng: np.random.Generator,
) -> Iterator[np.ndarray]:
    """A talking face before a background, by a camera that moves.

    Args:
        size: Width and height of the pictures, pixels.
        fps: Pictures per second.
        seconds: How long.
        faces: Pictures of a face (height, width, 3), uint8, BGR, shown again and again.
        rng: Draws texture, grain and the camera's way.

    Yields:
        (height, width, 3), uint8, BGR.
    """
    width, height = size
    texture = _texture((height + 2 * SWING, width + 2 * SWING), rng)
    shape = (height + GRAIN, width + GRAIN, 3)
    grain = rng.normal(0, GRAIN_DEVIATION, shape).astype(np.int16)
    scale = FACE_SHARE * height / FACE[1]
    place = rng.uniform(0, width - scale * FACE[0]), (1 - FACE_SHARE) * height
    phase = rng.uniform(0, 2 * np.pi)
    for number in range(round(seconds * fps)):
        angle = phase + 2 * np.pi * number / fps / CAMERA_PERIOD
        sway = np.array([np.cos(angle), np.sin(2 * angle)])
        zoom = 1 + ZOOM * np.sin(angle)
        picture = _placed(texture, zoom, SWING * (sway - 1), size)
        face = faces[number * FACE_RATE // fps % len(faces)]
        _place_on(picture, face, scale, np.array(place) + HEAD_SWING * sway[::-1])
        dy, dx = rng.integers(GRAIN, size=2)
        noise = grain[dy : dy + height, dx : dx + width]
        yield np.asarray(cv2.add(picture, noise, dtype=cv2.CV_8U))


def _placed(
    image: np.ndarray, scale: float, corner: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """An image scaled and moved by parts of pixels, as cameras move: decoders must interpolate."""
    to_picture = np.array([[scale, 0, corner[0]], [0, scale, corner[1]]])
    return cv2.warpAffine(image, to_picture, size, borderMode=cv2.BORDER_REFLECT)


def _place_on(picture: np.ndarray, face: np.ndarray, scale: float, corner: np.ndarray) -> None:
    to_picture = np.array([[scale, 0, corner[0]], [0, scale, corner[1]]])
    size = picture.shape[1::-1]
    cv2.warpAffine(face, to_picture, size, picture, borderMode=cv2.BORDER_TRANSPARENT)


def _texture(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Colour noise, as strong at each of several scales: edges everywhere."""
    height, width = shape
    total = np.full((height, width, 3), 128, np.float32)
    for cells in OCTAVES:
        small = rng.normal(0, 14, (cells, cells * width // height, 3)).astype(np.float32)
        total += cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.clip(total, 0, 255).astype(np.uint8)


def faces_of(clips: Path | None, number: int) -> list[np.ndarray]:
    """A face that talks: of a real clip where there are some, else a drawn one.

    Args:
        clips: A folder of clips of one face each, 360 x 288 pixels; None or absent: drawn.
        number: Which.

    Returns:
        Pictures (288, 360, 3), uint8, BGR.
    """
    files = sorted(clips.glob("*.mpg")) if clips is not None and clips.is_dir() else []
    if not files:
        return _drawn(number)
    with av.open(str(files[number % len(files)])) as box:
        return [frame.to_ndarray(format="bgr24") for frame in box.decode(video=0)]


def _drawn(number: int) -> list[np.ndarray]:
    rng = np.random.default_rng(number)
    loudness = rng.uniform(0, 1, 3 * FACE_RATE)
    cue = Cue("neutral", 0.5)
    return list(talking_head(draw_look(rng, number), cue, loudness, FACE, FACE_RATE, rng))
