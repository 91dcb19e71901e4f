"""Baselines, fitted on the same train split in the same run: what any model must beat."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from pipeline.base.errors import PipelineError
from pipeline.evaluation.settings import EvaluateSettings
from pipeline.nn.outliers import robust
from pipeline.records.features import Features, of_utterances
from pipeline.records.head import predict_utterances, read_head
from pipeline.records.predictions import BASELINE_SEED, ModelPredictions
from pipeline.records.protocol import SPLITS, Protocol

FINETUNED_HEAD = "finetuned_head"
TOKEN = r"\w+|[^\w\s]"  # words and marks apart: an exclamation mark tells much of emotion
ITERATIONS = 500
SMALLEST_DEVIATION = 1e-6
Matrix = Any  # dense or sparse, [utterance, feature]


@dataclass(frozen=True)
class LabelledSplits:
    """Labelled utterances of one fold.

    Attributes:
        classes: Number of classes.
        utterances: Ids by split, in protocol order.
        labels: [utterance] class numbers by split.
    """

    classes: int
    utterances: dict[str, list[str]]
    labels: dict[str, np.ndarray]


@dataclass(frozen=True)
class FoldPredictions:
    """A baseline's predictions for the test utterances of one fold.

    Attributes:
        predicted: [utterance] class numbers.
        probabilities: [utterance, class]; None if the baseline gives none.
    """

    predicted: np.ndarray
    probabilities: np.ndarray | None


def labelled_splits(protocol: Protocol, fold: int) -> LabelledSplits:
    """Collect the labelled utterances of a fold."""
    utterances: dict[str, list[str]] = {split: [] for split in SPLITS}
    labels: dict[str, list[int]] = {split: [] for split in SPLITS}
    for entry in protocol.entries:
        if entry.fold == fold and entry.label is not None:
            utterances[entry.split].append(entry.utterance)
            labels[entry.split].append(entry.label)
    return LabelledSplits(
        classes=len(protocol.classes),
        utterances=utterances,
        labels={split: np.array(values) for split, values in labels.items()},
    )


def fit_baselines(
    protocol: Protocol,
    stores: Mapping[str, Features],
    texts: Mapping[str, str],
    settings: EvaluateSettings,
) -> Iterator[tuple[str, FoldPredictions]]:
    """Fit each baseline in each fold.

    Args:
        protocol: With all labels.
        stores: Feature stores of the modalities in use.
        texts: Texts by utterance.
        settings: Which baselines to fit, and how.

    Yields:
        A baseline's name and its predictions for the fold's test utterances, fold by fold.
    """
    for fold in protocol.folds:
        splits = labelled_splits(protocol, fold)
        for name in chosen_baselines(protocol, texts, settings):
            yield name, _fit(name, splits, stores, texts, settings.regularisation)


def chosen_baselines(
    protocol: Protocol, texts: Mapping[str, str], settings: EvaluateSettings
) -> list[str]:
    """The baselines of the settings, without `tfidf` where a fold's train split has no word."""
    train = [labelled_splits(protocol, fold).utterances["train"] for fold in protocol.folds]
    words = all(any(texts[utterance].strip() for utterance in fold) for fold in train)
    return [name for name in settings.baselines if words or name != "tfidf"]


def _fit(
    name: str,
    splits: LabelledSplits,
    stores: Mapping[str, Features],
    texts: Mapping[str, str],
    strengths: Sequence[float],
) -> FoldPredictions:
    if name == "majority":
        return FoldPredictions(majority(splits), None)
    if name == "tfidf":
        return tfidf(splits, texts, strengths)
    return logistic_regression(splits, stores, strengths)


def pool_folds(
    predictions: Iterable[tuple[str, FoldPredictions]],
) -> dict[str, ModelPredictions]:
    """Concatenate each baseline's predictions over the folds."""
    parts: dict[str, list[FoldPredictions]] = defaultdict(list)
    for name, fold in predictions:
        parts[name].append(fold)
    return {name: _concatenate(folds) for name, folds in parts.items()}


def _concatenate(folds: Sequence[FoldPredictions]) -> ModelPredictions:
    probabilities = [fold.probabilities for fold in folds if fold.probabilities is not None]
    return ModelPredictions(
        seeds=(BASELINE_SEED,),
        predicted=np.concatenate([fold.predicted for fold in folds])[None],
        probabilities=np.concatenate(probabilities)[None] if probabilities else None,
    )


def majority(splits: LabelledSplits) -> np.ndarray:
    """The train split's most frequent class for every test utterance, [utterance]."""
    return np.full(len(splits.labels["test"]), np.bincount(splits.labels["train"]).argmax())


