"""Frames of any rate, sample format and layout of channels, mixed down to one channel.

PyAV before 19 frees a layout whose channels stand in an order of their own twice, which ends the
process. So a decoder is told their number alone, and an object with such a layout is never let go.
"""

import ctypes
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.base.errors import MediaError

# With this, as with integer samples, libswresample scales a mix so that it cannot clip; else a
# mono mix of two equal channels is 1.4 times too loud.
SCALED = {"rematrix_maxval": "1"}
OWN_ORDER = re.compile(r"\d+ channels \(")
NAMELESS = re.compile(r"(?!(1|2) )\d+ channels$")
AMBISONIC = "ambisonic"
# Hertz; beyond, the resampler takes gigabytes for its filter or for what it makes of one frame.
LEAST_RATE, MOST_RATE = 1_000, 1_000_000
PACKED = {"u8", "s16", "s32", "flt", "dbl"}
Samples = NDArray[np.float32]


def layout_of(sound: Any) -> tuple[str, int]:
    """The name of the layout of a frame or codec context, and its number of channels."""
    layout = sound.layout
    name: str = layout.name
    if OWN_ORDER.match(name):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(layout))
    return name, layout.nb_channels


def decoder_options(context: Any) -> dict[str, str]:
    """Options of an audio decoder, so that none of its frames ends the process."""
    name, channels = layout_of(context)
    return {"ch_layout": f"{channels} channels"} if OWN_ORDER.match(name) else {}


class Form(NamedTuple):
    """What the frames of one mix have in common; the rate is in hertz."""

    samples: str
    layout: str
    channels: int
    rate: int

    @classmethod
    def of(cls, frame: Any) -> "Form":
        """The form of a frame."""
        return cls(frame.format.name, *layout_of(frame), frame.sample_rate)


class Mixer:
    """Mixes and resamples frames of one form to mono float32 samples of one rate, in hertz.

    The mean of the channels is taken where FFmpeg knows no mix, or would have to guess one for
    three channels and more without a layout; of ambisonic sound the channel from all sides is. A
    rate that no sound has is `unreadable`.
    """

    def __init__(self, form: Form, rate: int) -> None:
        if not LEAST_RATE <= form.rate <= MOST_RATE:
            detail = f"got {form.rate} samples a second, expected {LEAST_RATE} to {MOST_RATE}"
            raise MediaError("unreadable", detail)
        self.form, self._rate = form, rate
        self._meaned = bool(NAMELESS.match(form.layout)) or form.layout.startswith(AMBISONIC)
        self._start()

    def _start(self) -> None:
        self._resampler = av.AudioResampler("flt", "mono", self._rate, options=SCALED)
        if self._meaned and self.form.samples not in PACKED:
            layout = f"{self.form.channels} channels"
            self._packer = av.AudioResampler("dbl", layout, self.form.rate)

    def feed(self, frame: Any) -> Iterator[Samples]:
        """Yield the samples that are ready, [sample]."""
        if not self._meaned:
            try:
                mixed = self._resampler.resample(frame)
            except av.error.ArgumentError:
                self._meaned = True
                self._start()
            else:
                yield from _samples(mixed)
                return
        for packed in [frame] if self.form.samples in PACKED else self._packer.resample(frame):
            yield from _samples(self._resampler.resample(self._mean(packed)))

    def drain(self) -> Iterator[Samples]:
        """Yield the samples that were held back."""
        yield from _samples(self._resampler.resample(None))

    def _mean(self, packed: Any) -> Any:
        samples = packed.to_ndarray().reshape(-1, self.form.channels)
        if self.form.layout.startswith(AMBISONIC):
            samples = samples[:, :1]
        with np.errstate(invalid="ignore"):  # what is no number is refused with all samples known
            mean = samples.mean(axis=1, dtype=np.float64)
        if samples.dtype.kind != "f":
            full = 2 ** (8 * samples.dtype.itemsize - 1)
            mean = mean / full - (samples.dtype.kind == "u")
        mono = av.AudioFrame.from_ndarray(mean[None], "dbl", "mono")
        mono.sample_rate = self.form.rate
        return mono


def _samples(frames: list[Any]) -> Iterator[Samples]:
    return (frame.to_ndarray()[0] for frame in frames)
