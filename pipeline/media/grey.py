"""A segment of a video as a stream of small grey pictures, to look at motion.

Unlike `video`, this yields all frames of the segment up to `RATE` a second, one in memory at a
time, and does not mend bad seeking.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.base.errors import MediaError
from pipeline.media.opening import message, open_media, video_stream
from pipeline.media.packets import SHIFTED_BY_SEEK, Clock
from pipeline.media.upright import Decoded, PixelShape, Region, part

RATE = 30.0
# Frames of 30 a second come a little sooner or later than that.
NEARLY = 0.8


def grey_frames(
    path: Path, start: float, end: float, region: Region | None, longest_side: int
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Yields the pictures of a segment, at most about 30 a second.

    Args:
        path: The media file.
        start: In seconds from the file's beginning.
        end: Likewise.
        region: The part of the picture to keep: left, top, width and height as shares of it.
        longest_side: The whole picture is scaled down to this, in pixels.

    Yields:
        Time in seconds from the file's beginning, and uint8 [height, width].

    Raises:
        MediaError: `no_video`, `unreadable`, and those of `open_media`.
    """
    with open_media(path) as container:
        stream = video_stream(container)
        if stream is None:
            raise MediaError("no_video", "the file holds no video stream that can be decoded")
        stream.codec_context.thread_count = 1
        clock = Clock.of(container, stream)
        try:
            for time, frame in _thinned(_from(container, stream, clock, start), start, end):
                image = frame.grey(longest_side)
                yield time, image if region is None else part(image, region)
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError as error:
            raise MediaError(
                "unreadable", f"a frame cannot be decoded: {message(error)}"
            ) from error


def _from(
    container: Any, stream: Any, clock: Clock, start: float
) -> Iterator[tuple[float, Decoded]]:
    if start > 0 and container.format.name not in SHIFTED_BY_SEEK:
        container.seek(clock.stamp(start), stream=stream)
    pixels = PixelShape(stream)
    for frame in container.decode(stream):
        if frame.pts is not None:
            yield clock.seconds(frame.pts), Decoded(frame, pixels.now())


def _thinned(
    frames: Iterator[tuple[float, Decoded]], start: float, end: float
) -> Iterator[tuple[float, Decoded]]:
    due = start
    for time, frame in frames:
        if time >= end:
            return
        if time >= due:
            due = time + NEARLY / RATE
            yield time, frame
