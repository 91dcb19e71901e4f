"""MCIHN: adversarial autoencoders of the modalities, gates between them, attention over both."""

from itertools import combinations, permutations
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from pipeline.nn.autoencoder import AdversarialAutoencoder, AutoencoderSettings, figures_by
from pipeline.nn.batch import DialogueBatch, Packing, available_or_all
from pipeline.nn.context import make_context
from pipeline.nn.entropy import Entropy
from pipeline.nn.gates import PairGate
from pipeline.nn.inputs import Inputs
from pipeline.nn.mmd import mmd
from pipeline.nn.optimise import Player
from pipeline.nn.precision import full_precision, precise
from pipeline.nn.subnetworks import mlp
from pipeline.nn.token_attention import TokenAttention
from pipeline.systems.base import Output, Settings, Shape, Source, System


class McihnSettings(Settings, AutoencoderSettings):
    """What its authors leave open, each a decision of ours; a weight of 0 leaves the part out."""

    width: int = Field(ge=2, le=4096, description="Features of a modality and of a token.")
    unimodal_ce: float = Field(ge=0, description="Weight of a classifier of each modality's code.")
    cgmm: bool = Field(description="Gates between modalities; false: tokens of modalities alone.")
    directed: bool = Field(description="A gate for each ordered pair of modalities.")
    gate_inputs: Literal["projections", "codes"] = Field(
        description="What gates read and `mmd` compares: P with its context, or S."
    )
    mmd: float = Field(ge=0, description="Weight of the discrepancy of each pair of modalities.")
    context: Literal["dialogue_rnn", "gru", "none"] = Field(
        description="Of each modality, after projection; none: a turn alone, as published."
    )
    residual: bool = Field(description="Add P to its context; false: the context alone.")
    ffm: Literal["attention", "concat"] = Field(
        description="Attention among a turn's tokens, or all of them side by side."
    )
    pool: Literal["mean", "max"] = Field(description="Of the tokens after attention.")
    layers: int = Field(ge=1, le=24, description="Of the attention.")
    heads: int = Field(ge=1, le=64)
    feedforward: int = Field(ge=1, le=16384, description="Features inside an attention layer.")
    dropout: float = Field(ge=0, lt=1, description="In encoders, attention and the last layers.")

    @model_validator(mode="after")
    def _agree(self) -> "McihnSettings":
        if self.ffm == "attention" and self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        if self.context != "none" and self.width % 2:
            raise ValueError(f"width {self.width} is odd: `context` has half of it per direction")
        return self


