"""Writing media files like those of the corpora, and making many or long ones out of few.

Encoding takes ten times as long as decoding. So a corpus of a thousand clips is a few encodes whose
packets are copied with another part of the picture cut off: their pixels differ, their cost does
not. A long clip is one whose packets are repeated.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import av
import numpy as np

BITEXACT = {"fflags": "+bitexact"}  # no date in the file
FLAG = av.codec.context.Flags.bitexact
SOUND_RATE = 48_000  # hertz
# FFmpeg cuts off whole blocks of 64 columns on the left, and any even number of rows.
COLUMNS, ROWS = 64, 2
COLUMN_CUTS, ROW_CUTS = 2, 64
CUTS = COLUMN_CUTS * ROW_CUTS

Frames = Iterable[np.ndarray]


def write_mp4(
    path: Path, frames: Frames, size: tuple[int, int], fps: int, bits: int, sound: np.ndarray
) -> Path:
    """Writes H.264 and AAC as MELD's clips have them.

    Args:
        path: Where to.
        frames: (height, width, 3), uint8, BGR.
        size: Their width and height, pixels.
        fps: Frames per second.
        bits: Of the video, per second.
        sound: Stereo at 48 kHz, (2, samples), float32 within -1 to 1.
    """
    with av.open(str(path), "w", container_options=BITEXACT) as box:
        video = _video(box, "libx264", {}, size, fps, bits)
        audio = box.add_stream("aac", rate=SOUND_RATE, layout="stereo")
        audio.codec_context.flags |= FLAG
        _encode(box, video, frames)
        block = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound), "fltp", "stereo")
        block.sample_rate = SOUND_RATE
        box.mux(audio.encode(block))
        box.mux(audio.encode(None))
    return path


def write_avi(
    path: Path, frames: Frames, size: tuple[int, int], fps: int, bits: int, key_interval: int
) -> Path:
    """Writes MPEG-4 part 2 as IEMOCAP's dialogues have it; a key frame every so many frames."""
    with av.open(str(path), "w", container_options=BITEXACT) as box:
        options = {"g": str(key_interval)}
        video = _video(box, "mpeg4", options, size, fps, bits)
        _encode(box, video, frames)
    return path


def _video(
    box: Any, codec: str, options: dict[str, str], size: tuple[int, int], fps: int, bits: int
) -> Any:
    video = box.add_stream(codec, rate=fps, options=options)
    video.width, video.height, video.pix_fmt = *size, "yuv420p"
    video.bit_rate = bits
    # With more threads the number of slices would depend on the machine.
    video.codec_context.thread_count = 1
    video.codec_context.flags |= FLAG
    return video


def _encode(box: Any, video: Any, frames: Frames) -> None:
    for picture in frames:
        box.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
    box.mux(video.encode(None))


def write_cut(source: Path, target: Path, number: int) -> Path:
    """Copies an mp4's packets; some rows and columns of the picture, by `number`, are cut off.

    Raises:
        ValueError: There are no so many ways to cut.
    """
    if not 0 <= number < CUTS:
        raise ValueError(f"got cut {number}, expected one below {CUTS}")
    rows, columns = ROWS * (number // COLUMN_CUTS), COLUMNS * (number % COLUMN_CUTS)
    cut = f"h264_metadata=crop_top={rows}:crop_left={columns}"
    with av.open(str(source)) as read, av.open(str(target), "w", container_options=BITEXACT) as box:
        streams = {s.index: box.add_stream_from_template(s) for s in read.streams}
        video = read.streams.video[0]
        cutter = av.BitStreamFilterContext(cut, video, streams[video.index])
        for packet in read.demux():
            if packet.dts is None:
                continue
            filtered = cutter.filter(packet) if packet.stream is video else [packet]
            for each in filtered:
                each.stream = streams[packet.stream.index]
                box.mux(each)
    return target


def write_repeated(source: Path, target: Path, times: int) -> Path:
    """Copies a file's packets again and again: a long file for the price of a short one."""
    with av.open(str(target), "w", container_options=BITEXACT) as box:
        streams: dict[int, Any] = {}
        ends: dict[int, int] = {}
        for _ in range(times):
            ends = _append(source, box, streams, ends)
    return target


def _append(
    source: Path, box: Any, streams: dict[int, Any], starts: dict[int, int]
) -> dict[int, int]:
    """Muxes all packets, each stream's from its start on; when each stream ends then."""
    ends: dict[int, int] = {}
    with av.open(str(source)) as read:
        if not streams:
            streams |= {s.index: box.add_stream_from_template(s) for s in read.streams}
        for packet in read.demux():
            if packet.dts is None:
                continue
            index = packet.stream.index
            packet.dts += starts.get(index, 0)
            if packet.pts is not None:
                packet.pts += starts.get(index, 0)
            end = (packet.dts if packet.pts is None else packet.pts) + packet.duration
            ends[index] = max(ends.get(index, 0), end)
            packet.stream = streams[index]
            box.mux(packet)
    return ends
