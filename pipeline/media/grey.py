"""A segment of a video as a stream of small grey pictures, to look at motion.

Unlike `video`, this yields all frames up to `RATE` a second, and does not mend bad seeking.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.media.opening import needed_stream, open_media
from pipeline.media.packets import Clock, seek
from pipeline.media.upright import Decoded, PixelShape, Region, part

RATE = 30.0
# Frames of 30 a second come a little sooner or later than that.
NEARLY = 0.8


def grey_frames(
    path: Path, start: float, end: float, region: Region | None, longest_side: int
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Yields at most about 30 pictures a second of a segment, with their times.

    Times are in seconds from the file's beginning. Pictures are uint8 [height, width]: the region
    of what is scaled down to `longest_side` pixels.
    """
    with open_media(path) as container:
        stream = needed_stream(container, "video")
        clock, pixels, due = Clock.of(container, stream), PixelShape(stream), start
        seek(container, stream, start)
        for frame in container.decode(stream):
            if frame.pts is None:
                continue
            time = clock.seconds(frame.pts)
            if time >= end:
                return
            if time >= due:
                due = time + NEARLY / RATE
                image = Decoded(frame, pixels.now()).grey(longest_side)
                yield time, image if region is None else part(image, region)
