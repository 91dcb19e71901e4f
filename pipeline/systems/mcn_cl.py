"""MCN-CL (paper, section 2): inputs, context, cross-attention, contrastive heads, classifier."""

from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from pipeline.base.settings import MODALITIES
from pipeline.nn.batch import NO_LABEL, DialogueBatch, Packing
from pipeline.nn.context import make_context
from pipeline.nn.contrastive import ProjectionHead, supervised_contrastive_loss
from pipeline.nn.cross_attention import MCN
from pipeline.nn.decoupling import Decoupling, make_decoupling
from pipeline.nn.entropy import Entropy
from pipeline.nn.inputs import Inputs
from pipeline.nn.optimise import Player
from pipeline.nn.precision import full_precision
from pipeline.nn.psa import PSA
from pipeline.systems.base import Output, Settings, Shape, Source, System

DECOUPLED = "decoupled"


class McnClSettings(Settings):
    """Parts and sizes of the network, its ablations, and the weights of its loss (eq. 24-27)."""

    width: int = Field(ge=8, le=4096, description="Features per modality and utterance (256).")
    psa: bool = Field(description="Pyramid squeeze attention over frames; false: a masked mean.")
    psa_groups: int = Field(ge=1, le=8, description="Branches S, with kernels 3, 5, 7, 9, ...")
    psa_activation: Literal["relu", "none"] = Field(
        description="none: eq. 5 to the letter, which ignores the order of all but the edge frames."
    )
    context: Literal["dialogue_rnn", "gru", "none"]
    residual: bool = Field(
        description="Add the utterance's own features to its context; false: the context alone."
    )
    decoupling: Literal["misa", "mcihn", "none"] = Field(
        description="What keeps a modality's noise out of the cross-attention: MISA's shared and "
        "private spaces or MCIHN's autoencoders; the paper has none."
    )
    decoupling_weight: float = Field(
        ge=0, description="Of its losses, but for a discriminator's own; 0: its layers alone."
    )
    mcn: bool = Field(description="Multimodal cross-attention; false: context features pass as is.")
    layers: int = Field(ge=1, le=24, description="Stacked cross-attention layers T.")
    heads: int = Field(ge=1, le=64, description="Attention heads H.")
    projection: int = Field(ge=2, le=4096, description="Features of a projection head.")
    dropout: float = Field(ge=0, lt=1)
    contrastive: float = Field(
        ge=0, description="Lambda, the weight of the contrastive loss; 0: no projection heads."
    )
    text_weight: float = Field(ge=0, description="Alpha of eq. 27.")
    audio_weight: float = Field(ge=0, description="Beta of eq. 27.")
    visual_weight: float = Field(ge=0, description="Gamma of eq. 27.")
    temperature: float = Field(gt=0, description="Tau.")
    hard_ratio: float | None = Field(
        gt=0, le=1, description="Share of negatives kept, the most similar (eq. 25); null: all."
    )
    hard_by_class: bool = Field(
        description="Keep that share of the negatives of each class, which the paper does not."
    )
    denominator: Literal["positives_and_hard", "all"] = Field(
        description="positives_and_hard: eq. 26; all: eq. 24, which counts positives twice."
    )
    prototypes: bool = Field(
        description="A learned vector of each class takes part in the contrastive loss as an "
        "utterance does, so that none is without a positive; the paper has none."
    )

    @model_validator(mode="after")
    def _agree(self) -> "McnClSettings":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        if self.width % (4 * self.psa_groups):
            raise ValueError(f"width {self.width} is not a multiple of 4 x psa_groups")
        if self.denominator == "all" and self.hard_ratio is not None:
            raise ValueError(
                "denominator 'all' (eq. 24) has no hard negatives: set hard_ratio to null"
            )
        return self

    @property
    def modality_weights(self) -> dict[str, float]:
        """Weights of the modalities' contrastive terms (eq. 27)."""
        return {m: getattr(self, f"{m}_weight") for m in MODALITIES}


