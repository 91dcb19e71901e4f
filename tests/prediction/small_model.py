"""A working folder in which `predict` runs: real steps and media, tiny networks for encoders.

A text's vector is its length, a picture's its mean colour; sound goes through openSMILE.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.base import paths
from pipeline.base.params import read_params
from pipeline.base.paths import places
from pipeline.base.settings import Role
from pipeline.features.text import extract as text
from pipeline.features.text.turns import Turn
from pipeline.features.visual import extract as visual
from pipeline.prediction.features import places_of, provenance
from pipeline.systems.base import Shape, system
from pipeline.training.checkpoint import NOT_STATED, save_checkpoint
from pipeline.weights.folder import Encoder
from tests.conftest import PARAMS
from tests.dag.clone import with_values
from tests.features.small_corpus import write_clip
from tests.inline import run_inline

CORPUS, SYSTEM = "demo_meld", "mcn_cl"
SMALL = {"width": 16, "projection": 4, "layers": 1}
CLASSES = ["calm", "angry", "glad"]
DIMENSIONS = {"text": 2, "audio": 88, "visual": 3}


class Network:
    """Counts what it computes."""

    batch_size = 2

    def __init__(self) -> None:
        self.texts = self.batches = 0
        self.broken = False

    def encode(self, turns: Sequence[Turn]) -> Iterator[tuple[int, np.ndarray]]:
        for place, turn in enumerate(turns):
            self.texts += 1
            yield place, np.array([len(turn.text), 1], np.float32)

    def room(self) -> np.ndarray:
        return np.zeros((self.batch_size, 224, 224, 3), np.uint8)

    def start(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        if self.broken:
            raise KeyboardInterrupt
        self.batches += 1
        return lambda: batch.mean(axis=(1, 2)).astype(np.float32)


def _encoder(folder: Path, digest: str = "a") -> Encoder:
    role: Role = "text" if folder.name == "text" else "visual"
    return Encoder("tiny", role, "None", "1", "MIT", folder, {"model": digest * 64})


def prepare(folder: Path, monkeypatch: pytest.MonkeyPatch, *, processes: bool = False) -> Network:
    """Lays out params.yaml, encoders and two checkpoints; returns the network of the encoders.

    Media are decoded in this process, unless in `processes` of their own.
    """
    values = {"count": 2, "crop": "frame", "feature_set": "eGeMAPSv02", "batch_size": 2}
    (folder / "params.yaml").write_text(with_values(PARAMS.read_text(), values, CORPUS))
    network = Network()
    if not processes:
        run_inline(monkeypatch)
    for step in (text, visual):
        monkeypatch.setattr(step, "load", _encoder)
        monkeypatch.setattr(step, "network", lambda *_: network)
    for role in ("text", "visual"):
        encoder = places(CORPUS).encoders[role]
        encoder.mkdir(parents=True)
        (encoder / "encoder.json").touch()
    for seed in (1, 2):
        write_checkpoint(seed)
    return network


def checkpoint(seed: int, system: str = SYSTEM) -> Path:
    return paths.checkpoints(CORPUS, system) / f"fold0-seed{seed}.safetensors"


def write_checkpoint(
    seed: int,
    modalities: Sequence[str] = tuple(DIMENSIONS),
    name: str = SYSTEM,
    **facts: Any,
) -> None:
    """An untrained system that says of itself what a trained one does."""
    params, where = read_params(), places_of(CORPUS, Path("in"), Path("out"))
    made = provenance(params, CORPUS, where, modalities)
    small = SMALL if name == SYSTEM else {}
    settings = params.system(CORPUS, name).model_copy(
        update={**small, "modalities": tuple(modalities)}
    )
    shape = Shape({m: DIMENSIONS[m] for m in modalities}, classes=len(CLASSES), speakers=2)
    torch.manual_seed(seed)
    state = system(name)(settings, shape).state_dict()
    known = {
        "corpus": CORPUS,
        "system": name,
        "settings": settings.model_dump(exclude=set(NOT_STATED)),
        "shape": vars(shape),
        "sizes": {},
        "classes": CLASSES,
        "features": {m: {**made[m], "dimension": DIMENSIONS[m]} for m in modalities},
        "fold": 0,
        "seed": seed,
    }
    save_checkpoint(checkpoint(seed, name), state, {**known, **facts})


def conversation(folder: Path, *rows: str, clips: int = 0) -> Path:
    """Writes utterances.csv and so many clips, 0.mp4, 1.mp4, ...; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "utterances.csv").write_text("\n".join(["clip,speaker,text", *rows]))
    for number in range(clips):
        write_clip(folder / f"{number}.mp4", number)
    return folder
