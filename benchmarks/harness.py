"""What the training loop costs beside a bare one: `python -m benchmarks.harness`.

A system of the registry learns from the same batches in both, on MELD's shape.
"""

from collections.abc import Sequence
from typing import Annotated

import torch
import typer
from torch import nn

from benchmarks.dialogues import MELD, random_dialogues
from benchmarks.measure import CONSOLE, Way, compare
from pipeline.base.params import read_params
from pipeline.base.settings import ComputeSettings
from pipeline.nn.batch import NO_LABEL, Dialogue, collate
from pipeline.systems.base import Shape, system
from pipeline.training.data import Fold
from pipeline.training.fit import Run, RunState
from pipeline.training.learner import DialogueLearner

CORPUS = "meld"
GOAL = 1 / 1.2  # at most 1.2 times the time of the bare loop


def main(
    name: Annotated[str, typer.Argument(help="A system that learns by gradients.")] = "bc_lstm",
    scale: Annotated[float, typer.Option(help="Share of the corpus's dialogues.")] = 1.0,
    rounds: Annotated[int, typer.Option(help="Repetitions, of which the median counts.")] = 5,
    threads: Annotated[int, typer.Option(help="Threads of PyTorch.")] = 2,
) -> None:
    """Time an epoch of training, without the predictions that follow it."""
    torch.set_num_threads(threads)
    shape = MELD.scaled(scale)
    dialogues = random_dialogues(shape)
    ours = Run(DialogueLearner(fold_of(name, dialogues, len(shape.classes)), seed=1))
    bare = Run(DialogueLearner(fold_of(name, dialogues, len(shape.classes)), seed=1))
    for run in (ours, bare):
        run._enter(0)
    ways = [
        Way("the harness", lambda: epoch(ours)),
        Way("a bare loop", lambda: bare_epoch(bare, dialogues), goal=GOAL),
    ]
    title = f"{name}, an epoch on MELD's shape"
    CONSOLE.print(compare(title, "dialogue", len(dialogues), ways, rounds))


def fold_of(name: str, dialogues: Sequence[Dialogue], classes: int) -> Fold:
    """All dialogues to learn from, and one to choose by."""
    params = read_params()
    features = {m: f.shape[-1] for m, f in dialogues[0].features.items()}
    return Fold(
        corpus=CORPUS,
        name=name,
        settings=system(name).Settings(**params.blocks[CORPUS][name]),
        compute=params.of(ComputeSettings).model_copy(update={"device": "cpu"}),
        shape=Shape(features, classes, max(int(d.speakers.max()) for d in dialogues) + 1),
        train=dialogues,
        valid=dialogues[:1],
        test=dialogues[:1],
    )


def epoch(run: Run) -> None:
    """One epoch of the harness, whose predictions are of a dialogue each."""
    for _ in run._epoch(RunState()):
        pass


def bare_epoch(run: Run, dialogues: Sequence[Dialogue]) -> None:
    """The same batches as anybody would write it."""
    model, optimiser = run.learner.model, run.optimisers["all"]
    for places in run.learner.batches(1):
        batch = collate([dialogues[place] for place in places])
        logits = model(batch).logits
        known = batch.labels != NO_LABEL
        loss = nn.functional.cross_entropy(logits[known], batch.labels[known])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()


if __name__ == "__main__":
    typer.run(main)
