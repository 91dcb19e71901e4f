"""Trained toy systems, and extractors that need no media."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.base import paths
from pipeline.base.params import read_params
from pipeline.corruption.corrupted import Row
from pipeline.corruption.corruptions import Corruption
from pipeline.corruption.tested import Stores, Tested, read_tested
from pipeline.prediction.checkpoints import find_checkpoints
from pipeline.records.features import Features, read_features
from pipeline.records.manifest import Utterance
from pipeline.records.protocol import read_protocol
from pipeline.training.train import train_system
from tests.conftest import PARAMS
from tests.synthetic import DIMENSIONS
from tests.training.toy import toy


def train(system: str = "mcn_cl", **settings: Any) -> None:
    """Train a system on the corpus that was laid out."""
    train_system(toy(system, **settings))


def stores() -> Stores:
    """The clean features."""
    return {m: read_features(paths.features("toy", m)) for m in DIMENSIONS}


def read(system: str = "mcn_cl", quick: bool = False) -> Tested:
    """A system that was trained."""
    protocol = read_protocol(paths.protocol("toy"))
    found = find_checkpoints(paths.checkpoints("toy", system))
    return read_tested(read_params(PARAMS), protocol, found, stores(), quick)


def trained(system: str = "mcn_cl", quick: bool = False, **settings: Any) -> Tested:
    """Train a system, and read it."""
    train(system, **settings)
    return read(system, quick)


class Louder:
    """Adds the level to every feature of the clean store; keeps what it was asked."""

    def __init__(self, modality: str) -> None:
        self.clean = read_features(paths.features("toy", modality))
        self.asked: list[tuple[str, float, list[str]]] = []

    def __call__(
        self, utterances: Sequence[Utterance], corruption: Corruption, level: float
    ) -> list[Row]:
        self.asked.append((corruption.name, level, [u.utterance for u in utterances]))
        return [(u.utterance, of(self.clean, u.utterance) + level) for u in utterances]


def louder() -> dict[str, Louder]:
    """One for each modality."""
    return {modality: Louder(modality) for modality in DIMENSIONS}


def of(store: Features, utterance: str) -> np.ndarray:
    """An utterance's [frame, feature] vectors."""
    row = store.utterances.index(utterance)
    return store.values[store.offsets[row] : store.offsets[row + 1]]
