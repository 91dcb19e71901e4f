"""BiDialogueRNN + Att, the network of two systems, one with listeners and one without."""

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from pipeline.base.settings import Section
from pipeline.nn.attention import NodalAttention
from pipeline.nn.dialogue_rnn import DialogueRNN
from pipeline.nn.precision import full_precision, precise


class BiDialogueRNNSettings(Section):
    """Sizes of the network; defaults in params.yaml are those of the public code on MELD."""

    width: int = Field(ge=1, le=4096, description="Features per modality and utterance.")
    states: int = Field(
        ge=1, le=4096, description="Features of global and party states, per direction (D_g, D_p)."
    )
    emotions: int = Field(
        ge=1, le=4096, description="Features of emotion states, per direction (D_e, D_h)."
    )
    context_attention: Literal["general", "simple"] = Field(
        description="general: global states are compared with the utterance; simple: they are not."
    )
    attention: bool = Field(
        description="Mix the states of the whole dialogue for each turn, as published."
    )
    dropout: float = Field(ge=0, lt=0.85, description="In the head; 0.15 more on emotion states.")
    recurrent_dropout: float = Field(ge=0, lt=1, description="Of every new state.")


class BiDialogueRNN(nn.Module):
    """Both directions of DialogueRNN, then attention over the emotion states of the dialogue.

    With m_t the emotion states of both directions (their equations: `dialogue_rnn`):
    `f_t = sum_j softmax_j((W m_t + b) . m_j) m_j`, `logits_t = V dropout(ReLU(U f_t))`; without
    attention `f_t = m_t`.

    Args:
        width: Features of an utterance.
        classes: How many classes.
        settings: Sizes, attention and dropout.
        listeners: Whether parties that do not speak listen.
    """

    def __init__(
        self, width: int, classes: int, settings: BiDialogueRNNSettings, *, listeners: bool
    ) -> None:
        super().__init__()
        emotions = 2 * settings.emotions
        self.states = DialogueRNN(
            1,
            width,
            settings.states,
            settings.emotions,
            attention=settings.context_attention,
            listeners=listeners,
            dropout=settings.recurrent_dropout,
        )
        self.dropout = nn.Dropout(settings.dropout + 0.15)
        self.attention = NodalAttention(emotions) if settings.attention else None
        self.head = nn.Sequential(
            nn.Linear(emotions, emotions),
            nn.ReLU(),
            nn.Dropout(settings.dropout),
            nn.Linear(emotions, classes),
        )

    def forward(self, utterances: Tensor, turn_mask: Tensor, speakers: Tensor) -> Tensor:
        """Classify every turn.

        Args:
            utterances: u, [batch, turn, width].
            turn_mask: True where a turn is real, [batch, turn].
            speakers: Index of the speaker within the dialogue, [batch, turn].

        Returns:
            [batch, turn, class].
        """
        with full_precision(utterances):
            (emotions,) = self.states(precise(utterances).unsqueeze(0), turn_mask, speakers)
        states = self.dropout(emotions)
        if self.attention is not None:
            states = self.attention(states, turn_mask)
        logits: Tensor = self.head(states)
        return logits
