"""Sound of odd layouts, rates and values: what it holds is heard, or one error says why not."""

import json
import struct
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.base.errors import MediaError
from pipeline.media.audio import load_mono
from pipeline.media.probe import probe
from tests.media.make_media import tone, write_media
from tests.media.odd_media import write_sound
from tests.media.test_sound import strength

RATE = 48_000
PCM, FLOAT = 1, 3


def riff(samples: np.ndarray, rate: int = RATE, kind: int = PCM, mask: int | None = None) -> bytes:
    """A WAV of [sample, channel], with a mask of speakers or none."""
    width, channels = samples.dtype.itemsize, samples.shape[1]
    head = (channels, rate, rate * width * channels & 0xFFFFFFFF, width * channels, width * 8)
    form = struct.pack("<HHIIHH", kind, *head)
    if mask is not None:
        guid = struct.pack("<H", kind) + bytes.fromhex("000000001000800000aa00389b71")
        form = struct.pack("<HHIIHH", 0xFFFE, *head) + struct.pack("<HHI", 22, width * 8, mask)
        form += guid
    data = samples.tobytes()
    chunks = b"WAVEfmt " + struct.pack("<I", len(form)) + form
    chunks += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


def write_riff(path: Path, samples: np.ndarray, **how: int | None) -> Path:
    path.write_bytes(riff(samples, **how))  # type: ignore[arg-type]
    return path


