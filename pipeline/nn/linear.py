"""Linear classifiers of turns: features pooled to one vector, fitted by scikit-learn."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.metrics import f1_score
from torch import Tensor, nn

from pipeline.base.display import say
from pipeline.nn.batch import NO_LABEL, Dialogue, DialogueBatch, collate
from pipeline.nn.inputs import Standardise
from pipeline.nn.outliers import robust
from pipeline.nn.psa import masked_mean

ITERATIONS = 500
NEVER = -1e4  # the score of a class without a train utterance: finite, as checkpoints must be
Matrix = Any  # dense or sparse, [row, feature]
Estimator = Any  # of scikit-learn, with coef_, intercept_ and classes_


class Pooled(nn.Module):
    """Frames averaged, standardised and concatenated; a missing modality takes the train mean, 0.

    Args:
        features: Size of the stored vectors by modality.
        limit: Clamp of the standardised features, in standard deviations.
    """

    def __init__(self, features: Mapping[str, int], limit: float = 10.0) -> None:
        super().__init__()
        self.standardise = nn.ModuleDict({m: Standardise(d, limit) for m, d in features.items()})

    def forward(self, batch: DialogueBatch) -> Tensor:
        """Map a batch to [batch, turn, feature]."""
        parts = []
        for modality, standardise in self.standardise.items():
            vectors, available = pooled(batch, modality), batch.available(modality).unsqueeze(-1)
            parts.append(torch.where(available, standardise(vectors), 0.0))
        return torch.cat(parts, dim=-1)

    def fit(self, train: Sequence[Dialogue]) -> None:
        """Take the statistics of the labelled train turns."""
        for modality, standardise in self.standardise.items():
            assert isinstance(standardise, Standardise)
            rows = np.concatenate([_labelled(dialogue, modality) for dialogue in train])
            if not len(rows):  # what nobody has in train says nothing
                standardise.fit(torch.zeros(rows.shape[1]), torch.zeros(rows.shape[1]))
                continue
            mean, std = rows.mean(0), rows.std(0)
            deviation = np.abs(rows - mean).mean(0)
            mean, std = robust(len(rows), mean, std, deviation, partial(_columns, rows))
            standardise.fit(torch.from_numpy(mean).float(), torch.from_numpy(std).float())


class LinearProbe(nn.Module):
    """One linear map of each turn's pooled features.

    Args:
        features: Size of the stored vectors by modality.
        classes: How many classes.
    """

    def __init__(self, features: Mapping[str, int], classes: int) -> None:
        super().__init__()
        self.pooled = Pooled(features)
        self.scores = nn.Linear(sum(features.values()), classes)

    def forward(self, batch: DialogueBatch) -> Tensor:
        """Map a batch to scores, [batch, turn, class]."""
        scores: Tensor = self.scores(self.pooled(batch))
        return scores

    def fit(
        self,
        make: Callable[[float], Estimator],
        strengths: Sequence[float],
        train: Sequence[Dialogue],
        valid: Sequence[Dialogue],
    ) -> None:
        """Fit a classifier of scikit-learn on train; see `best_on_validation`."""
        take_over(self.scores, *fitted_on(self.pooled, make, strengths, train, valid))


def fitted_on(
    vectors: Pooled,
    make: Callable[[float], Estimator],
    strengths: Sequence[float],
    train: Sequence[Dialogue],
    valid: Sequence[Dialogue],
) -> tuple[Estimator, np.ndarray | None]:
    """Fit both on train; return the classifier, and the basis of what it was fitted on.

    See `best_on_validation` and `rotated`.
    """
    vectors.fit(train)
    rows, held_out = (rows_of(split, vectors) for split in (train, valid))
    if (basis := rotated(rows)) is not None:
        rows, held_out = rows @ basis.T, held_out @ basis.T
    fitted = (rows, labels_of(train)), (held_out, labels_of(valid))
    return best_on_validation(make, strengths, *fitted), basis


def pooled(batch: DialogueBatch, modality: str) -> Tensor:
    """One vector per turn, the mean of its frames: [batch, turn, feature]."""
    vectors = batch.features[modality]
    if modality != "visual":
        return vectors
    shape = vectors.shape
    mask = (
        torch.ones(shape[:3], dtype=torch.bool, device=vectors.device)
        if batch.frame_mask is None
        else batch.frame_mask
    )
    return masked_mean(vectors.flatten(0, 1), mask.flatten(0, 1)).view(*shape[:2], -1)


def _columns(rows: np.ndarray, some: np.ndarray) -> np.ndarray:
    chosen: np.ndarray = rows[:, some]
    return chosen


def _labelled(dialogue: Dialogue, modality: str) -> np.ndarray:
    batch = collate([dialogue])
    kept = batch.available(modality) & (batch.labels != NO_LABEL)
    rows: np.ndarray = pooled(batch, modality)[kept].double().numpy()
    return rows


def labels_of(dialogues: Sequence[Dialogue]) -> np.ndarray:
    """Class numbers of the labelled turns, [row]."""
    labels = torch.cat([d.labels for d in dialogues])
    numbers: np.ndarray = labels[labels != NO_LABEL].numpy()
    return numbers


def rows_of(
    dialogues: Sequence[Dialogue], vectors: Callable[[DialogueBatch], Tensor]
) -> np.ndarray:
    """What a function makes of the labelled turns, [row, feature] float64."""

    def each() -> Iterator[Tensor]:
        for dialogue in dialogues:
            batch = collate([dialogue])
            yield vectors(batch)[batch.labels != NO_LABEL]

    rows: np.ndarray = torch.cat(list(each())).double().numpy()
    return rows


def best_on_validation(
    make: Callable[[float], Estimator],
    strengths: Sequence[float],
    train: tuple[Matrix, np.ndarray],
    valid: tuple[Matrix, np.ndarray],
) -> Estimator:
    """Fit one classifier per strength C; return the first with the highest validation wF1.

    Where that is the smallest or largest of several, it is said: others may be better.

    Args:
        make: Gives an unfitted classifier of a strength.
        strengths: Which are tried.
        train: [row, feature] and [row] class numbers.
        valid: Likewise.
    """
    scores, fitted = [], []
    for strength in strengths:
        classifier = make(strength).fit(*train)
        predicted = classifier.predict(valid[0])
        scores.append(f1_score(valid[1], predicted, average="weighted", zero_division=0))
        fitted.append(classifier)
    best = int(np.argmax(scores))
    if strengths[best] in (min(strengths), max(strengths)) and len(strengths) > 1:
        say(f"note: validation chose C = {strengths[best]:g}, at the edge of {list(strengths)}")
    return fitted[best]


def rotated(train: np.ndarray) -> np.ndarray | None:
    """A basis, [direction, feature], of what the train rows span; None where it saves nothing.

    The fitted weights are a sum of train rows, so directions orthogonal to all of those change no
    score: in this basis the solution is the same, and takes a tenth of the time.
    """
    utterances, features = train.shape
    if features <= utterances:
        return None
    basis: np.ndarray = np.linalg.svd(train, full_matrices=False)[2]
    return basis


def take_over(layer: nn.Linear, classifier: Estimator, basis: np.ndarray | None = None) -> None:
    """Set a layer to what a classifier has learnt; classes that train lacks get no chance.

    Args:
        layer: [class, feature].
        classifier: Fitted, of any of the classes.
        basis: Of the features that it was fitted on, see `rotated`.
    """
    weights, biases = classifier.coef_, classifier.intercept_
    if len(classifier.classes_) == 2:  # scikit-learn has one row for two classes
        weights, biases = (np.concatenate([-v / 2, v / 2]) for v in (weights, biases))
    if basis is not None:
        weights = weights @ basis
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.fill_(NEVER)
        layer.weight[classifier.classes_] = torch.from_numpy(weights).float()
        layer.bias[classifier.classes_] = torch.from_numpy(biases).float()
