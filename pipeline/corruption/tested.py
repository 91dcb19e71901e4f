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
from pipeline.records.epochs import read_epochs
from pipeline.records.features import Features
from pipeline.records.protocol import Entry, Protocol
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

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of its trainings."""
        return tuple(sorted({one.seed for one in self.trained}))

    def predict(self, stores: Stores, texts: Texts) -> list[np.ndarray]:
        """What each of `trained` predicts of its test split.

        Args:
            stores: Of all modalities of the system; they hold the test utterances at least.
            texts: Of the test utterances.

        Returns:
            [utterance, class] float32 probabilities in protocol order, also of utterances without
            a label.
        """
        read = {m: stores[m] for m in self.modalities}
        test = {
            fold: dialogues(self.protocol.entries, read, texts, fold, "test")
            for fold in self.protocol.folds
        }
        return [one.probabilities(test[one.fold]) for one in self.trained]

    def classes(self, predictions: Sequence[np.ndarray]) -> np.ndarray:
        """[seed, utterance] class numbers of the labelled utterances, folds one after another."""
        by_seed: dict[int, list[np.ndarray]] = {seed: [] for seed in self.seeds}
        for one, probable in zip(self.trained, predictions, strict=True):
            labelled = [e.label is not None for e in tested_by(self.protocol, one.fold)]
            by_seed[one.seed].append(probable.argmax(1)[labelled])
        return np.stack([np.concatenate(folds) for folds in by_seed.values()])


def tested_by(protocol: Protocol, fold: int) -> list[Entry]:
    """The test split of a fold in protocol order."""
    return [e for e in protocol.entries if e.fold == fold and e.split == "test"]


def read_tested(
    params: Params, protocol: Protocol, checkpoints: Checkpoints, stores: Stores, quick: bool
) -> Tested:
    """Load a system for the test split.

    Args:
        params: The checked params.yaml.
        protocol: With all labels.
        checkpoints: Of one system.
        stores: Those of its modalities at least.
        quick: Whether the models of the lowest seed are enough.

    Raises:
        PipelineError: A checkpoint is missing, or does not fit the protocol or the stores.
    """
    if checkpoints.classes != protocol.classes:
        raise PipelineError(
            f"{checkpoints.files[0]} tells {list(checkpoints.classes)} apart, the protocol has "
            f"{list(protocol.classes)}: run `dvc repro`."
        )
    features = {modality: store.provenance for modality, store in stores.items()}
    trained = list(checkpoints.load(features, params.of(ComputeSettings)))
    trained.sort(key=lambda one: (one.fold, one.seed))
    runs = [(one.fold, one.seed) for one in trained]
    if runs != list(product(protocol.folds, sorted({seed for _, seed in runs}))):
        listed = ", ".join(f"fold {fold} seed {seed}" for fold, seed in runs)
        raise PipelineError(
            f"{checkpoints.files[0].parent} has these checkpoints: {listed}; expected the same "
            f"seeds in each of the folds {protocol.folds}. `{train(checkpoints)}` trains them."
        )
    if quick:
        trained = [one for one in trained if one.seed == runs[0][1]]
    return Tested(protocol, checkpoints, trained)


def check_clean(tested: Tested, predictions: Sequence[np.ndarray]) -> None:
    """Check that a system predicts of the clean test split what `train` recorded of it.

    Args:
        tested: The system.
        predictions: What `predict` returns for the clean stores.

    Raises:
        PipelineError: It does not; the message says by how much.
    """
    epochs = paths.epochs(tested.checkpoints.corpus, tested.name)
    recorded = {
        (row.fold, row.seed): row
        for row in read_epochs(epochs)[0]
        if row.selected and row.split == "test"
    }
    for one, probable in zip(tested.trained, predictions, strict=True):
        row = recorded.get((one.fold, one.seed))
        name = f"{tested.checkpoints.corpus}, {tested.name}, fold {one.fold}, seed {one.seed}"
        test = [e.utterance for e in tested_by(tested.protocol, one.fold)]
        if row is None or row.utterances != test:
            raise PipelineError(
                f"{name}: {epochs} has no such run on this test split; it is not of the same "
                "training as the checkpoint: run `dvc repro`."
            )
        apart = np.abs(probable - row.probabilities)
        if not apart.max() <= TOLERANCE:
            worst = row.utterances[int(apart.max(1).argmax())]
            raise PipelineError(
                f"{name}: on clean features the checkpoint's probabilities differ from those that "
                f"training recorded by up to {apart.max():.1e} (at {worst}), expected at most "
                f"{TOLERANCE:.0e}. Was it trained on another machine or device, or with another "
                f"torch? Run `{train(tested.checkpoints, '--force --single-item ')}` here, or this "
                "command there."
            )


def train(checkpoints: Checkpoints, options: str = "") -> str:
    """The command that trains these checkpoints."""
    return f"dvc repro {options}train@{checkpoints.corpus}-{checkpoints.system}"
