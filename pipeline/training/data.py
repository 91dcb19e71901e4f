"""What all runs of a corpus share: its protocol, its feature stores and its settings."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline import paths
from pipeline.dataset import dialogues
from pipeline.errors import PipelineError
from pipeline.extractors.device import refuse_nondeterminism, resolve_device, set_threads
from pipeline.features import Features, read_features
from pipeline.protocol import Protocol, read_protocol
from pipeline.settings.compute import ComputeSettings
from pipeline.settings.loss import LossSettings
from pipeline.settings.model import ModelSettings
from pipeline.settings.train import TrainSettings
from pipeline.training.task import Task


@dataclass(frozen=True)
class TrainingSettings:
    """Every section that training reads."""

    model: ModelSettings
    loss: LossSettings
    train: TrainSettings
    compute: ComputeSettings


@dataclass(frozen=True)
class TrainingData:
    """A corpus, read for training.

    Attributes:
        protocol: Without test labels.
        stores: By modality in use.
        settings: Of the corpus; `compute.device` is resolved, never `auto`.
    """

    protocol: Protocol
    stores: Mapping[str, Features]
    settings: TrainingSettings

    def task(self, fold: int) -> Task:
        """What the runs of a fold are given."""
        train, valid, test = (
            dialogues(self.protocol.entries, self.stores, fold, split)
            for split in ("train", "valid", "test")
        )
        return Task(
            classes=len(self.protocol.classes),
            train=train,
            valid=valid,
            test=test,
            model=self.settings.model,
            loss=self.settings.loss,
            optimisation=self.settings.train,
            compute=self.settings.compute,
        )


def read_data(corpus: str, settings: TrainingSettings) -> TrainingData:
    """Reads a corpus, and sets threads and determinism for this process.

    Args:
        corpus: Which.
        settings: As in params.yaml.

    Raises:
        PipelineError: A store is missing or empty; no such device.
    """
    return TrainingData(
        protocol=read_protocol(paths.protocol(corpus), labels_of=("train", "valid")),
        stores=_stores(corpus, settings.model),
        settings=_prepared(settings),
    )


def _stores(corpus: str, model: ModelSettings) -> dict[str, Features]:
    stores: dict[str, Features] = {
        m: read_features(paths.features(corpus, m)) for m in model.modalities
    }
    empty = [m for m, store in stores.items() if not store.present.any()]
    if empty:
        raise PipelineError(
            f"The feature stores of {empty} hold no utterance: take them out of "
            f"model.{corpus}.modalities, or see data/ledgers/{corpus} for what was wrong."
        )
    return stores


def _prepared(settings: TrainingSettings) -> TrainingSettings:
    compute = settings.compute
    set_threads(settings.train.threads)
    if compute.deterministic:
        refuse_nondeterminism()
    device = resolve_device(compute.device)
    real = compute.model_copy(update={"device": device})
    return TrainingSettings(settings.model, settings.loss, settings.train, real)
