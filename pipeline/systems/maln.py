"""MALN, in our reading: speakers' characteristics, and what modalities have in common or apart."""

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from pipeline.nn.adversarial import RampedReversal, recognised, recognition_loss, spread
from pipeline.nn.attention import masked_softmax
from pipeline.nn.batch import Dialogue, DialogueBatch, Packing
from pipeline.nn.context import GRUContext
from pipeline.nn.entropy import Entropy
from pipeline.nn.inputs import Inputs
from pipeline.nn.orthogonality import orthogonality
from pipeline.nn.packed import BySpeaker
from pipeline.nn.precision import full_precision, precise
from pipeline.nn.subnetworks import mlp
from pipeline.systems.base import Output, Settings, Shape, Source, System


class MalnSettings(Settings):
    """Sizes of the network and weights of its losses; none could be read."""

    width: int = Field(
        ge=2, le=4096, multiple_of=2, description="Features per modality and utterance (256)."
    )
    commonality: float = Field(
        ge=0, description="Weight of telling modalities apart by common vectors, which unlearn it."
    )
    diversity: float = Field(ge=0, description="Weight of telling them apart by their own vectors.")
    orthogonality: float = Field(
        ge=0, description="Weight of the orthogonality of common and own vectors."
    )
    dropout: float = Field(ge=0, lt=1, description="Of the inputs, of h, before the last layer.")


class SpeakerContext(nn.Module):
    """A bidirectional GRU per modality over the turns of each speaker alone."""

    def __init__(self, modalities: int, width: int) -> None:
        super().__init__()
        self.gru = GRUContext(modalities, width)

    def forward(self, utterances: Tensor, turn_mask: Tensor, speakers: Tensor) -> Tensor:
        """Read what a turn's speaker says in the dialogue.

        Args:
            utterances: [modality, batch, turn, width].
            turn_mask: True where a turn is real, [batch, turn].
            speakers: Index of the speaker within the dialogue, [batch, turn].

        Returns:
            The state of the turn and the mean of its speaker's, [modality, batch, turn, 2 * width].
        """
        by_speaker = BySpeaker(speakers, turn_mask)
        rows = torch.stack([by_speaker.gather(modality) for modality in utterances])
        states = self.gru(rows, by_speaker.mask, speakers)
        turns = by_speaker.mask.sum(dim=1)[:, None, None]
        mean = states.sum(dim=2, keepdim=True) / turns
        both = torch.cat((states, mean.expand_as(states)), dim=-1)
        return torch.stack([by_speaker.scatter(modality) for modality in both])


