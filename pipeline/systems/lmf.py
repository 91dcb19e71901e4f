"""LMF: a linear map of TFN's outer product, in factors, so that the product is never made."""

from functools import reduce

import torch
from pydantic import Field
from torch import Tensor, nn

from pipeline.nn.batch import DialogueBatch, Packing
from pipeline.nn.inputs import Inputs
from pipeline.nn.precision import full_precision, precise
from pipeline.nn.subnetworks import Subnetworks
from pipeline.systems.base import Output, Settings, Shape, Source, System


class LmfSettings(Settings):
    """Sizes of the network; in brackets, where there is one, MMSA's value on MOSEI."""

    width: int = Field(ge=1, le=4096, description="Features per modality and utterance.")
    hidden: int = Field(
        ge=1, le=4096, description="Features between a modality's layers (128, 16 of audio)."
    )
    compressed: int = Field(ge=1, le=4096, description="Features k of a modality, in the product.")
    rank: int = Field(ge=1, le=256, description="Products that are added up (4).")
    dropout: float = Field(ge=0, lt=1, description="Of utterances (0.2).")


class LowRank(nn.Module):
    """A linear map of an outer product, `sum_r w_r prod_m [1; h_m] W_mr + b`, by class.

    Equal to the contraction of [1; h_1] (x) [1; h_2] (x) ... with `sum_r w_r W_1r (x) W_2r ...`.

    Args:
        modalities: How many vectors are multiplied.
        entries: Of each, the 1 included.
        rank: How many products are added up.
        classes: How many numbers come out.
    """

    def __init__(self, modalities: int, entries: int, rank: int, classes: int) -> None:
        super().__init__()
        self.factors = nn.Parameter(torch.empty(modalities, rank, entries, classes))
        self.weights = nn.Parameter(torch.empty(1, rank))
        self.bias = nn.Parameter(torch.zeros(classes))
        for factors in self.factors:
            nn.init.xavier_normal_(factors)
        nn.init.xavier_normal_(self.weights)

    def forward(self, vectors: Tensor) -> Tensor:
        """Map [modality, row, entry] to [row, class]."""
        with full_precision(vectors):
            products = torch.einsum("mre,mkec->mrkc", precise(vectors), self.factors)
            joint = reduce(torch.mul, products.unbind())
            return torch.einsum("k,rkc->rc", self.weights[0], joint) + self.bias


class Lmf(System):
    """Low-rank fusion: one linear map of tensor fusion's product, at the cost of its factors.

    With h_m of a network of three layers (`Subnetworks`), 0 where m is missing:
    `logits = sum_r w_r prod_m [1; h_m] W_mr + b`, of a turn alone. With one modality it is a
    linear map of its network's features.
    """

    Settings = LmfSettings
    READS_DIALOGUE = False
    SOURCE = Source(
        fidelity="code",
        citation="Liu et al., Efficient Low-rank Multimodal Fusion with Modality-Specific Factors, "
        "ACL 2018",
        commit="Justin1904/Low-rank-Multimodal-Fusion@16158dbffb6dc23b575c5c697eab951aa0b1a891",
        adapted="w and b learn, where the code's optimiser leaves them out by position; the same "
        "network for each modality and a vector per utterance, where text has an LSTM over words "
        "and one linear map; a ReLU after text too; standardised common inputs, where it has batch "
        "normalisation; all classes at once, where the code tells each emotion from the rest; "
        "sizes are ours, and the training on MOSEI is that of "
        "thuiar/MMSA@a94e65d07fa1ae0d44e552390074b29b0898edfd, as the code draws its own at "
        "random; decoupled weight decay and clipped gradients; the epoch chosen by weighted F1, "
        "where the code takes the loss",
    )

    def __init__(self, settings: LmfSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        modalities, compressed = len(shape.features), settings.compressed
        self.inputs = Inputs(shape.features, settings.width, settings.limit)
        self.subnetworks = Subnetworks(
            modalities, settings.width, settings.hidden, compressed, settings.dropout
        )
        self.fusion = LowRank(modalities, compressed + 1, settings.rank, shape.classes)

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn of every dialogue."""
        packing = Packing(batch.turn_mask)
        available = batch.all_available(self.inputs.modalities)[:, batch.turn_mask]
        vectors = self.subnetworks(packing.pack(self.inputs(batch)), available)
        return Output(packing.unpack(self.fusion(vectors)))
