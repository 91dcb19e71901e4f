"""The compressed packets of a segment of a video, with their true time stamps.

Reading packets without decoding them costs next to nothing, and tells when the frames are shown
whatever the headers say of duration and rate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import av

from pipeline.errors import MediaError
from pipeline.media.opening import origin

# How far before a segment's start to seek, in seconds, until a key frame before it is met. The
# first try does for files with an index; MPEG program streams and avi with B-frames need more.
SEEK_BACK = (0.0, 1.0, 10.0, inf)
FALLBACK_RATE = 25.0
# After a seek FFmpeg puts the frames of an MPEG program stream one too late, up to the next time
# stamp that begins a frame; such a file is read from its beginning.
SHIFTED_BY_SEEK = {"mpeg"}


@dataclass(frozen=True)
class Segment:
    """A stretch of a file: `start` to `end` in seconds (inf: the file's end), cut to `longest`."""

    start: float
    end: float
    longest: float

    @property
    def latest(self) -> float:
        """When it ends at the latest, in seconds."""
        return min(self.end, self.start + self.longest)


@dataclass(frozen=True)
class Clock:
    """Time stamps of one stream as seconds from the file's beginning."""

    base: float
    origin: float

    @classmethod
    def of(cls, container: Any, stream: Any) -> "Clock":
        """The clock of a stream."""
        return cls(float(stream.time_base), origin(container))

    def seconds(self, stamp: int) -> float:
        """A time stamp as seconds from the file's beginning."""
        return stamp * self.base - self.origin

    def stamp(self, seconds: float) -> int:
        """Seconds from the file's beginning as a time stamp."""
        return int((seconds + self.origin) / self.base)

    def shown(self, packet: Any) -> float:
        """When a packet's frame is shown, in seconds."""
        return self.seconds(packet.dts if packet.pts is None else packet.pts)


def read_packets(
    container: Any, stream: Any, segment: Segment, seek_back: float
) -> list[Any] | None:
    """The packets from a key frame at or before a segment to the first frame after it.

    Args:
        container: An open `av` input container, at its beginning.
        stream: Its video stream.
        segment: What is wanted.
        seek_back: How far before the segment to seek, in seconds; inf reads from the beginning.

    Returns:
        Packets in the file's order; None if the seek met no key frame at or before the start.
    """
    clock = Clock.of(container, stream)
    target = segment.start - seek_back
    sought = target > 0 and container.format.name not in SHIFTED_BY_SEEK
    packets: list[Any] = []
    try:
        if sought:
            container.seek(clock.stamp(target), stream=stream)
        _collect(container.demux(stream), clock, segment, packets, from_key=sought)
    except av.error.FFmpegError:
        pass  # A file cut short: what lies before the cut is used.
    late = not packets or clock.shown(packets[0]) > segment.start
    return None if sought and late else packets


def _collect(
    demuxed: Any, clock: Clock, segment: Segment, packets: list[Any], *, from_key: bool
) -> None:
    stop = segment.end
    following = inf  # when the first frame after the segment is shown
    for packet in demuxed:
        if packet.dts is None and packet.pts is None:  # the empty packet at the end
            continue
        if from_key and not packets and not packet.is_keyframe:
            continue
        shown = clock.shown(packet)
        if packet.is_keyframe and shown <= segment.start:
            packets.clear()  # nothing before this is needed
        if not packets:
            stop = min(stop, max(segment.start, shown) + segment.longest)
        packets.append(packet)
        if shown > stop:
            following = min(following, shown)
        # No frame is shown before it is decoded, so all that is left is shown after this.
        if packet.dts is not None and clock.seconds(packet.dts) >= following:
            return


@dataclass(frozen=True)
class Span:
    """When the frames of some packets are shown: from the first to the end of the last, seconds.

    `usual` is how long a frame is shown where the file does not say.
    """

    first: float
    last: float
    usual: float


def span(stream: Any, clock: Clock, packets: Sequence[Any]) -> Span:
    """The span of what was read.

    Raises:
        MediaError: `no_frames` if there is no frame.
    """
    shown = [packet for packet in packets if not packet.is_discard]
    if not shown:
        raise MediaError("no_frames", "the video stream holds no frame")
    usual = 1 / float(stream.guessed_rate or FALLBACK_RATE)
    last = max(clock.shown(p) + ((p.duration or 0) * clock.base or usual) for p in shown)
    return Span(min(clock.shown(packet) for packet in shown), last, usual)


def extent(found: Span, segment: Segment) -> tuple[float, float]:
    """Where a segment begins and ends in truth, in seconds.

    Raises:
        MediaError: `no_frames` if it lies outside the video.
    """
    begin = max(segment.start, found.first)
    end = min(segment.end, found.last, begin + segment.longest)
    if end <= begin:
        until = "the end" if segment.end == inf else f"{segment.end:.3f} s"
        raise MediaError(
            "no_frames",
            f"asked for {segment.start:.3f} s to {until}; the video ends at {found.last:.3f} s",
        )
    return begin, end
