"""Generated media and texts, the same on every run: clips like MELD's, a dialogue like IEMOCAP's.

A flat or still picture is decoded at a fraction of the price, so these have texture that moves,
grain and a face. Encoding takes ten times as long as decoding, so a thousand clips are a few
encodes whose packets are copied, each with another part of the picture cropped: 93 % of the faces
cut out are like no other, at the same cost. A long file is one whose packets are repeated.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from pipeline.base.workers import ordered_map
from pipeline.demo.conversation import Cue
from pipeline.demo.face import draw_look, talking_head
from pipeline.demo.voice import RATE, draw_voice, speak
from pipeline.media.packets import Window

CLIP_SIZE, CLIP_RATE, CLIP_BITS = (1280, 720), 24, 2_000_000
CLIP_SECONDS = 3.0
SOUND_RATE = 48_000  # hertz
AVI_SIZE, AVI_RATE, AVI_BITS = (720, 480), 30, 1_500_000
AVI_OPTIONS = {"g": "250"}  # frames between two key frames; DivX of the time put 250 to 300
ENCODED_SECONDS = 20.0  # of the avi; its packets are repeated
STRIDE, LENGTH = 3.3, 4.5  # mean seconds between the starts of two turns, and of a turn
# Quantiles of the words of MELD's training utterances.
WORDS = (1, 1, 3, 6, 11, 17, 27, 69)
AT = (0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1)
SYLLABLES = ("no", "we", "are", "you", "really", "going", "so", "that", "well", "know", "what")

BITEXACT = {"fflags": "+bitexact"}  # no date in the file
# FFmpeg crops whole blocks of 64 columns on the left, and any even number of rows.
COLUMNS, ROWS = 64, 2
COLUMN_CROPS, ROW_CROPS = 2, 64
CROPS = COLUMN_CROPS * ROW_CROPS  # clips that one encode gives

FACE = (360, 288)  # width and height of the drawn face's picture, pixels
FACE_SHARE = 0.8  # of the height of the whole picture
OCTAVES = (8, 16, 32, 64, 128, 256)  # cells of the texture along its height
SWING, HEAD_SWING = 48, 8  # pixels by which camera and head move to each side
ZOOM, CAMERA_PERIOD = 0.02, 5.0  # the period in seconds
GRAIN, GRAIN_DEVIATION = 64, 4.0  # pixels by which the noise is shifted at most, grey levels


def footage(
    size: tuple[int, int], fps: int, seconds: float, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """A drawn face that talks, before a background, by a camera that moves.

    Yields:
        (height, width, 3), uint8, BGR.
    """
    width, height = size
    loudness, cue = rng.uniform(0, 1, round(seconds * fps)), Cue("neutral", 0.5)
    look = draw_look(rng, int(rng.integers(8)))
    texture = _texture((height + 2 * SWING, width + 2 * SWING), rng)
    grain = rng.normal(0, GRAIN_DEVIATION, (height + GRAIN, width + GRAIN, 3)).astype(np.int16)
    scale = FACE_SHARE * height / FACE[1]
    place = np.array([rng.uniform(0, width - scale * FACE[0]), (1 - FACE_SHARE) * height])
    phase = rng.uniform(0, 2 * np.pi)
    for number, face in enumerate(talking_head(look, cue, loudness, FACE, fps, rng)):
        angle = phase + 2 * np.pi * number / fps / CAMERA_PERIOD
        sway = np.array([np.cos(angle), np.sin(2 * angle)])
        # Moved by parts of pixels, as cameras move: decoders must interpolate.
        background = _affine(1 + ZOOM * np.sin(angle), SWING * (sway - 1))
        picture = cv2.warpAffine(texture, background, size, borderMode=cv2.BORDER_REFLECT)
        head = _affine(scale, place + HEAD_SWING * sway[::-1])
        cv2.warpAffine(face, head, size, picture, borderMode=cv2.BORDER_TRANSPARENT)
        dy, dx = rng.integers(GRAIN, size=2)
        noise = grain[dy : dy + height, dx : dx + width]
        yield np.asarray(cv2.add(picture, noise, dtype=cv2.CV_8U))


def _affine(scale: float, corner: np.ndarray) -> np.ndarray:
    return np.array([[scale, 0, corner[0]], [0, scale, corner[1]]])


def _texture(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Colour noise, as strong at each of several scales: edges everywhere."""
    height, width = shape
    total = np.full((height, width, 3), 128, np.float32)
    for cells in OCTAVES:
        small = rng.normal(0, 14, (cells, cells * width // height, 3)).astype(np.float32)
        total += cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.clip(total, 0, 255).astype(np.uint8)


def make_clips(folder: Path, count: int, seconds: float = CLIP_SECONDS) -> list[Path]:
    """Encodes clips as MELD has them: H.264 with B-frames and AAC, 1280 x 720, 24 fps."""
    return list(ordered_map(lambda number: _make_clip(folder, number, seconds), range(count)))


def _make_clip(folder: Path, number: int, seconds: float) -> Path:
    rng = np.random.default_rng([1, number])
    spoken = speak(draw_voice(rng), Cue("neutral", 0.5), seconds, rng)
    times = np.arange(round(seconds * SOUND_RATE)) * RATE / SOUND_RATE
    mono = np.interp(times, np.arange(len(spoken)), spoken)
    sound = np.clip(0.8 * mono + rng.normal(0, 0.002, (2, len(mono))), -1, 1).astype(np.float32)
    frames = footage(CLIP_SIZE, CLIP_RATE, seconds, rng)
    return write_video(folder / f"encoded{number}.mp4", frames, CLIP_RATE, CLIP_BITS, sound)


def make_dialogue(folder: Path, seconds: float) -> Path:
    """Encodes a dialogue as IEMOCAP has them, MPEG-4 in avi; its first seconds are repeated."""
    short = min(seconds, ENCODED_SECONDS)
    frames = footage(AVI_SIZE, AVI_RATE, short, np.random.default_rng(2))
    part = write_video(folder / "part.avi", frames, AVI_RATE, AVI_BITS)
    return write_repeated(part, folder / "dialogue.avi", round(seconds / short))


def write_video(
    path: Path,
    frames: Iterator[np.ndarray],
    fps: int,
    bits: int,
    sound: np.ndarray | None = None,
) -> Path:
    """Encodes an mp4 (H.264, AAC) or an avi (MPEG-4 part 2), without a date in it.

    Args:
        path: Its suffix decides which.
        frames: (height, width, 3), uint8, BGR.
        fps: Frames per second.
        bits: Of the video, per second.
        sound: (2, samples) at 48 kHz, float32 within -1 to 1; None for no audio stream.
    """
    codec, options = ("mpeg4", AVI_OPTIONS) if path.suffix == ".avi" else ("libx264", {})
    first = next(frames)
    with av.open(str(path), "w", container_options=BITEXACT) as box:
        video = box.add_stream(codec, rate=fps, options=options)
        video.height, video.width = first.shape[:2]
        audio = None if sound is None else box.add_stream("aac", rate=SOUND_RATE, layout="stereo")
        # With more threads the number of slices would depend on the machine.
        video.codec_context.thread_count = 1
        video.bit_rate, video.pix_fmt = bits, "yuv420p"
        for stream in box.streams:
            stream.codec_context.flags |= av.codec.context.Flags.bitexact
        for picture in chain([first], frames):
            box.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        box.mux(video.encode(None))
        if audio is not None:
            block = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound), "fltp", "stereo")
            block.sample_rate = SOUND_RATE
            box.mux(audio.encode(block))
            box.mux(audio.encode(None))
    return path


