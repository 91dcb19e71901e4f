"""All runs of a corpus: train those that are not in the cache, then write what all of them gave."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.base import paths
from pipeline.base.cache import digest_of, folder_of
from pipeline.base.display import say, write_csv
from pipeline.base.errors import PipelineError
from pipeline.base.fingerprint import code_digest, versions
from pipeline.base.progress import progress
from pipeline.base.state import Sparingly
from pipeline.features.common.device import arithmetic
from pipeline.records.epochs import EpochPrediction, write_epochs
from pipeline.training.card import check_card, write_card
from pipeline.training.checkpoint import save_checkpoint
from pipeline.training.data import TrainingSettings
from pipeline.training.fit import RunState
from pipeline.training.runs import KeptRun, TrainingData, in_processes, in_turn, read_data

CODE = ("pipeline.training.fit",)
NOT_OF_A_RUN = {"seeds", "workers"}  # which runs there are, and how many train at once
Histories = dict[KeptRun, list[dict[str, float]]]


def train_corpus(corpus: str, settings: TrainingSettings) -> None:
    """Train one model per fold and seed; write checkpoints, cards, history, epoch predictions.

    Runs that have ended stay in the cache: none is trained twice.

    Raises:
        PipelineError: A store is missing, empty or of another manifest; no such device; training
            diverged, or a process ended early.
    """
    data = read_data(corpus, settings)
    runs = kept_runs(corpus, data)
    for run in runs[:1]:
        unknown = {"epoch": 0, "epochs": 0, "valid_weighted_f1": 0.0}
        check_card(
            _checkpoint(corpus, run), _facts(corpus, data, run) | unknown, data.protocol.entries
        )
    histories: Histories = {}
    waiting = []
    for run in runs:
        state = run.file.read() or RunState()
        histories[run] = state.history
        if not state.finished(settings.train):
            waiting.append(run)
            if state.history:
                say(f"  {run}: resumes at epoch {len(state.history) + 1}")
    if waiting:
        _train(corpus, data, waiting, histories)
    _write(corpus, data, runs, cached=set(runs) - set(waiting))


def kept_runs(corpus: str, data: TrainingData) -> list[KeptRun]:
    """The runs of a corpus in order of fold and seed.

    A run's place in the cache is named by what decides that run alone: first code, settings and
    arithmetic, then the data of its fold and its seed. So another seed, fold or corpus adds runs
    and leaves the others where they are.
    """
    folder = _folder(corpus, data.settings)
    stores = {m: store.digest for m, store in data.stores.items()}
    runs = []
    for fold in data.protocol.folds:
        entries = [
            (e.split, e.dialogue, e.utterance, e.speaker, e.label)
            for e in data.protocol.entries
            if e.fold == fold
        ]
        content = digest_of(entries, len(data.protocol.classes), stores)
        for seed in data.settings.train.seeds:
            path = folder / digest_of(content, seed)[:32] / "run.pt"
            runs.append(KeptRun(fold, seed, path))
    return runs


def _folder(corpus: str, settings: TrainingSettings) -> Path:
    """The cache's folder of all runs with the same code, settings and arithmetic."""
    compute, threads = settings.compute, settings.train.threads
    decisive = {
        **{f"model.{name}": value for name, value in settings.model},
        **{f"loss.{name}": value for name, value in settings.loss},
        **{f"train.{n}": value for n, value in settings.train if n not in NOT_OF_A_RUN},
    }
    return folder_of(
        "train",
        code_digest(*CODE),
        decisive,
        arithmetic(compute.device, threads, compute.precision),
        compute.deterministic,
        versions("torch"),
        about={"settings": {"corpus": corpus}, "sections": decisive},
    )


