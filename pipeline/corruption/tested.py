"""The trained systems of a corpus on its test split: what they predict, given any features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.base.params import Params
from pipeline.base.settings import ComputeSettings
from pipeline.prediction.checkpoints import Checkpoints, Trained
from pipeline.records.epochs import EpochPrediction, read_epochs
from pipeline.records.features import Features
from pipeline.records.protocol import Protocol
from pipeline.training.data import dialogues

# Of a probability: the same batches, threads and device leave no difference but that of rounding.
TOLERANCE = 1e-6
Stores = Mapping[str, Features]
Texts = Mapping[str, str]  # by utterance


@dataclass(frozen=True)
class Tested:
    """A system, and the protocol that it is tested by.

    Attributes:
        protocol: With all labels.
        checkpoints: Of all folds and seeds.
        trained: Fold by fold, in each the same seeds in ascending order.
    """

    protocol: Protocol
    checkpoints: Checkpoints
    trained: Sequence[Trained]

    @property
    def name(self) -> str:
        """Of the system."""
        return self.checkpoints.system

    @property
    def modalities(self) -> tuple[str, ...]:
        """Those it reads."""
        return tuple(self.checkpoints.dimensions)

    def predict(self, stores: Stores, texts: Texts) -> list[EpochPrediction]:
        """What each of `trained` predicts of its test split, in the form that `train` records.

        Stores and texts hold the test utterances at least.
        """
        read = {modality: stores[modality] for modality in self.modalities}
        test = {
            fold: dialogues(self.protocol.entries, read, texts, fold, "test")
            for fold in self.protocol.folds
        }
        return [
            EpochPrediction(
                fold=one.fold,
                seed=one.seed,
                epoch=0,
                selected=True,
                split="test",
                utterances=[u for dialogue in test[one.fold] for u in dialogue.utterances],
                probabilities=one.probabilities(test[one.fold]),
            )
            for one in self.trained
        ]


def read_tested(
    params: Params, protocol: Protocol, checkpoints: Checkpoints, stores: Stores, quick: bool
) -> Tested:
    """Load a system for the test split; `quick`: the models of its lowest seed.

    Raises:
        PipelineError: A checkpoint is missing, or does not fit the protocol or the stores.
    """
    first = checkpoints.files[0]
    if checkpoints.classes != protocol.classes:
        raise PipelineError(
            f"{first} tells {list(checkpoints.classes)} apart, the protocol has "
            f"{list(protocol.classes)}: run `dvc repro`."
        )
    features = {modality: store.provenance for modality, store in stores.items()}
    trained = list(checkpoints.load(features, params.of(ComputeSettings)))
    trained.sort(key=lambda one: (one.fold, one.seed))
    runs = [(one.fold, one.seed) for one in trained]
    if runs != list(product(protocol.folds, sorted({seed for _, seed in runs}))):
        listed = ", ".join(f"fold {fold} seed {seed}" for fold, seed in runs)
        raise PipelineError(
            f"{first.parent} has these checkpoints: {listed}; expected the same seeds in each of "
            f"the folds {protocol.folds}. `dvc repro {checkpoints.stage}` trains them."
        )
    kept = [one for one in trained if not quick or one.seed == runs[0][1]]
    return Tested(protocol, checkpoints, kept)


def check_clean(tested: Tested, predictions: Sequence[EpochPrediction]) -> None:
    """Check that what a system predicts of the clean test split is what `train` recorded.

    Raises:
        PipelineError: It is not; the message says by how much.
    """
    stage, epochs = tested.checkpoints.stage, paths.epochs(tested.checkpoints.corpus, tested.name)
    rows = (row for row in read_epochs(epochs)[0] if row.selected and row.split == "test")
    recorded = {(row.fold, row.seed): row for row in rows}
    for got in predictions:
        row, name = recorded.get((got.fold, got.seed)), f"{stage}, fold {got.fold}, seed {got.seed}"
        if row is None or row.utterances != got.utterances:
            raise PipelineError(
                f"{name}: {epochs} has no such run on this test split; it is not of the same "
                "training as the checkpoint: run `dvc repro`."
            )
        apart = np.abs(got.probabilities - row.probabilities)
        if not apart.max() <= TOLERANCE:
            worst = row.utterances[int(apart.max(1).argmax())]
            raise PipelineError(
                f"{name}: on clean features the checkpoint's probabilities differ from those that "
                f"training recorded by up to {apart.max():.1e} (at {worst}), expected at most "
                f"{TOLERANCE:.0e}. Was it trained on another machine or device, or with another "
                f"torch? Run `dvc repro --force --single-item {stage}` here, or this command there."
            )
