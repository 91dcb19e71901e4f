"""The compressed packets of a window of a video, with their true time stamps.

Reading packets without decoding them costs next to nothing, and shows when frames are displayed,
whatever the headers claim of duration and rate. Packets are kept for the decoder unless there are
too many: then only their time stamps are kept, and the packets are read once more.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import inf
from typing import Any, NamedTuple

import av

from pipeline.base.errors import MediaError
from pipeline.media.opening import origin

# How far before a window's start to seek, in seconds, until a key frame before it is met. The
# first try does for files with an index; MPEG program streams and avi with B-frames need more.
SEEK_BACK = (0.0, 1.0, 10.0, inf)
FALLBACK_RATE = 25.0
# After a seek FFmpeg puts the frames of an MPEG program stream one too late, up to the next time
# stamp that begins a frame; such a file is read from its beginning.
SHIFTED_BY_SEEK = {"mpeg"}
# Above this opening a file once more costs nothing beside what there is to decode.
MOST_BYTES = 16_000_000


@dataclass(frozen=True)
class Window:
    """A part of a file: `start` to `end` in seconds (inf: the file's end), cut to `longest`."""

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
        """When the frame of a packet, or of its stamp, is shown, in seconds."""
        return self.seconds(packet.dts if packet.pts is None else packet.pts)


class Stamp(NamedTuple):
    """A packet's time stamps and the length of its frame, in the stream's units."""

    pts: int | None
    dts: int | None
    duration: int | None
    is_discard: bool


@dataclass
class Stretch:
    """The packets from a key frame at or before a window to the first frame after it."""

    passed: int = 0  # packets of the stream that were read before the first of these
    stamps: list[Stamp] = field(default_factory=list)  # one per packet, in the file's order
    packets: list[Any] | None = field(default_factory=list)  # None: too large, must be read again
    _bytes: int = 0

    def restart(self) -> None:
        """Drops all packets so far, of which nothing is needed."""
        self.passed += len(self.stamps)
        self.stamps, self.packets, self._bytes = [], [], 0

    def add(self, packet: Any) -> None:
        """Adds one more packet."""
        self.stamps.append(Stamp(packet.pts, packet.dts, packet.duration, packet.is_discard))
        self._bytes += packet.size
        if self._bytes > MOST_BYTES:
            self.packets = None
        elif self.packets is not None:
            self.packets.append(packet)


def read_stretch(container: Any, stream: Any, window: Window, seek_back: float) -> Stretch | None:
    """Reads the packets of a window, from so many seconds before it on; inf: from the beginning.

    None if the seek met no key frame at or before the start.
    """
    clock = Clock.of(container, stream)
    stretch = Stretch()
    start = window.start - seek_back
    sought = _can_seek(container, start)
    try:
        seek(container, stream, start)
        _collect(container.demux(stream), clock, window, stretch, from_key=sought)
    except av.error.MemoryError:
        raise
    except av.error.FFmpegError:
        pass  # cut short: what comes before is used
    late = not stretch.stamps or clock.shown(stretch.stamps[0]) > window.start
    return None if sought and late else stretch


def read_again(
    container: Any, stream: Any, window: Window, seek_back: float, stretch: Stretch
) -> Iterator[Any]:
    """The packets of a stretch that is too large to be held, from a container opened anew."""
    seek(container, stream, window.start - seek_back)
    packets = (p for p in container.demux(stream) if not _is_end(p))
    return islice(packets, stretch.passed, stretch.passed + len(stretch.stamps))


def _can_seek(container: Any, start: float) -> bool:
    return start > 0 and container.format.name not in SHIFTED_BY_SEEK


def seek(container: Any, stream: Any, start: float) -> None:
    """Seek to the key frame before `start` in seconds, or stay where seeking does no good."""
    if _can_seek(container, start):
        container.seek(Clock.of(container, stream).stamp(start), stream=stream)


def _is_end(packet: Any) -> bool:
    """Whether this is the empty packet at a stream's end."""
    return packet.dts is None and packet.pts is None


def _collect(
    demuxed: Iterable[Any], clock: Clock, window: Window, stretch: Stretch, *, from_key: bool
) -> None:
    stop = window.end
    following = inf  # when the first frame after the window is shown
    for packet in demuxed:
        if _is_end(packet):
            continue
        if from_key and not stretch.stamps and not packet.is_keyframe:
            stretch.passed += 1
            continue
        shown = clock.shown(packet)
        if packet.is_keyframe and shown <= window.start:
            stretch.restart()
        if not stretch.stamps:
            stop = min(stop, max(window.start, shown) + window.longest)
        stretch.add(packet)
        if shown > stop:
            following = min(following, shown)
        # No frame is shown before it is decoded, so all that is left is shown after this.
        if packet.dts is not None and clock.seconds(packet.dts) >= following:
            return


class Span(NamedTuple):
    """When the frames of some packets are shown: from the first to the end of the last, seconds.

    `usual` is how long a frame is shown where the file does not say.
    """

    first: float
    last: float
    usual: float


def span(stream: Any, clock: Clock, stamps: Sequence[Stamp]) -> Span:
    """The span of some packets; `no_frames` if there is no frame."""
    shown = [stamp for stamp in stamps if not stamp.is_discard]
    if not shown:
        raise MediaError("no_frames", "the video stream holds no frame")
    usual = 1 / float(stream.guessed_rate or FALLBACK_RATE)
    last = max(clock.shown(s) + ((s.duration or 0) * clock.base or usual) for s in shown)
    return Span(min(clock.shown(stamp) for stamp in shown), last, usual)


def extent(shown: Span, window: Window) -> tuple[float, float]:
    """Where a window really begins and ends, in seconds; `no_frames` if it is outside the video."""
    begin = max(window.start, shown.first)
    end = min(window.end, shown.last, begin + window.longest)
    if end <= begin:
        until = "the end" if window.end == inf else f"{window.end:.3f} s"
        raise MediaError(
            "no_frames",
            f"asked for {window.start:.3f} s to {until}; the video ends at {shown.last:.3f} s",
        )
    return begin, end
