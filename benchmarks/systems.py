"""What each system costs: `python -m benchmarks.systems [--systems a b]`.

Every system of the registry that learns by gradients, with its settings for MELD, takes a batch of
dialogues as long as IEMOCAP's longest, with as many speakers as MELD's fullest; then it learns from
MELD's train split for an epoch. Each is measured in a process of its own, and one that fails does
not take the others with it.
"""

import argparse
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import torch

from benchmarks.dialogues import MELD, CorpusShape, random_dialogues
from benchmarks.harness import epoch, fold_of
from benchmarks.measure import Cost, cost, median, with_peak_memory
from pipeline.nn.batch import Dialogue
from pipeline.nn.inputs import Inputs
from pipeline.systems.base import Fitted, System, parameters, system
from pipeline.systems.registry import SYSTEMS
from pipeline.training.fit import Run
from pipeline.training.inference import probabilities
from pipeline.training.learner import DialogueLearner

LONGEST = replace(MELD, dialogues=8, turns=(110, 110, 110), deviation=0.0, speakers=(9, 9))
HALVED = replace(LONGEST, dialogues=16, turns=(55, 55, 55))  # as many turns
SHORT = replace(LONGEST, dialogues=1, turns=(2, 2, 2))
FRAMES = 4  # of an utterance: with 20 the common inputs would hide what systems differ in
ROUNDS, THREADS = 3, 2
COLUMNS = (
    *("system", "parameters", "beside the inputs"),
    *("training step, s", "CPU s", "of halves", "prediction, s", "CPU s", "peak of a step, MB"),
    *("epoch of MELD, s", "CPU s"),
)


@dataclass(frozen=True)
class Costs:
    """Of one system.

    Attributes:
        parameters: All of them.
        beside_inputs: Those that are not of the common inputs.
        step: Median of a training step: padding, forward, backward, clipping, update.
        growth: CPU time of a step as a multiple of one on the same turns in dialogues of half the
            length: 1 where it grows with the turns, 2 where with the square of a dialogue's.
        prediction: Median of predicting the same dialogues.
        peak: MB that a step takes at most beyond what was there before it: weights, gradients,
            the optimiser's state and the dialogues.
        epoch: Of one over MELD's train split.
    """

    parameters: int
    beside_inputs: int
    step: Cost
    growth: float
    prediction: Cost
    peak: float
    epoch: Cost


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row of the table as soon as a system is measured."""
    learners = [name for name in SYSTEMS if not issubclass(system(name), Fitted)]
    parser = argparse.ArgumentParser("python -m benchmarks.systems", description=__doc__)
    parser.add_argument("--systems", nargs="+", choices=learners, default=learners, metavar="NAME")
    chosen = parser.parse_args(arguments).systems
    print(table_row(COLUMNS), table_row(["---", *["---:"] * (len(COLUMNS) - 1)]), sep="\n")
    for name in chosen:
        print(table_row([f"`{name}`", *in_a_process(name)]), flush=True)


def in_a_process(name: str) -> list[str]:
    """Cells of a system that a fresh process measures, or what went wrong there."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, torch.set_num_threads, (THREADS,)) as pool:
        try:
            return cells(pool.submit(measured, name).result())
        except Exception as error:  # any of a system's; or its process was killed
            return [f"failed, {type(error).__name__}: {error}", *[""] * (len(COLUMNS) - 2)]


def measured(
    name: str,
    shapes: Sequence[CorpusShape] = (LONGEST, HALVED),
    corpus: CorpusShape = MELD,
    rounds: int = ROUNDS,
    frames: int = FRAMES,
) -> Costs:
    """Measure a system in this process, on dialogues of two shapes and those of a corpus.

    A system that learns in stages is measured in the last, which trains what is kept.
    """
    long, halved = (random_dialogues(shape, frames=frames) for shape in shapes)
    run = _entered(name, [*long, *halved, *random_dialogues(SHORT, frames=frames)])
    run._step([len(long) + len(halved)])  # makes the optimiser's state, and loads libraries
    step = partial(run._step, range(len(long)))
    half = partial(run._step, range(len(long), len(long) + len(halved)))
    _, peak = with_peak_memory(step)
    pairs = [(cost(step)[0], cost(half)[0]) for _ in range(rounds)]
    steps, halves = (median(costs) for costs in zip(*pairs, strict=True))
    model = cast(System, run.learner.model)
    predict = partial(probabilities, model, long, len(long))
    predict()
    predictions = [cost(predict)[0] for _ in range(rounds)]
    inputs = sum(parameters(part) for part in model.modules() if isinstance(part, Inputs))
    count = parameters(model)
    whole = _entered(name, random_dialogues(corpus, frames=frames))
    return Costs(
        *(count, count - inputs),
        *(steps, steps.cpu / halves.cpu, median(predictions), peak),
        cost(partial(epoch, whole))[0],
    )


def _entered(name: str, dialogues: Sequence[Dialogue]) -> Run:
    """A run in its last stage."""
    learner = DialogueLearner(fold_of(name, dialogues, len(MELD.classes)), seed=1)
    run = Run(learner)
    run._enter(len(learner.limits.stages) - 1)
    learner.model.train()
    return run


def cells(costs: Costs) -> list[str]:
    """Costs as they are printed."""
    counts = [f"{count / 1e6:.2f} M" for count in (costs.parameters, costs.beside_inputs)]
    step, prediction = ([f"{c.wall:.2f}", f"{c.cpu:.2f}"] for c in (costs.step, costs.prediction))
    epoch = [f"{costs.epoch.wall:.1f}", f"{costs.epoch.cpu:.1f}"]
    return [*counts, *step, f"{costs.growth:.2f}", *prediction, f"{costs.peak:,.0f}", *epoch]


def table_row(values: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(' '.join(value.replace('|', '/').split()) for value in values)} |"


if __name__ == "__main__":
    main()
