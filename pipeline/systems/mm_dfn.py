"""MM-DFN: MMGCN's graph with a memory across its layers, and recurrences over each speaker."""

import torch
from pydantic import Field
from torch import Tensor

from pipeline.nn.batch import DialogueBatch
from pipeline.nn.inputs import Inputs
from pipeline.nn.multimodal_graph import DeepGraph, MultimodalGraphSettings, turn_classifier
from pipeline.nn.packed import BySpeaker, PackedRNN
from pipeline.systems.base import Output, Settings, Shape, Source, System


class MmDfnSettings(Settings, MultimodalGraphSettings):
    """Optimisation, sizes of the network, and k of each modality.

    The public code searches a grid and does not say which point it reports; params.yaml has the
    defaults of its command line where they lie in the grid.
    """

    text_party: float = Field(
        ge=0, le=100, description="k: what the states of its speaker's turns weigh in a text node."
    )
    audio_party: float = Field(ge=0, le=100, description="The same of audio.")
    visual_party: float = Field(ge=0, le=100, description="The same of visual.")


class MmDfn(System):
    """A node per turn and modality; its edges and layers stand in `nn.multimodal_graph`.

    With p_m the encoded turns of modality m: `P_m = BiGRU(p_m)` over the turns of each speaker, the
    same for all modalities; nodes are `p_m + k_m P_m`, in the text `BiGRU(p_l) + k_l P_l`. Layers
    share an LSTM. With [x; h] of all layers: `logits_t = V dropout(ReLU([x; h] of the nodes of turn
    t))`. A turn that lacks a modality keeps its node, with a learned vector; a modality that is
    switched off has no nodes.
    """

    Settings = MmDfnSettings
    SOURCE = Source(
        fidelity="code",
        citation="Hu et al., MM-DFN: Multimodal Dynamic Fusion Network for Emotion Recognition in "
        "Conversations, ICASSP 2022",
        commit="zerohd4869/MM-DFN@da970366069247e05de3b9298f1e1bbc5c77a187",
        adapted="a graph per dialogue, where the code has one matrix for a batch; packed, of a "
        "dialogue and of a speaker, so that no direction starts in the padding; a zero vector is "
        "half like others, where the code gives NaN; the common inputs, with a learned vector "
        "where a modality is missing; any number of speakers; the focal loss is the harness's, "
        "which passes gradients through the probability in its weight; k by corpus is the code's, "
        "which chose it on test; the memory across layers is on, which the code has behind a flag; "
        "decoupled weight decay and clipped gradients; the epoch chosen and training stopped on "
        "validation, where the code does both on test",
    )

    def __init__(self, settings: MmDfnSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        width, dropout = settings.width, settings.dropout
        self.inputs = Inputs(shape.features, width, settings.limit)
        if "text" in shape.features:
            self.gru = PackedRNN("gru", width, width // 2, layers=2, dropout=dropout)
        self.weights = {m: getattr(settings, f"{m}_party") for m in shape.features}
        if any(self.weights.values()):
            self.party = PackedRNN("gru", width, width // 2, layers=2, dropout=dropout)
        self.graph = DeepGraph(settings, alpha=0.2, memory=True)
        self.head = turn_classifier(len(shape.features), settings, shape.classes)

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn of every dialogue."""
        encoded = dict(zip(self.inputs.modalities, self.inputs(batch).unbind(), strict=True))
        nodes = dict(encoded)
        if "text" in nodes:
            nodes["text"] = self.gru(encoded["text"], batch.turn_mask)
        heard = {m: turns for m, turns in encoded.items() if self.weights[m]}
        for modality, states in self._parties(heard, batch).items():
            nodes[modality] = nodes[modality] + self.weights[modality] * states
        return Output(self.head(self.graph(torch.stack([*nodes.values()]), batch.turn_mask)))

    def _parties(self, encoded: dict[str, Tensor], batch: DialogueBatch) -> dict[str, Tensor]:
        """Run over the turns of each speaker; P by modality, [batch, turn, width]."""
        if not encoded:
            return {}
        count = len(encoded)
        # A dialogue in another modality is another dialogue.
        layout = BySpeaker(batch.speakers.repeat(count, 1), batch.turn_mask.repeat(count, 1))
        rows = layout.gather(torch.cat([*encoded.values()]))
        states = layout.scatter(self.party(rows, layout.mask))
        return dict(zip(encoded, states.chunk(count), strict=True))
