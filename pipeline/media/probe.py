"""Read what a media file holds from its headers, without decoding a frame."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline.base.errors import MediaError
from pipeline.media.mixing import layout_of
from pipeline.media.opening import (
    MICROSECONDS,
    audio_stream,
    open_media,
    undecodable,
    video_stream,
    without_decoder,
)


@dataclass(frozen=True)
class VideoInfo:
    """A video stream: size in pixels, mean frames per second (None: not stated), codec name."""

    width: int
    height: int
    rate: float | None
    codec: str


@dataclass(frozen=True)
class AudioInfo:
    """An audio stream: samples per second in hertz, channels, their layout, codec name.

    An MP4 does not name its layout before it is decoded; it is then `6 channels`, for instance.
    """

    rate: int
    channels: int
    layout: str
    codec: str


@dataclass(frozen=True)
class Probe:
    """A file's first usable streams.

    Attributes:
        video: None where there is none.
        audio: Likewise.
        duration: Of the file in seconds, None where it states none.
        without_decoder: `video` and `audio`, where all streams of the kind are in a codec that
            FFmpeg cannot decode.
    """

    video: VideoInfo | None
    audio: AudioInfo | None
    duration: float | None
    without_decoder: tuple[str, ...] = ()


def probe(path: Path) -> Probe:
    """Reads what a media file holds.

    Raises:
        MediaError: `absent`, `empty`, `lfs_pointer`, `truncated` or `unreadable`.
    """
    with open_media(path) as container:
        video, audio = video_stream(container), audio_stream(container)
        return Probe(
            without_decoder=without_decoder(container),
            video=None if video is None else _video_info(video),
            audio=None if audio is None else _audio_info(audio),
            duration=_duration(container, [s for s in (video, audio) if s is not None]),
        )


def unusable(probed: Probe, modality: Literal["video", "audio"]) -> MediaError | None:
    """Why a modality of a probed file cannot be used, None if it can.

    Returns:
        A MediaError to raise or to write down: `no_video`, `no_audio`, `no_decoder`, or
        `no_duration` for a file that states no length or one of 0 seconds.
    """
    if modality in probed.without_decoder:
        return undecodable(modality)
    if getattr(probed, modality) is None:
        other = "audio" if modality == "video" else "video"
        beside = f"only {other}" if getattr(probed, other) is not None else f"and no {other}"
        return MediaError(f"no_{modality}", f"the file holds no {modality} stream, {beside}")
    if not probed.duration:
        return MediaError("no_duration", f"the file states a length of {probed.duration} s")
    return None


def _video_info(stream: Any) -> VideoInfo:
    context = stream.codec_context
    rate = stream.average_rate
    return VideoInfo(context.width, context.height, float(rate) if rate else None, context.name)


def _audio_info(stream: Any) -> AudioInfo:
    context = stream.codec_context
    layout, channels = layout_of(context)
    return AudioInfo(context.sample_rate, channels, layout, context.name)


def _duration(container: Any, streams: list[Any]) -> float | None:
    if container.duration is not None:
        return float(container.duration / MICROSECONDS)
    lengths = [float(s.duration * s.time_base) for s in streams if s.duration is not None]
    return max(lengths, default=None)
