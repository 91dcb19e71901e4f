"""MultiEMO: DialogueRNN context, stacked cross-attention, a contrastive and a correlation loss."""

from collections.abc import Sequence
from itertools import combinations

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from pipeline.nn.attention import MultiHeadAttention
from pipeline.nn.batch import NO_LABEL, Dialogue, DialogueBatch
from pipeline.nn.dialogue_rnn import DialogueRNN
from pipeline.nn.entropy import Entropy
from pipeline.nn.focal_contrastive import focal_contrastive_loss, rarity_weights
from pipeline.nn.inputs import Inputs
from pipeline.nn.precision import full_precision, precise
from pipeline.nn.soft_hgr import soft_hgr
from pipeline.nn.subnetworks import mlp
from pipeline.systems.base import Output, Settings, Shape, Source, System


class MultiEmoSettings(Settings):
    """Sizes of the network and weights of its loss; defaults are the public code's."""

    width: int = Field(ge=1, le=4096, description="Features per modality and utterance (256).")
    states: int = Field(
        ge=1, le=4096, description="Features of each state of the context, per direction (256)."
    )
    text_context: bool = Field(description="false: text enters the attention without context.")
    layers: int = Field(ge=1, le=24, description="Stacked cross-attention layers T.")
    heads: int = Field(ge=1, le=64, description="Attention heads (4).")
    feedforward: int = Field(ge=1, le=16384, description="Features between its maps (1024).")
    classifier: int = Field(ge=1, le=4096, description="Features between its two maps.")
    dropout: float = Field(
        ge=0, lt=1, description="Of states, of what a part of a layer adds, before the last map."
    )
    cross_entropy: float = Field(gt=0, description="Its weight in the loss.")
    contrastive: float = Field(ge=0, description="The weight of the contrastive loss.")
    soft_hgr: float = Field(ge=0, description="The weight of the correlation of modalities.")
    temperature: float = Field(gt=0, description="Tau of the contrastive loss.")
    contrastive_focal: float = Field(
        ge=0, le=10, description="Gamma, which favours pairs that lie apart; 0: off."
    )
    rarity: float = Field(
        ge=0, le=10, description="Alpha: a class of n_c utterances of n weighs (n / n_c)^alpha."
    )

    @model_validator(mode="after")
    def _agree(self) -> "MultiEmoSettings":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class CrossModalLayer(nn.Module):
    """A layer of one modality, which reads the others one after another.

    `F <- LN(F + MHA(F, C_p, C_p))` for each partner p, then `F <- LN(F + W_2 ReLU(W_1 F))`.
    """

    def __init__(self, partners: int, settings: MultiEmoSettings) -> None:
        super().__init__()
        width = settings.width
        self.attentions = nn.ModuleList(
            MultiHeadAttention(width, settings.heads) for _ in range(partners)
        )
        self.attended = nn.ModuleList(nn.LayerNorm(width) for _ in range(partners))
        self.feed_forward = nn.Sequential(
            nn.Linear(width, settings.feedforward),
            nn.ReLU(),
            nn.Linear(settings.feedforward, width),
        )
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, features: Tensor, partners: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        """Update F, [batch, turn, width].

        Args:
            features: F.
            partners: C of each, as F, and where it may be attended to, [batch, turn].
        """
        parts = zip(self.attentions, self.attended, partners, strict=True)
        for attention, norm, (context, usable) in parts:
            features = norm(features + self.dropout(attention(features, context, usable)))
        updated: Tensor = self.norm(features + self.dropout(self.feed_forward(features)))
        return updated


