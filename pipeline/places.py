"""Where the feature steps read and write: a corpus of the DVC graph, or any other conversation."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from pipeline import paths
from pipeline.settings.base import MODALITIES
from pipeline.weights.lock import Role

ROLES: tuple[Role, ...] = get_args(Role)
WITH_LEDGER = ("frames", "audio")


@dataclass(frozen=True)
class Places:
    """The files and folders of one extraction.

    Attributes:
        name: What progress displays call it.
        raw: The folder that the manifest's media paths are relative to.
        manifest: Raw facts, one row per utterance.
        encoders: The folder with an encoder's files, by role.
        frames: The frame store.
        stores: The feature store by modality.
        ledgers: What a step found wrong, by step.
    """

    name: str
    raw: Path
    manifest: Path
    encoders: Mapping[Role, Path]
    frames: Path
    stores: Mapping[str, Path]
    ledgers: Mapping[str, Path]


def places(corpus: str) -> Places:
    """Those of a corpus, as dvc.yaml has them."""
    return Places(
        name=corpus,
        raw=paths.raw(corpus),
        manifest=paths.manifest(corpus),
        encoders={
            **{role: paths.pretrained(corpus, role) for role in ROLES},
            "text": paths.text_encoder(corpus),
        },
        frames=paths.frames(corpus),
        stores={modality: paths.features(corpus, modality) for modality in MODALITIES},
        ledgers={step: paths.ledger(corpus, step) for step in WITH_LEDGER},
    )
