"""Evenly spaced frames of a clip or of a segment of one, at the price of one decode.

A seek per frame costs ten times this (`reference/speed.md`). Here one thread decodes the segment
once, in order, passing over the frames that no other frame is predicted from and nobody asked
for; only the frames that are kept are turned into RGB. To fill the cores, use one thread or
process per clip.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import MediaError
from pipeline.media.opening import open_media, said, video_stream
from pipeline.media.packets import SEEK_BACK, Clock, Segment, extent, read_packets

Region = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Frame:
    """A decoded picture.

    Attributes:
        time: When it is shown, in seconds from the file's beginning.
        image: RGB, uint8 [height, width, 3].
    """

    time: float
    image: NDArray[np.uint8]


def sample_frames(
    path: Path,
    count: int,
    *,
    start: float = 0.0,
    end: float | None = None,
    region: Region | None = None,
    max_seconds: float,
) -> list[Frame]:
    """Frames at the centres of `count` equal parts of a segment, the nearest one to each centre.

    Args:
        path: The media file.
        count: How many frames, at least 1; a segment with fewer gives all it has, each once.
        start: The segment's start in seconds from the file's beginning.
        end: Its end in seconds, None for the file's end.
        region: The part of the picture to keep: (left, top, width, height), each as a fraction
            of the frame's width or height.
        max_seconds: A longer segment is cut to this many seconds.

    Returns:
        Frames in order of time, all distinct. When a decode error ends the stream early, the
        nearest among those before the error.

    Raises:
        MediaError: `no_video`, `no_frames` (the segment lies outside the video), `unreadable`
            (nothing could be decoded), and those of `open_media`.
    """
    segment = Segment(start, inf if end is None else end, max_seconds)
    for seek_back in SEEK_BACK:
        with open_media(path) as container:
            stream = video_stream(container)
            if stream is None:
                raise MediaError("no_video", "the file holds no video stream")
            stream.codec_context.thread_count = 1
            packets = read_packets(container, stream, segment, seek_back)
            if packets is not None:
                clock = Clock.of(container, stream)
                targets = spaced(*extent(stream, clock, packets, segment), count)
                decoded = _decode(stream, clock, packets, targets)
                frames = [_picture(*frame, region) for frame in nearest(decoded, targets)]
                if frames:
                    return frames
                raise MediaError("no_frames", "the decoder gave no frame for the segment")
    raise AssertionError("the last try reads from the file's beginning and does not miss")


def spaced(begin: float, end: float, count: int) -> list[float]:
    """The centres of `count` equal parts of [begin, end]."""
    return [begin + (end - begin) * (part + 0.5) / count for part in range(count)]


def nearest(
    items: Iterable[tuple[float, Any]], targets: Sequence[float]
) -> Iterator[tuple[float, Any]]:
    """For each target time the nearest of a stream of timed items, each item at most once.

    Args:
        items: (time in seconds, anything), times rising; read no further than needed.
        targets: Times in seconds, rising. Of two items equally near, the earlier is taken.
    """
    waiting = deque(targets)
    previous = taken = None
    for current in items:
        while waiting and waiting[0] <= current[0]:
            target = waiting.popleft()
            best = current
            if previous is not None and target - previous[0] <= current[0] - target:
                best = previous
            if best is not taken:
                yield best
            taken = best
        if not waiting:
            return
        previous = current
    if waiting and previous is not None and previous is not taken:
        yield previous


def _decode(
    stream: Any, clock: Clock, packets: Sequence[Any], targets: Sequence[float]
) -> Iterator[tuple[float, Any]]:
    """Decodes packets: (time in seconds, `av.VideoFrame`), all that `targets` may need."""
    context = stream.codec_context
    wanted = _wanted(clock, packets, targets)
    decoded = False
    try:
        for packet in (*packets, None):
            if packet is not None:
                spare = wanted is not None and packet.pts not in wanted
                context.skip_frame = "NONREF" if spare else "DEFAULT"
            for frame in stream.decode(packet):
                if frame.pts is not None:
                    decoded = True
                    yield clock.seconds(frame.pts), frame
    except av.error.FFmpegError as error:
        if not decoded:
            raise MediaError("unreadable", f"no frame can be decoded: {said(error)}") from error


def _wanted(clock: Clock, packets: Sequence[Any], targets: Sequence[float]) -> set[int] | None:
    """Time stamps of the frames nearest to the targets, None where packets do not tell."""
    stamps = {packet.pts for packet in packets if not packet.is_discard}
    if None in stamps:
        return None
    timed = ((clock.seconds(stamp), stamp) for stamp in sorted(stamps))
    return {stamp for _, stamp in nearest(timed, targets)}


def _picture(time: float, frame: Any, region: Region | None) -> Frame:
    image: NDArray[np.uint8] = frame.to_ndarray(format="rgb24")
    if region is not None:
        image = _part(image, region)
    return Frame(time, np.ascontiguousarray(image))


def _part(image: NDArray[np.uint8], region: Region) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    left, top, part_width, part_height = region
    rows = slice(round(top * height), round((top + part_height) * height))
    columns = slice(round(left * width), round((left + part_width) * width))
    return image[rows, columns]
