"""Evenly spaced frames of the segments of a video, at the price of one decode.

A seek per frame costs about ten times as much, and opening a file anew for each of its segments
about three times. Here one thread decodes all segments once, in order, and skips the frames that
no other frame is predicted from and nobody asked for; only the frames that are kept are turned
into RGB, and one frame may serve two segments that overlap. To fill the cores, use one thread or
process per file.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from math import inf
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.base.errors import MediaError
from pipeline.media.opening import message, open_media, undecodable, video_stream, without_decoder
from pipeline.media.packets import (
    SEEK_BACK,
    Clock,
    Stamp,
    Stretch,
    Window,
    extent,
    read_again,
    read_stretch,
    span,
)

Region = tuple[float, float, float, float]
# Seconds between two segments from which on seeking costs less than decoding what lies between.
WORTH_A_SEEK = 10.0


@dataclass(frozen=True, eq=False)
class Frame:
    """A decoded picture.

    Attributes:
        time: When it is shown, in seconds from the file's beginning.
        image: RGB, uint8 [height, width, 3].
    """

    time: float
    image: NDArray[np.uint8]


@dataclass(frozen=True)
class Wanted:
    """A part of a video to take frames of.

    Attributes:
        window: When.
        region: The part of the picture to keep: (left, top, width, height), each as a fraction
            of the frame's width or height; None keeps all of it.
    """

    window: Window
    region: Region | None = None


def sample_segments(
    path: Path, count: int, wanted: Sequence[Wanted]
) -> Iterator[tuple[int, list[Frame] | MediaError]]:
    """Yields the frames nearest to the centres of `count` equal parts of each segment.

    Args:
        path: The media file.
        count: How many frames, at least 1; a segment with fewer gives all it has, each once.
        wanted: The segments, in any order; a segment past its `longest` is cut there.

    Yields:
        For each segment, as soon as it is complete: its place in `wanted` and its frames in order
        of time, all distinct, or the error `no_frames` if it lies outside the video. Where a decode
        error hides frames, the nearest of the others.

    Raises:
        MediaError: `no_video`, `no_decoder`, `no_frames` (the video has none), `unreadable`
            (nothing could be decoded), and those of `open_media`.
    """
    for run in _runs(wanted):
        yield from _sample_run(path, count, [(place, wanted[place]) for place in run])


def _runs(wanted: Sequence[Wanted]) -> Iterator[list[int]]:
    """Groups the places of segments that one pass through the file serves best."""
    run: list[int] = []
    latest = -inf
    for place in sorted(range(len(wanted)), key=lambda p: wanted[p].window.start):
        window = wanted[place].window
        if run and window.start > latest + WORTH_A_SEEK:
            yield run
            run = []
        run.append(place)
        latest = max(latest, window.latest)
    if run:
        yield run


def _sample_run(
    path: Path, count: int, run: Sequence[tuple[int, Wanted]]
) -> Iterator[tuple[int, list[Frame] | MediaError]]:
    windows = [wanted.window for _, wanted in run]
    start = min(window.start for window in windows)
    longest = max(w.start + w.longest for w in windows) - start
    whole = Window(start, max(window.end for window in windows), longest)
    for seek_back in SEEK_BACK:
        with open_media(path) as container:
            stream = _video(container)
            clock = Clock.of(container, stream)
            stretch = read_stretch(container, stream, whole, seek_back)
            if stretch is None:
                continue
            if stretch.packets is not None:
                yield from _frames(stream, clock, stretch, stretch.packets, run, count)
                return
        with open_media(path) as container:
            stream = _video(container)
            packets = read_again(container, stream, whole, seek_back, stretch)
            yield from _frames(stream, clock, stretch, packets, run, count)
            return
    raise AssertionError("the last try reads from the file's beginning and does not miss")


def _video(container: Any) -> Any:
    stream = video_stream(container)
    if stream is None and "video" in without_decoder(container):
        raise undecodable("video")
    if stream is None:
        raise MediaError("no_video", "the file holds no video stream")
    stream.codec_context.thread_count = 1
    return stream


def _frames(
    stream: Any,
    clock: Clock,
    stretch: Stretch,
    packets: Iterable[Any],
    run: Sequence[tuple[int, Wanted]],
    count: int,
) -> Iterator[tuple[int, list[Frame] | MediaError]]:
    shown = span(stream, clock, stretch.stamps)
    targets: list[tuple[float, int]] = []
    earliest, regions = {}, {place: wanted.region for place, wanted in run}
    for place, wanted in run:
        try:
            begin, end = extent(shown, wanted.window)
        except MediaError as error:
            yield place, error
            continue
        earliest[place] = begin - shown.usual
        targets += [(time, place) for time in spaced(begin, end, count)]
    targets.sort()
    times = [time for time, _ in targets]
    waiting = Counter(place for _, place in targets)
    pictures: dict[int, list[Frame]] = {place: [] for place in waiting}
    converter = _Converter()
    needed = _needed(clock, stretch.stamps, times)
    decoded = nearest(_decode(stream, clock, packets, needed), times)
    for (_, place), (time, frame) in zip(targets, decoded, strict=False):
        frames = pictures[place]
        # After a decode error the nearest frame may be one of long before the segment.
        if time >= earliest[place] and not (frames and frames[-1].time == time):
            frames.append(Frame(time, converter.picture(time, frame, regions[place])))
        waiting[place] -= 1
        if not waiting[place]:
            yield place, pictures.pop(place) or _no_frame()
    for place, frames in pictures.items():
        yield place, frames or _no_frame()


def _no_frame() -> MediaError:
    return MediaError("no_frames", "the decoder gave no frame for the segment")


def spaced(begin: float, end: float, count: int) -> list[float]:
    """The centres of `count` equal parts of [begin, end]."""
    return [begin + (end - begin) * (part + 0.5) / count for part in range(count)]


def nearest(
    items: Iterable[tuple[float, Any]], targets: Sequence[float]
) -> Iterator[tuple[float, Any]]:
    """Yields the nearest of a stream of timed items for each target time.

    Args:
        items: (time in seconds, anything), times rising; read no further than needed.
        targets: Times in seconds, rising. Of two items equally near, the earlier is taken.

    Yields:
        One item per target, the same one where it is nearest to several; nothing without items.
    """
    waiting = deque(targets)
    previous = None
    for current in items:
        while waiting and waiting[0] <= current[0]:
            target = waiting.popleft()
            before = previous is not None and target - previous[0] <= current[0] - target
            yield previous if previous is not None and before else current
        if not waiting:
            return
        previous = current
    if previous is not None:
        yield from (previous for _ in waiting)


def _decode(
    stream: Any, clock: Clock, packets: Iterable[Any], needed: set[int] | None
) -> Iterator[tuple[float, Any]]:
    """Decodes packets: (time in seconds, `av.VideoFrame`), all of the time stamps `needed`.

    After an error it goes on at the next key frame.
    """
    context = stream.codec_context
    failed: av.error.FFmpegError | None = None
    decoded = broken = False
    for packet in chain(packets, [None]):
        if broken and packet is not None and not packet.is_keyframe:
            continue
        if packet is not None:
            spare = needed is not None and packet.pts not in needed
            context.skip_frame = "NONREF" if spare else "DEFAULT"
        try:
            broken = False
            for frame in stream.decode(packet):
                if frame.pts is not None:
                    decoded = True
                    yield clock.seconds(frame.pts), frame
        except av.error.FFmpegError as error:
            failed, broken = error, True
    if failed is not None and not decoded:
        raise MediaError("unreadable", f"no frame can be decoded: {message(failed)}") from failed


def _needed(clock: Clock, stamps: Sequence[Stamp], targets: Sequence[float]) -> set[int] | None:
    """Time stamps of the frames nearest to the targets, None where packets do not tell."""
    shown = {stamp.pts for stamp in stamps if not stamp.is_discard}
    known = [pts for pts in shown if pts is not None]
    if len(known) < len(shown):
        return None
    timed = ((clock.seconds(pts), pts) for pts in sorted(known))
    return {pts for _, pts in nearest(timed, targets)}


class _Converter:
    """Converts frames to RGB, one that two segments ask for only once."""

    def __init__(self) -> None:
        self._time: float | None = None
        self._image: NDArray[np.uint8]

    def picture(self, time: float, frame: Any, region: Region | None) -> NDArray[np.uint8]:
        if time != self._time:
            self._time, self._image = time, frame.to_ndarray(format="rgb24")
        image = self._image if region is None else _part(self._image, region)
        return np.ascontiguousarray(image)


def _part(image: NDArray[np.uint8], region: Region) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    left, top, part_width, part_height = region
    rows = slice(round(top * height), round((top + part_height) * height))
    columns = slice(round(left * width), round((left + part_width) * width))
    return image[rows, columns]
