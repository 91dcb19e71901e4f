"""A text network, fed with turns as tokens, to one vector each: for extraction and fine-tuning."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pipeline.extractors.pairs import Tokens
from pipeline.extractors.pretrained import LAYERS_AVERAGED, load_network


class TurnBatch(NamedTuple):
    """Turns as a network takes them.

    Attributes:
        inputs: Its arguments, each [row, token].
        pooled: [row, token] 1 for the tokens that a mean takes in, else 0.
    """

    inputs: dict[str, Tensor]
    pooled: Tensor

    def to(self, device: str) -> "TurnBatch":
        """The batch on a device."""
        inputs = {name: value.to(device) for name, value in self.inputs.items()}
        return TurnBatch(inputs, self.pooled.to(device))

    def rows(self, places: Sequence[int], length: int) -> "TurnBatch":
        """Some of its rows, as far as a length in tokens."""
        index = torch.tensor(places, device=self.pooled.device)
        inputs = {name: value[index, :length] for name, value in self.inputs.items()}
        return TurnBatch(inputs, self.pooled[index, :length])


class TextNetwork(nn.Module):
    """A pretrained network and how its token vectors become one.

    Args:
        folder: config.json and model.safetensors.
        pooling: `cls`: first token of the last layer; `mean`: all its tokens; `last4_mean`: all
            tokens of the mean of the last four layers. In a pair the means take the turn's own
            tokens alone, without special ones.

    Attributes:
        dimension: Features of a vector.
        longest: Tokens that it can take.

    Raises:
        PipelineError: The folder holds no encoder that transformers can read.
    """

    def __init__(self, folder: Path, pooling: str) -> None:
        super().__init__()
        self.pooling = pooling
        self.network = load_network(folder, "text encoder")
        self.dimension = int(self.network.config.hidden_size)
        self.longest = _longest(self.network)
        self._reads_types = _reads_types(self.network)

    def batch(self, turns: Sequence[Tokens], length: int, padding: int) -> TurnBatch:
        """Turns padded to a length, on the CPU.

        Args:
            turns: A row each.
            length: In tokens, that of the longest turn at least.
            padding: The token to pad with.
        """
        rows = len(turns)
        ids = torch.full((rows, length), padding)
        types, mask, pooled = (torch.zeros(rows, length, dtype=torch.long) for _ in range(3))
        for row, turn in enumerate(turns):
            count = len(turn.ids)
            ids[row, :count] = torch.tensor(turn.ids)
            types[row, :count] = torch.tensor(turn.types)
            pooled[row, :count] = torch.tensor(turn.pooled)
            mask[row, :count] = 1
        inputs = {"input_ids": ids, "attention_mask": mask}
        if self._reads_types:
            inputs["token_type_ids"] = types
        return TurnBatch(inputs, pooled)

    def forward(self, batch: TurnBatch) -> Tensor:
        """[row, feature] of a batch."""
        output = self.network(**batch.inputs, output_hidden_states=self.pooling == "last4_mean")
        last: Tensor = output.last_hidden_state
        if self.pooling == "cls":
            return last[:, 0]
        if self.pooling == "last4_mean":
            last = torch.stack(output.hidden_states[-LAYERS_AVERAGED:]).mean(0)
        weights = batch.pooled.unsqueeze(-1).to(last.dtype)
        return (last * weights).sum(1) / weights.sum(1)


def _reads_types(network: Any) -> bool:
    """Whether it tells the two sentences of a pair apart by the types of their tokens."""
    takes = "token_type_ids" in inspect.signature(network.forward).parameters
    return takes and getattr(network.config, "type_vocab_size", 0) > 1


def _longest(network: Any) -> int:
    # The positions of RoBERTa and its kin (CamemBERT, MPNet) begin after a padding index, so two
    # of them are never used.
    positions = [m for name, m in network.named_modules() if name.endswith("position_embeddings")]
    unused = max((p.padding_idx + 1 for p in positions if _padded(p)), default=0)
    return int(network.config.max_position_embeddings) - unused


def _padded(positions: Any) -> bool:
    return getattr(positions, "padding_idx", None) is not None
