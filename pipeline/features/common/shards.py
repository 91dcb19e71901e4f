"""A feature step in shards: rows of the manifest whose cache entries may be made anywhere.

Whoever fills the cache for a shard computes what the step itself would. The step then runs as it
does alone and finds everything there, so neither the number of shards nor their order enters a
byte, and a shard that is filled twice does no harm.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.base.params import Params
from pipeline.base.paths import Places
from pipeline.base.progress import progress
from pipeline.executors.spread import Needs, pieces_of_item, spread, worth_a_cluster
from pipeline.features.common.once import Entries, Failures, Made, Piece
from pipeline.records.manifest import Utterance, dialogue_starts, stream_manifest

SECONDS_BETWEEN_WORDS = 1.0


class Step(ABC):
    """What fills the cache for rows of the manifest."""

    needs: Needs

    @property
    @abstractmethod
    def folder(self) -> Path:
        """Of its entries."""

    @property
    def failed(self) -> Failures:
        """What could not be made, by key, and is not tried again: nothing, unless of clips."""
        return {}

    @abstractmethod
    def lacking(self) -> Iterator[str]:
        """Keys of entries that are to be made, in order; as good as nothing is computed."""

    @abstractmethod
    def rows(self, wanted: range | None = None) -> Iterator[Any]:
        """Look up or make what `wanted` rows of the manifest need, one by one; None: all rows."""


Make = Callable[[Params, str, Places], Step]


@dataclass
class StepOfClips(Step):
    """A step whose entries are made of clips; `files` groups what one reading of a file serves."""

    manifest: Path
    entries: Entries
    files: Callable[[Iterable[Utterance]], Iterable[Sequence[Piece]]]
    needs: Needs

    @property
    def folder(self) -> Path:
        """As `Step`."""
        return self.entries.cache.folder

    @property
    def failed(self) -> Failures:
        """As `Step`."""
        return self.entries.failed

    def lacking(self) -> Iterator[str]:
        """As `Step`."""
        for group in self.files(stream_manifest(self.manifest)):
            yield from (piece.key for piece in group if self.entries.lacks(piece))

    def rows(self, wanted: range | None = None) -> Iterator[Made]:
        """As `Step`."""
        return self.entries.of(self.files(stream_manifest(self.manifest, wanted)))


@dataclass(frozen=True)
class Shard:
    """Rows of a corpus for which a step's cache is filled, by a process that may be elsewhere."""

    make: Make
    params: Params
    corpus: str
    folder: str  # of the driver's entries
    rows: range


@dataclass(frozen=True)
class Filled:
    """Rows that are done since the last word, and what could not be made, by key."""

    rows: int
    failed: Failures = field(default_factory=dict)


def shards(manifest: Path) -> list[range]:
    """Cut a manifest into shards, in order, of about the same length."""
    starts = dialogue_starts(manifest)
    total = starts.pop()
    least = pieces_of_item(total)
    cuts = [0]
    for start in starts:
        if start - cuts[-1] >= least:
            cuts.append(start)
    return [range(*pair) for pair in zip(cuts, [*cuts[1:], total], strict=True) if total]


def fill_on_cluster(make: Make, step: Step, params: Params, corpus: str, places: Places) -> None:
    """Where a cluster is chosen, have it make what the step's cache lacks, and note what failed.

    A few entries are not worth its start: the step makes them itself. So a run that finds
    everything in the cache, or everything but what fails again and again, needs no cluster.
    """
    if not worth_a_cluster(step.lacking(), step.needs):
        return
    if places != paths.places(corpus):  # a conversation in a folder that nobody else sees
        return
    told = make, params.only(corpus), corpus, str(step.folder.absolute())
    items = [Shard(*told, rows) for rows in shards(places.manifest)]
    total = sum(len(one.rows) for one in items)
    with progress(f"{step.needs.stage} {places.name} on the cluster", total) as loop:
        for filled in spread(fill, items, step.needs):
            loop.advance(count=filled.rows)
            step.failed.update(filled.failed)


_last: tuple[tuple[Make, str, str], Step] | None = None  # of this process' shard before


def fill(shard: Shard) -> Iterator[Filled]:
    """Fill the cache for a shard; tell now and then how many rows are done, at the end what failed.

    Raises:
        PipelineError: The entries made here are not those that the driver looks for.
    """
    global _last
    which = shard.make, shard.corpus, shard.folder
    if _last is None or _last[0] != which:
        made = shard.make(shard.params, shard.corpus, paths.places(shard.corpus))
        if isinstance(made, StepOfClips):
            made.entries.keep = True
        _last = which, made
    step = _last[1]
    if (folder := str(step.folder.absolute())) != shard.folder:
        raise PipelineError(
            f"{step.needs.stage}: what is computed here is kept in {folder}, the driver looks for "
            f"it in {shard.folder}: they differ in a setting, a library, an encoder or the device."
        )
    done, told, known = 0, time.monotonic(), set(step.failed)
    for _ in step.rows(shard.rows):
        done += 1
        if time.monotonic() - told > SECONDS_BETWEEN_WORDS:
            yield Filled(done)
            done, told = 0, time.monotonic()
    yield Filled(done, {key: step.failed[key] for key in step.failed if key not in known})
