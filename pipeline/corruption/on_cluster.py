"""Corrupted features made on a cluster, a step of a corruption at a time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from pipeline.base import paths
from pipeline.base.params import Params
from pipeline.base.progress import track
from pipeline.base.settings import ComputeSettings
from pipeline.corruption.corrupted import CorruptedRows, Extract, extractors, having
from pipeline.corruption.corruptions import CORRUPTIONS
from pipeline.corruption.curves import test_utterances
from pipeline.corruption.tested import Stores
from pipeline.executors.spread import on_cluster, spread, worth_a_cluster
from pipeline.features.common.device import needs_of
from pipeline.records.manifest import stream_manifest
from pipeline.records.protocol import Protocol


@dataclass(frozen=True)
class Level:
    """A step of a corruption of some utterances of a corpus, by their ids."""

    params: Params
    corpus: str
    corruption: int  # place in `CORRUPTIONS`, which hold functions
    level: float
    utterances: frozenset[str]


def corrupt_on_cluster(
    params: Params,
    protocol: Protocol,
    corpus: str,
    stores: Stores,
    extract: Mapping[str, Extract],
    quick: bool,
) -> None:
    """Where a cluster is chosen, have it make what the cache lacks of corrupted features."""
    if not on_cluster():
        return
    utterances, items = test_utterances(corpus, protocol), []
    needs = replace(needs_of("robustness", params.of(ComputeSettings)), reads=paths.raw(corpus))
    for place, corruption in enumerate(CORRUPTIONS):
        if corruption.apply is None or corruption.modality not in extract:
            continue
        those = having(utterances, stores[corruption.modality])
        names = frozenset(u.utterance for u in those)
        for level in corruption.steps(quick):
            made = extract[corruption.modality](those, corruption, level)
            if isinstance(made, CorruptedRows) and worth_a_cluster(made.lacking(), needs):
                items.append(Level(params.only(corpus), corpus, place, level, names))
    if items:
        done = spread(corrupt, items, needs)
        for _ in track(done, f"robustness {corpus} on the cluster", len(items)):
            pass


def corrupt(item: Level) -> Iterator[None]:
    """Fill the cache for a step: the work of `spread`."""
    corruption, corpus = CORRUPTIONS[item.corruption], item.corpus
    modality, where = corruption.modality, paths.places(corpus)
    extract = extractors(item.params, corpus, where, [modality])[modality]
    utterances = [u for u in stream_manifest(where.manifest) if u.utterance in item.utterances]
    for _ in extract(utterances, corruption, item.level):
        pass
    yield
