"""A learned vector per speaker."""

from torch import Tensor, nn

SPEAKERS = 9
"""Most speakers of a dialogue of MELD; further ones share the last vector."""


class SpeakerEmbedding(nn.Embedding):
    """A table of the speakers of a dialogue in order of appearance."""

    def __init__(self, width: int) -> None:
        super().__init__(SPEAKERS, width)

    def forward(self, speakers: Tensor) -> Tensor:
        """Map [batch, turn], with anything in padding, to finite [batch, turn, width]."""
        return super().forward(speakers.clamp(0, SPEAKERS - 1))
