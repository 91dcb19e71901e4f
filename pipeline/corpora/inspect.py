"""Opens and hashes every media file a manifest names, once, and says what is wrong with it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.errors import MediaError
from pipeline.files import sha256_file
from pipeline.jobs import ordered_map
from pipeline.ledger import Problem
from pipeline.manifest import Segment, Utterance
from pipeline.media.probe import Probe, probe, unusable
from pipeline.progress import track
from pipeline.settings.base import Modality


@dataclass(frozen=True)
class Looked:
    """What one look at a file showed: its digest and streams, or why there are none."""

    sha256: str | None = None
    probe: Probe | None = None
    error: MediaError | None = None


def inspected(
    utterances: Sequence[Utterance], root: Path, label: str
) -> tuple[list[Utterance], list[Problem]]:
    """Completes utterances with digests and ends, and lists what was found wrong.

    Args:
        utterances: As a reader gives them; a segment's `end` is the latest it may have.
        root: The raw folder.
        label: What the progress display says.

    Returns:
        The completed utterances and the ledger, both in the given order.
    """
    files = list(dict.fromkeys(p for u in utterances for p in (u.video.path, u.audio.path)))
    looks = ordered_map(lambda path: _look(root / path), files)
    seen = dict(zip(files, track(looks, label, len(files)), strict=True))
    done, problems = [], []
    for u in utterances:
        video, of_video = _completed(u, u.video, "visual", seen[u.video.path])
        audio, of_audio = _completed(u, u.audio, "audio", seen[u.audio.path])
        done.append(replace(u, video=video, audio=audio))
        problems += [*of_video, *of_audio]
    return done, problems


def _look(path: Path) -> Looked:
    try:
        found = probe(path)
    except MediaError as error:
        return Looked(error=error)
    return Looked(sha256=sha256_file(path), probe=found)


def _completed(
    u: Utterance, segment: Segment, modality: Modality, looked: Looked
) -> tuple[Segment, list[Problem]]:
    error = looked.error
    if looked.probe is not None:
        error = unusable(looked.probe, "video" if modality == "visual" else "audio")
    if error is not None or looked.probe is None or looked.probe.duration is None:
        kind, detail = (error.kind, error.detail) if error else ("no_duration", "unknown length")
        missing = replace(segment, end=None, sha256=looked.sha256, missing=kind)
        return missing, [Problem(u.utterance, modality, kind, detail)]
    end = min(looked.probe.duration, segment.end or looked.probe.duration)
    complete = replace(segment, end=end, sha256=looked.sha256)
    return complete, list(_cut(u, modality, looked.probe.duration, end))


def _cut(u: Utterance, modality: Modality, duration: float, end: float) -> Iterator[Problem]:
    if end < duration:
        yield Problem(u.utterance, modality, "cut", f"lasts {duration:.2f} s, used to {end:.2f} s")
