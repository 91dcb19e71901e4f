"""All runs of a corpus: every fold, every seed."""

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from pipeline import paths
from pipeline.cache import cache_root, digest_of
from pipeline.dataset import dialogues
from pipeline.errors import PipelineError
from pipeline.extractors.device import resolve_device, set_threads
from pipeline.features import Features, read_features
from pipeline.files import replacing, sha256_file
from pipeline.progress import track
from pipeline.protocol import Protocol, read_protocol
from pipeline.settings.compute import ComputeSettings
from pipeline.settings.loss import LossSettings
from pipeline.settings.model import ModelSettings
from pipeline.settings.train import TrainSettings
from pipeline.training.checkpoint import save_checkpoint
from pipeline.training.epochs import EpochPrediction, write_epochs
from pipeline.training.loop import Run
from pipeline.training.state import RunState, StateFile
from pipeline.training.task import Task


@dataclass(frozen=True)
class TrainingSettings:
    """Every section that training reads."""

    model: ModelSettings
    loss: LossSettings
    train: TrainSettings
    compute: ComputeSettings


def train_corpus(corpus: str, settings: TrainingSettings) -> None:
    """Trains one model per fold and seed, and writes checkpoints, history and epoch predictions.

    Args:
        corpus: Which.
        settings: Its sections of params.yaml.

    Raises:
        PipelineError: A store is missing, empty or of another manifest; no such device.
    """
    protocol = read_protocol(paths.protocol(corpus), labels_of=("train", "valid"))
    stores = _stores(corpus, settings.model)
    prepared = _prepare(settings.compute)
    state_folder = cache_root() / "train" / _key(corpus, settings, prepared)
    runs = [(fold, seed) for fold in protocol.folds for seed in settings.train.seeds]
    history, epochs = [], []
    for fold, seed in track(runs, f"train {corpus}", len(runs)):
        task = _task(protocol, stores, fold, settings, prepared)
        state = Run(task, seed).train(StateFile(state_folder / f"fold{fold}-seed{seed}.pt"))
        history += [{"fold": fold, "seed": seed, **row} for row in state.history]
        epochs += list(_predictions(task, state, fold, seed))
        facts = _facts(task, protocol, stores, settings, fold, seed, state)
        name = f"fold{fold}-seed{seed}.safetensors"
        save_checkpoint(paths.checkpoints(corpus) / name, state.best, facts)
        _tell(state, fold, seed)
    _write_history(paths.metrics(corpus, "history.csv"), history)
    write_epochs(paths.epochs(corpus), epochs)
    shutil.rmtree(state_folder, ignore_errors=True)


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


def _prepare(compute: ComputeSettings) -> ComputeSettings:
    """Sets threads and determinism for the process; returns the settings with a real device."""
    set_threads(compute.threads)
    if compute.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    return compute.model_copy(update={"device": resolve_device(compute.device)})


def _key(corpus: str, settings: TrainingSettings, compute: ComputeSettings) -> str:
    files = [paths.protocol(corpus)]
    files += [paths.features(corpus, m) for m in settings.model.modalities]
    code = sorted(
        path for folder in ("training", "model") for path in Path("pipeline", folder).glob("*.py")
    )
    return digest_of(
        [sha256_file(file) for file in [*files, *code]],
        [s.model_dump() for s in (settings.model, settings.loss, settings.train, compute)],
        torch.__version__,
    )


def _task(
    protocol: Protocol,
    stores: Mapping[str, Features],
    fold: int,
    settings: TrainingSettings,
    compute: ComputeSettings,
) -> Task:
    train, valid, test = (
        dialogues(protocol.entries, stores, fold, split) for split in ("train", "valid", "test")
    )
    return Task(
        classes=len(protocol.classes),
        train=train,
        valid=valid,
        test=test,
        model=settings.model,
        loss=settings.loss,
        optimisation=settings.train,
        compute=compute,
    )


def _predictions(task: Task, state: RunState, fold: int, seed: int) -> Iterator[EpochPrediction]:
    for split, found in (("valid", state.valid), ("test", state.test)):
        utterances = [u for d in getattr(task, split) for u in d.utterances]
        for epoch, probabilities in enumerate(found, start=1):
            chosen = epoch == state.best_epoch
            yield EpochPrediction(
                fold, seed, epoch, chosen, split, utterances, probabilities.numpy()
            )


def _facts(
    task: Task,
    protocol: Protocol,
    stores: Mapping[str, Features],
    settings: TrainingSettings,
    fold: int,
    seed: int,
    state: RunState,
) -> dict[str, Any]:
    arguments = settings.model.model_dump(exclude={"modalities"})
    return {
        "model": {**arguments, "dimensions": task.dimensions, "classes": task.classes},
        "classes": list(protocol.classes),
        "features": {m: store.about for m, store in stores.items()},
        "loss": settings.loss.model_dump(),
        "train": settings.train.model_dump(),
        "fold": fold,
        "seed": seed,
        "epoch": state.best_epoch,
    }


def _tell(state: RunState, fold: int, seed: int) -> None:
    best = state.history[state.best_epoch - 1]["valid_weighted_f1"]
    print(
        f"  fold {fold} seed {seed}: epoch {state.best_epoch} of {len(state.history)}, "
        f"validation weighted F1 {best:.2f}"
    )


def _write_history(path: Path, rows: list[dict[str, float]]) -> None:
    with replacing(path) as part:
        pd.DataFrame(rows).to_csv(part, index=False, float_format="%.6g", lineterminator="\n")
