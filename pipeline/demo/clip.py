"""Writing frames and sound as mp4 (H.264 and AAC) whose bytes hold no date and no chance."""

from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np

SOUND_RATE = 48000  # hertz
CHANNELS = {"stereo": 2, "5.1": 6}  # 5.1: left, right, centre, bass, two behind
AAC = {"aac_coder": "fast"}  # the default coder takes longer than all the rest of a clip
BITEXACT = av.codec.context.Flags.bitexact


def write_clip(
    path: Path,
    frames: Iterable[np.ndarray],
    size: tuple[int, int],
    fps: int,
    sound: np.ndarray,
    rate: int,
    layout: str | None,
) -> None:
    """Writes one clip.

    Args:
        path: The mp4 to write.
        frames: Pictures (height, width, 3), uint8, BGR.
        size: Their width and height, pixels.
        fps: Frames per second.
        sound: Mono sound (samples,), float32 within -1 to 1.
        rate: Its sampling rate, hertz; `SOUND_RATE` is a multiple of it.
        layout: `stereo`, `5.1` (the speech in the centre channel), or None for no audio stream.
    """
    with av.open(str(path), "w", format="mp4", container_options={"fflags": "+bitexact"}) as box:
        video = box.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "crf": "24"})
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        # One thread: with more, x264 cuts frames into other slices on other machines.
        video.codec_context.thread_count = 1
        video.codec_context.flags |= BITEXACT
        audio = None
        if layout is not None:
            audio = box.add_stream("aac", rate=SOUND_RATE, layout=layout, options=AAC)
            audio.bit_rate = 64000 * CHANNELS[layout]
            audio.codec_context.flags |= BITEXACT
        for picture in frames:
            box.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        box.mux(video.encode(None))
        if audio is not None and layout is not None:
            block = av.AudioFrame.from_ndarray(_channels(sound, rate, layout), "fltp", layout)
            block.sample_rate = SOUND_RATE
            box.mux(audio.encode(block))
            box.mux(audio.encode(None))


def _channels(sound: np.ndarray, rate: int, layout: str) -> np.ndarray:
    """The sound of every channel at `SOUND_RATE`, (channels, samples), float32."""
    samples = len(sound) * SOUND_RATE // rate
    speech = np.interp(np.arange(samples) * rate / SOUND_RATE, np.arange(len(sound)), sound)
    if layout == "stereo":
        return np.stack([speech, speech]).astype(np.float32)
    # Only a hum around the speech: whoever takes the first channel for the mix hears no speech.
    hum = 0.01 * np.sin(2 * np.pi * 100 * np.arange(samples) / SOUND_RATE)
    spread = np.stack([hum, hum, speech, 0 * hum, 0.5 * hum, 0.5 * hum])
    return spread.astype(np.float32)
