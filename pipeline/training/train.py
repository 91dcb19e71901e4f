"""All runs of a corpus: every fold, every seed."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from pipeline.base import paths
from pipeline.base.cache import digest_of
from pipeline.base.files import replacing, sha256_file
from pipeline.base.paths import cache_root
from pipeline.base.progress import track
from pipeline.records.epochs import EpochPrediction, write_epochs
from pipeline.training.card import write_card
from pipeline.training.checkpoint import save_checkpoint
from pipeline.training.data import Task, TrainingData, TrainingSettings, read_data
from pipeline.training.resume import RunState
from pipeline.training.runs import Runs, in_processes, in_turn


def train_corpus(corpus: str, settings: TrainingSettings) -> None:
    """Trains one model per fold and seed; writes checkpoints, cards, history, epoch predictions.

    Args:
        corpus: Which.
        settings: Its sections of params.yaml.

    Raises:
        PipelineError: A store is missing, empty or of another manifest; no such device; training
            diverged, or a process ended early.
    """
    data = read_data(corpus, settings)
    names = [(fold, seed) for fold in data.protocol.folds for seed in settings.train.seeds]
    runs = Runs(names, cache_root() / "train" / _key(corpus, data.settings))
    workers = settings.train.workers
    together = workers > 1 and len(names) > 1
    epochs = in_processes(corpus, settings, runs, workers) if together else in_turn(data, runs)
    for _ in track(epochs, f"train {corpus}, epochs at most", len(names) * settings.train.epochs):
        pass
    _write(corpus, data, runs)
    shutil.rmtree(runs.folder, ignore_errors=True)


def _key(corpus: str, settings: TrainingSettings) -> str:
    """Names the folder of a training's runs: another input, setting or code is another training."""
    files = [paths.protocol(corpus)]
    files += [paths.features(corpus, m) for m in settings.model.modalities]
    code = sorted(
        path for folder in ("training", "model") for path in Path("pipeline", folder).glob("*.py")
    )
    train = settings.train.model_dump(exclude={"workers"})
    return digest_of(
        [sha256_file(file) for file in [*files, *code]],
        [s.model_dump() for s in (settings.model, settings.loss, settings.compute)],
        train,
        torch.__version__,
    )


def _write(corpus: str, data: TrainingData, runs: Runs) -> None:
    history, epochs = [], []
    for fold, seeds in runs.by_fold():
        task = data.task(fold)
        for seed in seeds:
            state = runs.file(fold, seed).read()
            history += [{"fold": fold, "seed": seed, **row} for row in state.history]
            epochs += list(_predictions(task, state, fold, seed))
            checkpoint = paths.checkpoints(corpus) / f"fold{fold}-seed{seed}.safetensors"
            facts = {"corpus": corpus, **_facts(task, data, fold, seed, state)}
            save_checkpoint(checkpoint, state.best, facts)
            write_card(checkpoint, facts, data.protocol.entries)
            _tell(state, fold, seed)
    with replacing(paths.metrics(corpus, "history.csv")) as part:
        pd.DataFrame(history).to_csv(part, index=False, float_format="%.6g", lineterminator="\n")
    write_epochs(paths.epochs(corpus), epochs)


def _predictions(task: Task, state: RunState, fold: int, seed: int) -> Iterator[EpochPrediction]:
    for split, found in (("valid", state.valid), ("test", state.test)):
        utterances = [u for d in getattr(task, split) for u in d.utterances]
        for epoch, probabilities in enumerate(found, start=1):
            chosen = epoch == state.best_epoch
            yield EpochPrediction(
                fold, seed, epoch, chosen, split, utterances, probabilities.numpy()
            )


def _facts(task: Task, data: TrainingData, fold: int, seed: int, state: RunState) -> dict[str, Any]:
    settings = data.settings
    arguments = settings.model.model_dump(exclude={"modalities"})
    return {
        "model": {**arguments, "dimensions": task.dimensions, "classes": task.classes},
        "classes": list(data.protocol.classes),
        "features": {m: store.provenance for m, store in data.stores.items()},
        "loss": settings.loss.model_dump(),
        "train": settings.train.model_dump(exclude={"workers"}),
        "fold": fold,
        "seed": seed,
        "epoch": state.best_epoch,
        "epochs": len(state.history),
        "valid_weighted_f1": state.scores[state.best_epoch - 1],
    }


def _tell(state: RunState, fold: int, seed: int) -> None:
    best = state.scores[state.best_epoch - 1]
    print(
        f"  fold {fold} seed {seed}: epoch {state.best_epoch} of {len(state.history)}, "
        f"validation weighted F1 {best:.2f}"
    )
