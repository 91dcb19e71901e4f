"""MPCL (our reading): a memory that all modalities ask, prototypes of emotions, their mixtures."""

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from pipeline.nn.batch import NO_LABEL, DialogueBatch, available_or_all
from pipeline.nn.distillation import distillation
from pipeline.nn.entropy import Entropy
from pipeline.nn.inputs import Inputs
from pipeline.nn.precision import full_precision, precise
from pipeline.systems.base import Output, Settings, Shape, Source, System

TEACHER = "text"


class MpclSettings(Settings):
    """Sizes of the network and weights of its losses; the defaults are ours."""

    width: int = Field(ge=1, le=4096, description="Features of every vector but the logits.")
    memories: int = Field(ge=1, le=8, description="Each has twice as many vectors as the last.")
    slots: int = Field(ge=1, le=1024, description="Vectors of the first memory.")
    retrievals: int = Field(ge=0, le=24, description="How often a mixture is mixed anew.")
    temperature: float = Field(gt=0, description="Of similarities to prototypes.")
    prototypes: float = Field(
        ge=0, description="Weight of the cross-entropy of each modality by its prototypes."
    )
    relation: float = Field(
        ge=0, description="Weight by which the other modalities learn text's similarities."
    )
    dropout: float = Field(ge=0, lt=1, description="Of utterances, and before the last layers.")

    @model_validator(mode="after")
    def _agree(self) -> "MpclSettings":
        if self.relation and not self.prototypes:
            raise ValueError(
                f"relation {self.relation} compares prototypes, which learn only by `prototypes`: "
                "set a weight above 0 there, or relation to 0"
            )
        return self


class Memory(nn.Module):
    """Add to a vector what memories of several sizes recall: `f = u + W [r_0; r_1; ...]`.

    `r_i = softmax(M_i u / sqrt(width)) M_i`, the same memories M for all modalities.
    """

    def __init__(self, width: int, memories: int, slots: int) -> None:
        super().__init__()
        self.memories = nn.ParameterList(
            torch.randn(slots * 2**number, width) * 0.02 for number in range(memories)
        )
        self.mix = nn.Linear(memories * width, width)

    def forward(self, vectors: Tensor) -> Tensor:
        """Map u, [..., width], to f."""
        recalled = [recall(vectors, memory) for memory in self.memories]
        joined: Tensor = self.mix(torch.cat(recalled, dim=-1))
        return vectors + joined


class Mpcl(System):
    """Prototypes of each emotion, and which of them a turn mixes.

    With u_m of modality m and f_m of `Memory`, P_m and P a prototype for each class, and f the
    mean of the f_m that the turn has: `p_m = softmax(cos(f_m, P_m) / tau)`,
    `q = softmax(cos(f, P) / tau) P`, then twice `q <- softmax(P q / sqrt(width)) P`, and
    `logits = V ReLU(MLP [f_text; f_audio; f_visual; q])`. `L = CE + a sum_m CE(p_m) +
    b sum_m KL(p_text || p_m)`, of turns that have the modalities. Without text, or with text alone,
    none learns from another.
    """

    Settings = MpclSettings
    READS_DIALOGUE = False
    SOURCE = Source(
        fidelity="our reading",
        citation="after Li et al., memory-guided prototypical co-occurrence learning, "
        "arXiv 2602.20530",
        adapted="the abstract was read, and no code is public; the paper reads physiological "
        "signals and behaviour, and predicts distributions: this is a minimum for one label of "
        "memories of several sizes, prototypes of each modality, their distillation and retrieval, "
        "whose equations and sizes are ours, the head's ReLU too; hierarchical compression, which "
        "it names, is left out",
    )

    def __init__(self, settings: MpclSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        width, classes, dropout = settings.width, shape.classes, settings.dropout
        modalities = tuple(shape.features)
        self.inputs = Inputs(shape.features, width, settings.limit)
        self.dropout = nn.Dropout(dropout)
        self.memory = Memory(width, settings.memories, settings.slots)
        self.prototypes = nn.ParameterDict(
            {m: torch.randn(classes, width) for m in modalities if settings.prototypes}
        )
        self.mixed = nn.Parameter(torch.randn(classes, width))
        self.head = nn.Sequential(
            nn.Linear((len(modalities) + 1) * width, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, classes),
        )

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn; `extra` has the similarities to prototypes, cos / tau, by modality.

        They are [batch, turn, class]; there are none where `prototypes` is 0.
        """
        vectors = self.memory(self.dropout(self.inputs(batch)))  # [modality, batch, turn, width]
        tau, modalities = self.settings.temperature, self.inputs.modalities
        mixture = self.mixture(mean(vectors, batch.all_available(modalities)))
        similar = {
            m: similarity(v, self.prototypes[m]) / tau
            for m, v in zip(modalities, vectors, strict=True)
            if m in self.prototypes
        }
        return Output(self.head(torch.cat((*vectors, mixture), dim=-1)), similar)

    def losses(self, output: Output, batch: DialogueBatch, entropy: Entropy) -> dict[str, Tensor]:
        """Cross-entropy, that of the prototypes, and what others learn from text's."""
        terms, similar = super().losses(output, batch, entropy), output.extra
        if weight := self.settings.prototypes:
            own = [
                entropy(scores, batch.labels.masked_fill(~batch.available(m), NO_LABEL))
                for m, scores in similar.items()
            ]
            terms["prototypes"] = weight * torch.stack(own).sum()
        pupils = [m for m in similar if TEACHER in similar and m != TEACHER]
        if pupils and (weight := self.settings.relation):
            learnt = [self._relation(similar[m], similar[TEACHER], m, batch) for m in pupils]
            terms["relation"] = weight * torch.stack(learnt).sum()
        return terms

    def mixture(self, vectors: Tensor) -> Tensor:
        """Mix the prototypes P that resemble f and each other: [..., width] to the same."""
        with full_precision(vectors):
            scores = similarity(vectors, self.mixed) / self.settings.temperature
            mixed: Tensor = scores.softmax(dim=-1) @ precise(self.mixed)
        for _ in range(self.settings.retrievals):
            mixed = recall(mixed, self.mixed)
        return mixed

    def _relation(
        self, pupil: Tensor, teacher: Tensor, modality: str, batch: DialogueBatch
    ) -> Tensor:
        both = batch.available(modality) & batch.available(TEACHER)
        return distillation(pupil[both], teacher[both], temperature=1.0)


def recall(vectors: Tensor, memory: Tensor) -> Tensor:
    """Mix a memory, [slot, width], by scaled products with vectors, [..., width]."""
    with full_precision(vectors):
        vectors, memory = precise(vectors), precise(memory)
        scores = vectors @ memory.T / memory.shape[1] ** 0.5
        mixed: Tensor = scores.softmax(dim=-1) @ memory
        return mixed


def similarity(vectors: Tensor, prototypes: Tensor) -> Tensor:
    """Cosines of vectors, [..., width], with prototypes, [class, width]: [..., class]."""
    with full_precision(vectors):
        vectors = functional.normalize(precise(vectors), dim=-1)
        return functional.linear(vectors, functional.normalize(precise(prototypes), dim=-1))


def mean(vectors: Tensor, available: Tensor) -> Tensor:
    """The mean of the available modalities, of all where none is: [batch, turn, width].

    Args:
        vectors: Finite also where a modality is missing, [modality, batch, turn, width].
        available: [modality, batch, turn].
    """
    counted = available_or_all(available).unsqueeze(-1)
    return vectors.masked_fill(~counted, 0).sum(dim=0) / counted.sum(dim=0)
