"""EmoCaps (our reading): emotion vectors of the modalities beside the utterance, then a BiLSTM."""

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from pipeline.nn.batch import DialogueBatch, unpack
from pipeline.nn.inputs import Inputs
from pipeline.nn.packed import PackedRNN
from pipeline.nn.psa import masked_mean
from pipeline.systems.base import Output, Settings, Shape, Source, System


class EmoCapsSettings(Settings):
    """Sizes of the network: those of the LSTM are the public code's, the others ours."""

    width: int = Field(ge=1, le=4096, description="Features per modality and utterance.")
    heads: int = Field(ge=1, le=64, description="Attention heads of an Emoformer.")
    emotions: int = Field(ge=1, le=4096, description="Features of a modality's emotion vector.")
    hidden: int = Field(ge=1, le=4096, description="Features of a state, per direction (100).")
    layers: int = Field(ge=1, le=24, description="Stacked LSTMs.")
    dropout: float = Field(
        ge=0, lt=1, description="In Emoformers, between the LSTMs and before the last layer."
    )

    @model_validator(mode="after")
    def _agree(self) -> "EmoCapsSettings":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class Emoformer(nn.Module):
    """Take an emotion vector from the tokens of a turn.

    `h = mean over tokens of TransformerLayer(tokens)`, `z = W (h + MLP(h)) + b`.
    """

    def __init__(self, settings: EmoCapsSettings) -> None:
        super().__init__()
        width, heads, dropout = settings.width, settings.heads, settings.dropout
        self.layer = nn.TransformerEncoderLayer(width, heads, 2 * width, dropout, batch_first=True)
        self.mapping = nn.Sequential(
            nn.Linear(width, 2 * width),
            nn.ReLU(),
            nn.Linear(2 * width, width),
            nn.ReLU(),
            nn.Linear(width, width),
        )
        self.emotion = nn.Linear(width, settings.emotions)

    def forward(self, tokens: Tensor, real: Tensor) -> Tensor:
        """Map [row, token, width] to [row, emotions].

        Args:
            tokens: Finite.
            real: True where a token is, at least one in each row, [row, token].
        """
        pooled = masked_mean(self.layer(tokens, src_key_padding_mask=~real), real)
        emotion: Tensor = self.emotion(pooled + self.mapping(pooled))
        return emotion


class EmoCaps(System):
    """A BiLSTM over emotion capsules, which are made of one turn each.

    With z_m a modality's emotion vector (`Emoformer`) and x the mean token of the first
    modality, text if there is text: `capsule = [x; z_text; z_audio; z_visual]`;
    `h = BiLSTM(capsule)`; `logits_t = V dropout(ReLU(U h_t))`.
    """

    Settings = EmoCapsSettings
    SOURCE = Source(
        fidelity="our reading",
        citation="Li et al., EmoCaps: Emotion Capsule based Model for Conversational Emotion "
        "Recognition, Findings of ACL 2022",
        commit="Jing-yilin/EmoCaps-FFN@9c7de1db054dbf4d39e86724e4f55390a25a6b8b",
        adapted="the code that was read, a copy of the authors' archive, holds no Emoformer but a "
        "BiLSTM over stored vectors: the Emoformer and its sizes are ours. Text and audio have "
        "one token a turn, for which attention is a linear map; only visual frames are weighed. "
        "Packed; common inputs; decoupled weight decay and clipped gradients; the epoch chosen on "
        "validation, where the code takes the best on test; the test split is whole, where "
        "the code leaves out a dialogue",
    )

    def __init__(self, settings: EmoCapsSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        hidden, modalities = settings.hidden, shape.features
        self.inputs = Inputs(modalities, settings.width, settings.limit)
        self.emoformers = nn.ModuleDict({m: Emoformer(settings) for m in modalities})
        capsule = settings.width + len(modalities) * settings.emotions
        self.lstm = PackedRNN("lstm", capsule, hidden, settings.layers, settings.dropout)
        self.head = nn.Sequential(
            nn.Linear(2 * hidden, hidden),
            nn.ReLU(),
            nn.Dropout(settings.dropout),
            nn.Linear(hidden, shape.classes),
        )

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn; `extra` has the capsules, [batch, turn, feature]."""
        tokens = list(self.inputs.tokens(batch))
        pairs = zip(self.emoformers.values(), tokens, strict=True)
        emotions = [emoformer(*modality) for emoformer, modality in pairs]
        rows = torch.cat([masked_mean(*tokens[0]), *emotions], dim=-1)
        capsules = unpack(rows, batch.turn_mask)
        states = self.lstm(capsules, batch.turn_mask)
        return Output(self.head(states), {"capsules": capsules})
