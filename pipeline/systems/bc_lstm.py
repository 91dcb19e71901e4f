"""bc-LSTM: a bidirectional LSTM over the turns of a dialogue, blind to who speaks."""

import torch
from pydantic import Field
from torch import Tensor, nn

from pipeline.nn.attention import NodalAttention
from pipeline.nn.batch import DialogueBatch
from pipeline.nn.entropy import Entropy
from pipeline.nn.inputs import Inputs
from pipeline.nn.packed import PackedRNN
from pipeline.systems.base import Output, Settings, Shape, Source, System


class BcLstmSettings(Settings):
    """Sizes of the network; defaults in params.yaml are the public code's."""

    width: int = Field(ge=1, le=4096, description="Features per modality and utterance (100).")
    hidden: int = Field(ge=1, le=4096, description="Features of a state, per direction (100).")
    layers: int = Field(ge=1, le=24, description="Stacked LSTMs, in each level.")
    hierarchical: bool = Field(description="First an LSTM per modality, with a loss of its own.")
    attention: bool = Field(description="Mix the states of the whole dialogue for each turn.")
    dropout: float = Field(
        ge=0,
        lt=1,
        description="Between the LSTMs and before the last layer; hierarchical: also before and "
        "behind the LSTMs, in both levels.",
    )


class FirstLevel(nn.Module):
    """What the hierarchical form makes of one modality, before it meets the others."""

    def __init__(self, settings: BcLstmSettings, classes: int) -> None:
        super().__init__()
        hidden, dropout = settings.hidden, settings.dropout
        self.dropout = nn.Dropout(dropout)
        self.lstm = PackedRNN("lstm", settings.width, hidden, settings.layers, dropout)
        self.dense = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * hidden, hidden), nn.Tanh())
        self.scores = nn.Sequential(nn.Dropout(dropout), nn.Linear(hidden, classes))

    def forward(self, utterances: Tensor, turn_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Map [batch, turn, width] to activations, [batch, turn, hidden], and their logits."""
        activations = self.dense(self.lstm(self.dropout(utterances), turn_mask))
        return activations, self.scores(activations)


class BcLstm(System):
    """Contextual LSTM, in the form of the public code or with the two levels of the paper.

    With u_t the modalities side by side: `h = BiLSTM(u)`; with attention,
    `h_t <- sum_j softmax_j(tanh((W h_t + b) . h_j)) h_j`; `logits_t = V dropout(ReLU(U h_t))`.
    Hierarchical: u_t joins each modality's activation `a_t = tanh(A BiLSTM(x)_t + b)`, and
    `L = CE(logits) + sum over modalities of CE(linear(a))`.
    """

    Settings = BcLstmSettings
    SOURCE = Source(
        fidelity="code",
        citation="Poria et al., Context-Dependent Sentiment Analysis in User-Generated Videos, "
        "ACL 2017",
        commit="declare-lab/conv-emotion@6128ca20e9c736605cce7e99d5d95db0356c35f5",
        adapted="packed, so that no direction starts in the padding; all modalities through the "
        "common inputs, where the code has text alone; decoupled weight decay and clipped "
        "gradients; the epoch chosen on validation, where the code takes the best on test. "
        "Hierarchical (soujanyaporia/contextual-utterance-level-multimodal-sentiment-analysis@"
        "f1199e608b42f13878f724d82b6b2adaed8f42fe): both levels learn together, where the code "
        "trains the first alone; its sizes follow `hidden` (300; activations 100, last layer "
        "500) and its dropouts (0.4 to 0.9) are the one of the settings",
    )

    def __init__(self, settings: BcLstmSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        width, hidden = settings.width, settings.hidden
        self.inputs = Inputs(shape.features, width, settings.limit)
        self.first = nn.ModuleDict()
        last = hidden
        if settings.hierarchical:
            self.first.update({m: FirstLevel(settings, shape.classes) for m in shape.features})
            width, last = hidden, 2 * hidden
        # The published form without a first level has dropout before its last layer alone.
        self.dropout = nn.Dropout(settings.dropout if settings.hierarchical else 0.0)
        joined = len(shape.features) * width
        self.lstm = PackedRNN("lstm", joined, hidden, settings.layers, settings.dropout)
        self.attention = NodalAttention(2 * hidden, tanh=True) if settings.attention else None
        self.head = nn.Sequential(
            nn.Linear(2 * hidden, last),
            nn.ReLU(),
            nn.Dropout(settings.dropout),
            nn.Linear(last, shape.classes),
        )

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn; `extra` has the logits of the first level by modality."""
        if self.first:
            utterances, alone = self._first_level(batch)
        else:
            utterances, alone = self.inputs.joined(batch), {}
        states = self.dropout(self.lstm(self.dropout(utterances), batch.turn_mask))
        if self.attention is not None:
            states = self.attention(states, batch.turn_mask)
        return Output(self.head(states), alone)

    def losses(self, output: Output, batch: DialogueBatch, entropy: Entropy) -> dict[str, Tensor]:
        """Cross-entropy, and that of each modality's first level."""
        terms = super().losses(output, batch, entropy)
        own = {m: entropy(logits, batch.labels) for m, logits in output.extra.items()}
        return terms | {f"cross_entropy_{m}": loss for m, loss in own.items()}

    def _first_level(self, batch: DialogueBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Activations side by side, [batch, turn, modality * hidden], and logits by modality."""
        encoded = zip(self.first.items(), self.inputs(batch).unbind(), strict=True)
        made = {m: level(vectors, batch.turn_mask) for (m, level), vectors in encoded}
        activations = torch.cat([activation for activation, _ in made.values()], dim=-1)
        return activations, {m: logits for m, (_, logits) in made.items()}
