"""Real media files, made with PyAV; each picture carries its own number."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import av
import numpy as np

BITS = 10
WIDTH, HEIGHT = 160, 96
MILLISECONDS = 1000
CHANNELS = {"mono": 1, "stereo": 2, "5.1": 6}
CENTRE = 2
BLOCK = 1024
STILL: Mapping[int, int] = MappingProxyType({})

Picture = Callable[[int], np.ndarray]


def counter(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A picture of vertical bands, black for a 0 and white for a 1 of its number's bits."""
    bits = [(number >> bit) & 1 for bit in range(BITS)]
    row = np.repeat(np.array(bits, np.uint8) * 215 + 20, width // BITS)
    return np.broadcast_to(row[None, :, None], (height, len(row), 3)).copy()


def read_counter(image: np.ndarray) -> int:
    """The number of a decoded `counter`."""
    bands = image.mean((0, 2)).reshape(BITS, -1).mean(1)
    return sum(1 << bit for bit in range(BITS) if bands[bit] > 127)


def tone(seconds: float, rate: int, hertz: float = 440.0, amplitude: float = 0.5) -> np.ndarray:
    """A sine, [sample] float32."""
    time = np.arange(round(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def channels(layout: str, **sounds: np.ndarray) -> np.ndarray:
    """[channel, sample] with the named channels of a 5.1 or stereo layout filled."""
    numbers = {"left": 0, "right": 1, "centre": CENTRE}
    length = len(next(iter(sounds.values())))
    filled = np.zeros((CHANNELS[layout], length), np.float32)
    for name, sound in sounds.items():
        filled[numbers[name]] = sound
    return filled


def write_media(
    path: Path,
    *,
    stamps: Sequence[int] | None = None,
    picture: Picture = counter,
    video_codec: str = "libx264",
    video_options: dict[str, str] | None = None,
    rate: Fraction | None = None,
    sound: np.ndarray | None = None,
    layout: str = "stereo",
    sound_rate: int = 48000,
    sound_codec: str = "aac",
    sound_start: int = 0,
    sound_options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    turned: tuple[int, bool, bool] | None = None,
    pixel_ratio: Fraction | None = None,
) -> Path:
    """Writes a clip; without `stamps` it has no video, without `sound` no audio.

    Stamps are in units of 1/rate s, or of 1 ms without a rate; the sound is [channel, sample]
    float32 and starts at a sample. Players turn the picture by degrees counter-clockwise, then
    mirror it left to right, then top to bottom.
    """
    with av.open(str(path), "w", options=container_options or {}) as container:
        video = audio = None
        if stamps is not None:
            video = _video(container, picture(0).shape, video_codec, video_options, rate)
            if pixel_ratio is not None:
                video.codec_context.sample_aspect_ratio = pixel_ratio
            if turned is not None:
                video.set_display_rotation(*turned)
        if sound is not None:
            options = sound_options or {}
            audio = container.add_stream(
                sound_codec, rate=sound_rate, layout=layout, options=options
            )
        if video is not None:
            base = Fraction(1, MILLISECONDS) if rate is None else 1 / rate
            for number, stamp in enumerate(stamps or ()):
                frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
                frame.pts, frame.time_base = stamp, base
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
        if audio is not None and sound is not None:
            _encode_sound(container, audio, sound, sound_start)
    return path


def _video(
    container: Any,
    shape: tuple[int, ...],
    codec: str,
    options: dict[str, str] | None,
    rate: Fraction | None,
) -> Any:
    video = container.add_stream(codec, rate=rate or 25, options=options or {})
    video.height, video.width = shape[:2]
    video.pix_fmt = "yuv420p"
    if rate is None:
        video.codec_context.time_base = Fraction(1, MILLISECONDS)
    video.codec_context.bit_rate = 2_000_000 if codec != "libx264" else 0
    return video


def write_parts(
    path: Path,
    *parts: list[np.ndarray],
    codec: str = "mpeg2video",
    turned: Mapping[int, int] = MappingProxyType({}),
) -> Path:
    """Writes parts of any size one after another into one `.ts`, at 25 pictures a second.

    H.264's SEI turns some parts, by their number, in degrees counter-clockwise.
    """
    first = 0
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = parts[0][0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for number, part in enumerate(parts):
            encoder = av.CodecContext.create(codec, "w")
            encoder.height, encoder.width = part[0].shape[:2]
            encoder.pix_fmt, encoder.time_base, encoder.framerate = "yuv420p", Fraction(1, 25), 25
            encoder.bit_rate, encoder.max_b_frames = 4_000_000, 0
            encoder.gop_size = 1 if number in turned else 12
            turn = f"h264_metadata=display_orientation=insert:rotate={turned.get(number)}"
            sei = av.BitStreamFilterContext(turn, stream) if number in turned else None
            for image in (*part, None):
                frame = None
                if image is not None:
                    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                    frame.pts, frame.time_base, first = first, Fraction(1, 25), first + 1
                for packet in encoder.encode(frame):
                    for changed in [packet] if sei is None else sei.filter(packet):
                        changed.stream, changed.time_base = stream, Fraction(1, 25)
                        container.mux(changed)
    return path


def _encode_sound(container: Any, audio: Any, sound: np.ndarray, start: int) -> None:
    packed = audio.codec_context.format.name == "s16"
    for first in range(0, sound.shape[1], BLOCK):
        part = np.ascontiguousarray(sound[:, first : first + BLOCK])
        if packed:
            whole = np.clip(np.round(part * 32768), -32768, 32767).astype(np.int16)
            part = np.ascontiguousarray(whole.T.reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(
            part, format="s16" if packed else "fltp", layout=audio.codec_context.layout.name
        )
        frame.sample_rate = audio.codec_context.sample_rate
        frame.pts = start + first
        frame.time_base = Fraction(1, frame.sample_rate)
        container.mux(audio.encode(frame))
    container.mux(audio.encode(None))


def write_wav(path: Path, sound: np.ndarray, rate: int = 16000) -> Path:
    """Writes a 16-bit mono wav, as IEMOCAP's sentences are."""
    return write_media(
        path, sound=sound[None], layout="mono", sound_rate=rate, sound_codec="pcm_s16le"
    )


def all_frames(path: Path) -> list[tuple[float, np.ndarray]]:
    """Every frame of a file, decoded in the plainest way: (seconds from its beginning, RGB)."""
    with av.open(str(path)) as container:
        beginning = container.start_time / 1_000_000
        return [
            (float(frame.pts * frame.time_base) - beginning, frame.to_ndarray(format="rgb24"))
            for frame in container.decode(video=0)
        ]


def naive_sample(times: Sequence[float], count: int, begin: float, end: float) -> list[int]:
    """Numbers of the frames nearest to the centres of `count` parts, each once."""
    picked: list[int] = []
    for part in range(count):
        target = begin + (end - begin) * (part + 0.5) / count
        number = min(range(len(times)), key=lambda n: (abs(times[n] - target), n))
        if number not in picked:
            picked.append(number)
    return picked
