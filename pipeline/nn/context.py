"""Context encoders: DialogueRNN and a bidirectional GRU over the turns of a dialogue.

The context encoder `dialogue_rnn` is DialogueRNN's simple variant: simple attention, and a turn
updates the party state of its speaker alone. Each modality has its own encoder with its own
weights.
"""

from torch import Tensor, nn

from pipeline.nn.dialogue_rnn import DialogueRNN
from pipeline.nn.recurrence import ChainedGRU, Directions

CONTEXTS = ("dialogue_rnn", "gru", "none")


class GRUContext(nn.Module):
    """Bidirectional GRU over the turns of a dialogue, one per modality, blind to speakers."""

    def __init__(self, modalities: int, width: int) -> None:
        super().__init__()
        self.gru = ChainedGRU(2 * modalities, width, width // 2)

    def forward(self, utterances: Tensor, turn_mask: Tensor, speakers: Tensor) -> Tensor:
        """Add context to each utterance.

        Args:
            utterances: [modality, batch, turn, width].
            turn_mask: True where a turn is real, [batch, turn].
            speakers: Not used, [batch, turn].

        Returns:
            [modality, batch, turn, width].
        """
        directions = Directions(turn_mask)
        return directions.join(self.gru(directions.split(utterances)))


def make_context(kind: str, modalities: int, width: int) -> DialogueRNN | GRUContext | None:
    """Make the context encoder of that name, one of `CONTEXTS`; None for `none`."""
    if kind not in CONTEXTS:
        raise ValueError(f"Bad context '{kind}', expected one of {CONTEXTS}")
    if kind == "none":
        return None
    if width % 2:
        raise ValueError(f"Bad width {width}, expected an even number: half per direction")
    if kind == "gru":
        return GRUContext(modalities, width)
    return DialogueRNN(modalities, width, width // 2, width // 2)
