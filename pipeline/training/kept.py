"""Where runs are kept, while they last and after they have ended: by what decides them."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.base import paths
from pipeline.base.cache import digest_of, folder_of
from pipeline.base.files import sha256_file
from pipeline.base.fingerprint import code_digest, versions
from pipeline.base.state import StateFile
from pipeline.features.common.device import arithmetic
from pipeline.systems.base import PACKAGE, system
from pipeline.training.fit import RunState
from pipeline.training.reading import Training, TrainingData, threads_of

CODE = ("pipeline.training.learner", "pipeline.training.fit")
NOT_OF_A_RUN = {"enabled", "seeds", "workers"}  # which runs there are, and how many train at once


@dataclass(frozen=True)
class KeptRun:
    """One run, and where it is kept while it lasts and after it has ended."""

    fold: int
    seed: int
    path: Path

    def __str__(self) -> str:
        return f"fold {self.fold} seed {self.seed}"

    @property
    def checkpoint(self) -> str:
        """The name of its checkpoint's file."""
        return f"fold{self.fold}-seed{self.seed}.safetensors"

    @property
    def file(self) -> StateFile[RunState]:
        """The file of its state."""
        return StateFile(self.path, RunState)


def kept_runs(data: TrainingData) -> list[KeptRun]:
    """The runs of a system on a corpus in order of fold and seed.

    A run's place in the cache is named by what decides that run alone: first code, settings and
    arithmetic, then the data of its fold and its seed. So another seed, fold or corpus adds runs
    and leaves the others where they are.
    """
    # Absolute: on a cluster the cache is named so, and a run is the same by whatever name.
    folder = _folder(data.training).absolute()
    stores = {m: store.digest for m, store in data.stores.items()}
    kind, training = system(data.training.name), data.training
    head = [sha256_file(paths.head(training.corpus))] if kind.READS_HEAD else []
    runs = []
    for fold in data.protocol.folds:
        entries = [
            (e.split, e.dialogue, e.utterance, e.speaker, e.label)
            for e in data.protocol.entries
            if e.fold == fold
        ]
        content = [entries, len(data.protocol.classes), stores, *head]
        if kind.READS_WORDS:
            content.append([data.texts[utterance] for _, _, utterance, *_ in entries])
        for seed in data.training.settings.seeds:
            path = folder / digest_of(digest_of(*content), seed)[:32] / "run.pt"
            runs.append(KeptRun(fold, seed, path))
    return runs


def _folder(training: Training) -> Path:
    """The cache's folder of all runs with the same code, settings and arithmetic."""
    compute = training.compute
    decisive = {
        f"{training.name}.{name}": value
        for name, value in training.settings
        if name not in NOT_OF_A_RUN
    }
    return folder_of(
        "train",
        code_digest(*CODE, f"{PACKAGE}.{training.name}"),
        decisive,
        arithmetic(compute.device, threads_of(training), compute.precision),
        compute.deterministic,
        versions("torch", "scikit-learn", "numpy", "scipy"),
        about={"settings": {"corpus": training.corpus}, "sections": decisive},
    )
