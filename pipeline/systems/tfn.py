"""TFN: the outer product of the modalities' vectors, every entry of it a feature."""

import torch
from pydantic import Field
from torch import Tensor, nn

from pipeline.nn.batch import DialogueBatch, Packing
from pipeline.nn.inputs import Inputs
from pipeline.nn.precision import full_precision, precise
from pipeline.nn.subnetworks import Subnetworks
from pipeline.systems.base import Output, Settings, Shape, Source, System


class TfnSettings(Settings):
    """Sizes of the network; in brackets, where there is one, the public code's value on MOSI."""

    width: int = Field(ge=1, le=4096, description="Features per modality and utterance.")
    hidden: int = Field(
        ge=1,
        le=4096,
        description="Features between layers, before the product (128, 32 of audio) and behind it "
        "(64).",
    )
    compressed: int = Field(
        ge=1,
        le=64,
        description="Features k of a modality in the product, of (k + 1)^3 (32, 128 of visual).",
    )
    input_dropout: float = Field(ge=0, lt=1, description="Of utterances (0.3).")
    dropout: float = Field(ge=0, lt=1, description="Of the product (0.5).")


class Tfn(System):
    """Tensor fusion: products of one, two and three features of different modalities.

    With h_m of a network of three layers (`Subnetworks`), 0 where m is missing:
    `z = [1; h_text] (x) [1; h_audio] (x) [1; h_visual]`,
    `logits = W ReLU(V ReLU(U dropout(z)))`, of a turn alone. With two modalities the product is of
    two, with one there is none: what remains are the networks.
    """

    Settings = TfnSettings
    READS_DIALOGUE = False
    SOURCE = Source(
        fidelity="code",
        citation="Zadeh et al., Tensor Fusion Network for Multimodal Sentiment Analysis, "
        "EMNLP 2017",
        commit="thuiar/MMSA@a94e65d07fa1ae0d44e552390074b29b0898edfd",
        adapted="the code is another group's; the same network for each modality and a vector per "
        "utterance, where text has an LSTM over words and one linear map; a ReLU after text too; "
        "standardised common inputs, where it has batch normalisation; sizes are ours; classes, "
        "where it squashes a number into (-3, 3); decoupled weight decay and clipped gradients; "
        "the epoch chosen by weighted F1, where it takes the loss",
    )

    def __init__(self, settings: TfnSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        modalities, hidden = len(shape.features), settings.hidden
        self.inputs = Inputs(shape.features, settings.width, settings.limit)
        self.subnetworks = Subnetworks(
            modalities, settings.width, hidden, settings.compressed, settings.input_dropout
        )
        self.head = nn.Sequential(
            nn.Dropout(settings.dropout),
            nn.Linear((settings.compressed + 1) ** modalities, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, shape.classes),
        )

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn of every dialogue."""
        packing = Packing(batch.turn_mask)
        available = batch.all_available(self.inputs.modalities)[:, batch.turn_mask]
        vectors = self.subnetworks(packing.pack(self.inputs(batch)), available)
        return Output(packing.unpack(self.head(outer(vectors))))


def outer(vectors: Tensor) -> Tensor:
    """All products of an entry of each modality, the last modality's entries fastest.

    Args:
        vectors: [modality, row, entry].

    Returns:
        [row, entry^modality].
    """
    with full_precision(vectors):
        first, *others = precise(vectors).unbind()
        for other in others:
            first = torch.einsum("ri,rj->rij", first, other).flatten(1)
        return first
