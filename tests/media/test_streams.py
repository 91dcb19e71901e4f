"""Which of a file's streams are read, and that nothing beside the file itself is."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.base.errors import MediaError
from pipeline.media.audio import load_mono
from pipeline.media.probe import probe
from tests.media.make_media import counter, read_counter, tone, write_media
from tests.media.one_segment import sample_frames
from tests.media.test_sound import strength

DEFAULT = av.stream.Disposition.default
RATE, SOUND_RATE = 25, 48_000


def write_streams(path: Path, marks: tuple[int, int]) -> Path:
    """Two pictures and two sounds, of which those of number 1 are a counter's 7 and 1000 Hz."""
    with av.open(str(path), "w") as container:
        videos = [container.add_stream("mpeg4", rate=RATE, width=160, height=96) for _ in marks]
        sounds = [container.add_stream("pcm_s16le", rate=SOUND_RATE, layout="mono") for _ in marks]
        for place, mark in enumerate(marks):
            videos[place].disposition = sounds[place].disposition = mark
        for number, stream in enumerate(videos):
            for stamp in range(RATE):
                frame = av.VideoFrame.from_ndarray(counter(3 + 4 * number), format="rgb24")
                frame.pts, frame.time_base = stamp, Fraction(1, RATE)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        for hertz, stream in zip((440, 1000), sounds, strict=True):
            samples = (tone(1, SOUND_RATE, hertz) * 32767).astype(np.int16)
            sound = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = SOUND_RATE, 0, Fraction(1, SOUND_RATE)
            container.mux(stream.encode(sound))
    return path


@pytest.mark.parametrize("name", ["two.mkv", "two.mov"])
@pytest.mark.parametrize(("marks", "chosen"), [((0, DEFAULT), 1), ((DEFAULT, 0), 0), ((0, 0), 0)])
def test_the_default_stream_is_read_as_players_do(
    tmp_path: Path, name: str, marks: tuple[int, int], chosen: int
) -> None:
    path = write_streams(tmp_path / name, marks)
    heard = load_mono(path, max_seconds=60)
    assert [strength(heard, hertz) > 0.4 for hertz in (440, 1000)] == [not chosen, bool(chosen)]
    assert read_counter(sample_frames(path, 1)[0].image) == 3 + 4 * chosen


def hls(clip: Path) -> str:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{clip}\n#EXT-X-ENDLIST\n"


def dash(clip: Path) -> str:
    return (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT1S"><Period><AdaptationSet mimeType="video/mp4">'
        f'<Representation id="a" bandwidth="1"><BaseURL>{clip}</BaseURL></Representation>'
        "</AdaptationSet></Period></MPD>"
    )


LISTS: dict[str, Callable[[Path], str]] = {
    "concat": lambda clip: f"ffconcat version 1.0\nfile '{clip}'\n",
    "hls": hls,
    "dash": dash,
    "sdp": lambda _: "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
    "asx": lambda clip: f'<ASX version="3.0"><ENTRY><REF HREF="{clip}"/></ENTRY></ASX>',
    "m3u": lambda clip: f"#EXTM3U\n{clip}\n",
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("elsewhere")
    return write_media(folder / "b.ts", stamps=range(25), rate=Fraction(25))


@pytest.mark.parametrize("kind", LISTS)
def test_a_list_of_files_opens_none_of_them(tmp_path: Path, clip: Path, kind: str) -> None:
    """Its digest would be that of the list, and the files may lie anywhere."""
    for told in (clip, f"file:{clip}", f"../{clip.parent.name}/{clip.name}"):
        for name in ("a.mp4", "a.m3u8", "a.ffconcat", "a.mpd", "a.sdp"):
            path = tmp_path / name
            path.write_text(LISTS[kind](Path(told)))
            with pytest.raises(MediaError, match="unreadable") as caught:
                probe(path)
            assert str(clip.parent) not in caught.value.detail


def test_a_list_is_told_as_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("ffconcat version 1.0\nfile 'b.mp4'\n")
    with pytest.raises(MediaError, match="playlists and rare formats are not read: convert it"):
        probe(path)


def test_a_name_like_a_pattern_reads_no_numbered_pictures(tmp_path: Path) -> None:
    for number in range(3):
        picture = av.VideoFrame.from_ndarray(counter(number), format="rgb24")
        picture.save(tmp_path / f"seq{number}.jpg")
    (tmp_path / "seq%d.jpg").write_bytes(b"nothing of a picture")
    with pytest.raises(MediaError, match="unreadable"):
        probe(tmp_path / "seq%d.jpg")