def _train(
    corpus: str, data: TrainingData, waiting: Sequence[KeptRun], histories: Histories
) -> None:
    """Train runs, filling in their histories, while `history.csv` and the display grow."""
    settings = data.settings.train
    if settings.workers > 1 and len(waiting) > 1:
        epochs = in_processes(corpus, data.settings, waiting, settings.workers)
    else:
        epochs = in_turn(data, waiting)
    at_most = len(waiting) * settings.epochs
    done = sum(len(histories[run]) for run in waiting)
    sparingly = Sparingly()
    if any(histories.values()):
        _write_history(corpus, histories)
    with (
        closing(epochs),  # also when interrupted here: it ends the processes
        progress(f"train {corpus}, epochs at most", at_most, done) as loop,
    ):
        for epoch in epochs:
            history = histories[epoch.run] = epoch.history
            sparingly(lambda: _write_history(corpus, histories))
            if epoch.last:  # a run that stops early leaves less to do
                at_most -= settings.epochs - len(history)
            loop.advance(_note(epoch.run, history), at_most)


def _note(run: KeptRun, history: Sequence[dict[str, float]]) -> str:
    row = history[-1]
    best = max(past["valid_weighted_f1"] for past in history)
    return (
        f"{run} epoch {len(history)}: loss {row['train_total']:.3f}, "
        f"validation wF1 {row['valid_weighted_f1']:.2f}, best {best:.2f}"
    )


def _write_history(corpus: str, histories: Histories) -> None:
    rows = [
        {"fold": run.fold, "seed": run.seed, **row}
        for run, history in histories.items()
        for row in history
    ]
    write_csv(paths.metrics(corpus, "history.csv"), pd.DataFrame(rows), "%.6g")


def _write(corpus: str, data: TrainingData, runs: Sequence[KeptRun], cached: set[KeptRun]) -> None:
    """Write everything that the runs gave, and a line for each."""
    histories: Histories = {}
    predictions: list[EpochPrediction] = []
    for run in runs:
        state = run.file.read() or RunState()
        if not state.finished(data.settings.train):
            raise PipelineError(
                f"{run.path} is gone or damaged, or another process wrote it; run again, it trains "
                f"what is missing of {run}."
            )
        histories[run] = state.history
        predictions += _predictions(data, run, state)
        checkpoint = _checkpoint(corpus, run)
        facts = _facts(corpus, data, run) | _outcome(state)
        save_checkpoint(checkpoint, state.best, facts)
        write_card(checkpoint, facts, data.protocol.entries)
        say(
            f"  {run}: epoch {state.best_epoch} of {len(state.history)}, validation weighted F1 "
            f"{state.scores[state.best_epoch - 1]:.2f}{', from the cache' * (run in cached)}"
        )
    _write_history(corpus, histories)
    write_epochs(paths.epochs(corpus), predictions)


def _predictions(data: TrainingData, run: KeptRun, state: RunState) -> Iterator[EpochPrediction]:
    for split, by_epoch in (("valid", state.valid), ("test", state.test)):
        utterances = [
            e.utterance for e in data.protocol.entries if e.fold == run.fold and e.split == split
        ]
        for epoch, probabilities in enumerate(by_epoch, start=1):
            chosen = epoch == state.best_epoch
            yield EpochPrediction(
                run.fold, run.seed, epoch, chosen, split, utterances, probabilities.numpy()
            )


def _checkpoint(corpus: str, run: KeptRun) -> Path:
    return paths.checkpoints(corpus) / f"fold{run.fold}-seed{run.seed}.safetensors"


def _facts(corpus: str, data: TrainingData, run: KeptRun) -> dict[str, Any]:
    """What is known of a model before it is trained."""
    settings = data.settings
    return {
        "corpus": corpus,
        "model": {
            **settings.model.model_dump(exclude={"modalities"}),
            "dimensions": {m: store.dimension for m, store in data.stores.items()},
            "classes": len(data.protocol.classes),
        },
        "classes": list(data.protocol.classes),
        "features": {m: store.provenance for m, store in data.stores.items()},
        "loss": settings.loss.model_dump(),
        "train": settings.train.model_dump(exclude={"workers"}),
        "fold": run.fold,
        "seed": run.seed,
    }


def _outcome(state: RunState) -> dict[str, Any]:
    return {
        "epoch": state.best_epoch,
        "epochs": len(state.history),
        "valid_weighted_f1": state.scores[state.best_epoch - 1],
    }
