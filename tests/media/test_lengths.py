"""How long files are: by their packets where the header does not say, or is wrong."""

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pipeline.media.probe import probe, unusable
from tests.media.make_media import tone, write_media

SECONDS = 6


def clip(path: Path, **how: object) -> Path:
    return write_media(
        path,
        stamps=range(25 * SECONDS),
        rate=Fraction(25),
        sound=tone(SECONDS, 48_000)[None],
        layout="mono",
        **how,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("a.webm", {"video_codec": "libvpx", "sound_codec": "libopus"}),
        ("a.mkv", {}),
        ("a.flv", {"container_options": {"flvflags": "no_duration_filesize"}}),
        ("a.ts", {}),
        ("a.mpg", {"video_codec": "mpeg1video", "sound_codec": "mp2"}),
    ],
)
def test_a_stream_that_states_no_length_has_that_of_its_packets(
    tmp_path: Path, name: str, how: dict[str, object]
) -> None:
    if name.endswith(("webm", "mkv")):
        how = {**how, "container_options": {"live": "1"}}
    found = probe(clip(tmp_path / name, **how))
    assert found.duration == pytest.approx(SECONDS, abs=0.1)
    assert unusable(found, "video") is None and unusable(found, "audio") is None


@pytest.mark.parametrize(("name", "codec"), [("a.mp3", "libmp3lame"), ("a.aac", "aac")])
def test_a_length_made_of_the_bit_rate_is_not_believed(
    tmp_path: Path, name: str, codec: str
) -> None:
    """Loud noise first, then silence: the first packets are far larger than the others."""
    sound = np.zeros((1, 30 * 48_000), np.float32)
    sound[0, : 2 * 48_000] = np.random.default_rng(0).normal(0, 0.3, 2 * 48_000)
    options = {"write_xing": "0"} if name.endswith("mp3") else {}
    path = write_media(
        tmp_path / name,
        sound=sound,
        layout="mono",
        sound_codec=codec,
        container_options=options,
        sound_options={"q": "2"},
    )
    assert probe(path).duration == pytest.approx(30, abs=0.1)


@pytest.mark.parametrize("stated", [0.5, 600.0])
def test_a_header_that_lies_is_not_believed(tmp_path: Path, stated: float) -> None:
    path = clip(tmp_path / "a.flv")
    data = path.read_bytes()
    place = data.index(b"duration") + len(b"duration") + 1
    path.write_bytes(data[:place] + struct.pack(">d", stated) + data[place + 8 :])
    assert probe(path).duration == pytest.approx(SECONDS, abs=0.1)


def test_a_length_that_packets_bear_out_is_taken_as_it_is(tmp_path: Path) -> None:
    found = probe(clip(tmp_path / "a.mp4"))
    assert found.duration == found.promised == pytest.approx(SECONDS, abs=0.03)


def test_a_file_cut_short_lasts_as_long_as_what_is_left(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", container_options={"movflags": "faststart"})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    found = probe(path)
    assert found.promised == pytest.approx(SECONDS, abs=0.05)
    assert found.duration is not None and 2 < found.duration < 5
