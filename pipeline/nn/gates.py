"""Gates that weigh vectors against each other: two of them, or one per modality."""

import torch
from torch import Tensor, nn

from pipeline.nn.attention import masked_softmax


class PairGate(nn.Module):
    """Gated multimodal unit of two vectors (Arevalo et al., 2017).

    `g = sigmoid(W [x; y])`, `out = g * tanh(W_1 x) + (1 - g) * tanh(W_2 y)`, feature by feature.
    """

    def __init__(self, first: int, second: int, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(first + second, width)
        self.first = nn.Linear(first, width)
        self.second = nn.Linear(second, width)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Map x [..., first] and y [..., second] to [..., width]."""
        gate = torch.sigmoid(self.gate(torch.cat((first, second), dim=-1)))
        return torch.lerp(torch.tanh(self.second(second)), torch.tanh(self.first(first)), gate)


class ModalityGate(nn.Module):
    """Weigh the modalities feature by feature: `out = sum_m softmax_m(W h_m) * h_m`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, width, bias=False)  # the same W for every modality

    def forward(self, vectors: Tensor, available: Tensor) -> Tensor:
        """Fuse the available modalities, zeros where there is none.

        Args:
            vectors: h, finite also where a modality is not available, [modality, ..., width].
            available: [modality, ...].

        Returns:
            [..., width].
        """
        weights = masked_softmax(self.gate(vectors), available.unsqueeze(-1), dim=0)
        return (weights * vectors).sum(dim=0)
