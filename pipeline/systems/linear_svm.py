"""A linear support vector machine on the features of a turn alone."""

from collections.abc import Sequence

from sklearn.svm import LinearSVC

from pipeline.nn.batch import Dialogue, DialogueBatch
from pipeline.nn.linear import LinearProbe
from pipeline.systems.base import Fitted, Output, ProbeSettings, Shape, Source


class LinearSvm(Fitted):
    """One-against-rest linear SVM on a turn's frames' mean and its other modalities."""

    Settings = ProbeSettings
    SOURCE = Source(
        fidelity="code",
        citation="scikit-learn, LinearSVC",
        adapted="probabilities are the softmax of its margins, which nobody calibrated",
    )

    def __init__(self, settings: ProbeSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        self.probe = LinearProbe(shape.features, shape.classes)

    def fit(self, train: Sequence[Dialogue], valid: Sequence[Dialogue], corpus: str) -> None:
        """Fit it on train, with the strength that is best on validation."""

        def make(strength: float) -> LinearSVC:
            return LinearSVC(C=strength, dual="auto", max_iter=10_000, random_state=0)

        self.probe.fit(make, self.settings.regularisation, train, valid)

    def forward(self, batch: DialogueBatch) -> Output:
        """Margins of every turn."""
        return Output(self.probe(batch))
