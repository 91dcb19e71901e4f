"""Media that nobody expects: hundreds of formats, and hundreds of damaged files."""

from collections.abc import Callable
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.media.make_media import tone

RATE, WIDTH, HEIGHT, FRAMES = 48_000, 64, 48, 10
SECONDS = FRAMES / 25
LAYOUTS = ["mono", "stereo", "2.1", "5.1", "7.1", "FL+LFE", "downmix", "9 channels", "22.2"]
SOUNDS = {
    "wav": ["pcm_s16le", "pcm_u8", "pcm_s24le", "pcm_f32le", "pcm_f64le", "pcm_alaw", "adpcm_ms"],
    "caf": ["pcm_s16le", "alac", "pcm_f32be", "pcm_mulaw"],
    "aiff": ["pcm_s16be", "pcm_s24be"],
    "mov": ["pcm_s16le", "pcm_s24be", "aac", "alac", "pcm_f32le"],
    "m4a": ["aac", "alac", "ac3", "flac", "libopus"],
    "mka": ["pcm_s64le", "pcm_s32le", "flac", "eac3", "libopus", "libmp3lame"],
    "wv": ["wavpack"],
    "tta": ["tta"],
    "ogg": ["libopus", "flac", "vorbis"],
    "asf": ["wmav2"],
    "au": ["pcm_s16be"],
    "w64": ["pcm_f64le"],
    "ac3": ["ac3"],
    "mp3": ["libmp3lame"],
    "ts": ["mp2", "aac"],
}
PICTURES = {
    "mp4": [("libx264", "yuv420p"), ("libx264", "yuv444p10le"), ("mpeg4", "yuv420p")],
    "mov": [
        ("prores_ks", "yuva444p10le"),
        ("mjpeg", "yuvj422p"),
        ("qtrle", "argb"),
        ("png", "rgba64be"),
        ("rawvideo", "uyvy422"),
        ("dnxhd", "yuv422p"),
    ],
    "mkv": [
        ("ffv1", "gray16le"),
        ("ffv1", "yuv410p"),
        ("ffv1", "bgr0"),
        ("ffv1", "gbrap16le"),
        ("libx264", "gray"),
        ("libx264", "nv12"),
        ("utvideo", "gbrp"),
        ("huffyuv", "rgb24"),
        ("ffvhuff", "yuv440p"),
        ("theora", "yuv420p"),
        ("libvpx-vp9", "yuva420p"),
    ],
    "avi": [
        ("mpeg4", "yuv420p"),
        ("rawvideo", "bgr24"),
        ("rawvideo", "pal8"),
        ("msvideo1", "rgb555le"),
        ("cinepak", "rgb24"),
        ("zmbv", "bgr0"),
        ("v410", "yuv444p10le"),
        ("magicyuv", "gbrp"),
        ("asv1", "yuv420p"),
    ],
    "nut": [
        ("rawvideo", name)
        for name in (
            *("rgb4", "bgr4", "rgb4_byte", "bgr4_byte", "monow", "monob", "rgb444le", "bgr565be"),
            *("gray10le", "grayf32le", "rgb48be", "bgra64le", "yuv411p", "yuyv422", "nv24"),
            *("p010le", "xyz12le", "gbrpf32le", "ya16be", "bayer_rggb8", "rgb8", "x2rgb10le"),
            *("yuv422p16be", "yuva420p9le", "ayuv64le", "gbrp14be", "vuya", "y210le"),
        )
    ],
    "webm": [("libvpx", "yuv420p"), ("libvpx-vp9", "yuv444p12le")],
    "flv": [("flv", "yuv420p"), ("flashsv", "bgr24"), ("libx264", "yuv420p")],
    "mpg": [("mpeg1video", "yuv420p"), ("mpeg2video", "yuv422p")],
    "ts": [("mpeg2video", "yuv420p"), ("libx264", "yuv420p10le")],
    "asf": [("wmv2", "yuv420p"), ("msmpeg4v3", "yuv420p")],
    "ogv": [("libtheora", "yuv420p")],
    "y4m": [("wrapped_avframe", "yuv420p")],
    "gif": [("gif", "rgb8")],
    "apng": [("apng", "rgba")],
    "ivf": [("libvpx", "yuv420p")],
    "mxf": [("mpeg2video", "yuv420p")],
    "swf": [("flv", "yuv420p")],
    "3gp": [("h263", "yuv420p")],
    "wtv": [("mpeg2video", "yuv420p")],
    "gxf": [("mpeg2video", "yuv420p")],
    "m4v": [("mpeg4", "yuv420p")],
    "h264": [("libx264", "yuv420p")],
    "mjpeg": [("mjpeg", "yuvj420p")],
    "dv": [("dvvideo", "yuv420p")],
    "rm": [("rv10", "yuv420p")],
    "roq": [("roqvideo", "yuvj444p")],
    "smjpeg": [("mjpeg", "yuvj420p")],
}
WITH_SOUND = {
    "mp4": "aac", "mov": "pcm_s16le", "mkv": "flac", "avi": "libmp3lame", "nut": "pcm_s16le",
    "webm": "libopus", "flv": "aac", "mpg": "mp2", "ts": "mp2", "asf": "wmav2",
}  # fmt: skip


