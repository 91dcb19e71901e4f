"""MMGCN: deep convolutions over one graph with a node per turn and modality."""

import torch

from pipeline.nn.batch import DialogueBatch
from pipeline.nn.inputs import Inputs
from pipeline.nn.multimodal_graph import DeepGraph, MultimodalGraphSettings, turn_classifier
from pipeline.nn.packed import PackedRNN
from pipeline.nn.speakers import SpeakerEmbedding
from pipeline.systems.base import Output, Settings, Shape, Source, System


class MmgcnSettings(Settings, MultimodalGraphSettings):
    """Optimisation, and sizes of the network.

    The public command says 4 layers, but the constructor of the code that it runs makes 64 whatever
    it says: figures of that code are from 64.
    """


class Mmgcn(System):
    """A node per turn and modality; its edges and layers stand in `nn.multimodal_graph`.

    Nodes: a and v as they are encoded, `l = BiLSTM(text) + Embedding(speaker)`; two are joined
    within a modality, and between the modalities of a turn. With [x; h] of all layers:
    `logits_t = V dropout(ReLU([x; h] of the nodes of turn t))`. A turn that lacks a modality keeps
    its node, with a learned vector; a modality that is switched off has no nodes.
    """

    Settings = MmgcnSettings
    SOURCE = Source(
        fidelity="code",
        citation="Hu et al., MMGCN: Multimodal Fusion via Deep Graph Convolution Network for "
        "Emotion Recognition in Conversation, ACL 2021",
        commit="hujingwen6666/MMGCN@85732d984f70c1c84dd47c81aa97f1271397b899",
        adapted="a graph per dialogue, where the code has one matrix for a batch; packed, so that "
        "no direction starts in the padding; a zero vector is half like others, where the code "
        "gives NaN; the common inputs, with a learned vector where a modality is missing; speakers "
        "numbered by first appearance; cross-entropy, where the code has on MELD a focal loss that "
        "takes the log-probability for the probability; decoupled weight decay and clipped "
        "gradients; the epoch chosen on validation, where the code takes the best on test; 4 "
        "layers as its command says, where its constructor makes 64",
    )

    def __init__(self, settings: MmgcnSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        self.NUMBERS_SPEAKERS = "text" in shape.features
        width = settings.width
        self.inputs = Inputs(shape.features, width, settings.limit)
        if "text" in shape.features:
            self.lstm = PackedRNN("lstm", width, width // 2, layers=2, dropout=settings.dropout)
            self.speakers = SpeakerEmbedding(width)
        self.graph = DeepGraph(settings, alpha=0.1)
        self.head = turn_classifier(len(shape.features), settings, shape.classes)

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn of every dialogue."""
        nodes = self.inputs(batch)
        if "text" in self.shape.features:
            text, *others = nodes.unbind()
            text = self.lstm(text, batch.turn_mask) + self.speakers(batch.speakers)
            nodes = torch.stack((text, *others))
        return Output(self.head(self.graph(nodes, batch.turn_mask)))
