"""Sound of a clip or of a segment of one: one channel at one rate, whatever the file holds."""

from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import MediaError
from pipeline.media.opening import audio_stream, open_media, origin, said

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

    The file is decoded from its beginning, so that a segment is the very slice of the whole; one
    late in a long compressed file costs the decode of all that comes before it.

    Args:
        path: The media file.
        rate: Samples per second wanted, in hertz.
        start: The segment's start in seconds from the file's beginning.
        end: Its end in seconds, None for the file's end.
        max_seconds: A longer segment is cut to this many seconds.

    Returns:
        float32 [sample] within [-1, 32767/32768]. When a decode error ends the stream early,
        what came before it.

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
        offset, samples = _resampled(container, stream, rate, stop)
    first = max(0, round((start - offset) * rate))
    last = len(samples) if stop == inf else max(0, round((stop - offset) * rate))
    segment = samples[first:last]
    if not len(segment):
        raise MediaError(
            "no_samples",
            f"asked for sound from {start:.3f} s on; the stream holds {len(samples) / rate:.3f} s",
        )
    return np.clip(segment, np.float32(-1), LARGEST)


def _resampled(
    container: Any, stream: Any, rate: int, stop: float
) -> tuple[float, NDArray[np.float32]]:
    """All samples from the stream's first to `stop`: (time of the first in seconds, [sample])."""
    resampler = _Resampler(rate)
    beginning = origin(container)
    offset: float | None = None
    parts: list[NDArray[np.int32]] = []
    for frame in _decode(container, stream):
        time = offset or 0.0 if frame.pts is None else float(frame.pts * frame.time_base)
        if offset is None:
            offset = time - beginning
        # The resampler looks a few samples ahead; a second more than needed is plenty.
        if time - beginning > stop + 1:
            break
        parts.extend(resampler.feed(frame))
    parts.extend(resampler.drain())
    samples = np.concatenate(parts) if parts else np.zeros(0, np.int32)
    return offset or 0.0, samples.astype(np.float32) / FULL_SCALE


class _Resampler:
    """Frames to mono samples; starts anew where a recording's rate or channels change."""

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
        """What it holds back for the samples to come."""
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
            raise MediaError("unreadable", f"no sound can be decoded: {said(error)}") from error
