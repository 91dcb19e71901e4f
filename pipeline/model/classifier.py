"""The classifier (paper, section 2.5, eq. 28-31)."""

import torch
from torch import Tensor, nn


class Classifier(nn.Module):
    """Concatenation, a fully connected layer, a two-layer MLP with ReLU, a softmax layer.

    The softmax itself is left to the loss, which is stable on logits.

    Args:
        modalities: How many modalities.
        width: The model's width.
        classes: K in the paper.
        dropout: Before each of the four linear maps.
    """

    def __init__(self, modalities: int, width: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.combine = nn.Sequential(nn.Dropout(dropout), nn.Linear(modalities * width, width))
        # The second ReLU keeps the MLP's last layer and the softmax layer from being one matrix.
        self.mlp = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.ReLU(),
        )
        self.softmax = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, classes))

    def forward(self, features: Tensor) -> Tensor:
        """Eq. 28-31 without the softmax: [modality, row, width] to logits, [row, class]."""
        concatenated = torch.cat(features.unbind(), dim=-1)
        logits: Tensor = self.softmax(self.mlp(self.combine(concatenated)))
        return logits
