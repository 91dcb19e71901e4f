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
from pipeline.media.opening import message, needed_stream, open_media
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
from pipeline.media.shots import Shots
from pipeline.media.upright import Decoded, PixelShape, Region, check_size, part

# Seconds between two segments from which on seeking costs less than decoding what lies between.
WORTH_A_SEEK = 10.0
# Of all pictures of a segment together: 300 MB of RGB. Where its frames are more and larger, they
# are scaled down: 20 of a film to 2600 x 1900 pixels, and 100 of one to 1280 x 720.
MOST_PIXELS_HELD = 100_000_000


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture, shown at a time in seconds from the file's beginning, and its shot's number.

    RGB, uint8 [height, width, 3], upright and with square pixels. Sizes may differ within a
    segment; shots of one camera position have the same number.
    """

    time: float
    image: NDArray[np.uint8]
    shot: int = 0


@dataclass(frozen=True)
class Wanted:
    """A part of a video to take frames of; a region is the part of the picture to keep."""

    window: Window
    region: Region | None = None


def sample_segments(
    path: Path, count: int, wanted: Sequence[Wanted], most_pixels: int = MOST_PIXELS_HELD
) -> Iterator[tuple[int, list[Frame] | MediaError]]:
    """Yields the frames nearest to the centres of `count` equal parts of each segment.

    As soon as a segment is complete, its place in `wanted` is given and its frames in order of
    time, all distinct, or `no_frames` if it lies outside the video. One with fewer frames gives all
    it has; one past its `longest` is cut there. Where a decode error hides frames, the nearest of
    the others are given.

    Raises:
        MediaError: `no_video`, `no_decoder`, `no_frames` (the video has none), `too_large` (a
            picture has more than `most_pixels`), `unreadable` (nothing could be decoded), and those
            of `open_media`.
    """
    for run in _runs(wanted):
        asked = [(place, wanted[place]) for place in run]
        yield from _sample_run(path, count, asked, most_pixels)


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
    path: Path, count: int, run: Sequence[tuple[int, Wanted]], most_pixels: int
) -> Iterator[tuple[int, list[Frame] | MediaError]]:
    windows = [wanted.window for _, wanted in run]
    start = min(window.start for window in windows)
    longest = max(w.start + w.longest for w in windows) - start
    whole = Window(start, max(window.end for window in windows), longest)
    for seek_back in SEEK_BACK:
        with open_media(path) as container:
            video = _Video.of(container, most_pixels)
            stretch = read_stretch(container, video.stream, whole, seek_back)
            if stretch is None:
                continue
            if stretch.packets is not None:
                yield from _frames(video, stretch, stretch.packets, run, count)
                return
        with open_media(path) as container:
            video = _Video.of(container, most_pixels)
            packets = read_again(container, video.stream, whole, seek_back, stretch)
            yield from _frames(video, stretch, packets, run, count)
            return
    raise AssertionError("the last try reads from the file's beginning and does not miss")


def _frames(
    video: "_Video",
    stretch: Stretch,
    packets: Iterable[Any],
    run: Sequence[tuple[int, Wanted]],
    count: int,
) -> Iterator[tuple[int, list[Frame] | MediaError]]:
    shown = span(video.stream, video.clock, stretch.stamps)
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
    pictures: dict[int, dict[float, NDArray[np.uint8]]] = {place: {} for place in waiting}
    converter, shots = _Converter(MOST_PIXELS_HELD // count), Shots()
    decoded = nearest(video.decode(packets, times, stretch.stamps, shots), times)
    for (_, place), (time, frame) in zip(targets, decoded, strict=False):
        # After a decode error the nearest frame may be one of long before the segment.
        if time >= earliest[place] and time not in pictures[place]:
            pictures[place][time] = converter.picture(time, frame, regions[place])
        waiting[place] -= 1
        if not waiting[place]:
            yield place, _with_shots(pictures.pop(place), shots)
    for place, kept in pictures.items():
        yield place, _with_shots(kept, shots)


def _with_shots(pictures: dict[float, NDArray[np.uint8]], shots: Shots) -> list[Frame] | MediaError:
    if not pictures:
        return MediaError("no_frames", "the decoder gave no frame for the segment")
    numbers = shots.of(list(pictures))
    return [Frame(*picture, shot) for picture, shot in zip(pictures.items(), numbers, strict=True)]


def spaced(begin: float, end: float, count: int) -> list[float]:
    """The centres of `count` equal parts of [begin, end]."""
    return [begin + (end - begin) * (part + 0.5) / count for part in range(count)]


def nearest(
    items: Iterable[tuple[float, Any]], targets: Sequence[float]
) -> Iterator[tuple[float, Any]]:
    """Yields the item of a stream that is nearest to each target time, nothing without items.

    Times of items and targets rise; of two items equally near, the earlier is taken. Items are read
    no further than needed.
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


@dataclass(frozen=True)
class _Video:
    """The video stream of an open file: its clock, and how large a picture of it may be."""

    stream: Any
    clock: Clock
    most_pixels: int

    @classmethod
    def of(cls, container: Any, most_pixels: int) -> "_Video":
        stream = needed_stream(container, "video")
        check_size(stream.codec_context.width, stream.codec_context.height, most_pixels)
        return cls(stream, Clock.of(container, stream), most_pixels)

    def decode(
        self,
        packets: Iterable[Any],
        targets: Sequence[float],
        stamps: Sequence[Stamp],
        shots: Shots,
    ) -> Iterator[tuple[float, Decoded]]:
        """Decodes packets, at least what is shown nearest to the targets, with times in seconds.

        After an error it goes on at the next key frame.
        """
        context = self.stream.codec_context
        needed, pixels = _needed(self.clock, stamps, targets), PixelShape(self.stream)
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
                frames = self.stream.decode(packet)
            except av.error.MemoryError:
                raise
            except av.error.FFmpegError as error:
                failed, broken = error, True
                continue
            for frame in frames:
                if frame.pts is not None:
                    check_size(frame.width, frame.height, self.most_pixels)
                    decoded, shown = True, Decoded(frame, pixels.now())
                    time = self.clock.seconds(frame.pts)
                    shots.see(time, shown)
                    yield time, shown
        if failed is not None and not decoded:
            detail = f"no frame can be decoded: {message(failed)}"
            raise MediaError("unreadable", detail) from failed


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

    def __init__(self, most_pixels: int) -> None:
        self._most_pixels = most_pixels
        self._time: float | None = None
        self._image: NDArray[np.uint8]

    def picture(self, time: float, frame: Decoded, region: Region | None) -> NDArray[np.uint8]:
        if time != self._time:
            self._time, self._image = time, frame.rgb(self._most_pixels)
        image = self._image if region is None else part(self._image, region)
        return np.ascontiguousarray(image)
