"""What any model must beat, fitted on the same train split in the same run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from pipeline.features import Features, of_utterances
from pipeline.protocol import Entry

Matrix = Any  # dense or sparse, [utterance, feature]
ITERATIONS = 500
SMALLEST_DEVIATION = 1e-6


@dataclass(frozen=True)
class Splits:
    """Labelled utterances of one fold by split, and their class numbers."""

    utterances: dict[str, list[str]]
    labels: dict[str, np.ndarray]


def labelled(entries: Sequence[Entry], fold: int) -> Splits:
    """The labelled utterances of a fold, in protocol order."""
    utterances: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    labels: dict[str, list[int]] = {"train": [], "valid": [], "test": []}
    for entry in entries:
        if entry.fold == fold and entry.label is not None:
            utterances[entry.split].append(entry.utterance)
            labels[entry.split].append(entry.label)
    return Splits(utterances, {split: np.array(values) for split, values in labels.items()})


def majority(splits: Splits) -> np.ndarray:
    """The train split's most frequent class for every test utterance, [utterance]."""
    return np.full(len(splits.labels["test"]), np.bincount(splits.labels["train"]).argmax())


def tfidf(splits: Splits, texts: Mapping[str, str], strengths: Sequence[float]) -> np.ndarray:
    """Logistic regression on TF-IDF of words and word pairs, [utterance] predictions on test.

    Args:
        splits: Labelled utterances.
        texts: The words by utterance.
        strengths: Inverse regularisation strengths C; validation chooses.
    """
    vectoriser = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\S+")
    words = {s: [texts[u] for u in names] for s, names in splits.utterances.items()}
    vectoriser.fit(words["train"])
    return _linear({s: vectoriser.transform(w) for s, w in words.items()}, splits, strengths)


def logistic_regression(
    splits: Splits, stores: Mapping[str, Features], strengths: Sequence[float]
) -> np.ndarray:
    """Logistic regression on the model's own features, [utterance] predictions on test.

    Frames are averaged, modalities concatenated; features are standardised on the train split,
    and missing ones take its mean.

    Args:
        splits: Labelled utterances.
        stores: Feature stores of the modalities in use.
        strengths: Inverse regularisation strengths C; validation chooses.
    """
    parts = [_standardised(splits, store) for store in stores.values()]
    matrices = {s: np.hstack([part[s] for part in parts]) for s in splits.utterances}
    return _linear(_rotated(matrices), splits, strengths)


def _rotated(matrices: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same utterances with no more features than the train split has utterances.

    The fitted weights are a sum of train rows, so what is at right angles to all of those changes
    no score: in a basis of their space the solution is the same, and found in a tenth of the time.
    """
    utterances, features = matrices["train"].shape
    if features <= utterances:
        return dict(matrices)
    _, _, basis = np.linalg.svd(matrices["train"], full_matrices=False)
    return {split: rows @ basis.T for split, rows in matrices.items()}


def _standardised(splits: Splits, store: Features) -> dict[str, np.ndarray]:
    rows = {s: of_utterances(store, names) for s, names in splits.utterances.items()}
    raw = {s: np.stack([_average(store, row) for row in r]) for s, r in rows.items()}
    train = raw["train"][store.present[rows["train"]]]
    mean, std = train.mean(0), train.std(0)
    scale = np.where(std > SMALLEST_DEVIATION * np.maximum(1, np.abs(mean)), std, 1)
    return {
        s: np.where(store.present[rows[s]][:, None], (raw[s] - mean) / scale, 0).clip(-10, 10)
        for s in raw
    }


def _average(store: Features, row: int) -> np.ndarray:
    vectors = store.values[store.offsets[row] : store.offsets[row + 1]]
    return vectors.astype(np.float64).mean(0) if len(vectors) else np.zeros(store.dimension)


def _linear(
    matrices: Mapping[str, Matrix], splits: Splits, strengths: Sequence[float]
) -> np.ndarray:
    best, chosen = -1.0, np.zeros(0)
    for strength in strengths:
        model = LogisticRegression(C=strength, max_iter=ITERATIONS)
        model.fit(matrices["train"], splits.labels["train"])
        guess = model.predict(matrices["valid"])
        found = f1_score(splits.labels["valid"], guess, average="weighted", zero_division=0)
        if found > best:
            best, chosen = found, model.predict(matrices["test"])
    return chosen
