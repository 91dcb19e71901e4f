"""An epoch of training beside a naive peer with the same results: `python -m benchmarks.training`.

Random features of the real sizes. The peer has ours' weights, and nothing is timed unless both say
the same. Rows take turns in one process, so that a busy machine slows all alike; read the ratios.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch.nn import functional

from benchmarks.agreement import TOLERANCE, check, differences
from benchmarks.measure import SIDE, Cost, cost, median, operations, product
from benchmarks.naive_loss import naive_contrastive
from benchmarks.synthetic_dialogues import IEMOCAP, MELD, Shape, random_dialogues
from benchmarks.ways import Way, make_ways
from pipeline.nn.contrastive import supervised_contrastive_loss
from pipeline.systems.loss import Loss
from pipeline.training.data import Dialogue

CHECKED = {"MELD": 12, "IEMOCAP": 3}  # dialogues in the agreement check
TIMED = 1  # random batches that stand for an epoch
COUNTED = 12  # dialogues whose operations are counted
POOL, ANCHORS = 3000, 300  # utterances in the contrastive loss alone, and anchors of its loops
CONSOLE = Console(width=170)


def main(
    scale: Annotated[float, typer.Option(help="Share of each corpus's dialogues.")] = 1.0,
    rounds: Annotated[int, typer.Option(help="Repetitions, of which the median counts.")] = 3,
    threads: Annotated[int, typer.Option(help="Of PyTorch.")] = 2,
) -> None:
    """Checks the agreement, then prints a table for each corpus and for the contrastive loss."""
    torch.set_num_threads(threads)
    for shape in (MELD, IEMOCAP):
        print_agreement(shape)
    for shape in (MELD, IEMOCAP):
        time_epoch(shape.scaled(scale), rounds)
    time_contrastive(rounds)


def print_agreement(shape: Shape) -> None:
    """Prints how far the peer is from ours, and ends the program if it is too far."""
    dialogues = CHECKED[shape.name]
    double, single = (differences(shape, dialogues, t) for t in (torch.float64, torch.float32))
    table = Table(
        "largest difference", *double, title=f"{shape.name}-shaped, {dialogues} dialogues"
    )
    for name, found in (("float64", double), ("float32", single)):
        table.add_row(name, *(f"{value:.0e}" for value in found.values()))
    CONSOLE.print(table, f"float64 must agree to {TOLERANCE:.0e}")
    check(double)


def time_epoch(shape: Shape, rounds: int) -> None:
    """Times all ways on one corpus and prints its table."""
    dialogues = random_dialogues(shape)
    ways = make_ways(shape, dialogues, TIMED)
    for way in ways:
        way.warm_up(dialogues)
    peak = []
    for _ in range(rounds):
        for way in ways:
            way.round(dialogues)
            peak.append(cost(product)[0])
    floor = _floor(ways[-1], dialogues, median(peak))
    CONSOLE.print(_table(shape, dialogues, ways, floor))


def _floor(way: Way, dialogues: Sequence[Dialogue], peak: Cost) -> Cost:
    """An epoch's operations on real turns, at the speed of a large product."""
    some = dialogues[:COUNTED]
    per_turn = operations(way.model, Loss(), some) / sum(map(len, some))
    return peak * (per_turn * sum(map(len, dialogues)) / (2 * SIDE**3))


def _table(shape: Shape, dialogues: Sequence[Dialogue], ways: Sequence[Way], floor: Cost) -> Table:
    turns, rounds = sum(map(len, dialogues)), len(ways[0].steps)
    table = Table(
        *("one epoch of steps", "wall s", "CPU s", "naive / it, wall", "CPU"),
        *("row 2 / it, wall", "CPU", "collate s", "padding", "peak MB", "timed on (x rounds)"),
        title=f"{shape.name}-shaped: {len(dialogues)} dialogues, {turns} utterances, batches of "
        f"{shape.batch} (MultiEMO's), medians of {rounds} rounds",
    )
    epochs = [_epoch(way, way.steps, len(dialogues)) for way in ways]
    for way, epoch in zip(ways, epochs, strict=True):
        timed = f"{sum(map(len, way.batches))} dialogues in {len(way.batches)} x {rounds}"
        made = f"{_epoch(way, way.collates, len(dialogues)).wall:.1f}"
        memory = "-" if way.memory is None else f"{way.memory:.0f}"
        tail = (made, f"{way.padding(dialogues):.0%}", memory, timed)
        table.add_row(way.name, *_ratios(epoch, epochs), *tail)
    table.add_row("floor, rough", *_ratios(floor, epochs), *"---", "real turns at matmul's peak")
    return table


def _epoch(way: Way, costs: Sequence[Cost], dialogues: int) -> Cost:
    """The median round, scaled from the dialogues that were timed to all."""
    return median(costs) * (dialogues / sum(map(len, way.batches)))


def _ratios(epoch: Cost, epochs: Sequence[Cost]) -> tuple[str, ...]:
    """Seconds, then how many times as fast as the first and the second way."""
    ratios = (f for e in epochs[:2] for f in (e.wall / epoch.wall, e.cpu / epoch.cpu))
    return f"{epoch.wall:.1f}", f"{epoch.cpu:.1f}", *(f"{ratio:.2f}" for ratio in ratios)


def time_contrastive(rounds: int) -> None:
    """Times the contrastive loss of one modality alone, forward and backward."""
    torch.manual_seed(0)
    vectors = functional.normalize(torch.randn(POOL, 128), dim=1).requires_grad_()
    labels = torch.randint(len(IEMOCAP.classes), (POOL,))
    found: dict[str, list[Cost]] = {}
    for _ in range(rounds):
        for name, (run, share) in _contrastive(vectors, labels).items():
            found.setdefault(name, []).append(cost(partial(_differentiate, run))[0] * share)
    medians = {name: median(costs) for name, costs in found.items()}
    first = next(iter(medians.values()))
    table = Table("contrastive loss alone", "wall s", "CPU s", "first / it, wall", "CPU")
    table.title = f"{POOL} utterances, one modality; loops scaled from {ANCHORS} anchors"
    for name, taken in medians.items():
        table.add_row(name, *_ratios(taken, [first]))
    CONSOLE.print(table)


def _differentiate(loss: Callable[[], torch.Tensor]) -> None:
    loss().backward()


def _contrastive(
    vectors: torch.Tensor, labels: torch.Tensor
) -> dict[str, tuple[Callable[[], torch.Tensor], float]]:
    """By name, how to get the loss or a part of it, and by how much to scale the part's cost."""
    settings = {"temperature": 0.8, "hard_ratio": 0.3}
    part, share = {**settings, "anchors": ANCHORS}, POOL / ANCHORS
    return {
        "loop, utterances copied as in MultiEMO": (
            lambda: naive_contrastive(vectors, labels, **part, copies=True),
            share,
        ),
        "loop, one product per anchor": (lambda: naive_contrastive(vectors, labels, **part), share),
        "ours": (lambda: supervised_contrastive_loss(vectors, labels, **settings), 1.0),
    }


if __name__ == "__main__":
    typer.run(main)
