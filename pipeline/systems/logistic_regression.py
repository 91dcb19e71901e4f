"""Logistic regression on the features of a turn alone."""

from collections.abc import Sequence

from sklearn.linear_model import LogisticRegression as Estimator

from pipeline.nn.batch import Dialogue, DialogueBatch
from pipeline.nn.linear import ITERATIONS, LinearProbe
from pipeline.systems.base import Fitted, Output, ProbeSettings, Shape, Source


class LogisticRegression(Fitted):
    """Multinomial logistic regression on a turn's frames' mean and its other modalities."""

    Settings = ProbeSettings
    SOURCE = Source(fidelity="code", citation="scikit-learn, LogisticRegression")

    def __init__(self, settings: ProbeSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        self.probe = LinearProbe(shape.features, shape.classes)

    def fit(self, train: Sequence[Dialogue], valid: Sequence[Dialogue], corpus: str) -> None:
        """Fit it on train, with the strength that is best on validation."""

        def make(strength: float) -> Estimator:
            return Estimator(C=strength, max_iter=ITERATIONS)

        self.probe.fit(make, self.settings.regularisation, train, valid)

    def forward(self, batch: DialogueBatch) -> Output:
        """Linear scores of every turn."""
        return Output(self.probe(batch))
