"""From corruptions to curves: features made worse, systems asked again, scores compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.base import paths
from pipeline.base.progress import track
from pipeline.corruption.corrupted import Extract, corrupted_store, corrupted_texts
from pipeline.corruption.corruptions import CORRUPTIONS, Corruption
from pipeline.corruption.tested import Stores, Tested, Texts, check_clean
from pipeline.evaluation.evaluate import labelled_test_set, selected_runs
from pipeline.evaluation.intervals import (
    Difference,
    Interval,
    Resampled,
    difference,
    resample_counts,
    resample_weights,
)
from pipeline.evaluation.scores import confusions, weighted_f1
from pipeline.records.epochs import EpochPrediction
from pipeline.records.features import Features, of_utterances
from pipeline.records.manifest import stream_manifest
from pipeline.records.predictions import TestSet


@dataclass(frozen=True)
class Point:
    """What a system reaches on the test split, clean or corrupted in one step."""

    f1: Interval
    """Weighted F1 in percent, mean over seeds, with its 95 % interval by dialogue."""

    std: float | None
    """Its sample standard deviation over seeds; None where there is one."""

    difference: Difference
    """To the clean test split; 0 there."""

    masked: int
    """Labelled test utterances without the modality; some lack it when clean."""


@dataclass(frozen=True)
class Robustness:
    """All curves of a corpus."""

    corpus: str
    test_set: TestSet
    """The labelled test utterances."""

    seeds: Mapping[str, tuple[int, ...]]
    """Whose models were averaged, by system."""

    steps: Mapping[Corruption, tuple[float, ...]]
    """The corruptions and their levels, in the order of `CORRUPTIONS`."""

    points: Mapping[tuple[str, Corruption], Sequence[Point]]
    """By system and corruption, the clean one first; a corruption of a modality that a system does
    not read has that one alone."""

    @property
    def read(self) -> dict[tuple[str, Corruption], Sequence[Point]]:
        """The points of corruptions of what a system reads."""
        return {key: points for key, points in self.points.items() if len(points) > 1}

    def clean(self, system: str) -> Point:
        """What a system reaches without corruption."""
        return next(points[0] for (name, _), points in self.points.items() if name == system)


def measure(
    systems: Sequence[Tested],
    stores: Stores,
    extract: Mapping[str, Extract],
    quick: bool,
) -> Robustness:
    """Corrupt each modality of the test split in steps, and score the systems on each.

    Args:
        systems: Of one corpus.
        stores: The clean features, of all modalities that a system reads.
        extract: By modality, what makes corrupted ones.
        quick: Whether a few steps are enough.

    Raises:
        PipelineError: A system does not predict of clean features what training recorded.
    """
    corpus, protocol = systems[0].checkpoints.corpus, systems[0].protocol
    test_set, tested = (
        labelled_test_set(protocol),
        {e.utterance for e in protocol.entries if e.split == "test"},
    )
    utterances = [u for u in stream_manifest(paths.manifest(corpus)) if u.utterance in tested]
    texts = {u.utterance: u.text for u in utterances}
    scorers = [_Scorer(system, stores, texts, test_set) for system in systems]
    steps = {c: c.steps(quick) for c in CORRUPTIONS if c.modality in stores}
    points = {
        (scorer.system.name, corruption): [scorer.clean(stores[corruption.modality])]
        for scorer in scorers
        for corruption in steps
    }
    for corruption, levels in steps.items():
        modality = corruption.modality
        readers = [scorer for scorer in scorers if modality in scorer.system.modalities]
        for level in levels:
            made = corrupted_store(
                utterances, stores[modality], corruption, level, extract[modality]
            )
            words = corrupted_texts(utterances, made, corruption, level)
            label = f"{corpus}, predictions, {corruption.title} {corruption.step(level)}"
            for scorer in track(readers, label, len(readers)):
                point = scorer.point({**stores, modality: made}, words, made)
                points[scorer.system.name, corruption].append(point)
    seeds = {s.name: tuple(sorted({one.seed for one in s.trained})) for s in systems}
    return Robustness(corpus, test_set, seeds, steps, points)


class _Scorer:
    """Scores what a system predicts of corrupted features beside the clean ones."""

    def __init__(self, system: Tested, stores: Stores, texts: Texts, test_set: TestSet) -> None:
        self.system, self.test_set = system, test_set
        predictions = system.predict(stores, texts)
        check_clean(system, predictions)
        self._clean = self._counts(predictions)
        self._weights = resample_weights(self._clean.shape[1])

    def clean(self, store: Features) -> Point:
        """Without corruption; `store` is that of a modality."""
        return self._point(self._clean, store)

    def point(self, stores: Stores, texts: Texts, corrupted: Features) -> Point:
        """With other stores and texts, of which one modality is `corrupted`."""
        return self._point(self._counts(self.system.predict(stores, texts)), corrupted)

    def _counts(self, predictions: Sequence[EpochPrediction]) -> np.ndarray:
        """[seed, dialogue, actual, predicted]."""
        test, runs = self.test_set, selected_runs(predictions, self.system.protocol, "test")
        predicted = np.stack([run.predicted for run in runs])
        return confusions(test.actual, predicted, test.clusters, len(test.classes))

    def _point(self, counts: np.ndarray, store: Features) -> Point:
        draws = Resampled(counts.sum(1), resample_counts(counts, self._weights))
        by_seed = 100 * weighted_f1(draws.whole)
        present = store.present[of_utterances(store, self.test_set.utterances)]
        return Point(
            f1=draws.interval(weighted_f1),
            std=float(by_seed.std(ddof=1)) if len(by_seed) > 1 else None,
            difference=difference(counts, self._clean, self._weights),
            masked=int((~present).sum()),
        )