class MultiEmo(System):
    """Each modality reads the context of the others in T layers, then a classifier reads all.

    With u_m a modality's utterances: `C_m = ReLU(W_m BiDialogueRNN(u_m))`, or `C_text = u_text`;
    `F_m` comes from T layers that start at C_m (`CrossModalLayer`); `z = W [F_text; F_audio;
    F_visual]`; `logits = V ReLU(U z)`.
    `L = w_1 CE + w_2 SWFC(z, labels) + w_3 sum over pairs of modalities of SoftHGR(F_m, F_n)`: CE
    and SWFC over labelled turns, SoftHGR over all that have both, labelled or not. A single
    modality has neither attention nor Soft-HGR: context, classifier and contrast are left of it.
    """

    Settings = MultiEmoSettings
    SOURCE = Source(
        fidelity="code",
        citation="Shi and Huang, MultiEMO: An Attention-Based Correlation-Aware Multimodal Fusion "
        "Framework for Emotion Recognition in Conversations, ACL 2023",
        commit="TaoShi1998/MultiEMO@b001b0d0c2787ee71008b2eb308d7076cff73672",
        adapted="Soft-HGR of centred views with covariances of their features, divided by how many "
        "these are, where the code has covariances of turns and divides by their number twice; "
        "both directions of DialogueRNN, and text with context, on every corpus, where the code "
        "has on MELD the forward one alone, without a linear map behind it, and none for text, "
        "whose encoder was fine-tuned; attention masked by availability, where the code masks "
        "nothing; no dropout on logits; common inputs; decoupled weight decay and clipped "
        "gradients; the rate drops when validation F1, not its loss, stalls; the epoch chosen on "
        "validation, where the code takes the best on test",
    )
    class_weights: Tensor
    """w of the contrastive loss, which sum to 1, [class]."""

    def __init__(self, settings: MultiEmoSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        width, states, modalities = settings.width, settings.states, tuple(shape.features)
        self.inputs = Inputs(shape.features, width, settings.limit)
        self.dropout = nn.Dropout(settings.dropout)
        self.reduce = nn.ModuleDict(
            {
                m: nn.Linear(2 * states, width)
                for m in modalities
                if settings.text_context or m != "text"
            }
        )
        self.context = (
            DialogueRNN(len(self.reduce), width, states, states, dropout=settings.dropout)
            if self.reduce
            else None
        )
        partners = len(modalities) - 1
        self.fusion = nn.ModuleDict(
            {
                m: nn.ModuleList(
                    CrossModalLayer(partners, settings)
                    for _ in range(settings.layers if partners else 0)
                )
                for m in modalities
            }
        )
        self.join = nn.Linear(len(modalities) * width, width)
        self.head = mlp(width, settings.classifier, shape.classes, settings.dropout)
        self.register_buffer("class_weights", torch.full((shape.classes,), 1 / shape.classes))

    def prepare(self, train: Sequence[Dialogue]) -> None:
        """Weigh classes by how rare they are in the train split."""
        labels = [dialogue.labels for dialogue in train]
        weights = rarity_weights(labels, self.shape.classes, self.settings.rarity)
        self.class_weights.copy_(weights)

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn; `extra` has z as `joined`, and F by modality."""
        context = self._contextualise(batch)
        keys = {m: (vectors, batch.available(m)) for m, vectors in context.items()}
        streams = dict(context)
        for modality, layers in self.fusion.items():
            partners = [pair for m, pair in keys.items() if m != modality]
            assert isinstance(layers, nn.ModuleList)
            for layer in layers:
                streams[modality] = layer(streams[modality], partners)
        joined = self.join(torch.cat(tuple(streams.values()), dim=-1))
        return Output(self.head(joined), {"joined": joined, **streams})

    def losses(self, output: Output, batch: DialogueBatch, entropy: Entropy) -> dict[str, Tensor]:
        """Cross-entropy, contrast of z, correlation of the modalities."""
        settings, modalities = self.settings, tuple(self.shape.features)
        (plain,) = super().losses(output, batch, entropy).values()
        terms = {"cross_entropy": settings.cross_entropy * plain}
        if settings.contrastive:
            labelled = batch.labels != NO_LABEL
            contrast = focal_contrastive_loss(
                output.extra["joined"][labelled],
                batch.labels[labelled],
                self.class_weights,
                temperature=settings.temperature,
                gamma=settings.contrastive_focal,
            )
            terms["contrastive"] = settings.contrastive * contrast
        if settings.soft_hgr and len(modalities) > 1:
            pairs = [self._correlation(output, batch, *p) for p in combinations(modalities, 2)]
            terms["soft_hgr"] = settings.soft_hgr * torch.stack(pairs).sum()
        return terms

    def _contextualise(self, batch: DialogueBatch) -> dict[str, Tensor]:
        """Compute C by modality, each [batch, turn, width]."""
        utterances = dict(zip(self.inputs.modalities, self.inputs(batch).unbind(), strict=True))
        if self.context is None:
            return utterances
        chosen = torch.stack([utterances[m] for m in self.reduce])
        with full_precision(chosen):
            states = self.context(precise(chosen), batch.turn_mask, batch.speakers)
        for (modality, reduce), both in zip(self.reduce.items(), states.unbind(), strict=True):
            utterances[modality] = torch.relu(self.dropout(reduce(both)))
        return utterances

    def _correlation(self, output: Output, batch: DialogueBatch, first: str, second: str) -> Tensor:
        """Soft-HGR of two modalities over the turns that have both."""
        both = batch.available(first) & batch.available(second)
        return soft_hgr(output.extra[first][both], output.extra[second][both])
