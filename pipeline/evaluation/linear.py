"""Linear baselines: logistic regression on words, and on the features that the model reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from pipeline.evaluation.labelled import Labelled
from pipeline.records.features import Features, of_utterances

Matrix = Any  # dense or sparse, [utterance, feature]
ITERATIONS = 500
SMALLEST_DEVIATION = 1e-6


@dataclass(frozen=True)
class Guess:
    """What a baseline says of the test utterances of one fold.

    Attributes:
        predicted: [utterance] class numbers.
        probabilities: [utterance, class]; None where it gives none.
    """

    predicted: np.ndarray
    probabilities: np.ndarray | None


def tfidf(splits: Labelled, texts: Mapping[str, str], strengths: Sequence[float]) -> Guess:
    """Logistic regression on TF-IDF of words and word pairs.

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
    splits: Labelled, stores: Mapping[str, Features], strengths: Sequence[float]
) -> Guess:
    """Logistic regression on the model's own features.

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


def _standardised(splits: Labelled, store: Features) -> dict[str, np.ndarray]:
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


def _linear(matrices: Mapping[str, Matrix], splits: Labelled, strengths: Sequence[float]) -> Guess:
    best, chosen = -1.0, None
    for strength in strengths:
        model = LogisticRegression(C=strength, max_iter=ITERATIONS)
        model.fit(matrices["train"], splits.labels["train"])
        guess = model.predict(matrices["valid"])
        found = f1_score(splits.labels["valid"], guess, average="weighted", zero_division=0)
        if found > best:
            best, chosen = found, model
    assert chosen is not None  # there is at least one strength
    shares = np.zeros((matrices["test"].shape[0], splits.classes))
    shares[:, chosen.classes_] = chosen.predict_proba(matrices["test"])
    return Guess(chosen.predict(matrices["test"]), shares)
