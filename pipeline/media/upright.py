"""Decoded frames as players show them: upright, with square pixels, no larger than asked for.

A phone writes its pictures as the sensor lies, with a display matrix beside them; anamorphic video
has pixels that are not square. Both may change in the middle of a file, as the size may.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from numpy.typing import NDArray

from pipeline.base.errors import MediaError
from pipeline.media.opening import message

Region = tuple[float, float, float, float]  # left, top, width, height as shares of the picture's
MATRIX = struct.Struct("=9i")
SQUARE = Fraction(1)
# Film's widest pixels are twice as wide as high; ten times is a mistake in a header.
BELIEVED = 10
MILLION = 1_000_000
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Decoded:
    """An `av.VideoFrame`, and the ratio of the width of its pixels to their height."""

    frame: Any
    ratio: Fraction = SQUARE

    @property
    def shape(self) -> float:
        """Width by height of the picture as shown."""
        shape: float = self.frame.width * float(self.ratio) / self.frame.height
        return 1 / shape if 45 < abs(self.frame.rotation) < 135 else shape

    def rgb(self, most_pixels: int) -> Pixels:
        """The picture in about so many pixels at most, uint8 RGB [height, width, 3]."""
        width, height = self._size(lambda w, h: (most_pixels / (w * h)) ** 0.5)
        return self._converted(width, height, "rgb24")

    def grey(self, longest_side: int) -> Pixels:
        """The picture scaled down to `longest_side`, uint8 [height, width]; see `pixels`."""
        width, height = self._size(lambda w, h: longest_side / max(w, h))
        return self._converted(width, height, "gray", "AREA")

    def _size(self, scale: Callable[[float, float], float]) -> tuple[int, int]:
        """Width and height before the picture is turned; pixels are scaled down at most."""
        width, height = float(self.frame.width * self.ratio), float(self.frame.height)
        smaller = min(1.0, scale(width, height))
        return max(1, round(width * smaller)), max(1, round(height * smaller))

    def _converted(self, width: int, height: int, kind: str, way: str | None = None) -> Pixels:
        if way is None and (width, height) != (self.frame.width, self.frame.height):
            shrunk = width <= self.frame.width and height <= self.frame.height
            way = "AREA" if shrunk else "BICUBIC"
        return _turned(self.pixels(width, height, kind, way), self.frame)

    def pixels(self, width: int, height: int, kind: str, way: str | None = None) -> Pixels:
        """The frame as it lies in the file, scaled in FFmpeg's `way`, in a pixel format.

        Raises:
            MediaError: `unreadable`, where FFmpeg knows no way from its pixels to that format.
        """
        try:
            shown = self.frame.reformat(width, height, format=kind, interpolation=way)
            pixels: Pixels = shown.to_ndarray()
        except (av.error.FFmpegError, ValueError) as error:
            if isinstance(error, MemoryError):
                raise
            name = self.frame.format.name
            raise MediaError(
                "unreadable", f"FFmpeg cannot turn pixels of {name} into {kind}: {message(error)}"
            ) from error
        return pixels


def _matrix(frame: Any) -> tuple[bool, bool, bool]:
    """Whether a display matrix, at the next right angle, swaps the axes, and mirrors x and y then.

    The matrix [[a, b], [c, d]] takes the pixel at (x, y) to (ax + cy, bx + dy), y downwards.
    """
    # `frame.side_data` would be kept by the frame and keep it: a cycle of many megabytes.
    found = SideDataContainer(frame).get("DISPLAYMATRIX")  # type: ignore[call-arg]
    if found is None:
        return False, False, False
    a, b, _, c, d, *_ = MATRIX.unpack(bytes(found)[: MATRIX.size])
    if abs(a) + abs(d) < abs(b) + abs(c):
        return True, c < 0, b < 0
    return False, a < 0, d < 0


def _turned(image: Pixels, frame: Any) -> Pixels:
    swapped, left, up = _matrix(frame)
    if swapped:
        image = image.swapaxes(0, 1)
    return np.ascontiguousarray(image[:: -1 if up else 1, :: -1 if left else 1])


def part(image: Pixels, region: Region) -> Pixels:
    """The part of a picture at left, top, width and height as shares of it; a view."""
    height, width = image.shape[:2]
    left, top, part_width, part_height = region
    rows = slice(round(top * height), round((top + part_height) * height))
    columns = slice(round(left * width), round((left + part_width) * width))
    return image[rows, columns]


def check_size(width: int, height: int, most_pixels: int) -> None:
    """Refuse a picture before it takes the memory of many: `too_large`."""
    if width * height > most_pixels:
        raise MediaError(
            "too_large",
            f"pictures of {width} x {height} are more than {most_pixels / MILLION:g} million "
            "pixels; raise CORPUS.frames.max_megapixels, or make the video smaller",
        )


class PixelShape:
    """The ratio of a pixel's width to its height, which may change in the middle of a file.

    As for players, what the container says stands over what the codec says; PyAV tells the two
    apart only where they differ at first.
    """

    def __init__(self, stream: Any) -> None:
        self._codec = stream.codec_context
        self._stated = stream.sample_aspect_ratio or None
        first = self._codec.sample_aspect_ratio or None
        self._by_codec = self._stated is None or self._stated == first

    def now(self) -> Fraction:
        """That of the frame decoded last."""
        codec = self._codec.sample_aspect_ratio if self._by_codec else None
        ratio: Fraction = codec or self._stated or SQUARE
        return ratio if 1 / BELIEVED <= ratio <= BELIEVED else SQUARE
