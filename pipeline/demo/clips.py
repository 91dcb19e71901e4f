"""Write media files whose bytes hold no date and depend on no machine, in several processes."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import av
import cv2
import numpy as np
from scipy.io import wavfile

from pipeline.base.processes import deaf_to_interrupts, end_with_parent, forked
from pipeline.base.progress import track
from pipeline.demo.voice import RATE

AAC_RATE = 48000  # hertz, a multiple of `RATE`
CHANNELS = {"stereo": 2, "5.1": 6}  # 5.1: left, right, centre, bass, two behind
BITEXACT = av.codec.context.Flags.bitexact
# The header of the resource forks that macOS leaves in archives.
APPLE_DOUBLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + bytes(140)
Job = TypeVar("Job")


def render_all(
    render: Callable[[Job], None], jobs: Sequence[Job], workers: int, label: str
) -> None:
    """Call `render` on every job, in other processes if there are several workers, with progress.

    So it must be picklable, and the calling script needs its `if __name__ == "__main__"` guard.
    """
    with ExitStack() as stack:
        done: Iterator[None] = map(render, jobs)
        if workers > 1:
            context = forked([__name__])
            pool = stack.enter_context(ProcessPoolExecutor(workers, context, _begin))
            # Few large jobs go out one by one, so that no process is left with two at the end.
            chunk = min(4, max(1, len(jobs) // (8 * workers)))
            with deaf_to_interrupts():
                done = pool.map(render, jobs, chunksize=chunk)
        for _ in track(done, label, len(jobs)):
            pass


def _begin() -> None:
    cv2.setNumThreads(1)  # the processes share the cores
    end_with_parent()


def write_mp4(
    path: Path,
    frames: Iterable[np.ndarray],
    size: tuple[int, int],
    fps: int,
    sound: np.ndarray,
    layout: str | None,
) -> None:
    """Write a clip in H.264 and AAC.

    Frames are (height, width, 3), uint8, BGR; sound is mono (samples,) at `RATE`, float32 within
    -1 to 1. The layout is `stereo`, `5.1` (the speech in the centre channel), or None for no audio
    stream.
    """
    with _opened(path) as box:
        video = _video(box, "libx264", size, fps, preset="ultrafast", crf="24")
        audio = None
        if layout is not None:
            # AAC's default coder takes longer than all the rest of a clip.
            options = {"aac_coder": "fast"}
            audio = box.add_stream("aac", rate=AAC_RATE, layout=layout, options=options)
            audio.bit_rate = 64000 * CHANNELS[layout]
            audio.codec_context.flags |= BITEXACT
        _encode(box, video, frames)
        if audio is not None and layout is not None:
            block = av.AudioFrame.from_ndarray(_channels(sound, layout), "fltp", layout)
            block.sample_rate = AAC_RATE
            box.mux(audio.encode(block))
            box.mux(audio.encode(None))


def write_avi(path: Path, frames: Iterable[np.ndarray], size: tuple[int, int], fps: int) -> None:
    """Write pictures (height, width, 3), uint8, BGR, as MPEG-4 part 2 without an audio stream."""
    with _opened(path) as box:
        video = _video(box, "mpeg4", size, fps, qmin="3", qmax="8", g="30")
        video.codec_context.codec_tag = "DIVX"
        video.bit_rate = 2_000_000
        _encode(box, video, frames)


def write_wav(path: Path, sound: np.ndarray) -> None:
    """Write sound (samples, channels) at `RATE`, within -1 to 1, as 16-bit PCM."""
    wavfile.write(path, RATE, np.round(np.clip(sound, -1, 1) * 32767).astype("<i2"))


def write_apple_double(path: Path) -> None:
    """Write the litter that macOS leaves beside `path`: `._` and its name."""
    path.with_name(f"._{path.name}").write_bytes(APPLE_DOUBLE)


def _opened(path: Path) -> Any:
    return av.open(path, "w", container_options={"fflags": "+bitexact"})


def _video(box: Any, codec: str, size: tuple[int, int], fps: int, **options: str) -> Any:
    stream = box.add_stream(codec, rate=fps, options=options)
    stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
    # With more threads frames are cut into slices, whose number depends on the machine.
    stream.codec_context.thread_count = 1
    stream.codec_context.flags |= BITEXACT
    return stream


def _encode(box: Any, video: Any, frames: Iterable[np.ndarray]) -> None:
    for picture in frames:
        box.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
    box.mux(video.encode(None))


def _channels(sound: np.ndarray, layout: str) -> np.ndarray:
    """The sound of every channel at `AAC_RATE`, (channels, samples), float32."""
    samples = len(sound) * AAC_RATE // RATE
    speech = np.interp(np.arange(samples) * RATE / AAC_RATE, np.arange(len(sound)), sound)
    if layout == "stereo":
        return np.stack([speech, speech]).astype(np.float32)
    # Only the centre speaks: whoever takes the first channel for the mix hears a hum.
    hum = 0.01 * np.sin(2 * np.pi * 100 * np.arange(samples) / AAC_RATE)
    return np.stack([hum, hum, speech, 0 * hum, 0.5 * hum, 0.5 * hum]).astype(np.float32)