class Classifier(nn.Module):
    """Concatenation, a fully connected layer, a two-layer MLP with ReLU, a softmax layer.

    Returns logits: the loss applies the softmax in a numerically stable way. Dropout comes before
    each of the four linear maps.
    """

    def __init__(self, modalities: int, width: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.combine = nn.Sequential(nn.Dropout(dropout), nn.Linear(modalities * width, width))
        # Without the second ReLU the MLP's last layer and the softmax layer would be one matrix.
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
        """Map [modality, row, width] to logits, [row, class] (eq. 28-31 without the softmax)."""
        concatenated = torch.cat(features.unbind(), dim=-1)
        logits: Tensor = self.softmax(self.mlp(self.combine(concatenated)))
        return logits


class McnCl(System):
    """The paper's network; its ablations are switches.

    `L = CE + lambda * sum over modalities of weight * L_m` (eq. 27). An utterance that lacks a
    modality is left out of that modality's contrastive loss.
    """

    Settings = McnClSettings
    SOURCE = Source(
        fidelity="paper",
        citation="MCN-CL: multimodal cross-attention network with contrastive learning",
        adapted="misprints of eq. 9-13 corrected; residual context; ReLU in PSA",
    )

    def __init__(self, settings: McnClSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        width, count = settings.width, len(shape.features)
        self.inputs = Inputs(shape.features, width, settings.limit, self._pyramid)
        self.dropout = nn.Dropout(settings.dropout)
        self.context = make_context(settings.context, count, width)
        self.decoupling = make_decoupling(settings.decoupling, count, width, settings.dropout)
        self.mcn = (
            MCN(count, width, settings.heads, settings.layers, settings.dropout)
            if settings.mcn and count > 1  # a single modality has no partner
            else None
        )
        self.heads = nn.ModuleDict(
            {m: ProjectionHead(width, settings.projection) for m in shape.features}
            if settings.contrastive
            else {}
        )
        self.prototypes = nn.ParameterDict(
            {
                m: nn.Parameter(torch.randn(shape.classes, settings.projection))
                for m in self.heads
                if settings.prototypes
            }
        )
        self.classifier = Classifier(count, width, shape.classes, settings.dropout)

    def _pyramid(self) -> PSA | None:
        settings = self.settings
        if not settings.psa:
            return None
        return PSA(settings.width, settings.psa_groups, settings.psa_activation)

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn.

        `extra` has unit vectors by modality, [batch, turn, projection], and what the losses of the
        decoupling need.
        """
        context = self._contextualise(self.inputs(batch), batch)
        packing = Packing(batch.turn_mask)
        features, available = packing.pack(context), batch.all_available(self.inputs.modalities)
        extra = {}
        if self.decoupling is not None:
            features, extra[DECOUPLED] = self.decoupling(features, available[:, batch.turn_mask])
        if self.mcn is not None:
            features = self.mcn(features, available, packing)
        projections = {
            m: packing.unpack(self.heads[m](rows))
            for m, rows in zip(self.inputs.modalities, features.unbind(), strict=True)
            if m in self.heads
        }
        return Output(packing.unpack(self.classifier(features)), projections | extra)

    def players(self) -> dict[str, Player]:
        """One, or the discriminators of the decoupling and the rest."""
        playing = {} if self._taught is None else self._taught.players(self)
        return playing or super().players()

    @property
    def _taught(self) -> Decoupling | None:
        """The decoupling, if its losses have a weight."""
        return self.decoupling if self.settings.decoupling_weight else None

    def figures(self, output: Output, batch: DialogueBatch) -> dict[str, Tensor]:
        """Those of the decoupling."""
        if self._taught is None:
            return {}
        return self._taught.figures(output.extra[DECOUPLED], self.inputs.modalities)

    def losses(self, output: Output, batch: DialogueBatch, entropy: Entropy) -> dict[str, Tensor]:
        """Cross-entropy and lambda times the contrastive losses (eq. 27), and a decoupling's."""
        terms = super().losses(output, batch, entropy)
        if self._taught is not None:
            made, weight = output.extra[DECOUPLED], self.settings.decoupling_weight
            terms |= self._taught.losses(made, weight)
        weights, projections = self.settings.modality_weights, output.extra
        named = [m for m in self.heads if m in projections]
        weighted = [weights[m] * self._contrast(m, projections[m], batch) for m in named]
        if weighted:
            terms["contrastive"] = self.settings.contrastive * torch.stack(weighted).sum()
        return terms

    def _contextualise(self, utterances: Tensor, batch: DialogueBatch) -> Tensor:
        """Compute C of the paper, [modality, batch, turn, width]."""
        utterances = self.dropout(utterances)
        if self.context is None:
            return utterances
        with full_precision(utterances):
            context: Tensor = self.context(utterances, batch.turn_mask, batch.speakers)
        return utterances + context if self.settings.residual else context

    def _contrast(self, modality: str, projected: Tensor, batch: DialogueBatch) -> Tensor:
        """Compute the contrastive loss of one modality's [batch, turn, projection]."""
        sampled = (batch.labels != NO_LABEL) & batch.available(modality)
        vectors, labels = projected[sampled], batch.labels[sampled]
        if modality in self.prototypes:
            learned = functional.normalize(self.prototypes[modality], dim=-1)
            vectors = torch.cat((vectors, learned))
            labels = torch.cat((labels, torch.arange(len(learned), device=labels.device)))
        return supervised_contrastive_loss(
            vectors,
            labels,
            temperature=self.settings.temperature,
            hard_ratio=self.settings.hard_ratio,
            denominator=self.settings.denominator,
            by_class=self.settings.hard_by_class,
        )
