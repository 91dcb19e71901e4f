"""Recurrences over the turns of a dialogue, or of one of its speakers, clear of its padding."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from pipeline.nn.precision import full_precision, precise


class PackedRNN(nn.Module):
    """An LSTM or GRU, by default of both directions, neither of which starts in the padding.

    Args:
        kind: `lstm` or `gru`.
        width: Features of a turn.
        hidden: Features of a state, per direction.
        layers: How many are stacked.
        dropout: Between layers.
        bidirectional: Whether a second direction reads backwards.
    """

    def __init__(
        self,
        kind: Literal["lstm", "gru"],
        width: int,
        hidden: int,
        layers: int = 1,
        dropout: float = 0.0,
        *,
        bidirectional: bool = True,
    ) -> None:
        super().__init__()
        self.rnn = (nn.LSTM if kind == "lstm" else nn.GRU)(
            width,
            hidden,
            layers,
            batch_first=True,
            bidirectional=bidirectional,
            dropout=dropout if layers > 1 else 0.0,  # PyTorch warns where it has no effect
        )

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Compute the states of each direction, side by side; zeros in padding.

        Args:
            sequence: [row, place, width].
            mask: True in the first places of each row, at least one if bidirectional, [row, place].

        Returns:
            [row, place, direction * hidden].
        """
        with full_precision(sequence):
            sequence = precise(sequence)
            return (
                self._both(sequence, mask) if self.rnn.bidirectional else self._one(sequence, mask)
            )

    def _both(self, sequence: Tensor, mask: Tensor) -> Tensor:
        lengths = mask.sum(dim=1).cpu()
        packed = pack_padded_sequence(sequence, lengths, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(
            self.rnn(packed)[0], batch_first=True, total_length=mask.shape[1]
        )
        return states

    def _one(self, sequence: Tensor, mask: Tensor) -> Tensor:
        # Padding comes last and is computed too: were it not, the sizes of products, and with them
        # last bits of one row, would depend on the lengths of others.
        padding = ~mask.unsqueeze(2)
        states: Tensor = self.rnn(sequence.masked_fill(padding, 0))[0]
        return states.masked_fill(padding, 0)


class BySpeaker:
    """Lay out the turns of each speaker of each dialogue as a row, and put results back.

    Args:
        speakers: Index of the speaker within the dialogue, [batch, turn].
        turn_mask: True where a turn is real, [batch, turn].

    Attributes:
        mask: True where a row has a turn, [row, place].
    """

    def __init__(self, speakers: Tensor, turn_mask: Tensor) -> None:
        self.turn_mask = turn_mask
        dialogue, turn = turn_mask.nonzero(as_tuple=True)
        pairs = torch.stack((dialogue, speakers[dialogue, turn]), dim=1)
        _, row, counts = pairs.unique(  # type: ignore[no-untyped-call]
            dim=0, return_inverse=True, return_counts=True
        )
        self.mask = torch.arange(int(counts.max()), device=row.device) < counts.unsqueeze(1)
        order = row.argsort(stable=True)  # by row, and in each in order of the turns
        self.source = (dialogue[order], turn[order])

    def gather(self, sequence: Tensor) -> Tensor:
        """Map [batch, turn, feature] to [row, place, feature], zeros in places without a turn."""
        rows = sequence.new_zeros(*self.mask.shape, sequence.shape[-1])
        return rows.index_put((self.mask,), sequence[self.source])

    def scatter(self, rows: Tensor) -> Tensor:
        """Map [row, place, feature] to [batch, turn, feature], zeros in padded turns."""
        padded = rows.new_zeros(*self.turn_mask.shape, rows.shape[-1])
        return padded.index_put(self.source, rows[self.mask])
