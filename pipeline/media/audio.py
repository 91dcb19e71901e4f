"""The sound of a clip or a segment of it: one channel at one rate, whatever the file holds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.base.errors import MediaError
from pipeline.media.mixing import Form, Mixer, decoder_options
from pipeline.media.opening import message, needed_stream, open_media
from pipeline.media.packets import Clock

# openSMILE multiplies by 32768 and casts to int16, where a sample of +1.0 wraps round to -32768.
LARGEST = np.float32(32767 / 32768)
# Seconds by which a time stamp may differ from the count of the samples before it: Matroska and
# FLV round to 1 ms, live recordings jitter.
JITTER = 0.05
Part = tuple[int, NDArray[np.float32]]


def load_mono(
    path: Path,
    *,
    rate: int = 16000,
    start: float = 0.0,
    end: float | None = None,
    max_seconds: float,
) -> NDArray[np.float32]:
    """Decodes, mixes all channels down to one (the centre of 5.1 too), resamples to `rate` hertz.

    Samples lie where their time stamps say, by the clock of the pictures. Before the first of them,
    in a hole of the stamps and where nothing can be decoded there is silence.

    The file is decoded from its beginning, so that a segment, from `start` to `end` in seconds
    (None: the file's end) but no longer than `max_seconds`, is an exact slice of the whole:
    float32 [sample] within [-1, 32767/32768].

    Raises:
        MediaError: `no_audio`, `no_decoder`, `no_samples` (the segment lies behind the sound),
            `not_finite`, `unreadable` (nothing could be decoded), and those of `open_media`.
    """
    stop = start + max_seconds if end is None else min(end, start + max_seconds)
    first, last = round(start * rate), round(stop * rate)
    with open_media(path) as container:
        stream = needed_stream(container, "audio")
        stream.codec_context.options = decoder_options(stream.codec_context)
        parts, until = _within(_placed(container, stream, rate), first, last)
    if until <= first:
        held = max(0, until) / rate
        detail = f"asked for sound from {start:.3f} s on; the stream holds {held:.3f} s"
        raise MediaError("no_samples", detail)
    return _joined(parts, first, min(last, until))


def _within(parts: Iterator[Part], first: int, last: int) -> tuple[list[Part], int]:
    """The parts of a segment, no more of the stream is held, and the place after the last one."""
    kept, until = [], 0
    for place, samples in parts:
        # Where a clock was set back, what was heard first stays: a slice is one of the whole.
        place, samples = max(place, until), samples[max(0, until - place) :]
        if not len(samples):
            continue
        until = place + len(samples)
        if until > first:
            kept.append((place, samples))
        if until >= last:
            break
    return kept, until


def _joined(parts: list[Part], first: int, last: int) -> NDArray[np.float32]:
    sound = np.zeros(last - first, np.float32)
    for place, samples in parts:
        begin, end = max(first, place), min(last, place + len(samples))
        if begin < end:
            sound[begin - first : end - first] = samples[begin - place : end - place]
    if bad := int((~np.isfinite(sound)).sum()):
        raise MediaError("not_finite", f"{bad} of {len(sound)} samples are no numbers")
    return np.clip(sound, np.float32(-1), LARGEST)


def _placed(container: Any, stream: Any, rate: int) -> Iterator[Part]:
    """Samples from the stream's first on, in parts with the place of their first."""
    clock = Clock.of(container, stream)
    timeline = _Timeline(rate)
    for frame in _decode(container, stream):
        yield from timeline.feed(frame, None if frame.pts is None else clock.seconds(frame.pts))
    yield from timeline.drain()


class _Timeline:
    """Resamples frames and places their samples.

    Frames whose stamps agree with the samples before them are one run, in which samples are
    counted. A run begins anew after a hole; within it, the mixing does so where a recording's rate
    or channels change.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._mixer: Mixer | None = None
        self._due = 0.0  # when the next frame is heard, by the samples before it
        self._place = 0  # of the next sample

    def feed(self, frame: Any, time: float | None) -> Iterator[Part]:
        """Take the next frame and its time, None where it has none."""
        form = Form.of(frame)
        heard = self._due if time is None else time
        timed = self._mixer is None or abs(heard - self._due) > JITTER
        if self._mixer is None or timed or form != self._mixer.form:
            yield from self.drain()
            self._mixer = Mixer(form, self._rate)
        if timed:
            self._due, self._place = heard, round(heard * self._rate)
        yield from self._counted(self._mixer.feed(frame))
        self._due += frame.samples / form.rate

    def drain(self) -> Iterator[Part]:
        """Yield the samples that the mixer held back."""
        if self._mixer is not None:
            yield from self._counted(self._mixer.drain())

    def _counted(self, parts: Iterator[NDArray[np.float32]]) -> Iterator[Part]:
        for samples in parts:
            yield self._place, samples
            self._place += len(samples)


def _decode(container: Any, stream: Any) -> Iterator[Any]:
    """Frames with samples; what cannot be decoded is passed over."""
    failed: av.error.FFmpegError | None = None
    decoded = False
    for packet in _packets(container, stream):
        try:
            for frame in stream.decode(packet):
                if frame.samples:
                    decoded = True
                    yield frame
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError as error:
            failed = error
    if failed is not None and not decoded:
        raise MediaError("unreadable", f"no sound can be decoded: {message(failed)}") from failed


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    """The stream's packets and the empty one that ends decoding, as far as the file can be read."""
    try:
        yield from container.demux(stream)
    except av.error.MemoryError:
        raise
    except av.error.FFmpegError:
        yield None
