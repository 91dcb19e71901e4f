"""The sound of a clip or a segment of it: one channel at one rate, whatever the file holds."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.base.errors import MediaError
from pipeline.media.opening import audio_stream, message, open_media, origin

# openSMILE multiplies by 32768 and casts to int16, where a sample of +1.0 wraps round to -32768.
LARGEST = np.float32(32767 / 32768)
# Integer samples make libswresample scale the mix so that it cannot clip; with float samples it
# leaves a mono mix of two equal channels 1.4 times too loud. 32 bits keep 16-bit input exact.
SAMPLE_FORMAT = "s32"
FULL_SCALE = np.float32(2**31)


def load_mono(
    path: Path,
    *,
    rate: int = 16000,
    start: float = 0.0,
    end: float | None = None,
    max_seconds: float,
) -> NDArray[np.float32]:
    """Decodes, mixes all channels down to one (the centre of 5.1 too) and resamples.

    The file is decoded from its beginning, so that a segment is an exact slice of the whole; a late
    segment of a long compressed file costs the decoding of all that comes before it.

    Args:
        path: The media file.
        rate: Samples per second wanted, in hertz.
        start: The segment's start in seconds from the file's beginning.
        end: Its end in seconds, None for the file's end.
        max_seconds: A longer segment is cut to this many seconds.

    Returns:
        float32 [sample] within [-1, 32767/32768]; what came before the first decode error.

    Raises:
        MediaError: `no_audio`, `no_samples` (the segment lies outside the sound), `unreadable`
            (nothing could be decoded), and those of `open_media`.
    """
    stop = min(inf if end is None else end, start + max_seconds)
    with open_media(path) as container:
        stream = audio_stream(container)
        if stream is None:
            raise MediaError("no_audio", "the file holds no audio stream")
        stream.codec_context.thread_count = 1
        return _segment(container, stream, rate, start, stop)


def _segment(
    container: Any, stream: Any, rate: int, start: float, stop: float
) -> NDArray[np.float32]:
    """The samples from `start` to `stop`; no more of the stream is held than that."""
    clock = _SampleClock(origin(container), rate)
    kept: deque[NDArray[np.int32]] = deque()
    passed = total = 0
    for part in _resampled(container, stream, rate, stop, clock):
        kept.append(part)
        total += len(part)
        while kept and passed + len(kept[0]) <= clock.sample(start):
            passed += len(kept.popleft())
    first = clock.sample(start)
    last = total if stop == inf else clock.sample(stop)
    samples = np.concatenate(kept) if kept else np.zeros(0, np.int32)
    segment = samples[first - passed : max(0, last - passed)]
    if not len(segment):
        raise MediaError(
            "no_samples",
            f"asked for sound from {start:.3f} s on; the stream holds {total / rate:.3f} s",
        )
    sound: NDArray[np.float32] = segment.astype(np.float32) / FULL_SCALE
    return np.clip(sound, np.float32(-1), LARGEST)


@dataclass
class _SampleClock:
    """Maps seconds from the file's beginning to samples of a stream.

    `offset` is when the stream's first sample is heard, in seconds.
    """

    origin: float
    rate: int
    offset: float | None = None

    def sample(self, seconds: float) -> int:
        return max(0, round((seconds - (self.offset or 0.0)) * self.rate))


def _resampled(
    container: Any, stream: Any, rate: int, stop: float, clock: _SampleClock
) -> Iterator[NDArray[np.int32]]:
    """Samples from the stream's first to `stop`, in parts; sets the clock by the first frame."""
    resampler = _Resampler(rate)
    for frame in _decode(container, stream):
        time = 0.0 if frame.pts is None else float(frame.pts * frame.time_base) - clock.origin
        if clock.offset is None:
            clock.offset = time
        # The resampler looks a few samples ahead; a second more than needed is plenty.
        if frame.pts is not None and time > stop + 1:
            break
        yield from resampler.feed(frame)
    yield from resampler.drain()


class _Resampler:
    """Turns frames into mono samples; starts anew where a recording's rate or channels change."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._shape: tuple[Any, ...] | None = None
        self._inner: Any = None

    def feed(self, frame: Any) -> Iterator[NDArray[np.int32]]:
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if shape != self._shape:
            yield from self.drain()
            self._shape = shape
            self._inner = av.AudioResampler(SAMPLE_FORMAT, "mono", self._rate)
        yield from (part.to_ndarray()[0] for part in self._inner.resample(frame))

    def drain(self) -> Iterator[NDArray[np.int32]]:
        """Yields the samples that it held back."""
        if self._inner is not None:
            yield from (part.to_ndarray()[0] for part in self._inner.resample(None))


def _decode(container: Any, stream: Any) -> Iterator[Any]:
    decoded = False
    try:
        for frame in container.decode(stream):
            if frame.samples:
                decoded = True
                yield frame
    except av.error.FFmpegError as error:
        if not decoded:
            raise MediaError("unreadable", f"no sound can be decoded: {message(error)}") from error
