"""Shi et al., in our reading: learned joint vectors that collect a turn's modalities."""

from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from pipeline.nn.batch import NO_LABEL, DialogueBatch, Packing
from pipeline.nn.context import make_context
from pipeline.nn.contrastive import ProjectionHead, supervised_contrastive_loss
from pipeline.nn.entropy import Entropy
from pipeline.nn.inputs import Inputs
from pipeline.nn.precision import full_precision, precise
from pipeline.nn.subnetworks import mlp
from pipeline.nn.transformer_layers import PostNormLayer
from pipeline.systems.base import Output, Settings, Shape, Source, System

START = 0.02  # deviation of the joint vectors at the start


class ShiSettings(Settings):
    """Sizes of the network and weights of its losses; none could be read."""

    width: int = Field(ge=1, le=4096, description="Features per modality and utterance (256).")
    context: Literal["dialogue_rnn", "gru", "none"] = Field(
        description="Of each modality before the joint vectors read it; none: a turn is alone."
    )
    joint_vectors: int = Field(ge=1, le=64, description="Learned vectors, the same for each turn.")
    layers: int = Field(ge=1, le=24, description="Times that they read the modalities.")
    heads: int = Field(ge=1, le=64, description="Attention heads.")
    projection: int = Field(ge=2, le=4096, description="Features of the projection head.")
    classifiers: float = Field(ge=0, description="Weight of the classifiers' own cross-entropies.")
    contrastive: float = Field(ge=0, description="Weight of the contrastive loss.")
    temperature: float = Field(gt=0, description="Tau of the contrastive loss.")
    dropout: float = Field(ge=0, lt=1, description="In the fusion layers, and before the last.")

    @model_validator(mode="after")
    def _agree(self) -> "ShiSettings":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        if self.context != "none" and self.width % 2:
            raise ValueError(
                f"width {self.width} is not even: half per direction of {self.context}"
            )
        return self


class Shi(System):
    """Learned joint vectors read a turn's modalities by attention, and two classifiers vote.

    A turn is alone, unless a context is asked for. With u_m the inputs and J learned vectors:
    layers `J <- LN(J + MHA(J, u))`, `J <- LN(J + W_2 ReLU(W_1 J))`, whose keys are the modalities
    that the turn has; j the mean of J. Classifiers `z_1 = MLP([u..])` and `z_2 = MLP(j)`, and
    `logits = (z_1 + z_2) / 2`. `L = CE(logits) + classifiers (CE(z_1) + CE(z_2)) + contrastive
    SupCon(projection(j))`. Of one modality, J reads that alone: every weight of its attention is 1.
    """

    Settings = ShiSettings
    SOURCE = Source(
        fidelity="our reading",
        citation="Shi et al., Enhancing Emotion Recognition in Conversation through Emotional "
        "Cross-Modal Fusion and Inter-class Contrastive Learning, ICIC 2024, arXiv 2405.17900",
        adapted="of the paper, the abstract and a summary could be read: they name trainable joint "
        "vectors that fuse text and audio, two classifiers and a supervised contrastive loss; "
        "every layer, size and weight is ours, as is the third modality. One of the two "
        "classifiers reads the modalities side by side, where the abstract classifies fused "
        "features. Joint vectors read one stored vector per modality, where the summary has "
        "pretrained transformers. The abstract bases emotions on context, how could not be read: "
        "a turn is alone unless `context` is set",
    )

    def __init__(self, settings: ShiSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        width, count, dropout = settings.width, len(shape.features), settings.dropout
        self.inputs = Inputs(shape.features, width, settings.limit)
        self.context = make_context(settings.context, count, width)
        self.joint = nn.Parameter(START * torch.randn(settings.joint_vectors, width))
        self.fusion = nn.ModuleList(
            PostNormLayer(width, settings.heads, 2 * width, dropout) for _ in range(settings.layers)
        )
        self.of_modalities = mlp(count * width, width, shape.classes, dropout)
        self.of_joint = mlp(width, width, shape.classes, dropout)
        self.projection = (
            ProjectionHead(width, settings.projection) if settings.contrastive else None
        )

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn.

        `extra` has the logits of both classifiers, [batch, turn, class], and j of the real turns,
        [row, width].
        """
        utterances = self.inputs(batch)
        if self.context is not None:
            with full_precision(utterances):
                speakers, mask = batch.speakers, batch.turn_mask
                utterances = self.context(precise(utterances), mask, speakers)
        packing = Packing(batch.turn_mask)
        tokens = packing.pack(utterances).transpose(0, 1)
        usable = batch.all_available(self.inputs.modalities)[:, batch.turn_mask].T
        joint = self.joint.expand(len(tokens), -1, -1)
        for layer in self.fusion:
            joint = layer(joint, tokens, usable)
        mean = joint.mean(dim=1)
        scores = [
            packing.unpack(self.of_modalities(tokens.flatten(1))),
            packing.unpack(self.of_joint(mean)),
        ]
        return Output(torch.stack(scores).mean(dim=0), {"classifiers": scores, "joint": mean})

    def losses(self, output: Output, batch: DialogueBatch, entropy: Entropy) -> dict[str, Tensor]:
        """Cross-entropy, that of both classifiers, and the contrastive loss."""
        terms, settings = super().losses(output, batch, entropy), self.settings
        if settings.classifiers:
            own = [entropy(scores, batch.labels) for scores in output.extra["classifiers"]]
            terms["classifiers"] = settings.classifiers * torch.stack(own).sum()
        if self.projection is not None:
            labels = batch.labels[batch.turn_mask]
            labelled = labels != NO_LABEL
            loss = supervised_contrastive_loss(
                self.projection(output.extra["joint"][labelled]),
                labels[labelled],
                temperature=settings.temperature,
                hard_ratio=None,
            )
            terms["contrastive"] = settings.contrastive * loss
        return terms
