"""Cache entries made from media, each distinct piece once.

Processes that a broken file may crash or hang do the work. They put their entries into the cache
themselves, so that what is done stays done whatever happens to the rest.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import pyarrow as pa

from pipeline.base.cache import ClipCache, digest_of
from pipeline.base.display import say
from pipeline.base.errors import MediaError, PipelineError
from pipeline.base.files import file_state, sha256_file
from pipeline.base.settings import Modality
from pipeline.base.workers import MANY, Isolation, patience_for
from pipeline.records.ledger import Problem, retry, summary, write_ledger
from pipeline.records.manifest import Segment, Utterance

V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)
Failures = dict[str, MediaError]
# An utterance with its entry, the error in its place, or None where it cannot have one.
Made = tuple[Utterance, pa.RecordBatch | MediaError | None]


@dataclass(frozen=True)
class Piece:
    """An utterance and the segment of a medium that an entry of the cache is made from."""

    utterance: Utterance
    segment: Segment
    key: str  # of the entry; the same for utterances that use the same of the same content
    besides: Sequence[Segment] = ()  # further media that the entry is made from


@dataclass
class Entries:
    """The entries of pieces, made as they are asked for.

    `make`, which can be pickled, reads pieces of one file in a process of its own, which finds the
    modules `preload` loaded. It puts their entries into the cache and returns the errors of the
    others by key, or returns by key what `finish` makes a cache row of in this process.
    """

    make: Callable[[Sequence[Piece]], Mapping[str, Any]]
    cache: ClipCache
    preload: tuple[str, ...] = ()
    finish: Callable[[Any], dict[str, Any]] = dict
    ahead: int | None = MANY  # groups under way; None, a few, where `make` returns much
    keep: bool = False  # whether the processes stay for the next call of `of`
    failed: Failures = field(default_factory=dict)  # by key; also what failed elsewhere
    _begun: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._processes = Isolation(self.make, self.preload)

    def of(self, files: Iterable[Sequence[Piece]]) -> Iterator[Made]:
        """Look up or make the entry of each piece, in groups that one reading of a file serves.

        Yields utterances in order, each with its entry, the error that took its place, or None
        where the manifest says that the segment cannot be used.
        """
        planned = ((group, self._lacking(group)) for group in files)
        items = (((group, lacking), lacking or None) for group, lacking in planned)
        try:
            done = self._processes.results(items, _patience, self.ahead)
            for (group, lacking), result in done:
                self._note(lacking, result)
                for piece in group:
                    yield piece.utterance, self._entry(piece)
                self._begun.difference_update(piece.key for piece in lacking)
        finally:
            if not self.keep:
                self._processes.close()

    def lacks(self, piece: Piece) -> bool:
        """Whether nobody has made a piece's entry or failed to."""
        return (
            piece.segment.missing is None
            and piece.key not in self.failed
            and not self.cache.has(piece.key)
        )

    def _lacking(self, group: Sequence[Piece]) -> list[Piece]:
        """The pieces that nobody has made, is making or failed to make, each once."""
        lacking = {
            piece.key: piece
            for piece in group
            if piece.key not in self._begun and self.lacks(piece)
        }
        self._begun |= lacking.keys()
        return list(lacking.values())

    def _note(self, made: Sequence[Piece], result: Mapping[str, Any] | MediaError | None) -> None:
        if isinstance(result, MediaError):
            # One piece of a file may have taken down its neighbours: those are tried one by one.
            result = {piece.key: result for piece in made} if len(made) == 1 else None
        for key, value in (result or {}).items():
            try:
                if isinstance(value, MediaError):
                    raise value
                self.cache.put(key, self.finish(value))
            except MediaError as error:
                self.failed[key] = error

    def _entry(self, piece: Piece) -> pa.RecordBatch | MediaError | None:
        """A piece's entry, made alone where its neighbours failed or the entry was damaged."""
        if piece.segment.missing is not None:
            return None
        for alone in (False, True):
            if alone:
                ((_, result),) = self._processes.results([(piece, [piece])], _patience)
                self._note([piece], result)
            # First the cache: what failed on one node of a cluster may have been made on another.
            if (entry := self.cache.get(piece.key)) is not None:
                return entry
            if piece.key in self.failed:
                return self.failed[piece.key]
        raise PipelineError(
            f"{self.cache.folder}: what was just put there is gone; something else deletes "
            "from the clip cache, such as `python -m pipeline cache --prune-days`: run again."
        )


