"""All runs of a system on a corpus: train those not in the cache, write what all of them gave."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from pipeline.base import paths
from pipeline.base.costs import Timing, write_timing
from pipeline.base.display import say, write_csv
from pipeline.base.errors import PipelineError
from pipeline.base.files import replacing_folder, write_text
from pipeline.base.progress import progress
from pipeline.base.state import Sparingly
from pipeline.executors.spread import on_cluster, spread
from pipeline.records.epochs import EpochPrediction, write_epochs
from pipeline.systems.base import LeftOut, parameters, system
from pipeline.training.card import card, check_card
from pipeline.training.checkpoint import NOT_STATED, save_checkpoint, stated_system
from pipeline.training.fit import VALID_F1, RunState
from pipeline.training.kept import KeptRun, kept_runs
from pipeline.training.reading import Training, TrainingData, read_data
from pipeline.training.runs import Job, in_turn, needs_of, train

NO_HISTORY = ("fold", "seed", "epoch", "train_total")  # what the plot of it reads
Histories = dict[KeptRun, list[dict[str, float]]]


def train_system(training: Training) -> None:
    """Train one model per fold and seed; write checkpoints, cards, history, epoch predictions.

    Runs that have ended stay in the cache: none is trained twice.

    Raises:
        PipelineError: A store is missing, empty or of another manifest; no such device; training
            diverged, or a process ended early.
    """
    if not training.settings.enabled:
        return _leave_out(training, f"{training.corpus}.{training.name}.enabled is false")
    data = read_data(training)
    try:
        _train_all(data)
    except LeftOut as reason:
        _leave_out(training, str(reason))


def _leave_out(training: Training, reason: str) -> None:
    """Write outputs without a prediction, which say why."""
    corpus, name = training.corpus, training.name
    say(f"note: {name} is left out on {corpus}: {reason}")
    with replacing_folder(paths.checkpoints(corpus, name)):
        pass
    _write_history(training, {})
    write_epochs(paths.epochs(corpus, name), [], {"left_out": reason, **about(training)})


def about(training: Training) -> dict[str, Any]:
    """What is printed beside a system's figures."""
    settings = training.settings.model_dump(mode="json", exclude=set(NOT_STATED))
    return {**asdict(system(training.name).SOURCE), "settings": settings}


def _train_all(data: TrainingData) -> None:
    runs, training = kept_runs(data), data.training
    for run in runs[:1]:
        unknown = {"epoch": 0, "epochs": 0, VALID_F1: 0.0}
        facts = _facts(data, run, {}) | unknown
        check_card(_checkpoint(training, run), facts, data.protocol.entries)
    histories: Histories = {}
    waiting = []
    for run in runs:
        state = run.file.read() or RunState()
        histories[run] = state.history
        if not state.finished(training.limits):
            waiting.append(run)
            if state.history:
                say(f"  {run}: resumes at epoch {len(state.history) + 1}")
    if waiting:
        _train(data, waiting, histories)
    _write(data, runs, cached=set(runs) - set(waiting))


def _train(data: TrainingData, waiting: Sequence[KeptRun], histories: Histories) -> None:
    """Train runs, filling in their histories, while `history.csv` and the display grow."""
    training, workers = data.training, data.training.settings.workers
    if on_cluster() or (workers > 1 and len(waiting) > 1):
        jobs = [Job(training, run) for run in waiting]
        epochs = spread(train, jobs, needs_of(training, workers))
    else:
        epochs = in_turn(data, waiting)
    each = training.limits.epochs * len(training.limits.stages)
    at_most = len(waiting) * each
    done = sum(len(histories[run]) for run in waiting)
    sparingly = Sparingly()
    if any(histories.values()):
        _write_history(training, histories)
    with (
        closing(epochs),  # also when interrupted here: it ends the processes
        progress(f"train {training.corpus} {training.name}, epochs at most", at_most, done) as loop,
    ):
        for epoch in epochs:
            if epoch.diverged:
                raise PipelineError(epoch.diverged)
            history = histories[epoch.run] = epoch.history
            sparingly(lambda: _write_history(training, histories))
            if epoch.last:  # a run that stops early leaves less to do
                at_most -= each - len(history)
            loop.advance(_note(epoch.run, history), at_most)


