"""Pictures to one vector per frame, in a stream of whole batches across utterances.

Pictures are read, looked up and decoded in threads ahead of the network, and vectors are written
to the cache in threads behind it, so that the network waits for nothing. Every distinct picture of
a corpus is computed once.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import NamedTuple, Protocol, TypeVar

import numpy as np

from pipeline.base.cache import ClipCache
from pipeline.base.errors import PipelineError
from pipeline.base.workers import ordered_map
from pipeline.features.visual.plan import HELD, Plan, Row, SeenPictures, Step, look_up, steps
from pipeline.records.features import vectors_in, vectors_row

T = TypeVar("T")
VectorRow = tuple[str, np.ndarray | None]
# Batches that are being decoded or wait for the network, and those the network is started on.
DECODED_AHEAD, FED_AHEAD, STARTED = 8, 2, 2
# Utterances on their way to the cache.
KEPT_BEHIND = 32


class Encoder(Protocol):
    """Pictures to vectors, in batches of one shape; a vector does not depend on its neighbours."""

    batch_size: int

    def room(self) -> np.ndarray:
        """A place for the pictures of a batch; called from several threads."""

    def start(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        """Start on a batch; the result waits for its vectors."""


def visual_of(
    rows: Callable[[], Iterable[Row]], encoder: Encoder, cache: ClipCache
) -> Iterator[VectorRow]:
    """Yield the [frame, feature] vectors of each utterance's pictures, None where missing.

    `rows` gives the frame store's, from the first, each time it is called. Where the cache, of an
    entry per utterance, lacks a row, what it has of all others, wherever in the corpus, is noted
    before anything is computed. A picture that cannot be decoded and a cache that is pruned under
    way are refused.
    """
    seen = SeenPictures()
    known: int | None = 0
    if cache.folder.is_dir():
        known = yield from _from_cache(rows(), seen, cache)
    if known is None:
        return
    planned = steps(islice(rows(), known, None), seen, encoder.batch_size)
    decoded = ordered_map(partial(_decoded, encoder), planned, DECODED_AHEAD)
    entries = _Entries(cache)
    computed = _computed(_fed(decoded, FED_AHEAD), encoder, entries)
    yield from ordered_map(entries.keep, computed, KEPT_BEHIND)


def _from_cache(
    rows: Iterable[Row], seen: SeenPictures, cache: ClipCache
) -> Generator[VectorRow, None, int | None]:
    """Yield rows up to the first that the cache lacks, and add all that it has to `seen`.

    Returns how many were yielded, or None where these are all.
    """
    known, lacking = 0, False
    held: list[tuple[str, Sequence[bytes]]] = []  # most runs lack nothing, and then need no `seen`
    for keyed, vectors in look_up(rows, cache):
        if vectors is not None:
            held.append((keyed.key, keyed.digests))
        lacking = lacking or (vectors is None and keyed.key != "")
        if not lacking:
            known += 1
            yield keyed.row[0], vectors
        if lacking or len(held) > HELD:
            for entry in held:
                seen.add(*entry)
            held.clear()
    return known if lacking else None


def _decoded(encoder: Encoder, step: Step) -> Step:
    # Here, so that a run that finds everything in the cache does not import OpenCV.
    from pipeline.features.common.images import decode_image

    if step.images:
        step.batch = encoder.room()
        for place, image in enumerate(step.images):
            decode_image(image, step.batch[place])
        step.batch[len(step.images) :] = 0
    return step


def _fed(items: Iterator[T], ahead: int) -> Iterator[T]:
    """`items`, taken in a thread of their own, a few ahead of their use."""
    with ThreadPoolExecutor(1) as pool:
        waiting = deque(pool.submit(next, items, None) for _ in range(ahead))
        try:
            while (item := waiting.popleft().result()) is not None:
                waiting.append(pool.submit(next, items, None))
                yield item
        finally:
            pool.shutdown(cancel_futures=True)


class _Kept(NamedTuple):
    """Vectors and the entry to write them to; without vectors, the entry to read; or neither."""

    utterance: str
    key: str
    vectors: np.ndarray | None


class _Entries:
    """Vectors by cache key: in memory while they are on their way to the cache, then from it."""

    def __init__(self, cache: ClipCache) -> None:
        self._cache = cache
        self.recent: dict[str, np.ndarray] = {}

    def add(self, key: str, vectors: np.ndarray) -> None:
        """Hold vectors until `keep`, which is KEPT_BEHIND at most, has written them."""
        self.recent[key] = vectors
        if len(self.recent) > KEPT_BEHIND + 2:
            del self.recent[next(iter(self.recent))]

    def get(self, key: str) -> np.ndarray:
        if (vectors := self.recent.get(key)) is not None:
            return vectors
        entry = self._cache.get(key)
        if entry is None:
            raise PipelineError(
                "an entry of the clip cache is gone or damaged that was there at first; was the "
                "cache pruned? Run this again."
            )
        return vectors_in(entry)

    def keep(self, kept: _Kept) -> VectorRow:
        """Write an utterance's new vectors to the cache, or read those that are there."""
        if not kept.key:
            return kept.utterance, kept.vectors
        if kept.vectors is None:
            return kept.utterance, self.get(kept.key)
        return kept.utterance, vectors_in(self._cache.put(kept.key, vectors_row(kept.vectors)))


def _computed(decoded: Iterable[Step], encoder: Encoder, entries: _Entries) -> Iterator[_Kept]:
    started: deque[tuple[Step, Callable[[], np.ndarray] | None]] = deque()
    rows: deque[np.ndarray] = deque()

    def finished() -> Iterator[_Kept]:
        step, vectors = started.popleft()
        if vectors is not None:
            rows.extend(vectors()[: len(step.images)])
        for plan in step.plans:
            yield _filled(plan, rows, entries)

    for step in decoded:
        started.append((step, None if step.batch is None else encoder.start(step.batch)))
        while started and (len(started) >= STARTED or started[0][1] is None):
            yield from finished()
    while started:
        yield from finished()


def _filled(plan: Plan, rows: deque[np.ndarray], entries: _Entries) -> _Kept:
    """An utterance's vectors: the next of the network's, and those that earlier entries have."""
    if not plan.key:
        return _Kept(plan.utterance, "", None)
    if plan.sources is None:
        recent = entries.recent.get(plan.key)
        return _Kept(plan.utterance, plan.key if recent is None else "", recent)
    new = {frame: rows.popleft() for frame in plan.new}
    others = {key: entries.get(key) for key in dict(plan.sources) if key != plan.key}
    vectors = np.stack(
        [new[frame] if key == plan.key else others[key][frame] for key, frame in plan.sources]
    )
    entries.add(plan.key, vectors)
    return _Kept(plan.utterance, plan.key, vectors)
