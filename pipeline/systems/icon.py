"""ICON: memories of what a turn's speaker and the others said before, read in several hops."""

import torch
from pydantic import Field
from torch import Tensor, nn

from pipeline.nn.attention import masked_softmax
from pipeline.nn.batch import DialogueBatch, Packing
from pipeline.nn.inputs import Inputs
from pipeline.nn.packed import PackedRNN
from pipeline.nn.past import PastWindows, pass_over
from pipeline.systems.base import Output, Settings, Shape, Source, System


class IconSettings(Settings):
    """Sizes of the network; defaults in params.yaml are the public code's."""

    width: int = Field(ge=1, le=4096, description="Features per modality and utterance (100).")
    hidden: int = Field(ge=1, le=4096, description="Features of a state (100).")
    past: int = Field(ge=-1, description="Earlier turns that a turn reads (40); -1: all.")
    hops: int = Field(ge=1, le=24, description="How often the memories are read (3).")
    dropout: float = Field(
        ge=0, lt=1, description="Of the local states and of the attention weights."
    )


class Icon(System):
    """Interactive conversational memory network; causal, blind to speakers' numbers.

    With u_k the modalities side by side of the turns k in the window before turn t:
    `M^0 = tanh(dropout(GRU_own(u)) + dropout(GRU_other(u)))`, where each GRU runs over the turns of
    t's speaker or of the others alone and is 0 elsewhere; `q^0 = tanh(W u_t)`. Then in each hop h
    `M^h = GRU(M^(h-1))`, a global GRU in the first and a shared one in later hops,
    `a_k = softmax_k(tanh(q^(h-1) . M^h_k))`, `q^h = tanh(q^(h-1) + sum_k dropout(a_k) M^h_k)`;
    `logits = V q`.
    """

    Settings = IconSettings
    SOURCE = Source(
        fidelity="code",
        citation="Hazarika et al., ICON: Interactive Conversational Memory Network for Multimodal "
        "Emotion Detection, EMNLP 2018",
        commit="declare-lab/conv-emotion@6128ca20e9c736605cce7e99d5d95db0356c35f5",
        adapted="any number of speakers: the other is everybody else; all modalities through the "
        "common inputs; PyTorch's GRU and initial values, where the code has TensorFlow's; empty "
        "places of a window are passed over, where the code's global and memory GRUs read zeros "
        "there; batches of shuffled dialogues, where the code has 512 turns in a fixed order; "
        "decoupled weight decay, where the code adds a share of the weights' mean L2 loss; "
        "gradients clipped together, where the code clips each tensor's; the epoch chosen on "
        "validation, where the code takes test turns for it",
    )

    def __init__(self, settings: IconSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        hidden, joined = settings.hidden, len(shape.features) * settings.width
        self.inputs = Inputs(shape.features, settings.width, settings.limit)
        self.query = nn.Linear(joined, hidden)
        self.own = PackedRNN("gru", joined, hidden, bidirectional=False)
        self.other = PackedRNN("gru", joined, hidden, bidirectional=False)
        self.first = PackedRNN("gru", hidden, hidden, bidirectional=False)
        self.later = PackedRNN("gru", hidden, hidden, bidirectional=False)
        self.dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(hidden, shape.classes)

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn of every dialogue."""
        packing = Packing(batch.turn_mask)
        windows = PastWindows(batch.turn_mask, self.settings.past)
        utterances = packing.pack(self.inputs.joined(batch))
        memories = self._histories(utterances, batch.speakers[batch.turn_mask], windows)
        query = torch.tanh(self.query(utterances))
        for hop in range(self.settings.hops):
            memories = pass_over(self.later if hop else self.first, memories, windows.mask)
            scores = torch.tanh((memories @ query.unsqueeze(2)).squeeze(2))
            weights = self.dropout(masked_softmax(scores, windows.mask))
            query = torch.tanh(query + (weights.unsqueeze(1) @ memories).squeeze(1))
        return Output(packing.unpack(self.head(query)))

    def _histories(self, utterances: Tensor, speakers: Tensor, windows: PastWindows) -> Tensor:
        """Compute M^0, [row, place, hidden], from [row, feature] and [row]."""
        history = windows.gather(utterances)
        same = speakers[windows.source] == speakers.unsqueeze(1)
        own = pass_over(self.own, history, windows.mask & same)
        other = pass_over(self.other, history, windows.mask & ~same)
        return torch.tanh(self.dropout(own) + self.dropout(other))
