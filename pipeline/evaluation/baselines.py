"""What any model must beat, fitted on the same train split in the same run."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from pipeline.evaluation.labelled import Labelled, labelled
from pipeline.evaluation.linear import Guess, logistic_regression, tfidf
from pipeline.evaluation.settings import EvaluateSettings
from pipeline.records.features import Features
from pipeline.records.predictions import BASELINE_SEED, ModelPredictions
from pipeline.records.protocol import Protocol


def baselines(
    protocol: Protocol,
    stores: Mapping[str, Features],
    texts: Mapping[str, str],
    settings: EvaluateSettings,
) -> Iterator[tuple[str, Guess]]:
    """Fits each baseline in each fold.

    Args:
        protocol: With all labels.
        stores: Feature stores of the modalities in use.
        texts: The words by utterance.
        settings: Which baselines.

    Yields:
        Its name and what it says of the fold's test utterances, fold by fold.
    """
    for fold in protocol.folds:
        splits = labelled(protocol, fold)
        for name in settings.baselines:
            yield name, _fitted(name, splits, stores, texts, settings.regularisation)


def pooled(guesses: Iterable[tuple[str, Guess]]) -> dict[str, ModelPredictions]:
    """What each baseline says of all folds' test utterances, one fold after another."""
    parts: dict[str, list[Guess]] = defaultdict(list)
    for name, guess in guesses:
        parts[name].append(guess)
    return {name: _predictions(folds) for name, folds in parts.items()}


def _predictions(folds: Sequence[Guess]) -> ModelPredictions:
    shares = [guess.probabilities for guess in folds if guess.probabilities is not None]
    return ModelPredictions(
        seeds=(BASELINE_SEED,),
        predicted=np.concatenate([guess.predicted for guess in folds])[None],
        probabilities=np.concatenate(shares)[None] if shares else None,
    )


def _fitted(
    name: str,
    splits: Labelled,
    stores: Mapping[str, Features],
    texts: Mapping[str, str],
    strengths: Sequence[float],
) -> Guess:
    if name == "majority":
        return Guess(majority(splits), None)
    if name == "tfidf":
        return tfidf(splits, texts, strengths)
    return logistic_regression(splits, stores, strengths)


def majority(splits: Labelled) -> np.ndarray:
    """The train split's most frequent class for every test utterance, [utterance]."""
    return np.full(len(splits.labels["test"]), np.bincount(splits.labels["train"]).argmax())
