"""What is trained: a system on a corpus, with its settings and its data."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.base.settings import ComputeSettings
from pipeline.features.common.device import chosen_device, set_threads
from pipeline.records.features import Features, read_features
from pipeline.records.manifest import read_manifest
from pipeline.records.protocol import Protocol, read_protocol
from pipeline.systems.base import Shape
from pipeline.training.data import Fold, as_read, dialogues
from pipeline.training.fit import Limits
from pipeline.training.learner import limits_of


@dataclass(frozen=True)
class Training:
    """What is to be trained: a system on a corpus."""

    corpus: str
    name: str
    """Of the system."""

    settings: Any
    """Of the system; see `Fold`."""

    compute: ComputeSettings

    @property
    def limits(self) -> Limits:
        """How long a run may go on."""
        return limits_of(self.name, self.settings)


@dataclass(frozen=True)
class TrainingData:
    """A corpus, read for training."""

    training: Training
    """`compute.device` is resolved, never `auto`."""

    protocol: Protocol
    """Without test labels."""

    stores: Mapping[str, Features]
    """By modality in use."""

    texts: Mapping[str, str]
    """By utterance."""

    def shape(self, fold: int) -> Shape:
        """What a system's size depends on in one fold."""
        speakers: dict[str, set[str]] = defaultdict(set)
        for entry in self.protocol.entries:
            if entry.fold == fold and entry.split == "train":
                speakers[entry.dialogue].add(entry.speaker)
        return Shape(
            features={m: store.dimension for m, store in self.stores.items()},
            classes=len(self.protocol.classes),
            speakers=max(map(len, speakers.values())),
        )

    def fold(self, number: int) -> Fold:
        """The data of the runs of one fold."""
        training = self.training
        train, valid, test = (
            as_read(
                dialogues(self.protocol.entries, self.stores, self.texts, number, split),
                training.settings,
            )
            for split in ("train", "valid", "test")
        )
        return Fold(
            corpus=training.corpus,
            name=training.name,
            settings=training.settings,
            compute=training.compute,
            shape=self.shape(number),
            train=train,
            valid=valid,
            test=test,
        )


def read_data(training: Training) -> TrainingData:
    """Read a corpus, and set threads and the precision of products for this process.

    Raises:
        PipelineError: A store is missing or empty; no such device.
    """
    compute, corpus = training.compute, training.corpus
    set_threads(threads_of(training))
    torch.backends.cudnn.allow_tf32 = False  # by default recurrences round float32 to 10 bits
    compute = compute.model_copy(update={"device": chosen_device(compute.device)})
    return TrainingData(
        training=replace(training, compute=compute),
        protocol=read_protocol(paths.protocol(corpus), labels_of=("train", "valid")),
        stores=_stores(training),
        texts={u.utterance: u.text for u in read_manifest(paths.manifest(corpus))},
    )


def threads_of(training: Training) -> int:
    """CPU threads of a run."""
    threads: int = getattr(training.settings, "threads", training.compute.threads)
    return threads


def _stores(training: Training) -> dict[str, Features]:
    corpus = training.corpus
    stores: dict[str, Features] = {
        m: read_features(paths.features(corpus, m)) for m in training.settings.modalities
    }
    empty = [m for m, store in stores.items() if not store.present.any()]
    if empty:
        raise PipelineError(
            f"The feature stores of {empty} hold no utterance: take them out of "
            f"{corpus}.{training.name}.modalities, set its `enabled` to false, or see "
            f"data/ledgers/{corpus} for what was wrong."
        )
    return stores
