"""Linear support vector machines on the features of a turn alone."""

from collections.abc import Sequence
from itertools import combinations

import torch
from sklearn.multiclass import OneVsOneClassifier
from sklearn.svm import LinearSVC
from torch import Tensor, nn

from pipeline.nn.batch import Dialogue, DialogueBatch
from pipeline.nn.linear import NEVER, Pooled, fitted_on
from pipeline.systems.base import Fitted, Output, ProbeSettings, Shape, Source


class LinearSvm(Fitted):
    """One-against-one linear SVMs on a turn's frames' mean and its other modalities.

    Each pair of classes has a margin; a class scores `votes + sum / (3 (|sum| + 1))`, where votes
    are the pairs that it wins and sum is of its margins, so that sums decide between equal votes.
    """

    Settings = ProbeSettings
    SOURCE = Source(
        fidelity="code",
        citation="scikit-learn, OneVsOneClassifier of LinearSVC",
        adapted="probabilities are the softmax of its scores, which nobody calibrated",
    )
    fitted: Tensor

    def __init__(self, settings: ProbeSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        self.classes = shape.classes
        self.pairs = list(combinations(range(shape.classes), 2))
        self.pooled = Pooled(shape.features)
        self.margins = nn.Linear(sum(shape.features.values()), len(self.pairs))
        self.register_buffer("fitted", torch.zeros(len(self.pairs), dtype=torch.bool))

    def fit(self, train: Sequence[Dialogue], valid: Sequence[Dialogue], corpus: str) -> None:
        """Fit them on train, with the strength that is best on validation."""

        def make(strength: float) -> OneVsOneClassifier:
            machine = LinearSVC(C=strength, dual="auto", max_iter=10_000, random_state=0)
            return OneVsOneClassifier(machine)

        classifier, basis = fitted_on(self.pooled, make, self.settings.regularisation, train, valid)
        there = [self.pairs.index(pair) for pair in combinations(classifier.classes_.tolist(), 2)]
        self.fitted.zero_()
        self.fitted[there] = True
        with torch.no_grad():
            self.margins.weight.zero_()
            self.margins.bias.zero_()
            for pair, machine in zip(there, classifier.estimators_, strict=True):
                weights = machine.coef_[0] if basis is None else machine.coef_[0] @ basis
                self.margins.weight[pair] = torch.from_numpy(weights).float()
                self.margins.bias[pair] = float(machine.intercept_[0])

    def forward(self, batch: DialogueBatch) -> Output:
        """Scores of every turn; classes that train lacks get no chance."""
        margins = torch.where(self.fitted, self.margins(self.pooled(batch)), 0.0)
        won = torch.where(margins > 0, 1.0, 0.0)
        one = torch.eye(self.classes, device=margins.device)
        # The classes of each pair that was fitted, both [pair, class].
        first, second = (
            one[list(side)] * self.fitted.unsqueeze(1) for side in zip(*self.pairs, strict=True)
        )
        votes = won @ second + (1 - won) @ first
        sums = margins @ (second - first)
        scores = votes + sums / (3 * (sums.abs() + 1))
        return Output(scores.masked_fill((first + second).sum(0) == 0, NEVER))
