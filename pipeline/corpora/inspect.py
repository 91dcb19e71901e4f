"""Open and hash every media file of a manifest, once, and list what is wrong with it."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pyarrow as pa
from pydantic import TypeAdapter

from pipeline.base.cache import ClipCache, digest_of
from pipeline.base.errors import MediaError, PipelineError
from pipeline.base.files import chunked, file_state, sha256_file
from pipeline.base.fingerprint import code_digest, versions
from pipeline.base.progress import track
from pipeline.base.settings import Modality
from pipeline.base.workers import MANY, Isolation
from pipeline.corpora.tree import spelled
from pipeline.executors.spread import (
    Needs,
    on_cluster,
    pieces_of_item,
    spread,
    worth_a_cluster,
)
from pipeline.media.probe import Probe, probe, unusable
from pipeline.records.ledger import Problem
from pipeline.records.manifest import Segment, Utterance

LOOK = pa.schema([("look", pa.string())])
CODE = ("pipeline.media.opening", "pipeline.media.probe")
SLACK = 0.1  # seconds by which a file may end before its last utterance
TRIES = 3
MEDIA: tuple[Modality, ...] = ("visual", "audio")  # of an utterance's `video` and `audio`
Finding = tuple[Modality, str, str]


@dataclass(frozen=True)
class Look:
    """What opening a file showed: its digest and streams, or kind and detail of the error."""

    sha256: str | None = None
    probe: Probe | None = None
    error: tuple[str, str] | None = None


AS_JSON = TypeAdapter(Look)


def inspected(
    utterances: Sequence[Utterance],
    root: Path,
    max_seconds: float,
    label: str,
    modalities: Sequence[str] = ("audio", "visual"),
) -> tuple[list[Utterance], list[Problem]]:
    """Completes utterances with digests and ends, and lists what is wrong with their media.

    A segment without an end lasts to its file's end; longer ones are cut to `max_seconds`. Files of
    the modalities are compared with each other. Both results are in the given order.
    """
    segments = [
        [s and replace(s, path=spelled(root, s.path)) for s in (u.video, u.audio)]
        for u in utterances
    ]
    files = list(dict.fromkeys(s.path for both in segments for s in both if s is not None))
    seen = dict(track(_looks(files, root), label, len(files)))
    done, problems = [], []
    for u, both in zip(utterances, segments, strict=True):
        findings: list[Finding] = []
        video, audio = (
            s and _completed(s, modality, seen[s.path], max_seconds, findings)
            for s, modality in zip(both, MEDIA, strict=True)
        )
        done.append(replace(u, video=video, audio=audio))
        problems += [Problem(u.utterance, *finding) for finding in findings]
    return done, problems + list(_identical(done, modalities))


def _looks(files: Sequence[str], root: Path) -> Iterator[tuple[str, Look]]:
    """Looks at each file, unless it was looked at before and its state is still the same."""
    unknown, needs = list(files), Needs("manifest", reads=root)
    if on_cluster():
        cache = _cache()
        looks = [(path, _known(cache, root / path)) for path in files]
        yield from ((path, look) for path, look in looks if look is not None)
        unknown = [path for path, look in looks if look is None]
    if worth_a_cluster(unknown, needs):
        shares = chunked(unknown, pieces_of_item(len(unknown)))
        yield from spread(look_at, [(root, tuple(share)) for share in shares], needs)
        return
    with closing(_Looking()) as looking:
        yield from looking.looks(root, unknown)


def look_at(item: tuple[Path, Sequence[str]]) -> Iterator[tuple[str, Look]]:
    """Look at files below a folder: the work of `spread`."""
    return _kept_looking().looks(*item)


class _Looking:
    """Processes that open files."""

    def __init__(self) -> None:
        self._cache = _cache()
        self._opening = Isolation(_Opener(self._cache), (__name__,))

    def looks(self, root: Path, files: Sequence[str]) -> Iterator[tuple[str, Look]]:
        looks = ((path, _known(self._cache, root / path)) for path in files)
        items = (((path, look), None if look else root / path) for path, look in looks)
        for (path, look), result in self._opening.results(items, ahead=MANY):
            if isinstance(result, MediaError):
                result = Look(error=(result.kind, result.detail))
            shown = look or result
            assert shown is not None
            yield path, shown

    def close(self) -> None:
        self._opening.close()


@cache
def _kept_looking() -> _Looking:
    """That of a process that looks for others; it ends with the process."""
    return _Looking()


def _cache() -> ClipCache:
    return ClipCache("manifest", [code_digest(*CODE), versions("av")], LOOK)


def _known(cache: ClipCache, path: Path) -> Look | None:
    key = _key(path)
    entry = None if key is None else cache.get(key)
    return None if entry is None else AS_JSON.validate_json(entry["look"][0].as_py())


def _key(path: Path) -> str | None:
    try:
        state = file_state(path)
    except OSError:
        return None
    return digest_of(str(path.resolve()), *state)


@dataclass(frozen=True)
class _Opener:
    """Opens a file and keeps what it showed."""

    cache: ClipCache

    def __call__(self, path: Path) -> Look:
        for _ in range(TRIES):
            key = _key(path)
            try:
                look = Look(probe=probe(path), sha256=sha256_file(path))
            except MediaError as error:
                look = Look(error=(error.kind, error.detail))
            if key == _key(path):
                break
        else:
            raise PipelineError(
                f"{path} changed each of {TRIES} times while it was read: run again when whatever "
                "writes it has ended."
            )
        # A failure may be mended without a trace, by `chmod` for instance.
        if key is not None and look.probe is not None:
            self.cache.put(key, {"look": AS_JSON.dump_json(look).decode()})
        return look


def _completed(
    segment: Segment, modality: Modality, look: Look, max_seconds: float, findings: list[Finding]
) -> Segment:
    """A segment with digest and end, or why it is missing; adds what is wrong with it."""
    wrong = _wrong(segment, modality, look)
    if wrong is not None:
        findings.append((modality, *wrong))
        return replace(segment, end=None, sha256=look.sha256, missing=wrong[0])
    assert look.probe is not None and look.probe.duration is not None
    duration = look.probe.duration
    promised = max(duration, look.probe.promised or 0.0)
    wanted = promised if segment.end is None else segment.end
    end = min(wanted, duration, segment.start + max_seconds)
    if end < min(wanted, duration):
        detail = f"lasts {wanted - segment.start:.2f} s, {end - segment.start:.2f} s are used"
        findings.append((modality, "cut", detail))
    elif duration < wanted - SLACK:
        whose = "its header says" if segment.end is None else "ends at"
        detail = f"{whose} {wanted:.3f} s, the file lasts {duration:.3f} s"
        findings.append((modality, "short_file", detail))
    return replace(segment, end=end, sha256=look.sha256)


def _wrong(segment: Segment, modality: Modality, look: Look) -> tuple[str, str] | None:
    """Why a segment cannot be used: kind and detail."""
    if look.error is not None or look.probe is None:
        return look.error
    unfit = unusable(look.probe, "video" if modality == "visual" else "audio")
    if unfit is not None:
        return unfit.kind, unfit.detail
    start, end, duration = segment.start, segment.end, look.probe.duration
    if end is not None and end <= start:
        return "bad_times", f"lasts from {start:.3f} to {end:.3f} s by its annotation"
    if duration is not None and start >= duration:
        return "outside", f"starts at {start:.3f} s, the file lasts {duration:.3f} s"
    return None


def _identical(utterances: Sequence[Utterance], modalities: Sequence[str]) -> Iterator[Problem]:
    """Files of the same bytes under two names; both stay, since nobody knows which is right."""
    first: dict[str, tuple[str, Utterance]] = {}
    for u in utterances:
        both: dict[Modality, Segment | None] = {"audio": u.audio, "visual": u.video}
        there = ((modality, s) for modality, s in both.items() if s and modality in modalities)
        files = {s.path: (modality, s) for modality, s in there}
        for path, (modality, segment) in files.items():
            if segment.sha256 is None:
                continue
            known, other = first.setdefault(segment.sha256, (path, u))
            if known != path:
                alike = (u.emotion, u.sentiment) == (other.emotion, other.sentiment)
                kind = "identical" if alike else "identical_other_label"
                detail = f"the same bytes as {known} of {other.utterance}"
                if u.emotion or other.emotion:
                    detail = f"{detail}: {u.emotion} here, {other.emotion} there"
                yield Problem(u.utterance, modality, kind, detail)
