"""From the stored features of a modality to one vector of the model's width per utterance.

Only real utterances and frames are computed: rows are taken out by mask and laid back, so what lies
in padding can neither cost time nor reach a result.
"""

import torch
from torch import Tensor, nn

from pipeline.model.inputs import unpack
from pipeline.model.psa import PSA, masked_mean
from pipeline.model.standardise import Standardise


class Encoder(nn.Module):
    """Standardises and projects one vector per utterance: text and audio (paper, section 3.2).

    Args:
        dimension: Size of the stored feature vector.
        width: The model's width.
        limit: Clamp of the standardised features, in standard deviations.
    """

    def __init__(self, dimension: int, width: int, limit: float) -> None:
        super().__init__()
        self.standardise = Standardise(dimension, limit)
        self.project = nn.Linear(dimension, width)

    def forward(self, features: Tensor, available: Tensor, frame_mask: Tensor | None) -> Tensor:
        """Encodes the available utterances, zeros for the rest.

        Args:
            features: [batch, turn, feature].
            available: True where there is something to encode, [batch, turn].
            frame_mask: Not used; there are no frames.

        Returns:
            [batch, turn, width].
        """
        return unpack(self.rows(features[available]), available)

    def rows(self, features: Tensor) -> Tensor:
        """[row, feature] to [row, width]."""
        projected: Tensor = self.project(self.standardise(features))
        return projected


class FrameEncoder(Encoder):
    """Standardises and projects each frame, then joins an utterance's frames: visual.

    Args:
        dimension: Size of a frame's stored feature vector.
        width: The model's width.
        limit: Clamp of the standardised features, in standard deviations.
        psa: Joins the frames; None: their masked mean (ablation "w/o PSA").
    """

    def __init__(self, dimension: int, width: int, limit: float, psa: PSA | None) -> None:
        super().__init__(dimension, width, limit)
        self.psa = psa

    def forward(self, features: Tensor, available: Tensor, frame_mask: Tensor | None) -> Tensor:
        """Encodes the available utterances, zeros for the rest.

        Args:
            features: [batch, turn, frame, feature].
            available: True where an utterance has frames, [batch, turn].
            frame_mask: True where a frame is real, [batch, turn, frame]; None: all are.

        Returns:
            [batch, turn, width].
        """
        if frame_mask is None:
            frame_mask = torch.ones_like(features[..., 0], dtype=torch.bool)
        real = frame_mask & available.unsqueeze(-1)
        mask = frame_mask[available]  # [utterance, frame]
        frames = unpack(self.rows(features[real]), mask)
        join = masked_mean if self.psa is None else self.psa
        return unpack(join(frames, mask), available)