class Mcihn(System):
    """Tokens of a turn are its modalities and what gates make of each pair.

    With x the standardised vector of a modality and S its code: `P = W S`, plus its context
    (`residual: false`: the context alone), for each pair m, n `I_mn = g * tanh(W_1 P_m) + (1 - g) *
    tanh(W_2 P_n)`, where `g = sigmoid(W_g [P_m; P_n])` (`gate_inputs: codes`: of S_m and S_n, as is
    MMD). To each of P and I a learned vector of its kind is added; a transformer layer, the mean
    (or maximum) over tokens and an MLP follow. Loss, weights left out: `CE + mean_m mean (x -
    Dec S)^2 + sum_m BCE(D'(S), 1) + sum_mn MMD^2(P_m, P_n) + mean_m CE_m`, and of discriminators,
    whose weight is 1, `sum_m BCE(D(e), 1) + BCE(D(sg S), 0)`, e drawn from the prior; D' is D,
    frozen, sg stops gradients. A modality that a turn lacks has no such terms and no token; a turn
    that lacks all has tokens of learned vectors. A single modality has nothing to gate or compare.
    """

    Settings = McihnSettings
    SOURCE = Source(
        fidelity="abstract",
        citation="Zhang et al., A Hybrid Network Model Based on Multi-path Cross-modal "
        "Interaction, arXiv 2510.24827, 2025",
        adapted="no code is public; the abstract and summaries by third parties name the parts, "
        "the squared error, the Gaussian prior, MMD, gates and attention; every equation of gates "
        "and fusion is a decision of ours; sizes, weights and switches are settings; classes of "
        "emotions: the authors' regression of sentiment is not built; one stored vector per "
        "utterance, where they have sequences; what is reconstructed is the standardised input, "
        "which nothing learnt touches",
    )

    def __init__(self, settings: McihnSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        width, count, dropout = settings.width, len(shape.features), settings.dropout
        self.inputs = Inputs(shape.features, width, settings.limit)  # the encoders' first maps
        self.coders = [
            AdversarialAutoencoder(settings, size, width, dropout)
            for size in shape.features.values()
        ]
        self.autoencoders = nn.ModuleList(self.coders)
        self.project = nn.ModuleList(nn.Linear(settings.code, width) for _ in range(count))
        self.context = make_context(settings.context, count, width)
        self.pairs = list(combinations(range(count), 2))
        directed = list(permutations(range(count), 2)) if settings.directed else self.pairs
        self.gated = directed if settings.cgmm else []
        read = width if settings.gate_inputs == "projections" else settings.code
        self.gates = nn.ModuleList(PairGate(read, read, width) for _ in self.gated)
        tokens = count + len(self.gated)
        self.attention = (
            TokenAttention(
                tokens,
                width,
                heads=settings.heads,
                feedforward=settings.feedforward,
                layers=settings.layers,
                dropout=dropout,
                pool=settings.pool,
            )
            if settings.ffm == "attention"
            else None
        )
        joined = tokens * width if self.attention is None else width
        self.head = mlp(joined, width, shape.classes, dropout)
        parts = count if settings.unimodal_ce else 0
        self.classifiers = nn.ModuleList(
            nn.Linear(settings.code, shape.classes) for _ in range(parts)
        )
        self.ROUNDS = settings.rounds(self._discriminators())

    def _discriminators(self) -> list[nn.Module]:
        judges = [coder.discriminator for coder in self.coders]
        return [judge for judge in judges if judge is not None]

    def players(self) -> dict[str, Player]:
        """The discriminators and the rest."""
        players: dict[str, Player] = self.settings.players(self, self._discriminators())
        return players

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn of every dialogue.

        `extra` has, of real turns: `available` [modality, row]; `codes`, of each modality where it
        is, [utterance, code]; `gate_inputs` [modality, row, feature].
        """
        packing = Packing(batch.turn_mask)
        available = batch.all_available(self.inputs.modalities)[:, batch.turn_mask]
        rows = packing.pack(self.inputs(batch))
        codes = torch.stack([encode(x) for encode, x in zip(self.coders, rows, strict=True)])
        vectors = torch.stack([w(s) for w, s in zip(self.project, codes, strict=True)])
        missing = self.inputs.missing.squeeze(1)
        vectors = torch.where(available.unsqueeze(-1), vectors, missing)
        vectors = self._contextualise(vectors, batch, packing)
        gated = vectors if self.settings.gate_inputs == "projections" else codes
        logits = packing.unpack(self.head(self._fuse(vectors, gated, available)))
        present = [s[there] for s, there in zip(codes, available, strict=True)]
        return Output(logits, {"available": available, "codes": present, "gate_inputs": gated})

    def _contextualise(self, vectors: Tensor, batch: DialogueBatch, packing: Packing) -> Tensor:
        if self.context is None:
            return vectors
        with full_precision(vectors):
            padded = torch.stack([packing.unpack(rows) for rows in precise(vectors)])
            context = packing.pack(self.context(padded, batch.turn_mask, batch.speakers))
        return vectors + context if self.settings.residual else context

    def _fuse(self, vectors: Tensor, gated: Tensor, available: Tensor) -> Tensor:
        """Join the tokens of a turn, from P to [row, feature]."""
        gates = zip(self.gates, self.gated, strict=True)
        tokens = torch.stack([*vectors, *(g(gated[m], gated[n]) for g, (m, n) in gates)], dim=1)
        own = available_or_all(available)
        usable = torch.stack([*own, *(available[m] & available[n] for m, n in self.gated)], dim=1)
        if self.attention is None:
            return tokens.masked_fill(~usable.unsqueeze(-1), 0).flatten(1)
        joined: Tensor = self.attention(tokens, usable)
        return joined

    def losses(self, output: Output, batch: DialogueBatch, entropy: Entropy) -> dict[str, Tensor]:
        """Cross-entropy and what the settings give a weight."""
        terms, settings = super().losses(output, batch, entropy), self.settings
        available, codes, gated = (output.extra[k] for k in ("available", "codes", "gate_inputs"))
        coded = list(zip(self.coders, codes, strict=True))
        present = max(1, sum(len(s) > 0 for s in codes))
        if settings.reconstruction:
            targets = self.inputs.vectors(batch)
            errors = [coder.error(s, x) for (coder, s), x in zip(coded, targets, strict=True)]
            terms["reconstruction"] = settings.reconstruction * torch.stack(errors).sum() / present
        if settings.adversarial:
            games = zip(*(coder.game(s) for coder, s in coded), strict=True)
            discrimination, generation = (torch.stack(losses).sum() for losses in games)
            terms["discriminator"] = discrimination
            terms["adversarial"] = settings.adversarial * generation
        if settings.mmd and self.pairs:
            both = {(m, n): available[m] & available[n] for m, n in self.pairs}
            each = [mmd(gated[m][b], gated[n][b]) for (m, n), b in both.items()]
            terms["mmd"] = settings.mmd * torch.stack(each).sum()
        if settings.unimodal_ce:
            labels = batch.labels[batch.turn_mask]
            parts = zip(self.classifiers, codes, available, strict=True)
            each = [entropy(classify(s), labels[there]) for classify, s, there in parts]
            terms["unimodal_ce"] = settings.unimodal_ce * torch.stack(each).sum() / present
        return terms

    def figures(self, output: Output, batch: DialogueBatch) -> dict[str, Tensor]:
        """What becomes of the codes and of the game, by modality."""
        return figures_by(self.inputs.modalities, self.coders, output.extra["codes"])
