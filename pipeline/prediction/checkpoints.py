"""The checkpoints of a system that predict together: one file, or all of a training's folder."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.base.errors import PipelineError
from pipeline.base.params import DEMO
from pipeline.base.settings import MODALITIES, ComputeSettings
from pipeline.features.common.device import resolve_device, set_threads
from pipeline.nn.batch import Dialogue
from pipeline.nn.optimise import lower_precision
from pipeline.systems.base import System
from pipeline.training.checkpoint import check_features, load_checkpoint, read_facts
from pipeline.training.data import as_read
from pipeline.training.inference import BATCH_SIZE, probabilities


@dataclass(frozen=True)
class Trained:
    """A system as one checkpoint has it: at the epoch that validation chose."""

    fold: int
    """Whose test split it is for."""

    seed: int
    system: System
    """On the device it runs on."""

    precision: torch.dtype | None
    """See `lower_precision`."""

    def probabilities(
        self, dialogues: Sequence[Dialogue], batch_size: int | None = None
    ) -> np.ndarray:
        """[utterance, class] float32, dialogues in order.

        In the batches and with the threads of its training, unless `batch_size` is given: then the
        bytes are those that training recorded.
        """
        settings = self.system.settings
        if threads := getattr(settings, "threads", None):  # else it was fitted at once
            set_threads(threads)
        size = batch_size or int(getattr(settings, "batch_size", BATCH_SIZE))
        read = as_read(dialogues, settings)
        return torch.cat(probabilities(self.system, read, size, self.precision)).numpy()


@dataclass(frozen=True)
class Checkpoints:
    """Checkpoints of one system and corpus, with the same classes and features."""

    files: tuple[Path, ...]
    """At least one, sorted by name."""

    facts: tuple[Mapping[str, Any], ...]
    """What each was saved with."""

    @property
    def system(self) -> str:
        """The system's name."""
        return str(self.facts[0]["system"])

    @property
    def corpus(self) -> str:
        """Whose settings made the features."""
        return str(self.facts[0]["corpus"])

    @property
    def stage(self) -> str:
        """What DVC calls the stage that trains them."""
        return f"train@{self.corpus}-{self.system}"

    @property
    def generated(self) -> bool:
        """Whether they learned from drawn faces and synthetic voices."""
        return self.corpus.startswith(DEMO)

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
        """Refuse features that by their provenance are made otherwise than those of the training.

        A number of features that is not known yet is taken for the right one.

        Raises:
            PipelineError: Every difference is named.
        """
        known = {
            m: {"dimension": self.dimensions.get(m), **about} for m, about in provenance.items()
        }
        for file, facts in zip(self.files, self.facts, strict=True):
            check_features(file, facts, known)

    def load(
        self, features: Mapping[str, Mapping[str, Any]], compute: ComputeSettings | None = None
    ) -> Iterator[Trained]:
        """Load one after another, for the device of `compute` (None: the CPU); see `check`."""
        device = resolve_device(compute.device) if compute else "cpu"
        precision = lower_precision(device, compute.precision) if compute else None
        for file in self.files:
            system, facts = load_checkpoint(file, features)
            fold, seed = facts.get("fold", 0), facts.get("seed", 0)
            yield Trained(fold, seed, system.to(device), precision)


def find_checkpoints(path: Path, system: str | None = None, reference: str = "") -> Checkpoints:
    """The checkpoint of a file, those of a folder, or those of a system in a corpus' folder.

    Args:
        path: A file, the folder of a system, or that of a corpus with a folder for each system.
        system: Which; None for the reference in a corpus' folder, else for that which is there.
        reference: Its name.

    Raises:
        PipelineError: There is none, one cannot be read, or they are not of one training, or of
            another system.
    """
    name = system or reference
    files = (path,) if path.is_file() else checkpoints_in(path) or checkpoints_in(path / name)
    if not files:
        raise PipelineError(f"{path} {_instead(path, name)}")
    checkpoints = Checkpoints(files, tuple(read_facts(file) for file in files))
    first = _task(checkpoints.facts[0])
    for file, facts in zip(files, checkpoints.facts, strict=True):
        if _task(facts) != first:
            raise PipelineError(
                f"{path} holds checkpoints that cannot be averaged: {files[0].name} is of {first}, "
                f"{file.name} of {_task(facts)}. Name one of them."
            )
    if system not in (None, checkpoints.system):
        raise PipelineError(
            f"{files[0]} is a checkpoint of {checkpoints.system}, not of {system}; leave --system "
            "out, or name the folder of the corpus."
        )
    return checkpoints


def checkpoints_in(folder: Path) -> tuple[Path, ...]:
    """The files of checkpoints in a folder, sorted."""
    return tuple(sorted(folder.glob("*.safetensors")))


def _task(facts: Mapping[str, Any]) -> str:
    """What a checkpoint was trained for, in words."""
    return (
        f"{facts['system']} on {facts['corpus']}, classes {facts['classes']}, modalities "
        f"{sorted(facts['features'])}"
    )


def _instead(path: Path, system: str) -> str:
    if not path.exists():
        return "does not exist; expected a checkpoint, or a folder of them: `dvc repro` trains."
    if systems := sorted({file.parent.name for file in path.glob("*/*.safetensors")}):
        return f"holds no checkpoint of {system}; name one of these by --system: {systems}."
    inside = sorted({str(file.parents[1]) for file in path.glob("*/*/*.safetensors")})
    hint = f" Did you mean {', '.join(inside)}?" if inside else ""
    return (
        "holds no checkpoint (*.safetensors); `dvc repro` trains, unless the stage `train` says "
        f"that the system is left out.{hint}"
    )
