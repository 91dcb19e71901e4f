"""Where each stage's files lie; dvc.yaml says the same."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.base.settings import MODALITIES, ROLES, Role

RAW = Path("data/raw")
BASELINE = "my-baseline"  # the experiment that results are compared with
PARAMS_CHECKED = Path("data/params.txt")
CACHE = "ERC_CACHE"


def cache_root() -> Path:
    """The clip cache: the folder that the environment variable ERC_CACHE names, or data/cache."""
    return Path(os.environ.get(CACHE) or "data/cache")


def raw(corpus: str) -> Path:
    """The raw tree, as the corpus' authors distribute it (a symbolic link will do)."""
    return RAW / corpus


def manifest(corpus: str) -> Path:
    """Raw facts, one row per utterance."""
    return Path(f"data/manifests/{corpus}.parquet")


def ledger(corpus: str, stage: str) -> Path:
    """What a stage found wrong."""
    return Path(f"data/ledgers/{corpus}/{stage}.parquet")


def protocol(corpus: str) -> Path:
    """Labels, folds and splits."""
    return Path(f"data/protocols/{corpus}.parquet")


def frames(corpus: str) -> Path:
    """Encoded frames."""
    return Path(f"data/frames/{corpus}.parquet")


def contact_sheet(corpus: str) -> Path:
    """What `python -m pipeline contact-sheet` draws."""
    return Path(f"data/contact_sheets/{corpus}.png")


def features(corpus: str, modality: str) -> Path:
    """A modality's feature store."""
    return Path(f"data/features/{corpus}/{modality}.parquet")


def exported(corpus: str, layout: str) -> Path:
    """What `python -m pipeline export` writes."""
    return Path(f"data/exported/{corpus}/{layout}")


def pretrained(corpus: str, role: str) -> Path:
    """The folder with the files of a pretrained encoder, verified.

    Args:
        corpus: Which.
        role: `faces`, `visual`, `text` or `audio`.
    """
    return Path(f"models/pretrained/{corpus}/{role}")


def text_encoder(corpus: str) -> Path:
    """The folder of the encoder that reads a corpus' texts: the pretrained one, or a fine-tuned."""
    return Path(f"models/encoders/{corpus}/text")


def head(corpus: str) -> Path:
    """The classification head that was fine-tuned with the text encoder."""
    return Path(f"models/heads/{corpus}.safetensors")


def checkpoints(corpus: str, system: str) -> Path:
    """One safetensors file per fold and seed."""
    return Path(f"models/checkpoints/{corpus}/{system}")


def epochs(corpus: str, system: str) -> Path:
    """Class probabilities of every epoch on validation and test."""
    return Path(f"data/epochs/{corpus}/{system}.parquet")


def predictions(corpus: str, system: str) -> Path:
    """Class probabilities of the selected epochs."""
    return Path(f"data/predictions/{corpus}/{system}.parquet")


def metrics(corpus: str, *parts: str) -> Path:
    """A file or folder of results that git keeps: of the corpus, or in a system's folder."""
    return Path("metrics", corpus, *parts)


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
        raw=raw(corpus),
        manifest=manifest(corpus),
        encoders={
            **{role: pretrained(corpus, role) for role in ROLES},
            "text": text_encoder(corpus),
        },
        frames=frames(corpus),
        stores={modality: features(corpus, modality) for modality in MODALITIES},
        ledgers={step: ledger(corpus, step) for step in WITH_LEDGER},
    )
