"""The checkpoints that predict together: one file, or all of a training's folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.base.errors import PipelineError
from pipeline.base.progress import track
from pipeline.base.settings import MODALITIES
from pipeline.records.features import FLOATS, Features
from pipeline.training.checkpoint import check_features, load_checkpoint, read_facts
from pipeline.training.data import Dialogue
from pipeline.training.inference import probabilities


@dataclass(frozen=True)
class Checkpoints:
    """Checkpoints of one corpus, with the same classes and features.

    Attributes:
        files: At least one, sorted by name.
        facts: What each was saved with.
    """

    files: tuple[Path, ...]
    facts: tuple[Mapping[str, Any], ...]

    @property
    def corpus(self) -> str:
        """Whose settings made the features."""
        return str(self.facts[0]["corpus"])

    @property
    def classes(self) -> tuple[str, ...]:
        """Names by class number."""
        return tuple(self.facts[0]["classes"])

    @property
    def dimensions(self) -> dict[str, int]:
        """Features by modality in use."""
        features = self.facts[0]["features"]
        return {m: features[m]["dimension"] for m in MODALITIES if m in features}

    def check(self, provenance: Mapping[str, Mapping[str, Any]]) -> None:
        """Refuses features that are made otherwise than those of the training.

        Args:
            provenance: By modality; a number of features is filled in where it is not known yet.

        Raises:
            PipelineError: Every difference is named.
        """
        known = {
            m: {"dimension": self.dimensions.get(m), **about} for m, about in provenance.items()
        }
        for file, facts in zip(self.files, self.facts, strict=True):
            check_features(file, facts, known)

    def probabilities(
        self, dialogues: Sequence[Dialogue], stores: Mapping[str, Features]
    ) -> np.ndarray:
        """What each model says, [checkpoint, utterance, class] float32, dialogues in order.

        Args:
            dialogues: Made of `stores`.
            stores: By modality.

        Raises:
            PipelineError: The stores are not made as those of the training.
        """
        features = {m: store.provenance for m, store in stores.items()}
        predictions = []
        for file in track(self.files, "models", len(self.files)):
            model, _ = load_checkpoint(file, features)
            predictions.append(torch.cat(probabilities(model, dialogues, batch_size=1)).numpy())
        return np.stack(predictions)


def find_checkpoints(path: Path) -> Checkpoints:
    """The checkpoint of a file, or those of a folder.

    Raises:
        PipelineError: There is none, one cannot be read, or they are not of one training.
    """
    files = (path,) if path.is_file() else tuple(sorted(path.glob("*.safetensors")))
    if not files:
        raise PipelineError(f"{path} {_instead(path)}")
    checkpoints = Checkpoints(files, tuple(read_facts(file) for file in files))
    first = _task(checkpoints.facts[0])
    for file, facts in zip(files, checkpoints.facts, strict=True):
        if _task(facts) != first:
            raise PipelineError(
                f"{path} holds checkpoints that cannot be averaged: {files[0].name} is of {first}, "
                f"{file.name} of {_task(facts)}. Name one of them."
            )
    return checkpoints


def _task(facts: Mapping[str, Any]) -> str:
    """What a checkpoint was trained for, in words."""
    return f"{facts['corpus']}, classes {facts['classes']}, modalities {sorted(facts['features'])}"


def _instead(path: Path) -> str:
    if not path.exists():
        return "does not exist; expected a checkpoint, or a folder of them: `dvc repro` trains."
    inside = sorted(str(file.parent) for file in path.glob("*/*.safetensors"))
    hint = f" Did you mean {', '.join(dict.fromkeys(inside))}?" if inside else ""
    return f"holds no checkpoint (*.safetensors); `dvc repro` trains.{hint}"


def with_width(store: Features, dimension: int) -> Features:
    """A store in which no utterance has the modality, as wide as the model expects it.

    Nobody knows how wide an extractor's vectors are that computed none.
    """
    if store.present.any():
        return store
    provenance = {**store.provenance, "dimension": dimension}
    return replace(store, values=np.zeros((0, dimension), FLOATS), provenance=provenance)