class Maln(System):
    """Per modality m of turn i of speaker s, from its inputs u.

    `g = BiGRU(u)` over the dialogue, `p = BiGRU(u)` over the turns of s, q their mean, `h =
    ReLU(W [g; p; q])`; common `c = ReLU(C h)`, C of all modalities, and own `r = ReLU(R h)`. The
    c and r of a turn are summed by `softmax(V [c..; r..])`, without those of absent modalities, and
    classified by two layers. `L = CE + commonality CE(D(reversed c), m) + diversity CE(E(r), m)
    + orthogonality sum_m orthogonality(c, r)` over the turns that have m; the weight of the
    reversal rises to 1 with the share of the epochs that is done. One modality has neither D nor E.
    """

    Settings = MalnSettings
    SOURCE = Source(
        fidelity="our reading",
        citation="Ren et al., MALN: Multimodal Adversarial Learning Network for Conversational "
        "Emotion Recognition, IEEE TCSVT 2023",
        adapted="of the paper, the abstract alone could be read: it names characteristics of "
        "speakers that are added to the features of each modality, and an adversarial module for "
        "commonality and diversity; every layer, size and weight is ours",
    )

    def __init__(self, settings: MalnSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        width, count = settings.width, len(shape.features)

        def discriminator(weight: float) -> nn.Module | None:
            layers = (nn.Linear(width, width), nn.ReLU(), nn.Linear(width, count))
            return nn.Sequential(*layers) if weight and count > 1 else None

        self.inputs = Inputs(shape.features, width, settings.limit)
        self.dropout = nn.Dropout(settings.dropout)
        self.context = GRUContext(count, width)
        self.speaker = SpeakerContext(count, width)
        self.join = nn.ModuleList(nn.Linear(3 * width, width) for _ in range(count))
        self.common = nn.Linear(width, width)
        self.own = nn.ModuleList(nn.Linear(width, width) for _ in range(count))
        self.common_discriminator = discriminator(settings.commonality)
        self.own_discriminator = discriminator(settings.diversity)
        self.reversal = RampedReversal()
        self.gate = nn.Linear(2 * count * width, 2 * count)
        self.head = mlp(width, width, shape.classes, settings.dropout)

    def prepare(self, train: Sequence[Dialogue]) -> None:
        """Plan the ramp of the reversal."""
        self.reversal.plan(self.settings.epochs * len(train))

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn; `extra` has c and r by modality, of the turns that have it."""
        packing, modalities = Packing(batch.turn_mask), self.inputs.modalities
        states = zip(self.join, packing.pack(self._states(batch)), strict=True)
        levels = [self.dropout(functional.relu(join(state))) for join, state in states]
        common = functional.relu(self.common(torch.stack(levels)))
        own = torch.stack([layer(h) for layer, h in zip(self.own, levels, strict=True)]).relu()
        there = batch.all_available(modalities)[:, batch.turn_mask]
        vectors = torch.cat((common, own)).transpose(0, 1)
        scores = precise(self.gate(vectors.flatten(1)))
        shares = masked_softmax(scores, there.T.repeat(1, 2))
        logits = self.head((shares.unsqueeze(-1) * vectors).sum(dim=1))
        extra = {
            "common": [rows[mask] for rows, mask in zip(common, there, strict=True)],
            "own": [rows[mask] for rows, mask in zip(own, there, strict=True)],
        }
        return Output(packing.unpack(logits), extra)

    def losses(self, output: Output, batch: DialogueBatch, entropy: Entropy) -> dict[str, Tensor]:
        """Cross-entropy, commonality, diversity and orthogonality."""
        terms, settings = super().losses(output, batch, entropy), self.settings
        common, own = output.extra["common"], output.extra["own"]
        if self.common_discriminator is not None:
            hidden = [self.reversal(rows) for rows in common]
            loss = recognition_loss(self.common_discriminator, hidden)
            terms["commonality"] = settings.commonality * loss
        if self.own_discriminator is not None:
            terms["diversity"] = settings.diversity * recognition_loss(self.own_discriminator, own)
        if settings.orthogonality:
            shared = [orthogonality(c, r) for c, r in zip(common, own, strict=True)]
            terms["orthogonality"] = settings.orthogonality * torch.stack(shared).sum()
        return terms

    def after_step(self, output: Output, batch: DialogueBatch) -> None:
        """Go on with the ramp of the reversal."""
        self.reversal.count(len(batch.turn_mask))

    def figures(self, output: Output, batch: DialogueBatch) -> dict[str, Tensor]:
        """How often each discriminator is right, and how the vectors that it reads spread."""
        figures = {}
        pairs = {"common": self.common_discriminator, "own": self.own_discriminator}
        for kind, discriminator in pairs.items():
            if discriminator is not None:
                rows = output.extra[kind]
                figures[f"{kind}_discriminator_accuracy"] = recognised(discriminator, rows)
                figures |= spread(torch.cat(rows), kind)
        return figures

    def _states(self, batch: DialogueBatch) -> Tensor:
        """Compute g, p and q, [modality, batch, turn, 3 * width]."""
        utterances = self.dropout(precise(self.inputs(batch)))
        with full_precision(utterances):
            parts = [
                level(utterances, batch.turn_mask, batch.speakers)
                for level in (self.context, self.speaker)
            ]
            return torch.cat(parts, dim=-1)