def in_channel(channels: int, number: int) -> np.ndarray:
    """[sample, channel] int16 with 440 Hz in one of many channels."""
    filled = np.zeros((RATE // 4, channels), np.int16)
    filled[:, number] = tone(0.25, RATE, 440, 0.9) * 32767
    return filled


@pytest.mark.slow
@pytest.mark.parametrize("channels", [3, 4, 6, 8, 9, 32, 60, 65, 255])
def test_channels_without_a_layout_are_averaged(tmp_path: Path, channels: int) -> None:
    """No channel is guessed to be a subwoofer's and dropped, and none is louder than others."""
    for number in {0, 3 % channels, channels - 1}:
        path = write_riff(tmp_path / "a.wav", in_channel(channels, number))
        heard = strength(load_mono(path, max_seconds=60), 440)
        assert heard == pytest.approx(0.9 / channels, rel=0.02, abs=2e-5)
        assert probe(path).audio is not None


@pytest.mark.parametrize(
    "cast",
    [
        lambda x: (x * 127 + 128).astype(np.uint8),
        lambda x: (x * 32767).astype(np.int16),
        lambda x: (x * (2**31 - 1)).astype(np.int32),
        lambda x: x.astype(np.float32),
        lambda x: x.astype(np.float64),
    ],
)
def test_the_average_keeps_the_scale_of_each_sample_format(
    tmp_path: Path, cast: Callable[[np.ndarray], np.ndarray]
) -> None:
    sound = cast(np.repeat(tone(1, RATE, 440, 0.8).astype(np.float64)[:, None], 9, axis=1))
    kind = FLOAT if sound.dtype.kind == "f" else PCM
    heard = load_mono(write_riff(tmp_path / "a.wav", sound, kind=kind), max_seconds=60)
    assert strength(heard, 440) == pytest.approx(0.8, rel=0.01)
    assert abs(heard.mean()) < 0.005


FRONT_LEFT_AND_SUBWOOFER = 0b1001


def test_layouts_that_ffmpeg_cannot_mix_are_averaged(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_riff(path, in_channel(2, 0), mask=FRONT_LEFT_AND_SUBWOOFER)
    assert strength(load_mono(path, max_seconds=60), 440) == pytest.approx(0.45, rel=0.02)


@pytest.mark.parametrize("codec", ["flac", "pcm_s64le", "pcm_f32le", "wavpack", "tta"])
def test_many_channels_in_planes_of_their_own(tmp_path: Path, codec: str) -> None:
    channels = 8 if codec == "flac" else 9
    path = tmp_path / {"wavpack": "a.wv", "tta": "a.tta"}.get(codec, "a.mka")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, layout=f"{channels} channels")
        data = in_channel(channels, 2).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(data, format="s16", layout=f"{channels} channels")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    heard = strength(load_mono(path, max_seconds=60), 440)
    # Eight channels of FLAC are 7.1 by its definition, the third of them the centre.
    assert heard == pytest.approx(
        0.9 / (1 + 2 / 2**0.5 + 4 / 2 if codec == "flac" else 9), rel=0.05
    )


# Core Audio's layouts whose channels stand in an order of their own, and the channels they have.
ORDERS = [(126, 8), (127, 8), (128, 8), (141, 6), (115, 6), (120, 5), (142, 7), (116, 3), (117, 4)]
HEARD = """
import json, sys
from pathlib import Path
import numpy as np
from pipeline.base.errors import MediaError
from pipeline.media.audio import load_mono
from pipeline.media.probe import probe
from tests.media.test_sound import strength
for name in sys.argv[1:]:
    heard = load_mono(Path(name), max_seconds=9)
    print(json.dumps([probe(Path(name)).audio.channels, strength(heard, 440)]))
"""


@pytest.mark.slow
def test_channels_in_an_order_of_their_own_end_no_process(tmp_path: Path) -> None:
    """PyAV frees such a layout twice, so that another process looks at them."""
    paths = []
    plain = {3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
    for suffix, codec in (("mov", "pcm_s16le"), ("mov", "aac"), ("caf", "alac")):
        for tag, channels in ORDERS:
            layout = "7.1(wide)" if codec == "alac" and channels == 8 else plain[channels]
            if codec == "alac" and channels not in (3, 4, 8):
                continue
            path = tmp_path / f"{tag}_{codec}.{suffix}"
            write_sound(path, codec, layout)
            data = bytearray(path.read_bytes())
            place = data.index(b"chan") + (8 if suffix == "mov" else 12)
            data[place : place + 4] = struct.pack(">HH", tag, channels)
            path.write_bytes(data)
            paths.append((path, channels))
    for suffix in ("caf", "aiff"):
        codec = "pcm_s16be" if suffix == "aiff" else "pcm_s16le"
        paths.append((write_sound(tmp_path / f"a.{suffix}", codec, "7.1"), 8))
    command = [sys.executable, "-c", HEARD, *(str(path) for path, _ in paths)]
    looked = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert looked.returncode == 0, looked.stderr
    lines = [json.loads(line) for line in looked.stdout.splitlines()]
    assert len(lines) == len(paths)
    for (path, channels), (found, heard) in zip(paths, lines, strict=True):
        assert (found, heard) == (channels, pytest.approx(0.5, rel=0.1)), path.name


@pytest.mark.parametrize("rate", [1, 999, 1_000_001, 0x7FFFFFFF])
def test_a_rate_that_no_sound_has_is_refused(tmp_path: Path, rate: int) -> None:
    path = write_riff(tmp_path / "a.wav", in_channel(1, 0), rate=rate)
    detail = f"unreadable: got {rate} samples a second, expected 1000 to 1000000$"
    with pytest.raises(MediaError, match=detail):
        load_mono(path, max_seconds=60)


@pytest.mark.parametrize("channels", [1, 2, 9])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_samples_that_are_no_numbers_are_refused(
    tmp_path: Path, channels: int, value: float, kind: type
) -> None:
    sound = np.full((RATE, channels), value, kind)
    with pytest.raises(MediaError, match="not_finite: 16000 of 16000 samples are no numbers"):
        load_mono(write_riff(tmp_path / "a.wav", sound, kind=FLOAT), max_seconds=60)


def test_one_sample_that_is_no_number_spoils_the_segment_it_lies_in(tmp_path: Path) -> None:
    sound = tone(2, 16000)[:, None].copy()
    sound[24000] = np.nan
    path = write_riff(tmp_path / "a.wav", sound, rate=16000, kind=FLOAT)
    assert len(load_mono(path, end=1.0, max_seconds=60)) == 16000
    with pytest.raises(MediaError, match="not_finite: 1 of 16000 samples"):
        load_mono(path, start=1.0, max_seconds=60)


def test_the_layout_of_known_channels_is_kept(tmp_path: Path) -> None:
    sound = tone(1, RATE)[None].repeat(6, 0)
    found = probe(write_media(tmp_path / "a.mkv", sound=sound, layout="5.1"))
    assert found.audio is not None and found.audio.layout == "5.1"
