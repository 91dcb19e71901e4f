"""Entries of the clip cache made from media, each piece once.

Processes that a broken file may crash or hang do the work. They put their entries into the cache
themselves, so that what is done stays done whatever happens to the rest.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from pipeline.base.cache import ClipCache, digest_of
from pipeline.base.errors import MediaError, PipelineError
from pipeline.base.settings import Modality
from pipeline.base.workers import isolated, patience_for
from pipeline.records.ledger import Problem, summary, write_ledger
from pipeline.records.manifest import Segment, Utterance

Failures = dict[str, MediaError]


@dataclass(frozen=True)
class Piece:
    """An utterance and the segment of a medium that an entry of the cache is made from.

    Attributes:
        utterance: Whose.
        segment: What is read.
        key: Of the entry; the same for utterances that use the same of the same content.
    """

    utterance: Utterance
    segment: Segment
    key: str


# Puts the entries of pieces of one file into the cache; returns what failed, by key.
Make = Callable[[Sequence[Piece]], Failures]


@dataclass
class Entries:
    """The entries of pieces, made as they are asked for.

    Args:
        make: What makes them, in processes of their own; it can be pickled.
        cache: Where they are looked for and put.
        preload: Modules that those processes find loaded.
    """

    make: Make
    cache: ClipCache
    preload: tuple[str, ...] = ()
    _failed: Failures = field(default_factory=dict)
    _begun: set[str] = field(default_factory=set)

    def of(
        self, files: Iterable[Sequence[Piece]]
    ) -> Iterator[tuple[Utterance, pa.RecordBatch | MediaError | None]]:
        """The entry of each piece.

        Args:
            files: Pieces in groups that one reading of a file serves.

        Yields:
            Utterances in order, each with its entry, the error that took its place, or None where
            the manifest says that the segment cannot be used.
        """
        planned = ((group, self._lacking(group)) for group in files)
        items = (((group, lacking), lacking or None) for group, lacking in planned)
        for (group, lacking), result in isolated(self.make, items, _patience, self.preload):
            self._note(lacking, result)
            for piece in group:
                yield piece.utterance, self._entry(piece)
            self._begun -= {piece.key for piece in lacking}

    def _lacking(self, group: Sequence[Piece]) -> list[Piece]:
        """The pieces that nobody has made, is making or failed to make, each once."""
        lacking = {
            piece.key: piece
            for piece in group
            if piece.segment.missing is None
            and piece.key not in self._begun | self._failed.keys()
            and not self.cache.has(piece.key)
        }
        self._begun |= lacking.keys()
        return list(lacking.values())

    def _note(self, made: Sequence[Piece], result: Failures | MediaError | None) -> None:
        if isinstance(result, MediaError):
            # One piece of a file may have taken down its neighbours: those are tried one by one.
            result = {piece.key: result for piece in made} if len(made) == 1 else None
        self._failed |= result or {}

    def _entry(self, piece: Piece) -> pa.RecordBatch | MediaError | None:
        if piece.segment.missing is not None:
            return None
        if piece.key in self._failed:
            return self._failed[piece.key]
        entry = self.cache.get(piece.key)
        return self._made_alone(piece) if entry is None else entry

    def _made_alone(self, piece: Piece) -> pa.RecordBatch | MediaError:
        """The entry of a piece whose neighbours failed, or whose entry was damaged."""
        ((_, result),) = isolated(self.make, [(piece, [piece])], _patience, self.preload)
        self._note([piece], result)
        if piece.key in self._failed:
            return self._failed[piece.key]
        entry = self.cache.get(piece.key)
        if entry is None:
            raise PipelineError(
                f"{self.cache.folder}: what was just put there is gone; something else deletes "
                "from the clip cache, such as `python -m pipeline cache --prune-days`: run again."
            )
        return entry


def _patience(pieces: Sequence[Piece]) -> float:
    return patience_for(max(piece.segment.end or 0.0 for piece in pieces))


def media_key(segment: Segment) -> str:
    """What of a media file is used: its content, the stretch and the region."""
    return digest_of(segment.sha256, segment.start, segment.end, segment.region)


def pictures_key(utterance: Utterance) -> str:
    """What an utterance's pictures are made of: what is seen, and the voice that picks the face."""
    return digest_of(media_key(utterance.video), media_key(utterance.audio))


V = TypeVar("V")


class Tally:
    """Counts utterances with and without a modality, and gathers the step's problems.

    Args:
        modality: Which.
    """

    def __init__(self, modality: Modality) -> None:
        self.modality = modality
        self.problems: list[Problem] = []
        self.present = self.missing = 0

    def counted(
        self, found: Iterable[tuple[str, V | None, list[Problem]]]
    ) -> Iterator[tuple[str, V | None]]:
        """Passes rows on without their problems."""
        for utterance, value, problems in found:
            self.problems += problems
            self.present += value is not None
            self.missing += value is None
            yield utterance, value

    def close(self, ledger: Path) -> None:
        """Writes the ledger and prints the step's summary."""
        write_ledger(ledger, self.problems)
        print(f"{self.modality}: {self.present} utterances, {self.missing} masked")
        print("".join(f"{line}\n" for line in summary(self.problems)), end="")

    def check(self, corpus: str) -> None:
        """Refuses a modality that a corpus has nowhere.

        Args:
            corpus: Whose utterances were counted.

        Raises:
            PipelineError: No utterance at all has the modality.
        """
        if not self.present:
            raise PipelineError(
                f"none of {self.missing} utterances has {self.modality}: see the manifest's "
                f"problems with `python -m pipeline doctor {corpus}`, put the clips where it "
                f"looks for them, or take {self.modality} out of {corpus}.extract.modalities."
            )
