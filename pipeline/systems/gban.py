"""GBAN over turns: modalities aligned to each other's turns, fused by two groups of gates."""

import torch
from pydantic import Field
from torch import Tensor, nn

from pipeline.nn.attention import masked_softmax
from pipeline.nn.batch import DialogueBatch
from pipeline.nn.gates import ModalityGate
from pipeline.nn.inputs import Inputs
from pipeline.nn.packed import PackedRNN
from pipeline.nn.precision import full_precision, precise
from pipeline.nn.subnetworks import mlp
from pipeline.systems.base import Output, Settings, Shape, Source, System


class GbanSettings(Settings):
    """Sizes of the network; defaults in params.yaml are the public code's."""

    width: int = Field(ge=1, le=4096, description="Features per modality and utterance.")
    hidden: int = Field(ge=1, le=4096, description="Features of a state, per direction (128).")
    fused: int = Field(ge=1, le=4096, description="Features of a group's sum, and behind it (128).")
    dropout: float = Field(ge=0, lt=1, description="Before the last layer.")


def align(queries: Tensor, keys: Tensor, usable: Tensor) -> Tensor:
    """Align a sequence to the places of another: `A_j = sum_i softmax_i(tanh(q_j . k_i)) k_i`.

    Args:
        queries: q, [batch, place, width].
        keys: k, [batch, turn, width].
        usable: True where a turn counts, [batch, turn].

    Returns:
        [batch, place, width], zeros where no turn counts.
    """
    with full_precision(queries):
        queries, keys = precise(queries), precise(keys)
        scores = torch.tanh(queries @ keys.transpose(1, 2))
        return masked_softmax(scores, usable.unsqueeze(1)) @ keys


class GatedGroup(nn.Module):
    """Fuse a vector x_m per modality: gates weigh `p_m = tanh(W_m x_m)` feature by feature.

    Two modalities: `z p_1 + (1 - z) p_2`, `z = sigmoid(W_z [x_1; x_2])`. Three: `ModalityGate`. An
    absent modality has no share of either; where all are, the result is 0. One: p itself.
    """

    def __init__(self, modalities: int, width: int, fused: int) -> None:
        super().__init__()
        self.maps = nn.ModuleList(nn.Linear(width, fused, bias=False) for _ in range(modalities))
        self.gate: nn.Module | None = None
        if modalities == 2:
            self.gate = nn.Linear(2 * width, fused, bias=False)
        elif modalities > 2:
            self.gate = ModalityGate(fused)

    def forward(self, vectors: Tensor, available: Tensor) -> Tensor:
        """Map [modality, batch, turn, width] to [batch, turn, fused].

        Args:
            vectors: x, finite everywhere.
            available: Read if there are several, [modality, batch, turn].
        """
        mapped = [torch.tanh(m(x)) for m, x in zip(self.maps, vectors.unbind(), strict=True)]
        if self.gate is None:
            return mapped[0]
        if isinstance(self.gate, ModalityGate):
            fused: Tensor = self.gate(torch.stack(mapped), available)
            return fused
        first, second = available.unsqueeze(-1)
        share = torch.sigmoid(self.gate(torch.cat(vectors.unbind(), dim=-1)))
        share = share.masked_fill(~second, 1).masked_fill(~first, 0)
        return torch.lerp(mapped[1], mapped[0], share).masked_fill(~(first | second), 0)


class Gban(System):
    """Two groups of vectors per turn: what modalities are aligned to, and their own states.

    With `h_m = BiGRU(u_m)` over the turns of a dialogue: `a_m` the mean over the other modalities n
    of `align(h_n, h_m)`, whose keys are the turns that have m;
    `logits = V dropout(ReLU(U (group of a + group of h)))`. A single modality has nothing to be
    aligned to: what is left is the group of its states.
    """

    Settings = GbanSettings
    SOURCE = Source(
        fidelity="code",
        citation="Liu et al., Group Gated Fusion on Attention-based Bidirectional Alignment for "
        "Multimodal Emotion Recognition, Interspeech 2020",
        commit="ppfliu/emotion-recognition@45addf96609145a5f36e6dacda8499bf03cc57ab",
        adapted="aligned over the turns of a dialogue and for each of them, where the paper aligns "
        "the frames of an utterance to its words and takes the mean; the tanh of a product as in "
        "the paper, where the code has additive attention; GRUs on the common inputs, where it has "
        "convolutions and LSTMs; packed, so that no direction starts in the padding, and both "
        "directions' states of the turn, where the code's backward one has read a single step; a "
        "third modality by a softmax over the gates; no penalty on weights, which the code sets "
        "too late to count; second beta 0.999 (0.9); dialogues, about the code's 32 utterances, a "
        "step; the epoch chosen by weighted F1 (accuracy)",
    )

    def __init__(self, settings: GbanSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        modalities, fused = tuple(shape.features), settings.fused
        states = 2 * settings.hidden
        self.inputs = Inputs(shape.features, settings.width, settings.limit)
        self.rnns = nn.ModuleDict(
            {m: PackedRNN("gru", settings.width, settings.hidden) for m in modalities}
        )
        count = len(modalities)
        self.aligned = GatedGroup(count, states, fused) if count > 1 else None
        self.own = GatedGroup(count, states, fused)
        self.head = mlp(fused, fused, shape.classes, settings.dropout)

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn of every dialogue."""
        utterances = self.inputs(batch).unbind()
        states = torch.stack(
            [r(u, batch.turn_mask) for r, u in zip(self.rnns.values(), utterances, strict=True)]
        )
        available = batch.all_available(self.inputs.modalities)
        fused = self.own(states, available)
        if self.aligned is not None:
            somewhere = available.any(dim=-1, keepdim=True).expand_as(available)
            fused = fused + self.aligned(self._align(states, available), somewhere)
        return Output(self.head(fused))

    def _align(self, states: Tensor, available: Tensor) -> Tensor:
        """The mean of each modality's alignments, [modality, batch, turn, 2 * hidden]."""
        results = []
        for number, (own, usable) in enumerate(zip(states, available, strict=True)):
            others = [other for n, other in enumerate(states) if n != number]
            aligned = torch.stack([align(other, own, usable) for other in others])
            results.append(aligned.mean(dim=0))
        return torch.stack(results)
