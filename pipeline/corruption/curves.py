"""From corruptions to curves: features made worse, models asked again, scores compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.base.progress import track
from pipeline.base.settings import MODALITIES
from pipeline.corruption.corruptions import CORRUPTIONS, Corruption
from pipeline.corruption.extracting import Extractors
from pipeline.corruption.scoring import Score, Scorer, majority_in
from pipeline.corruption.stores import CorruptedStores
from pipeline.corruption.trained import TrainedModels, check_clean
from pipeline.evaluation.evaluate import tested_in
from pipeline.evaluation.intervals import Difference
from pipeline.records.features import Features, of_utterances


@dataclass(frozen=True)
class Point:
    """What the models reach where test utterances are corrupted in one step.

    Attributes:
        level: See `Corruption.levels`.
        masked: Labelled test utterances without the modality; some lack it when clean.
        score: Weighted F1.
        difference: To the clean test split.
    """

    level: float
    masked: int
    score: Score
    difference: Difference


@dataclass(frozen=True)
class Curve:
    """A corruption and its points, from the mildest step on."""

    corruption: Corruption
    points: Sequence[Point]


@dataclass(frozen=True)
class Robustness:
    """All curves of a corpus.

    Attributes:
        corpus: Which.
        seeds: Whose models were averaged.
        folds: How many the protocol has.
        utterances: Labelled test utterances.
        dialogues: That they are from.
        masked: How many of them lack a modality when clean, by modality of the models.
        left_out: Modalities that the models do not have.
        clean: The score without corruption.
        majority: The weighted F1 of the majority class, in percent.
        curves: In the order of `CORRUPTIONS`.
    """

    corpus: str
    seeds: tuple[int, ...]
    folds: int
    utterances: int
    dialogues: int
    masked: Mapping[str, int]
    left_out: tuple[str, ...]
    clean: Score
    majority: float
    curves: Sequence[Curve]


def measure(trained: TrainedModels, extractors: Extractors, quick: bool) -> Robustness:
    """Corrupts each modality of the test split in steps, and scores the models on each.

    Args:
        trained: The models, with the clean features.
        extractors: By modality of the models.
        quick: Whether a few steps are enough.

    Raises:
        PipelineError: The models do not say on clean features what training recorded.
    """
    measuring = _Measuring(trained, extractors)
    test_set, scorer = measuring.test_set, measuring.scorer
    chosen = [corruption for corruption in CORRUPTIONS if corruption.modality in trained.stores]
    return Robustness(
        corpus=trained.corpus,
        seeds=trained.seeds,
        folds=len(trained.protocol.folds),
        utterances=len(test_set.utterances),
        dialogues=len(set(test_set.dialogues)),
        masked={m: measuring.masked(store) for m, store in trained.stores.items()},
        left_out=tuple(m for m in MODALITIES if m not in trained.stores),
        clean=scorer.score(measuring.clean),
        majority=scorer.score(majority_in(trained.protocol)).value,
        curves=[measuring.curve(corruption, quick) for corruption in chosen],
    )


class _Measuring:
    """Asks models about features made worse, and scores what they say beside the clean ones."""

    def __init__(self, trained: TrainedModels, extractors: Extractors) -> None:
        self.trained = trained
        self.test_set = tested_in(trained.protocol)
        self.scorer = Scorer(self.test_set)
        self.stores = CorruptedStores(trained, extractors)
        predictions = self._predictions(trained.stores, "clean")
        check_clean(trained, predictions)
        self.clean = trained.classes(predictions)

    def curve(self, corruption: Corruption, quick: bool) -> Curve:
        levels = corruption.steps(quick)
        return Curve(corruption, [self._point(corruption, level) for level in levels])

    def _point(self, corruption: Corruption, level: float) -> Point:
        store = self.stores.make(corruption, level)
        stores = {**self.trained.stores, corruption.modality: store}
        predicted = self.trained.classes(self._predictions(stores, corruption.title(level)))
        return Point(
            level=level,
            masked=self.masked(store),
            score=self.scorer.score(predicted),
            difference=self.scorer.difference(predicted, self.clean),
        )

    def _predictions(self, stores: Mapping[str, Features], name: str) -> list[np.ndarray]:
        label = f"{self.trained.corpus}, predictions, {name}"
        return list(track(self.trained.predict(stores), label, len(self.trained.models)))

    def masked(self, store: Features) -> int:
        """Labelled test utterances that lack the modality of a store."""
        return int((~store.present[of_utterances(store, self.test_set.utterances)]).sum())