def formats(folder: Path) -> list[Path]:
    """Files of the formats that this PyAV can write, in a fixed order."""
    sounds = ((s, c, n) for s, codecs in SOUNDS.items() for c, n in product(codecs, LAYOUTS))
    wanted: list[Callable[[], Path]] = [
        *(
            lambda s=s, c=c, n=n: write_sound(folder / f"{c}_{n.replace(' ', '_')}.{s}", c, n)
            for s, c, n in sounds
        ),
        *(
            lambda s=s, c=c, f=f: _pictures(folder, s, c, f)
            for s, codecs in PICTURES.items()
            for c, f in codecs
        ),
    ]
    return [path for write in wanted if (path := _tried(write)) is not None]


def _tried(write: Callable[[], Path]) -> Path | None:
    """A file, None where the muxer or the encoder refuses."""
    try:
        path = write()
    except (av.error.FFmpegError, ValueError, KeyError, OverflowError):
        return None
    return path if path.stat().st_size else None


def write_sound(path: Path, codec: str, layout: str) -> Path:
    """Less than half a second of 440 Hz in all channels."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, layout=layout)
        _encode_tone(container, stream, layout)
    return path


def _encode_tone(container: Any, stream: Any, layout: str) -> None:
    channels = av.AudioLayout(layout).nb_channels
    for first in range(0, round(SECONDS * RATE), 1024):
        part = (tone(SECONDS, RATE)[first : first + 1024] * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(part.repeat(channels)[None], "s16", layout)
        frame.sample_rate, frame.pts, frame.time_base = RATE, first, Fraction(1, RATE)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _pictures(folder: Path, suffix: str, codec: str, form: str) -> Path:
    path = folder / f"{codec}_{form}.{suffix}"
    size = (720, 576) if codec in {"dvvideo", "dnxhd"} else (WIDTH, HEIGHT)
    if codec in {"h263", "rv10"}:
        size = (176, 144)
    picture = np.random.default_rng(0).integers(0, 255, (size[1] // 8, size[0] // 8, 3), np.uint8)
    picture = picture.repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=25, width=size[0], height=size[1])
        video.pix_fmt = form
        audio = None
        if suffix in WITH_SOUND:
            audio = container.add_stream(WITH_SOUND[suffix], rate=RATE, layout="stereo")
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(np.roll(picture, number, 1), format="rgb24")
            frame = frame.reformat(format=form)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            _encode_tone(container, audio, "stereo")
    return path


def damaged(folder: Path, count: int, seed: int = 16) -> list[Path]:
    """Files with a few bytes changed, parts cut out, moved, doubled or filled with noise."""
    whole = folder / "whole"
    whole.mkdir()
    kinds = [("mp4", "libx264"), ("mkv", "libx264"), ("avi", "mpeg4"), ("ts", "libx264")]
    kinds += [("flv", "flv"), ("webm", "libvpx"), ("mov", "mjpeg"), ("mpg", "mpeg1video")]
    sources = [_pictures(whole, suffix, codec, _usual(codec)) for suffix, codec in kinds]
    kinds = [("wav", "pcm_s16le"), ("mp3", "libmp3lame"), ("ogg", "libopus"), ("caf", "pcm_s16le")]
    sources += [write_sound(whole / f"{codec}.{end}", codec, "stereo") for end, codec in kinds]
    generator = np.random.default_rng(seed)
    paths = []
    for number in range(count):
        source = sources[number % len(sources)]
        damage = DAMAGES[number // len(sources) % len(DAMAGES)]
        path = folder / f"{number}_{damage.__name__}{source.suffix}"
        path.write_bytes(damage(bytearray(source.read_bytes()), generator))
        paths.append(path)
    return paths


def _usual(codec: str) -> str:
    return "yuvj420p" if codec == "mjpeg" else "yuv420p"


def flipped(data: bytearray, generator: np.random.Generator) -> bytes:
    for place in generator.integers(0, len(data), generator.integers(1, 40)):
        data[place] ^= 1 << int(generator.integers(8))
    return bytes(data)


def head_flipped(data: bytearray, generator: np.random.Generator) -> bytes:
    for place in generator.integers(0, min(600, len(data)), generator.integers(1, 12)):
        data[place] = int(generator.integers(256))
    return bytes(data)


def numbers_set(data: bytearray, generator: np.random.Generator) -> bytes:
    """Sizes and counts that no file has."""
    odd = [
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        b"\x7f\xff\xff\xff",
        b"\xff\xff\xff\x7f",
        b"\x80\0\0\0",
    ]
    for place in generator.integers(0, min(2000, len(data) - 4), 3):
        data[place : place + 4] = odd[generator.integers(len(odd))]
    return bytes(data)


def cut(data: bytearray, generator: np.random.Generator) -> bytes:
    return bytes(data[: generator.integers(1, len(data))])


def without_a_part(data: bytearray, generator: np.random.Generator) -> bytes:
    first, last = sorted(generator.integers(0, len(data), 2))
    return bytes(data[:first] + data[last:])


def doubled(data: bytearray, generator: np.random.Generator) -> bytes:
    first, last = sorted(generator.integers(0, len(data), 2))
    return bytes(data[:last] + data[first:])


def noisy(data: bytearray, generator: np.random.Generator) -> bytes:
    first, last = sorted(generator.integers(0, len(data), 2))
    data[first:last] = generator.bytes(last - first)
    return bytes(data)


def zeroed(data: bytearray, generator: np.random.Generator) -> bytes:
    first, last = sorted(generator.integers(0, len(data), 2))
    data[first:last] = bytes(last - first)
    return bytes(data)


def joined(data: bytearray, generator: np.random.Generator) -> bytes:
    place = generator.integers(0, len(data))
    return bytes(data[place:] + data[:place])


DAMAGES = [
    *(flipped, head_flipped, numbers_set, cut, without_a_part),
    *(doubled, noisy, zeroed, joined),
]
