"""Clips of MELD's size and coding, each with a drawn face that moves; no two have equal crops."""

import multiprocessing
from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np

from pipeline.base.workers import workers
from pipeline.demo.conversation import Cue
from pipeline.demo.face import talking_head
from pipeline.demo.looks import draw_look

FPS = 24
SOUND_RATE = 48_000
FACES = 8
"""Faces that are drawn; clips of one face differ in brightness, so that no two crops are equal."""


def write_clips(folder: Path, count: int, size: tuple[int, int], seconds: float) -> list[Path]:
    """Writes mp4 files, H.264 with B-frames and AAC, by processes on all cores.

    Args:
        folder: Where to; it is made.
        count: How many.
        size: Width and height, pixels.
        seconds: How long each plays.
    """
    folder.mkdir(parents=True)
    jobs = [(folder / f"{n:04d}.mp4", n, size, seconds) for n in range(count)]
    # One process draws few faces: it gets every clip of a face, if there are enough of them.
    jobs.sort(key=lambda job: job[1] % FACES)
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(workers(), count)) as pool:
        pool.starmap(_write, jobs, chunksize=max(1, count // (2 * workers())))
    return sorted(job[0] for job in jobs)


@lru_cache(maxsize=1)
def _drawn(face: int, size: tuple[int, int], seconds: float) -> list[np.ndarray]:
    rng = np.random.default_rng(face)
    loudness = np.abs(np.sin(np.arange(round(FPS * seconds)) / 2))
    cue = Cue("joy", 0.7)
    return list(talking_head(draw_look(rng, face), cue, loudness, size, FPS, rng))


def _write(path: Path, number: int, size: tuple[int, int], seconds: float) -> None:
    pictures = _drawn(number % FACES, size, seconds)
    brighter = np.full(pictures[0].shape, number // FACES % 100, np.uint8)
    with av.open(str(path), "w") as box:
        video = box.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "23"})
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        video.codec_context.thread_count = 1
        audio = box.add_stream("aac", rate=SOUND_RATE, layout="stereo")
        for picture in pictures:
            shown = av.VideoFrame.from_ndarray(cv2.add(picture, brighter), format="bgr24")
            box.mux(video.encode(shown))
        box.mux(video.encode(None))
        hum = np.sin(np.arange(round(SOUND_RATE * seconds)) / 40).astype(np.float32)
        block = av.AudioFrame.from_ndarray(np.stack([hum, hum]) / 2, "fltp", "stereo")
        block.sample_rate = SOUND_RATE
        box.mux(audio.encode(block))
        box.mux(audio.encode(None))
