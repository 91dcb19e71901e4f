"""Memory that fine-tuning takes, from an encoder's shape: `python -m benchmarks.finetune_memory`.

Weights, gradients and AdamW's two moments are 16 bytes of each weight that learns, and 4 of one
that stays; autocast holds a copy of 2 bytes besides. What a layer keeps for the way back is counted
on a small one, under autocast to bfloat16, with attention that keeps no matrix of its weights
(PyTorch's fused kernels): so many bytes per token and feature. With checkpointing a layer keeps its
input of 4 bytes, and one layer at a time keeps all. `--measure` takes steps of the same shape on a
GPU and prints what PyTorch allocated at most.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor
from transformers import RobertaConfig, RobertaModel

GIB = 2**30
LEARNING, STAYING, COPY = 16, 4, 2
CHECKPOINT = 4
TOKENS = 128
VOCABULARY = 50_265


@dataclass(frozen=True)
class Shape:
    """An encoder of RoBERTa's kind."""

    name: str
    layers: int
    width: int
    heads: int

    def config(self) -> RobertaConfig:
        """As transformers has it."""
        return RobertaConfig(
            vocab_size=VOCABULARY,
            hidden_size=self.width,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=4 * self.width,
            max_position_embeddings=514,
            type_vocab_size=1,
        )

    def weights(self) -> int:
        """How many."""
        with torch.device("meta"):
            network = RobertaModel(self.config(), add_pooling_layer=False)
        return sum(p.numel() for p in network.parameters())

    def lora_weights(self, rank: int) -> int:
        """Of updates beside all linear layers: four of width x width, two of width x 4 width."""
        return self.layers * rank * (4 * 2 + 2 * 5) * self.width


SHAPES = (Shape("roberta-base", 12, 768, 12), Shape("roberta-large", 24, 1024, 16))


@cache
def kept_for_the_way_back() -> float:
    """Bytes per token and feature of a layer: what autograd saves of two layers more."""
    two, four = (_saved(Shape("small", layers, 256, 4)) for layers in (2, 4))
    return (four - two) / 2


def _saved(shape: Shape) -> float:
    config = shape.config()
    config.attention_probs_dropout_prob = 0.0  # or a CPU takes a kernel that keeps the matrix
    network, rows = RobertaModel(config, add_pooling_layer=False).train(), 4
    weights = {p.untyped_storage().data_ptr() for p in network.parameters()}
    shapes = {tuple(p.shape) for p in network.parameters()}
    found: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        shape = tuple(tensor.shape)
        copied = not shapes.isdisjoint({shape, shape[::-1]})  # autocast's, of weights
        if tensor.untyped_storage().data_ptr() not in weights and not copied:
            found[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    ids = torch.randint(5, VOCABULARY, (rows, TOKENS))
    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with hooks, torch.autocast("cpu", torch.bfloat16):
        network(input_ids=ids, attention_mask=torch.ones_like(ids))
    total = sum(tensor.untyped_storage().nbytes() for tensor in found.values())
    return total / (rows * TOKENS * shape.width)


def bytes_of(shape: Shape, rows: int, checkpointing: bool, lora_rank: int) -> int:
    """What a step of so many rows of 128 tokens takes."""
    weights = shape.weights()
    learning = shape.lora_weights(lora_rank) if lora_rank else weights
    kept = weights * (COPY + (STAYING if lora_rank else 0)) + learning * LEARNING
    tokens = rows * TOKENS * shape.width
    layer = round(kept_for_the_way_back() * tokens)
    activations = (
        layer + shape.layers * CHECKPOINT * tokens if checkpointing else (shape.layers * layer)
    )
    return kept + activations


def ways() -> Iterator[tuple[Shape, int, bool, int]]:
    """Shape, rows, checkpointing, rank of LoRA."""
    for shape in SHAPES:
        for rows in (8, 16, 32):
            yield shape, rows, False, 0
            yield shape, rows, True, 0
            yield shape, rows, False, 16


def measured(shape: Shape, rows: int, checkpointing: bool) -> int:
    """Most bytes that PyTorch allocated over three steps, with all weights learning."""
    torch.cuda.reset_peak_memory_stats()
    network = RobertaModel(shape.config(), add_pooling_layer=False).cuda().train()
    if checkpointing:
        network.gradient_checkpointing_enable({"use_reentrant": False})
    optimiser = torch.optim.AdamW(network.parameters(), fused=True)
    ids = torch.randint(5, VOCABULARY, (rows, TOKENS), device="cuda")
    for _ in range(3):
        with torch.autocast("cuda", torch.bfloat16):
            loss = network(input_ids=ids, attention_mask=torch.ones_like(ids))[0].mean()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    return torch.cuda.max_memory_allocated()


def main(measure: Annotated[bool, typer.Option(help="On a GPU, besides.")] = False) -> None:
    """Prints the table."""
    print(f"a layer keeps {kept_for_the_way_back():.1f} bytes per token and feature")
    columns = ["encoder", "rows of 128", "checkpointing", "LoRA", "computed, GiB"]
    table = Table(*columns, *(["measured, GiB"] if measure else []))
    for shape, rows, checkpointing, rank in ways():
        cells = [shape.name, str(rows), "yes" if checkpointing else "no", str(rank or "no")]
        cells.append(f"{bytes_of(shape, rows, checkpointing, rank) / GIB:.1f}")
        if measure:
            found = 0 if rank else measured(shape, rows, checkpointing)
            cells.append(f"{found / GIB:.1f}" if found else "")
        table.add_row(*cells)
    Console(width=100).print(table)


if __name__ == "__main__":
    typer.run(main)