def _note(run: KeptRun, history: Sequence[dict[str, float]]) -> str:
    row = history[-1]
    loss = f"loss {row['train_total']:.3f}, " if "train_total" in row else ""
    best = max(past[VALID_F1] for past in history)
    score = row[VALID_F1]
    return f"{run} epoch {len(history)}: {loss}validation wF1 {score:.2f}, best {best:.2f}"


def _write_history(training: Training, histories: Histories) -> None:
    rows = [
        {"fold": run.fold, "seed": run.seed, **row}
        for run, history in histories.items()
        for row in history
    ]
    table = pd.DataFrame(rows, columns=None if rows else list(NO_HISTORY))
    if NO_HISTORY[-1] not in table:  # of what is fitted at once; the plot reads it
        table[NO_HISTORY[-1]] = np.nan
    write_csv(paths.metrics(training.corpus, training.name, "history.csv"), table, "%.6g")


def _write(data: TrainingData, runs: Sequence[KeptRun], cached: set[KeptRun]) -> None:
    """Write everything that the runs gave, and a line for each."""
    training = data.training
    histories: Histories = {}
    predictions: list[EpochPrediction] = []
    states: list[RunState] = []
    told = about(training)
    with replacing_folder(paths.checkpoints(training.corpus, training.name)) as folder:
        for run in runs:
            state = run.file.read() or RunState()
            if not state.finished(training.limits):
                raise PipelineError(
                    f"{run.path} is gone or damaged, or another process wrote it; run again, it "
                    f"trains what is missing of {run}."
                )
            states.append(state)
            histories[run] = state.history
            predictions += _predictions(data, run, state)
            facts = _facts(data, run, state.best) | _outcome(state)
            save_checkpoint(folder / run.checkpoint, state.best, facts)
            text = card(_checkpoint(training, run), facts, data.protocol.entries)
            write_text((folder / run.checkpoint).with_suffix(".md"), text)
            told["parameters"] = parameters(stated_system(facts))
            say(
                f"  {run}: epoch {state.best_epoch} of {len(state.history)}, validation weighted "
                f"F1 {facts[VALID_F1]:.2f}{', from the cache' * (run in cached)}"
            )
    _write_history(training, histories)
    write_epochs(paths.epochs(training.corpus, training.name), predictions, told)
    _write_costs(data, states)


def _predictions(data: TrainingData, run: KeptRun, state: RunState) -> Iterator[EpochPrediction]:
    """Those of the last stage, whose epochs alone may be chosen, on validation or on test."""
    for split, by_epoch in (("valid", state.valid), ("test", state.test)):
        utterances = [
            e.utterance for e in data.protocol.entries if e.fold == run.fold and e.split == split
        ]
        last_stage = by_epoch[state.before :]
        for epoch, probabilities in enumerate(last_stage, start=state.before + 1):
            chosen = epoch == state.best_epoch
            yield EpochPrediction(
                run.fold, run.seed, epoch, chosen, split, utterances, probabilities.numpy()
            )


def _checkpoint(training: Training, run: KeptRun) -> Path:
    return paths.checkpoints(training.corpus, training.name) / run.checkpoint


def _facts(data: TrainingData, run: KeptRun, weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """What is known of a model besides how it came out."""
    training = data.training
    return {
        "corpus": training.corpus,
        "system": training.name,
        "settings": training.settings.model_dump(exclude=set(NOT_STATED)),
        "shape": asdict(data.shape(run.fold)),
        "sizes": system(training.name).sizes_of(weights),
        "classes": list(data.protocol.classes),
        "features": {m: store.provenance for m, store in data.stores.items()},
        "fold": run.fold,
        "seed": run.seed,
    }


def _outcome(state: RunState) -> dict[str, Any]:
    return {
        "epoch": state.best_epoch,
        "epochs": len(state.history),
        VALID_F1: state.history[state.best_epoch - 1][VALID_F1],
    }


def _write_costs(data: TrainingData, states: Sequence[RunState]) -> None:
    """Seconds by the clock of a run and of a dialogue: no output of DVC's, the page reads them."""
    training = data.training
    folds = len(data.protocol.folds)
    dialogues = len({(e.fold, e.dialogue) for e in data.protocol.entries if e.split != "train"})
    epochs = sum(len(state.history) for state in states)
    timing = Timing(
        train_seconds=sum(state.train_seconds for state in states) / len(states),
        milliseconds_per_dialogue=1000
        * sum(state.predict_seconds for state in states)
        / (epochs * dialogues / folds),
    )
    write_timing(training.corpus, training.name, timing)
