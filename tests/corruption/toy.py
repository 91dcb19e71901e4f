"""Trained toy models, and extractors that need no media."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.base import paths
from pipeline.base.params import Params
from pipeline.corruption.corruptions import Corruption
from pipeline.corruption.extracting import Rows
from pipeline.corruption.trained import TrainedModels, read_trained
from pipeline.records.features import Features, read_features
from pipeline.records.manifest import Utterance
from pipeline.training.train import train_corpus
from tests.synthetic import DIMENSIONS
from tests.training.toy import toy_settings


def trained(quick: bool = False, **settings: Any) -> TrainedModels:
    """Trains the models of the corpus that was laid out, and reads them."""
    train_corpus("toy", toy_settings(**settings))
    return read(quick)


def read(quick: bool = False) -> TrainedModels:
    """The models that were trained."""
    settings = toy_settings()
    params = Params(["toy"], [], settings.compute, {"toy": {"model": settings.model}})
    return read_trained(params, "toy", quick)


class Louder:
    """Adds the level to every feature of the clean store; keeps what it was asked."""

    def __init__(self, modality: str) -> None:
        self.clean = read_features(paths.features("toy", modality))
        self.about = self.clean.provenance
        self.asked: list[tuple[str, float, list[str]]] = []

    def rows(self, utterances: Sequence[Utterance], corruption: Corruption, level: float) -> Rows:
        self.asked.append((corruption.name, level, [u.utterance for u in utterances]))
        return [(u.utterance, of(self.clean, u.utterance) + level) for u in utterances]


def louder() -> dict[str, Louder]:
    """One for each modality."""
    return {modality: Louder(modality) for modality in DIMENSIONS}


def of(store: Features, utterance: str) -> np.ndarray:
    """An utterance's [frame, feature] vectors."""
    row = store.utterances.index(utterance)
    return store.values[store.offsets[row] : store.offsets[row + 1]]
