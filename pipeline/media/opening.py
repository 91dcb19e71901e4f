"""Open a media file, and name each way in which that can fail.

FFmpeg's own message for a clip without its index, a Git-LFS pointer and a folder of random bytes
is one and the same ("Invalid data found"), so this module looks at the bytes first.
"""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import av

from pipeline.base.errors import MediaError
from pipeline.base.files import LFS_HEAD

Kind = Literal["video", "audio"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MICROSECONDS = 1_000_000
# Before version 19 PyAV raised for a title that is not UTF-8 unless told not to.
TOLERANT = {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}
# FFmpeg decodes the first pictures of a file to learn what is in it: 40 ms of a 3 s clip of
# 1280 x 720, a fifth of all its decoding. An MP4's header holds that, so no decoder is allowed.
HEADER_ONLY = {"codec_whitelist": "none"}
# Demuxers that read the one file they are given. Playlists (hls, dash, concat, sdp) and numbered
# pictures (image2) name further files, of which no digest of ours would know.
FORMATS = (
    "mov,matroska,avi,flv,mpeg,mpegts,asf,ogg,nut,mxf,gxf,rm,wtv,dv,swf,ivf,gif,apng,yuv4mpegpipe,"
    "av1,obu,h261,h263,h264,hevc,vvc,m4v,mpegvideo,mjpeg,dirac,dnxhd,vc1,"
    "wav,w64,aiff,caf,au,flac,mp3,aac,loas,ac3,eac3,dts,dtshd,mlp,truehd,ape,tta,tak,wv,mpc,mpc8,"
    "amr,amrnb,amrwb,voc,sox,nistsphere,ircam,dsf,iff,oma,xwma,qoa"
)
ALONE = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
# What PyAV raises for odd media, beside FFmpeg's own errors: values it has no name or room for.
ODD = (av.error.FFmpegError, OSError, ValueError, ArithmeticError, RuntimeError)


@contextmanager
def open_media(path: Path) -> Iterator[Any]:
    """Opens a media file for reading: an `av.container.InputContainer`, closed after the block.

    Raises:
        MediaError: `absent`, `empty`, `lfs_pointer`, `truncated` or `unreadable`, the last also for
            whatever PyAV raises in the block. The detail names no folder, so that ledgers of two
            machines are alike.
    """
    head = _checked_head(path)
    options = HEADER_ONLY if head[4:8] == b"ftyp" else {}
    try:
        # The prefix keeps FFmpeg from reading a protocol out of a name like `dia1:2.mp4`.
        container = av.open(f"file:{path}", options=options, container_options=ALONE, **TOLERANT)
    except ODD as error:
        if isinstance(error, MemoryError):
            raise
        if _lacks_moov(path):
            detail = "no moov atom: the file was cut short; download it again"
            raise MediaError("truncated", detail) from error
        detail = f"FFmpeg cannot open it: {message(error)}"
        if isinstance(error, av.error.ArgumentError):  # its format is not one of FORMATS
            detail += "; playlists and rare formats are not read: convert it to mp4 or wav"
        raise MediaError("unreadable", detail) from error
    try:
        with container:
            yield container
    except ODD as error:
        if isinstance(error, MemoryError) or not _from_pyav(error):
            raise
        raise MediaError("unreadable", f"FFmpeg cannot read it: {message(error)}") from error


def _from_pyav(error: BaseException) -> bool:
    """Whether PyAV raised it: a mistake of ours must not pass for a file's."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return Path(frame.f_code.co_filename).parts[0] == "av"  # as Cython names its sources


def message(error: BaseException) -> str:
    """FFmpeg's message, without the path that PyAV adds to it."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def chosen_stream(container: Any, kind: Kind) -> Any | None:
    """The stream that players choose: the first decodable one marked `default`, else the first."""
    cover, marked = av.stream.Disposition.attached_pic, av.stream.Disposition.default
    streams = [s for s in getattr(container.streams, kind) if s.codec_context is not None]
    usable = [s for s in streams if not s.disposition & cover]
    return next((s for s in usable if s.disposition & marked), usable[0] if usable else None)


def needed_stream(container: Any, kind: Kind) -> Any:
    """The stream that players choose, to be decoded in one thread; else `no_KIND`, `no_decoder`."""
    stream = chosen_stream(container, kind)
    if stream is None and kind in without_decoder(container):
        raise undecodable(kind)
    if stream is None:
        raise MediaError(f"no_{kind}", f"the file holds no {kind} stream")
    stream.codec_context.thread_count = 1
    return stream


def without_decoder(container: Any) -> tuple[str, ...]:
    """The kinds of which a file has streams but none that can be decoded."""

    def lacks(kind: Kind) -> bool:
        streams = getattr(container.streams, kind)
        unknown = any(stream.codec_context is None for stream in streams)
        return unknown and chosen_stream(container, kind) is None

    return tuple(kind for kind in KINDS if lacks(kind))


def undecodable(kind: str) -> MediaError:
    """The error for a stream whose codec FFmpeg does not know."""
    detail = f"FFmpeg has no decoder for its {kind}; convert the file, or install a fuller FFmpeg"
    return MediaError("no_decoder", detail)


def origin(container: Any) -> float:
    """Time stamp of the file's beginning in seconds; all times in `media` count from it.

    An MPEG transport stream starts at 1.4 s and a cut clip anywhere; FFmpeg's `-ss` and players
    count from the first stream's first time stamp, and so do annotations.
    """
    start: int | None = container.start_time
    return 0.0 if start is None else start / MICROSECONDS


def _checked_head(path: Path) -> bytes:
    """Checks that there is a file with something in it, and reads its first bytes."""
    try:
        if not path.is_file():
            what = "a folder has this name" if path.is_dir() else "there is no such file"
            raise MediaError("absent", what)
        if path.stat().st_size == 0:
            raise MediaError("empty", "the file has 0 bytes; copy or download it again")
        with path.open("rb") as file:
            head = file.read(len(LFS_HEAD))
    except OSError as error:
        raise MediaError("unreadable", f"the file cannot be read: {message(error)}") from error
    if head == LFS_HEAD:
        raise MediaError("lfs_pointer", "a Git-LFS pointer stands in its place; run `git lfs pull`")
    return head


def _lacks_moov(path: Path) -> bool:
    """Whether this is an MP4 file without the box that says where its frames lie."""
    size = path.stat().st_size
    position, kinds = 0, []
    with path.open("rb") as file:
        while position + 8 <= size:
            file.seek(position)
            head = file.read(16)
            length = int.from_bytes(head[:4], "big")
            kinds.append(head[4:8])
            if length == 1:  # a box over 4 GiB gives its length in the next 8 bytes
                length = int.from_bytes(head[8:16], "big")
            if length < 8:
                break
            position += length
    return kinds[:1] == [b"ftyp"] and b"moov" not in kinds
