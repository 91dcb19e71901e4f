"""Writing the files of a recorded dialogue: avi without sound, wav without picture."""

import wave
from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np

BITEXACT = av.codec.context.Flags.bitexact


def write_avi(path: Path, frames: Iterable[np.ndarray], size: tuple[int, int], fps: int) -> None:
    """Writes pictures as MPEG-4 part 2, without an audio track.

    Args:
        path: The avi to write.
        frames: (height, width, 3), uint8, BGR.
        size: Their width and height, pixels.
        fps: Frames per second.
    """
    with av.open(str(path), "w", format="avi", container_options={"fflags": "+bitexact"}) as box:
        video = box.add_stream("mpeg4", rate=fps, options={"qmin": "3", "qmax": "8", "g": "30"})
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        video.codec_context.codec_tag = "DIVX"
        video.bit_rate = 2_000_000
        # One thread: with more, frames are cut into slices, whose number depends on the machine.
        video.codec_context.thread_count = 1
        video.codec_context.flags |= BITEXACT
        for picture in frames:
            box.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        box.mux(video.encode(None))


def write_wav(path: Path, sound: np.ndarray, rate: int) -> None:
    """Writes sound as 16-bit PCM.

    Args:
        path: The wav to write.
        sound: (channels, samples), float within -1 to 1.
        rate: Samples per second.
    """
    samples = np.round(np.clip(sound, -1, 1) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(samples))
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.T.tobytes())
