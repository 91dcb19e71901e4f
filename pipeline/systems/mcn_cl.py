"""MCN-CL (paper, section 2): inputs, context, cross-attention, contrastive heads, classifier."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pipeline.nn.batch import MODALITIES, DialogueBatch, Packing
from pipeline.nn.context import make_context
from pipeline.nn.contrastive import ProjectionHead
from pipeline.nn.inputs import Encoder, FrameEncoder
from pipeline.nn.psa import PSA
from pipeline.systems.mcn import MCN


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


@dataclass(frozen=True)
class Output:
    """The model's outputs for each turn; zeros in padded turns."""

    logits: Tensor
    """[batch, turn, class]."""

    projections: dict[str, Tensor]
    """Per modality, vectors of length 1 for the contrastive loss, [batch, turn, projection]."""


class MCNCL(nn.Module):
    """The paper's model; its ablations are switches.

    A prediction depends on its own dialogue alone, not on its batch or padding.

    Args:
        dimensions: Feature size of each modality in use, any of `MODALITIES`, in any order.
        classes: How many classes.
        width: Size of every vector inside the model.
        heads: Attention heads, H.
        layers: Cross-attention layers, T.
        psa: Pool frames by pyramid squeeze attention; False for their masked mean ("w/o PSA").
        psa_activation: `relu` or `none`, see `psa.py`.
        psa_groups: Scales of the convolution, S.
        mcn: Apply cross-attention; False passes context features straight to the classifier, as
            a single modality always does.
        contrastive: Add projection heads.
        projection: Size of the projected vectors.
        context: `dialogue_rnn`, `gru` or `none`.
        residual: C = u + context(u), so that an utterance's own features bypass the recurrence.
            Without context C is u either way.
        dropout: Dropout before the context and in attention, feed-forward networks and classifier.
        limit: Clamp of the standardised features, in standard deviations.
    """

    def __init__(
        self,
        *,
        dimensions: dict[str, int],
        classes: int,
        width: int = 256,
        heads: int = 4,
        layers: int = 2,
        psa: bool = True,
        psa_activation: str = "relu",
        psa_groups: int = 4,
        mcn: bool = True,
        contrastive: bool = True,
        projection: int = 128,
        context: str = "dialogue_rnn",
        residual: bool = False,
        dropout: float = 0.1,
        limit: float = 10.0,
    ) -> None:
        super().__init__()
        self.modalities = _in_canonical_order(dimensions)
        count = len(self.modalities)
        self.encoders = nn.ModuleDict()
        for modality in self.modalities:
            if modality == "visual":
                pyramid = PSA(width, psa_groups, psa_activation) if psa else None
                encoder: Encoder = FrameEncoder(dimensions[modality], width, limit, pyramid)
            else:
                encoder = Encoder(dimensions[modality], width, limit)
            self.encoders[modality] = encoder
        self.missing = nn.Parameter(torch.randn(count, 1, 1, width) / width**0.5)
        self.dropout = nn.Dropout(dropout)
        self.context = make_context(context, count, width)
        self.residual = residual
        self.mcn = MCN(count, width, heads, layers, dropout) if mcn and count > 1 else None
        self.heads = nn.ModuleDict(
            {m: ProjectionHead(width, projection) for m in self.modalities if contrastive}
        )
        self.classifier = Classifier(count, width, classes, dropout)

    def standardise(self, modality: str, mean: Tensor, std: Tensor) -> None:
        """Set the train split's mean and std of a modality's features, both [feature]."""
        encoder = self.encoders[modality]
        assert isinstance(encoder, Encoder)
        encoder.standardise.fit(mean, std)

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn of every dialogue."""
        available = torch.stack([batch.available(m) for m in self.modalities])
        context = self._contextualise(self._encode(batch, available), batch)
        packing = Packing(batch.turn_mask)
        features = packing.pack(context)
        if self.mcn is not None:
            features = self.mcn(features, available, packing)
        projections = {
            m: packing.unpack(self.heads[m](rows))
            for m, rows in self._named(features)
            if m in self.heads
        }
        return Output(packing.unpack(self.classifier(features)), projections)

    def _encode(self, batch: DialogueBatch, available: Tensor) -> Tensor:
        """Encode utterances, a learned vector where missing: [modality, batch, turn, width]."""
        encoded = [
            self.encoders[m](batch.features[m], mask, batch.frame_mask)
            for m, mask in self._named(available)
        ]
        return torch.where(available.unsqueeze(-1), torch.stack(encoded), self.missing)

    def _contextualise(self, utterances: Tensor, batch: DialogueBatch) -> Tensor:
        """Compute C of the paper, [modality, batch, turn, width]."""
        utterances = self.dropout(utterances)
        if self.context is None:
            return utterances
        # In full precision even under autocast: rounding errors add up over a hundred turns.
        with torch.autocast(utterances.device.type, enabled=False):
            context: Tensor = self.context(utterances, batch.turn_mask, batch.speakers)
        return utterances + context if self.residual else context

    def _named(self, stack: Tensor) -> list[tuple[str, Tensor]]:
        """Pair each modality with its slice of a [modality, ...] tensor."""
        return list(zip(self.modalities, stack.unbind(), strict=True))


def _in_canonical_order(dimensions: dict[str, int]) -> tuple[str, ...]:
    if not dimensions or not dimensions.keys() <= set(MODALITIES):
        raise ValueError(f"Bad modalities {list(dimensions)}, expected some of {MODALITIES}")
    return tuple(m for m in MODALITIES if m in dimensions)
