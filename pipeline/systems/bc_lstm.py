"""bc-LSTM: a bidirectional LSTM over the turns of a dialogue, blind to who speaks."""

from pydantic import Field
from torch import nn

from pipeline.nn.attention import NodalAttention
from pipeline.nn.batch import DialogueBatch
from pipeline.nn.inputs import Inputs
from pipeline.nn.packed import PackedRNN
from pipeline.systems.base import Output, Settings, Shape, Source, System


class BcLstmSettings(Settings):
    """Sizes of the network; defaults in params.yaml are the public code's."""

    width: int = Field(ge=1, le=4096, description="Features per modality and utterance (100).")
    hidden: int = Field(ge=1, le=4096, description="Features of a state, per direction (100).")
    layers: int = Field(ge=1, le=24, description="Stacked LSTMs.")
    attention: bool = Field(description="Mix the states of the whole dialogue for each turn.")
    dropout: float = Field(ge=0, lt=1, description="Between the LSTMs, and before the last layer.")


class BcLstm(System):
    """Contextual LSTM, in the form of the public code.

    With u_t the modalities side by side: `h = BiLSTM(u)`; with attention,
    `h_t <- sum_j softmax_j(tanh((W h_t + b) . h_j)) h_j`; `logits_t = V dropout(ReLU(U h_t))`.
    """

    Settings = BcLstmSettings
    SOURCE = Source(
        fidelity="code",
        citation="Poria et al., Context-Dependent Sentiment Analysis in User-Generated Videos, "
        "ACL 2017",
        commit="declare-lab/conv-emotion@6128ca20e9c736605cce7e99d5d95db0356c35f5",
        adapted="packed, so that no direction starts in the padding; all modalities through the "
        "common inputs, where the code has text alone; decoupled weight decay and clipped "
        "gradients; the epoch chosen on validation, where the code takes the best on test; the "
        "paper's first level, an LSTM per modality, is left out",
    )

    def __init__(self, settings: BcLstmSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        hidden = settings.hidden
        self.inputs = Inputs(shape.features, settings.width, settings.limit)
        joined = len(shape.features) * settings.width
        self.lstm = PackedRNN("lstm", joined, hidden, settings.layers, settings.dropout)
        self.attention = NodalAttention(2 * hidden, tanh=True) if settings.attention else None
        self.head = nn.Sequential(
            nn.Linear(2 * hidden, hidden),
            nn.ReLU(),
            nn.Dropout(settings.dropout),
            nn.Linear(hidden, shape.classes),
        )

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn of every dialogue."""
        states = self.lstm(self.inputs.joined(batch), batch.turn_mask)
        if self.attention is not None:
            states = self.attention(states, batch.turn_mask)
        return Output(self.head(states))