def tfidf(
    splits: LabelledSplits, texts: Mapping[str, str], strengths: Sequence[float]
) -> FoldPredictions:
    """Fit logistic regression on TF-IDF of words and word pairs.

    Args:
        splits: Labelled utterances.
        texts: Texts by utterance.
        strengths: Inverse regularisation strengths C; validation chooses.
    """
    vectoriser = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=TOKEN)
    words = {s: [texts[u] for u in names] for s, names in splits.utterances.items()}
    vectoriser.fit(words["train"])
    return _fit_linear({s: vectoriser.transform(w) for s, w in words.items()}, splits, strengths)


def logistic_regression(
    splits: LabelledSplits, stores: Mapping[str, Features], strengths: Sequence[float]
) -> FoldPredictions:
    """Fit logistic regression on the model's own features.

    Frames are averaged and modalities concatenated; features are standardised on the train split,
    and missing ones take its mean.

    Args:
        splits: Labelled utterances.
        stores: Feature stores of the modalities in use.
        strengths: Inverse regularisation strengths C; validation chooses.
    """
    parts = [_standardise(splits, store) for store in stores.values()]
    matrices = {s: np.hstack([part[s] for part in parts]) for s in splits.utterances}
    return _fit_linear(_rotate(matrices), splits, strengths)


def _rotate(matrices: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Reduce the features to at most as many as the train split has utterances.

    The fitted weights are a sum of train rows, so directions orthogonal to all of those change no
    score: in a basis of their span the solution is the same, and takes a tenth of the time.
    """
    utterances, features = matrices["train"].shape
    if features <= utterances:
        return dict(matrices)
    _, _, basis = np.linalg.svd(matrices["train"], full_matrices=False)
    return {split: rows @ basis.T for split, rows in matrices.items()}


def _standardise(splits: LabelledSplits, store: Features) -> dict[str, np.ndarray]:
    rows = {s: of_utterances(store, names) for s, names in splits.utterances.items()}
    raw = {s: np.stack([_average(store, row) for row in r]) for s, r in rows.items()}
    train = raw["train"][store.present[rows["train"]]]
    if not len(train):  # what nobody has in train says nothing
        return {s: np.zeros_like(vectors) for s, vectors in raw.items()}
    mean, std = train.mean(0), train.std(0)
    deviation = np.abs(train - mean).mean(0)
    mean, std = robust(len(train), mean, std, deviation, lambda some: train[:, some])
    scale = np.where(std > SMALLEST_DEVIATION * np.maximum(1, np.abs(mean)), std, 1)
    return {
        s: np.where(store.present[rows[s]][:, None], (raw[s] - mean) / scale, 0).clip(-10, 10)
        for s in raw
    }


def _average(store: Features, row: int) -> np.ndarray:
    vectors = store.values[store.offsets[row] : store.offsets[row + 1]]
    return vectors.astype(np.float64).mean(0) if len(vectors) else np.zeros(store.dimension)


def _fit_linear(
    matrices: Mapping[str, Matrix], splits: LabelledSplits, strengths: Sequence[float]
) -> FoldPredictions:
    best_f1, best = -1.0, None
    for strength in strengths:
        model = LogisticRegression(C=strength, max_iter=ITERATIONS)
        model.fit(matrices["train"], splits.labels["train"])
        predicted = model.predict(matrices["valid"])
        f1 = f1_score(splits.labels["valid"], predicted, average="weighted", zero_division=0)
        if f1 > best_f1:
            best_f1, best = f1, model
    assert best is not None  # there is at least one strength
    probabilities = np.zeros((matrices["test"].shape[0], splits.classes))
    probabilities[:, best.classes_] = best.predict_proba(matrices["test"])
    return FoldPredictions(best.predict(matrices["test"]), probabilities)


def predict_finetuned_head(
    path: Path, protocol: Protocol, stores: Mapping[str, Features]
) -> dict[str, ModelPredictions]:
    """Predict the test utterances with the fine-tuned text encoder's own head.

    Args:
        path: Path of the head.
        protocol: With all labels.
        stores: Feature stores of the modalities in use.

    Returns:
        One entry; none if nothing was fine-tuned or text is not in use.

    Raises:
        PipelineError: The file is absent or damaged, or of other classes or features.
    """
    head = read_head(path)
    if head is None or "text" not in stores:
        return {}
    got = (head.classes, head.weight.shape[1])
    if got != (expected := (protocol.classes, stores["text"].dimension)):
        raise PipelineError(
            f"{path} is of classes and a number of features {got}, expected {expected}; "
            "run `dvc repro`."
        )
    utterances = [
        name
        for fold in protocol.folds
        for name in labelled_splits(protocol, fold).utterances["test"]
    ]
    probabilities = predict_utterances(head, stores["text"], utterances).astype(np.float32)[None]
    predictions = ModelPredictions((BASELINE_SEED,), probabilities.argmax(2), probabilities)
    return {FINETUNED_HEAD: predictions}
