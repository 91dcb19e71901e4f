"""Small networks: of two layers, and those of modalities that are multiplied afterwards."""

import torch
from torch import Tensor, nn
from torch.nn import functional


def mlp(inputs: int, hidden: int, outputs: int, dropout: float) -> nn.Sequential:
    """Make a network of two layers, `V dropout(ReLU(U x))`, with biases."""
    first, last = nn.Linear(inputs, hidden), nn.Linear(hidden, outputs)
    return nn.Sequential(first, nn.ReLU(), nn.Dropout(dropout), last)


class Subnetworks(nn.Module):
    """Three layers per modality, and a 1 before what they give (Zadeh et al., EMNLP 2017).

    `h_m = ReLU(C ReLU(B ReLU(A dropout(u_m))))`, 0 where m is missing; products of [1; h_m] over
    the modalities then still hold all terms of the others.

    Args:
        modalities: How many.
        width: Features of u.
        hidden: Features between the layers.
        compressed: Features of h.
        dropout: Of u.
    """

    def __init__(
        self, modalities: int, width: int, hidden: int, compressed: int, dropout: float
    ) -> None:
        super().__init__()
        self.networks = nn.ModuleList(
            nn.Sequential(
                nn.Dropout(dropout),
                nn.Linear(width, hidden),
                nn.ReLU(),
                nn.Linear(hidden, hidden),
                nn.ReLU(),
                nn.Linear(hidden, compressed),
                nn.ReLU(),
            )
            for _ in range(modalities)
        )

    def forward(self, utterances: Tensor, available: Tensor) -> Tensor:
        """Map u to [1; h].

        Args:
            utterances: Finite also where a modality is missing, [modality, row, width].
            available: [modality, row].

        Returns:
            [modality, row, 1 + compressed].
        """
        pairs = zip(self.networks, utterances, strict=True)
        vectors = torch.stack([network(rows) for network, rows in pairs])
        return functional.pad(vectors.masked_fill(~available.unsqueeze(-1), 0), (1, 0), value=1.0)
