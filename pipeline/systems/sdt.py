"""SDT: transformers within and between modalities, gates on two levels, self-distillation."""

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from pipeline.nn.attention import MultiHeadAttention
from pipeline.nn.batch import DialogueBatch, available_or_all
from pipeline.nn.distillation import distillation
from pipeline.nn.entropy import Entropy
from pipeline.nn.gates import ModalityGate
from pipeline.nn.inputs import Inputs
from pipeline.nn.positions import sinusoids
from pipeline.nn.speakers import SpeakerEmbedding
from pipeline.systems.base import Output, Settings, Shape, Source, System


class SdtSettings(Settings):
    """Sizes of the network and weights of its loss; defaults are the public code's."""

    width: int = Field(ge=1, le=4096, description="Features per modality and utterance (1024).")
    heads: int = Field(ge=1, le=64, description="Attention heads (8).")
    gate: Literal["learned", "identity"] = Field(
        description="Of what one modality reads of another, sigmoid(W x) * x: W learned, or the "
        "identity matrix (SiLU)."
    )
    dropout: float = Field(
        ge=0, lt=1, description="Of what is read, of attention weights, behind parts of a layer."
    )
    unimodal: float = Field(ge=0, description="Weight of each modality's own cross-entropy.")
    distillation: float = Field(
        ge=0, description="Weight of what each modality's own classifier learns from the fused one."
    )
    temperature: float = Field(gt=0, description="Tau of the distillation.")

    @model_validator(mode="after")
    def _agree(self) -> "SdtSettings":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class UnimodalGate(nn.Module):
    """`sigmoid(W x) * x`, feature by feature; with the identity for W it is SiLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, width, bias=False)

    def forward(self, vectors: Tensor) -> Tensor:
        """Map [..., width] to the same shape."""
        return torch.sigmoid(self.gate(vectors)) * vectors


class Reader(nn.Module):
    """A transformer layer in which one modality reads another, or itself.

    With d dropout, drawn anew in each: `e_q <- d(e_q)`, `e_k <- d(e_k)`,
    `o = e_q + d(MHA(e_q, e_k, e_k))`, `out = o + W_2 GELU(W_1 LN(o))`, then a gate.
    """

    def __init__(self, settings: SdtSettings) -> None:
        super().__init__()
        width, dropout = settings.width, settings.dropout
        self.attention = MultiHeadAttention(width, settings.heads, dropout)
        self.dropout = nn.Dropout(dropout)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width, eps=1e-6),
            nn.Linear(width, width),
            nn.GELU(approximate="tanh"),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.Dropout(dropout),
        )
        self.gate = UnimodalGate(width) if settings.gate == "learned" else nn.SiLU()

    def forward(self, reader: Tensor, read: Tensor, usable: Tensor) -> Tensor:
        """Map e_q and e_k, [batch, turn, width], to the same shape.

        Args:
            reader: e_q.
            read: e_k.
            usable: True where e_k may be attended to, [batch, turn].
        """
        itself = read is reader
        reader = self.dropout(reader)
        read = reader if itself else self.dropout(read)
        mixed = reader + self.dropout(self.attention(reader, read, usable))
        gated: Tensor = self.gate(mixed + self.feed_forward(mixed))
        return gated


class Stream(nn.Module):
    """What one modality makes of all: `F_q = W [gated readings of each modality]`."""

    def __init__(self, modalities: tuple[str, ...], settings: SdtSettings) -> None:
        super().__init__()
        self.readers = nn.ModuleDict({m: Reader(settings) for m in modalities})
        self.reduce = nn.Linear(len(modalities) * settings.width, settings.width)

    def forward(self, reader: Tensor, keys: Mapping[str, tuple[Tensor, Tensor]]) -> Tensor:
        """Compute F_q, [batch, turn, width], from vectors and masks as of `Reader`."""
        readings = [read(reader, *keys[m]) for m, read in self.readers.items()]
        reduced: Tensor = self.reduce(torch.cat(readings, dim=-1))
        return reduced


class Sdt(System):
    """Every modality reads every one, gates weigh what is read, the whole teaches its parts.

    `e_m = u_m + position + Embedding(speaker)`, F_m from a `Stream` over all e,
    `F = sum_m softmax_m(W F_m) * F_m` over the modalities of the turn, over all where it has none;
    `logits = V F`, `logits_m = V_m dropout(ReLU(F_m))`.
    `L = CE(logits) + sum_m CE(logits_m) + sum_m KL(softmax(logits / tau) || softmax(logits_m /
    tau))`, whose teacher has no gradient; those of a modality too are over all (labelled) turns,
    whether they have it or not. A single modality reads itself, and its second classifier still
    learns from the first.
    """

    Settings = SdtSettings
    SOURCE = Source(
        fidelity="code",
        citation="Ma et al., A Transformer-Based Model With Self-Distillation for Multimodal "
        "Emotion Recognition in Conversations, IEEE Transactions on Multimedia 26, 2024",
        commit="butterfliesss/SDT@bb07b242b472262fb014ec3e4eef3a99fe5a1a80",
        adapted="the teacher of the distillation has no gradient, where the code lets its students "
        "pull it; keys are masked by availability, and so is the gate between modalities; common "
        "inputs, with biases; speakers numbered by first appearance; decoupled weight decay and "
        "clipped gradients; the epoch chosen on validation, which the code leaves empty: it takes "
        "the best on test",
    )
    NUMBERS_SPEAKERS = True

    def __init__(self, settings: SdtSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        width, modalities = settings.width, tuple(shape.features)
        self.inputs = Inputs(shape.features, width, settings.limit)
        self.speakers = SpeakerEmbedding(width)
        self.streams = nn.ModuleDict({m: Stream(modalities, settings) for m in modalities})
        self.gate = ModalityGate(width)
        self.head = nn.Linear(width, shape.classes)
        alone = modalities if settings.unimodal or settings.distillation else ()
        self.heads = nn.ModuleDict(
            {
                m: nn.Sequential(
                    nn.ReLU(), nn.Dropout(settings.dropout), nn.Linear(width, shape.classes)
                )
                for m in alone
            }
        )

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn; `extra` has the logits of each modality's own classifier."""
        utterances = self.inputs(batch)
        places = sinusoids(utterances.shape[2], utterances.shape[3], utterances.device)
        vectors = utterances + places.to(utterances) + self.speakers(batch.speakers)
        available = batch.all_available(self.inputs.modalities)
        pairs = zip(vectors.unbind(), available.unbind(), strict=True)
        keys = dict(zip(self.inputs.modalities, pairs, strict=True))
        streams = {m: stream(keys[m][0], keys) for m, stream in self.streams.items()}
        weighed = available_or_all(available)
        fused = self.gate(torch.stack(tuple(streams.values())), weighed)
        alone = {m: head(streams[m]) for m, head in self.heads.items()}
        return Output(self.head(fused), alone)

    def losses(self, output: Output, batch: DialogueBatch, entropy: Entropy) -> dict[str, Tensor]:
        """Cross-entropy, that of the modalities' own classifiers, and what these are taught."""
        terms = super().losses(output, batch, entropy)
        settings, real = self.settings, batch.turn_mask
        if settings.unimodal:
            own = [entropy(logits, batch.labels) for logits in output.extra.values()]
            terms["unimodal"] = settings.unimodal * torch.stack(own).sum()
        if settings.distillation:
            taught = [
                distillation(logits[real], output.logits[real], settings.temperature)
                for logits in output.extra.values()
            ]
            terms["distillation"] = settings.distillation * torch.stack(taught).sum()
        return terms
