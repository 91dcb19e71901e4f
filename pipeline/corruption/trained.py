"""The trained models of a corpus on its test split: what they say, given any feature stores."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.base.params import Params
from pipeline.base.settings import ComputeSettings
from pipeline.features.common.device import resolve_device, set_threads
from pipeline.records.epochs import read_epochs
from pipeline.records.features import Features, read_features
from pipeline.records.protocol import Entry, Protocol, read_protocol
from pipeline.systems.mcn_cl import MCNCL
from pipeline.systems.settings import ModelSettings
from pipeline.training.checkpoint import load_checkpoint
from pipeline.training.data import dialogues
from pipeline.training.inference import lower_precision, probabilities

# Of a probability: the same batches, threads and device leave no difference but that of rounding.
TOLERANCE = 1e-6
Stores = Mapping[str, Features]


@dataclass(frozen=True)
class Trained:
    """A model as its checkpoint has it: at the epoch that validation chose.

    Attributes:
        fold: Whose test split it is for.
        seed: Of its training.
        model: On the device it runs on.
        batch_size: Dialogues of a batch in its training.
        threads: CPU threads of its training.
        precision: See `lower_precision`.
    """

    fold: int
    seed: int
    model: MCNCL
    batch_size: int
    threads: int
    precision: torch.dtype | None


@dataclass(frozen=True)
class TrainedModels:
    """The models of a corpus, or those of one seed.

    Attributes:
        corpus: Which.
        protocol: With all labels.
        stores: The features, by modality of the models.
        models: Fold by fold, in each the same seeds in ascending order.
    """

    corpus: str
    protocol: Protocol
    stores: Stores
    models: Sequence[Trained]

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of the models."""
        return tuple(sorted({trained.seed for trained in self.models}))

    def predict(self, stores: Stores) -> Iterator[np.ndarray]:
        """What each of `models` says of its test split.

        Args:
            stores: Of all modalities of the models; they hold the test utterances at least.

        Yields:
            [utterance, class] float32 probabilities in protocol order, also of utterances without
            a label.
        """
        for fold in self.protocol.folds:
            test = dialogues(self.protocol.entries, stores, fold, "test")
            for trained in (t for t in self.models if t.fold == fold):
                set_threads(trained.threads)
                batches = probabilities(trained.model, test, trained.batch_size, trained.precision)
                yield torch.cat(batches).numpy()

    def classes(self, predictions: Sequence[np.ndarray]) -> np.ndarray:
        """What `predict` yields as class numbers of the labelled utterances.

        Returns:
            [seed, utterance], the folds one after another.
        """
        by_seed: dict[int, list[np.ndarray]] = {seed: [] for seed in self.seeds}
        for trained, probable in zip(self.models, predictions, strict=True):
            labelled = [entry.label is not None for entry in self.tested(trained.fold)]
            by_seed[trained.seed].append(probable.argmax(1)[labelled])
        return np.stack([np.concatenate(folds) for folds in by_seed.values()])

    def tested(self, fold: int) -> list[Entry]:
        """The test split of a fold in protocol order."""
        return [e for e in self.protocol.entries if e.fold == fold and e.split == "test"]


def read_trained(params: Params, corpus: str, quick: bool) -> TrainedModels:
    """Reads the checkpoints of a corpus and what they are tested on.

    Args:
        params: The checked params.yaml.
        corpus: Which.
        quick: Whether the models of the lowest seed are enough.

    Raises:
        PipelineError: Checkpoints are missing or do not fit the protocol or the feature stores.
    """
    protocol = read_protocol(paths.protocol(corpus))
    modalities = params.of(ModelSettings, corpus).modalities
    stores: dict[str, Features] = {m: read_features(paths.features(corpus, m)) for m in modalities}
    features = {modality: store.provenance for modality, store in stores.items()}
    compute = params.of(ComputeSettings)
    files = paths.checkpoints(corpus).glob("*.safetensors")
    models = [_read(path, features, protocol, compute) for path in sorted(files)]
    models.sort(key=lambda trained: (trained.fold, trained.seed))
    _check_whole(corpus, protocol, models)
    if quick:
        models = [trained for trained in models if trained.seed == models[0].seed]
    seen = models[0].model.modalities
    return TrainedModels(corpus, protocol, {m: stores[m] for m in seen}, models)


def _read(
    path: Path,
    features: Mapping[str, Mapping[str, Any]],
    protocol: Protocol,
    compute: ComputeSettings,
) -> Trained:
    device = resolve_device(compute.device)
    model, facts = load_checkpoint(path, features)
    if tuple(facts["classes"]) != protocol.classes:
        raise PipelineError(
            f"{path} tells {facts['classes']} apart, the protocol has {list(protocol.classes)}: "
            "run `dvc repro`."
        )
    return Trained(
        fold=facts["fold"],
        seed=facts["seed"],
        model=model.to(device),
        batch_size=facts["train"]["batch_size"],
        threads=facts["train"]["threads"],
        precision=lower_precision(device, compute.precision),
    )


def _check_whole(corpus: str, protocol: Protocol, models: Sequence[Trained]) -> None:
    runs = [(trained.fold, trained.seed) for trained in models]
    wanted = list(product(protocol.folds, sorted({seed for _, seed in runs})))
    if not runs or runs != wanted:
        listed = ", ".join(f"fold {fold} seed {seed}" for fold, seed in runs) or "none"
        raise PipelineError(
            f"{paths.checkpoints(corpus)} has these checkpoints: {listed}; expected the same seeds "
            f"in each of the folds {protocol.folds}. `dvc repro train@{corpus}` trains them."
        )


def check_clean(trained: TrainedModels, predictions: Sequence[np.ndarray]) -> None:
    """Checks that the models say of the clean test split what `train` recorded of them.

    Args:
        trained: The models.
        predictions: What `predict` yields with the clean stores.

    Raises:
        PipelineError: They do not; the message says by how much.
    """
    recorded = {
        (row.fold, row.seed): row
        for row in read_epochs(paths.epochs(trained.corpus))
        if row.selected and row.split == "test"
    }
    for one, probable in zip(trained.models, predictions, strict=True):
        row = recorded.get((one.fold, one.seed))
        name = f"{trained.corpus}, fold {one.fold}, seed {one.seed}"
        if row is None or row.utterances != [e.utterance for e in trained.tested(one.fold)]:
            raise PipelineError(
                f"{name}: {paths.epochs(trained.corpus)} has no such run on this test split; it "
                "is not of the same training as the checkpoint: run `dvc repro`."
            )
        apart = np.abs(probable - row.probabilities)
        if not apart.max() <= TOLERANCE:
            worst = row.utterances[int(apart.max(1).argmax())]
            raise PipelineError(
                f"{name}: on clean features the checkpoint's probabilities differ from those that "
                f"training recorded by up to {apart.max():.1e} (at {worst}), expected at most "
                f"{TOLERANCE:.0e}. Was it trained on another machine or device, or with another "
                "torch? Run `dvc repro --force --single-item "
                f"train@{trained.corpus}` here, or this command there."
            )
