"""Utterances to acoustic functionals."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from pipeline.cache import ClipCache
from pipeline.errors import MediaError
from pipeline.extraction.keys import media_key
from pipeline.extraction.vectors import vectors_in, vectors_row
from pipeline.ledger import Problem
from pipeline.manifest import Segment, Utterance
from pipeline.media.audio import load_mono

RATE = 16_000
Extract = Callable[[np.ndarray, int], np.ndarray]
Found = tuple[str, np.ndarray | None, list[Problem]]


def audio_of(
    utterances: Sequence[Utterance], root: Path, extract: Extract, cache: ClipCache
) -> Iterator[Found]:
    """The functionals of each utterance, computed only if the cache lacks them.

    Args:
        utterances: In manifest order.
        root: The raw folder their paths are relative to.
        extract: [sample] float32 and its rate in hertz to [feature].
        cache: Of `VECTORS` rows.

    Yields:
        Utterance, its [1, feature] vector (None where missing) and what went wrong.
    """

    def work(utterance: Utterance) -> Found:
        segment = utterance.audio
        if segment.missing is not None:
            return utterance.utterance, None, []
        key = media_key(segment)
        try:
            entry = cache.get(key) or cache.put(key, vectors_row(_vector(root, segment, extract)))
        except MediaError as error:
            problem = Problem(utterance.utterance, "audio", error.kind, error.detail)
            return utterance.utterance, None, [problem]
        return utterance.utterance, vectors_in(entry), []

    return map(work, utterances)


def _vector(root: Path, segment: Segment, extract: Extract) -> np.ndarray:
    assert segment.end is not None
    samples = load_mono(
        root / segment.path,
        rate=RATE,
        start=segment.start,
        end=segment.end,
        max_seconds=segment.end - segment.start,
    )
    return extract(samples, RATE)[None]