def _patience(pieces: Sequence[Piece]) -> float:
    return patience_for(max(piece.segment.end or 0.0 for piece in pieces))


def media_key(segment: Segment) -> str:
    """The digest of what is used of a media file: its content, the times and the region."""
    return digest_of(segment.sha256, segment.start, segment.end, segment.region)


def pictures_key(utterance: Utterance) -> str:
    """The digest of what pictures are made of: what is seen, and the voice that picks the face."""
    # `filled` of without.py fills both; an assertion would be code, and change the cache's keys.
    return digest_of(media_key(utterance.video), media_key(utterance.audio))  # type: ignore[arg-type]


def check_content(root: Path, piece: Piece) -> None:
    """Refuse a piece whose files hold other bytes than the manifest says.

    To be called before they are read, and again before what was made of them is kept under their
    digests. A file is hashed once as long as its state stays the same.
    """
    for segment in (piece.segment, *piece.besides):
        path = root / segment.path
        if segment.missing is not None or not path.is_file():
            continue  # what decodes it says why it cannot be read
        digest = _content(path, file_state(path))
        if digest != segment.sha256:
            raise PipelineError(
                f"{path} was replaced after the manifest was written: got SHA-256 {digest}, "
                f"expected {segment.sha256}. Run again; under DVC, should it say so again, first "
                "`dvc repro --force --single-item manifest@CORPUS`."
            )


@lru_cache(maxsize=16)
def _content(path: Path, state: tuple[int, ...]) -> str:
    return sha256_file(path)


class Outcome(NamedTuple, Generic[V_co]):
    """What a stage makes of an utterance: a value, None where it is masked, and problems."""

    utterance: str
    value: V_co | None
    problems: Sequence[Problem] = ()


def outcome(utterance: Utterance, modality: Modality, value: V | MediaError | None) -> Outcome[V]:
    """An error masks the utterance and is a problem of it."""
    if isinstance(value, MediaError):
        problem = Problem(utterance.utterance, modality, value.kind, value.detail)
        return Outcome(utterance.utterance, None, [problem])
    return Outcome(utterance.utterance, value)


class Tally:
    """Counts utterances with and without a modality, and gathers a stage's problems."""

    def __init__(self, modality: Modality) -> None:
        self.modality = modality
        self.problems: list[Problem] = []
        self.present = self.missing = 0

    def rows(self, outcomes: Iterable[Outcome[V]]) -> Iterator[tuple[str, V | None]]:
        """Pass outcomes on without their problems."""
        for utterance, value, problems in outcomes:
            self.problems += problems
            self.present += value is not None
            self.missing += value is None
            yield utterance, value

    def close(self, ledger: Path) -> None:
        """Write the ledger and print the stage's summary."""
        write_ledger(ledger, self.problems)
        say(f"{self.modality}: {self.present} utterances, {self.missing} masked")
        say("".join(f"{line}\n" for line in summary(self.problems)), end="")

    def check(self, corpus: str) -> None:
        """Say what may be tried again, and refuse a modality that none of the utterances has."""
        stage = "frames" if self.modality == "visual" else self.modality
        say("".join(f"{line}\n" for line in retry(self.problems, stage, corpus)), end="")
        if not self.present:
            raise PipelineError(
                f"none of {self.missing} utterances has {self.modality}; the summaries of this "
                f"stage and of `python -m stages.manifest {corpus}` give the reasons. Put the "
                f"clips where the reader looks for them, or take {self.modality} out of "
                f"{corpus}.extract.modalities and of each system's, {corpus}.SYSTEM.modalities."
            )