def make_corpus(encoded: list[Path], folder: Path, count: int) -> list[Path]:
    """Copies of encoded clips, as many as wanted, each with pixels of its own."""
    folder.mkdir(parents=True)
    numbers = [divmod(number, len(encoded)) for number in range(count)]
    jobs = ((encoded[n], folder / f"{n}-{crop}.mp4", crop) for crop, n in numbers)
    return list(ordered_map(lambda job: write_cropped(*job), jobs))


def write_cropped(source: Path, target: Path, number: int) -> Path:
    """Copies an mp4's packets without some rows and columns of the picture.

    Raises:
        ValueError: `number` is not below `CROPS`.
    """
    if not 0 <= number < CROPS:
        raise ValueError(f"got crop {number}, expected one below {CROPS}")
    rows, columns = ROWS * (number // COLUMN_CROPS), COLUMNS * (number % COLUMN_CROPS)
    with av.open(str(source)) as read:
        return _copy(read, target, f"h264_metadata=crop_top={rows}:crop_left={columns}")


def write_repeated(source: Path, target: Path, times: int) -> Path:
    """Copies a file's packets again and again."""
    files = target.with_suffix(".txt")
    files.write_text(f"file '{source.absolute()}'\n" * times)
    with av.open(str(files), format="concat", options={"safe": "0"}) as read:
        return _copy(read, target)


def _copy(read: Any, target: Path, video_filter: str | None = None) -> Path:
    with av.open(str(target), "w", container_options=BITEXACT) as box:
        streams = {s.index: box.add_stream_from_template(s) for s in read.streams}
        video = read.streams.video[0]
        edit = None
        if video_filter is not None:
            edit = av.BitStreamFilterContext(video_filter, video, streams[video.index])
        for packet in read.demux():
            if packet.dts is None:
                continue
            index = packet.stream.index
            for each in edit.filter(packet) if edit and index == video.index else [packet]:
                each.stream = streams[index]
                box.mux(each)
    return target


def make_turns(seconds: float) -> list[Window]:
    """Turns of a dialogue in order of their starts; some begin before the last has ended."""
    rng = np.random.default_rng(3)
    starts = np.cumsum(rng.uniform(0.5, 1.5, round(seconds / STRIDE)) * STRIDE) - STRIDE / 2
    lengths = LENGTH * rng.gamma(4, 1 / 4, len(starts)).clip(0.2, 3)
    turns = zip(starts.tolist(), lengths.tolist(), strict=True)
    return [Window(s, min(s + n, seconds), n) for s, n in turns if s < seconds - 1]


def make_texts(count: int) -> list[str]:
    """Utterances of MELD's lengths, all different."""
    rng = np.random.default_rng(4)
    lengths = np.interp(rng.uniform(0, 1, count), AT, WORDS).round().astype(int)
    return [f"{' '.join(rng.choice(SYLLABLES, n))} {number}." for number, n in enumerate(lengths)]
