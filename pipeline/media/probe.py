"""Read what a media file holds, without decoding a frame."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from pipeline.base.errors import MediaError
from pipeline.media.mixing import layout_of
from pipeline.media.opening import (
    KINDS,
    MICROSECONDS,
    Kind,
    chosen_stream,
    open_media,
    undecodable,
    without_decoder,
)
from pipeline.media.packets import FALLBACK_RATE, Clock

# Seconds by which the stated length may differ from that of the packets and still be taken.
SURE = 0.1
# Formats whose header counts the frames of each stream.
INDEXED = {"mov,mp4,m4a,3gp,3g2,mj2", "avi"}


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
    """A file's usable streams, and the kinds of stream of which none can be decoded.

    Its duration is in seconds, borne out by its packets; what its index promises may differ.
    """

    video: VideoInfo | None
    audio: AudioInfo | None
    duration: float | None
    without_decoder: tuple[str, ...] = ()
    promised: float | None = None


def probe(path: Path) -> Probe:
    """Read what a media file holds; raises as `open_media`."""
    with open_media(path) as container:
        video, audio = (chosen_stream(container, kind) for kind in KINDS)
        streams = [stream for stream in (video, audio) if stream is not None]
        lengths = (float(s.duration * s.time_base) for s in streams if s.duration)
        return Probe(
            without_decoder=without_decoder(container),
            video=None if video is None else _video_info(video),
            audio=None if audio is None else _audio_info(audio),
            duration=_duration(container, streams),
            promised=max(lengths, default=None) if container.format.name in INDEXED else None,
        )


def unusable(probed: Probe, modality: Kind) -> MediaError | None:
    """Why a modality of a probed file cannot be used, None if it can.

    `no_video`, `no_audio`, `no_decoder`, or `no_duration` where no packet tells when it ends.
    """
    if modality in probed.without_decoder:
        return undecodable(modality)
    if getattr(probed, modality) is None:
        other = "audio" if modality == "video" else "video"
        beside = f"only {other}" if getattr(probed, other) is not None else f"and no {other}"
        return MediaError(f"no_{modality}", f"the file holds no {modality} stream, {beside}")
    if not probed.duration:
        return MediaError("no_duration", "none of its packets tells how long it lasts")
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
    stated = None if container.duration is None else container.duration / MICROSECONDS
    measured = _measured(container, streams)
    if stated is not None and measured is not None and abs(stated - measured) <= SURE:
        return float(stated)
    return measured


def _measured(container: Any, streams: list[Any]) -> float | None:
    """When the last packet of some streams ends, as far as the file can be read."""
    clocks = {stream.index: Clock.of(container, stream) for stream in streams}
    usual = dict.fromkeys(clocks, 0)  # the length of a packet that states none, in stream's units
    for stream in streams:
        if stream.type == "video":
            rate = float(stream.guessed_rate or FALLBACK_RATE)
            usual[stream.index] = round(1 / rate / clocks[stream.index].base)
    ends: dict[int, int] = {}
    try:
        for packet in container.demux(streams) if streams else ():
            stamp = packet.dts if packet.pts is None else packet.pts
            if stamp is not None and not packet.is_discard:
                index = packet.stream_index
                end = stamp + (packet.duration or usual[index])
                ends[index] = max(end, ends.get(index, end))
    except av.error.MemoryError:
        raise
    except av.error.FFmpegError:
        pass  # cut short: what comes before is measured
    return max((clocks[index].seconds(end) for index, end in ends.items()), default=None)
