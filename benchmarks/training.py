"""An epoch of training beside a naive peer with the same results: `python -m benchmarks.training`.

Random features of the real sizes. The peer has our weights, and nothing is timed unless both
compute the same. Ways take turns in one process; read the ratios.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated

import torch
import typer
from rich.table import Table
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.dialogues import DIMENSIONS, IEMOCAP, MELD, CorpusShape, random_dialogues
from benchmarks.measure import CONSOLE, Cost, cost, median, with_peak_memory
from benchmarks.naive_training import NaiveMCNCL, naive_contrastive
from pipeline.base.params import read_params
from pipeline.nn.batch import NO_LABEL, Dialogue, DialogueBatch, collate
from pipeline.nn.contrastive import supervised_contrastive_loss
from pipeline.nn.entropy import Entropy
from pipeline.systems.base import Shape
from pipeline.systems.mcn_cl import McnCl
from pipeline.training.batches import length_buckets

CHECKED = {"MELD": 12, "IEMOCAP": 3}  # dialogues in the agreement check
TOLERANCE, MISSING = 1e-5, 0.15
DROPOUT, CLIP = 0.1, 1.0
COUNTED = 12  # dialogues whose operations are counted
PLAIN = Entropy()
SIDE = 2048  # of the matrices whose product shows the machine's peak


def main(
    scale: Annotated[float, typer.Option(help="Share of each corpus's dialogues.")] = 1.0,
    rounds: Annotated[int, typer.Option(help="Repetitions, of which the median counts.")] = 3,
    threads: Annotated[int, typer.Option(help="Threads of PyTorch.")] = 2,
) -> None:
    """Check that peer and ours agree, then time an epoch on each corpus."""
    torch.set_num_threads(threads)
    for shape in (MELD, IEMOCAP):
        difference = differences(shape, CHECKED[shape.name], torch.float64)
        check(difference)
        worst = max(difference, key=lambda name: difference[name])
        CONSOLE.print(f"{shape.name}: peer and ours agree to {difference[worst]:.0e} ({worst})")
    for shape in (MELD, IEMOCAP):
        CONSOLE.print(time_epoch(shape.scaled(scale), rounds))


def make_model(
    shape: CorpusShape, dropout: float, dimensions: Mapping[str, int] = DIMENSIONS, width: int = 256
) -> McnCl:
    """Our model, untrained, with the same weights on every call."""
    torch.manual_seed(0)
    sizes = {"width": width, "layers": shape.layers, "dropout": dropout}
    changes = {**sizes, "residual": False, "temperature": 0.8}  # as the peer has it
    settings = read_params().system("meld", "mcn_cl").model_copy(update=changes)
    return McnCl(settings, Shape(dict(dimensions), len(shape.classes), max(shape.speakers)))


def differences(
    shape: CorpusShape,
    dialogues: int,
    dtype: torch.dtype,
    dimensions: Mapping[str, int] = DIMENSIONS,
    width: int = 256,
) -> dict[str, float]:
    """Largest absolute differences between our and the naive model, by what is compared.

    Both have the same weights and see one padded batch, whose utterances lack modalities and
    frames.
    """
    ours = make_model(shape, 0.0, dimensions, width)
    naive = NaiveMCNCL(ours, naive_contrastive).to(dtype)
    few = replace(shape, dialogues=dialogues)
    batch = collate(random_dialogues(few, dimensions=dimensions, missing=MISSING))
    batch = replace(batch, features={m: f.to(dtype) for m, f in batch.features.items()})
    first = _computed(ours.to(dtype), batch)
    second = _computed(naive, batch)
    return {name: (first[name] - second[name]).abs().max().item() for name in first}


def _computed(model: McnCl | NaiveMCNCL, batch: DialogueBatch) -> dict[str, Tensor]:
    """Logits, losses, and the norm of the gradient, which stands for all gradients."""
    output = model(batch)
    terms = model.losses(output, batch, PLAIN)
    sum(terms.values(), torch.zeros(())).backward()
    logits = output.logits
    if logits.dim() == 3:  # ours are [batch, turn, class]
        logits = logits[batch.labels != NO_LABEL]
    return {
        "logits": logits.detach(),
        **terms,
        "gradient norm": nn.utils.get_total_norm(p.grad for p in model.parameters()),
    }


def check(difference: Mapping[str, float]) -> None:
    """End the program if something differs by more than the tolerance, NaN included."""
    wrong = {name: value for name, value in difference.items() if not value <= TOLERANCE}
    if wrong:
        raise SystemExit(f"The naive peer is another model, nothing was timed; differs: {wrong}")


@dataclass(frozen=True)
class Trainer:
    """A way to train.

    Attributes:
        name: As printed.
        model: Ours or the peer.
        optimiser: AdamW, fused or as PyTorch has it by default.
        batches: The dialogues of the batches that are timed, by number.
    """

    name: str
    model: McnCl | NaiveMCNCL
    optimiser: torch.optim.Optimizer
    batches: list[list[int]]

    def learn(self, dialogues: Sequence[Dialogue]) -> None:
        """One step on each batch: pad, forward, loss, backward, clip, update."""
        for numbers in self.batches:
            batch = collate([dialogues[number] for number in numbers])
            terms = self.model.losses(self.model(batch), batch, PLAIN)
            total = sum(terms.values(), torch.zeros(()))
            self.optimiser.zero_grad()
            total.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
            self.optimiser.step()

    def timed(self) -> int:
        """Number of dialogues in the batches."""
        return sum(map(len, self.batches))

    def padding(self, dialogues: Sequence[Dialogue]) -> float:
        """Share of the slots that hold no turn."""
        sizes = [[len(dialogues[number]) for number in batch] for batch in self.batches]
        return 1 - sum(map(sum, sizes)) / sum(len(batch) * max(batch) for batch in sizes)


def make_trainers(
    shape: CorpusShape, dialogues: Sequence[Dialogue], width: int = 256
) -> list[Trainer]:
    """All ways to train, each with a model of its own and the same weights.

    One random batch stands for an epoch of them; buckets differ, so all of them are timed.
    """
    order = torch.randperm(len(dialogues), generator=torch.Generator().manual_seed(0)).tolist()
    one, lengths = [order[: shape.batch]], [len(d) for d in dialogues]
    buckets = length_buckets(lengths, shape.batch, torch.Generator().manual_seed(0))
    dimensions = {m: f.shape[-1] for m, f in dialogues[0].features.items()}

    def trainer(
        name: str, batches: list[list[int]], contrastive: Callable[..., Tensor] | None = None
    ) -> Trainer:
        ours = make_model(shape, DROPOUT, dimensions, width)
        model = ours if contrastive is None else NaiveMCNCL(ours, contrastive)
        fused = True if contrastive is None else None
        adam = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=fused)
        return Trainer(name, model, adam, batches)

    return [
        trainer("naive", one, naive_contrastive),
        trainer("naive, vectorised contrastive loss", one, supervised_contrastive_loss),
        trainer("ours, the same batches", one),
        trainer("ours, length buckets (used)", buckets),
    ]


def time_epoch(shape: CorpusShape, rounds: int) -> Table:
    """Time all ways to train on one corpus, scaled from their batches to an epoch."""
    dialogues = random_dialogues(shape)
    trainers = make_trainers(shape, dialogues)
    for way in trainers:
        replace(way, batches=[[0, 1]]).learn(dialogues)  # makes the optimiser's state
    peaks = [with_peak_memory(partial(way.learn, dialogues))[1] for way in trainers]
    costs: list[list[Cost]] = [[] for _ in trainers]
    products = []
    factor = torch.ones(SIDE, SIDE)
    for _ in range(rounds):
        for way, own in zip(trainers, costs, strict=True):
            own.append(cost(partial(way.learn, dialogues))[0] * (len(dialogues) / way.timed()))
            products.append(cost(partial(torch.mm, factor, factor))[0])
    epochs = [median(own) for own in costs]
    floor = median(products) * (_operations(trainers[-1].model, dialogues) / (2 * SIDE**3))
    table = Table(
        *("one epoch", "wall s", "CPU s", "naive / it, wall", "CPU", "row 2 / it, wall", "CPU"),
        *("padding", "peak MB", "timed"),
        title=f"{shape.name}-shaped: {len(dialogues)} dialogues, {sum(map(len, dialogues))} "
        f"utterances, batches of {shape.batch} (MultiEMO's), medians of {rounds} rounds",
    )
    for way, epoch, peak in zip(trainers, epochs, peaks, strict=True):
        tail = f"{way.padding(dialogues):.0%}", f"{peak:.0f}", f"{way.timed()} dialogues"
        table.add_row(way.name, *_cells(epoch, epochs), *tail)
    table.add_row("floor: real turns at matmul's peak", *_cells(floor, epochs), "-", "-", "-")
    return table


def _cells(epoch: Cost, epochs: Sequence[Cost]) -> tuple[str, ...]:
    """Seconds, then how many times as fast as the first and the second way."""
    ratios = epoch.times(epochs[0]) + epoch.times(epochs[1])
    return f"{epoch.wall:.1f}", f"{epoch.cpu:.1f}", *ratios


def _operations(model: McnCl | NaiveMCNCL, dialogues: Sequence[Dialogue]) -> float:
    """Operations of an epoch's products, forward and backward, without padding.

    Counted on some dialogues, one by one. Elementwise operations, the contrastive loss between
    dialogues and the optimiser do not count.
    """
    some = dialogues[:COUNTED]
    with FlopCounterMode(display=False) as counter:
        for dialogue in some:
            batch = collate([dialogue])
            terms = model.losses(model(batch), batch, PLAIN)
            sum(terms.values(), torch.zeros(())).backward()
    return counter.get_total_flops() * sum(map(len, dialogues)) / sum(map(len, some))


if __name__ == "__main__":
    typer.run(main)
