"""IterativeERC (our reading): predict emotions, feed them back, predict again."""

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from pipeline.nn.batch import NO_LABEL, DialogueBatch
from pipeline.nn.entropy import Entropy
from pipeline.nn.inputs import Inputs
from pipeline.nn.packed import PackedRNN
from pipeline.nn.precision import precise
from pipeline.systems.base import Output, Settings, Shape, Source, System


class IterativeErcSettings(Settings):
    """Sizes of the network; no code is public, so the defaults are ours."""

    width: int = Field(ge=1, le=4096, description="Features per modality and utterance.")
    hidden: int = Field(ge=1, le=4096, description="Features of a state, per direction.")
    emotions: int = Field(ge=1, le=4096, description="Features of an embedded prediction.")
    iterations: int = Field(ge=0, le=24, description="K; 0: the first prediction stays.")
    improvement: float = Field(
        ge=0, description="Lambda, the weight of the hinge on iterations that make it worse."
    )
    dropout: float = Field(ge=0, lt=1, description="Of utterances, and of states before scores.")


class IterativeErc(System):
    """Predictions that an emotion interaction network improves, the same one again and again.

    With u_t the modalities side by side: `p^0 = softmax(V_0 BiGRU_0(u))`; for k = 1..K,
    `p^k = softmax(V BiGRU([u; p^(k-1) E]))`, which gradients pass through. Logits are those of
    p^K. With y a turn's class:
    `L = sum over k of CE(p^k) + lambda * sum over k > 0 of mean_t max(0, p^(k-1)_y - p^k_y)`.
    """

    Settings = IterativeErcSettings
    SOURCE = Source(
        fidelity="our reading",
        citation="Lu et al., An Iterative Emotion Interaction Network for Emotion Recognition in "
        "Conversations, COLING 2020",
        adapted="no code is public, and of the paper the abstract was read: the number of "
        "iterations, that they share weights, that a turn reads its own last prediction, that "
        "speakers are ignored, the form of the loss and all sizes are ours; all modalities "
        "through the common inputs, where the paper has text alone",
    )

    def __init__(self, settings: IterativeErcSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        hidden, classes = settings.hidden, shape.classes
        self.inputs = Inputs(shape.features, settings.width, settings.limit)
        joined = len(shape.features) * settings.width
        self.dropout = nn.Dropout(settings.dropout)
        self.first = PackedRNN("gru", joined, hidden)
        self.first_scores = nn.Linear(2 * hidden, classes)
        if settings.iterations:
            self.embedding = nn.Linear(classes, settings.emotions, bias=False)
            self.again = PackedRNN("gru", joined + settings.emotions, hidden)
            self.again_scores = nn.Linear(2 * hidden, classes)

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn; `extra` has the logits of all iterations."""
        utterances = self.dropout(self.inputs.joined(batch))
        states = self.first(utterances, batch.turn_mask)
        logits = [self.first_scores(self.dropout(states))]
        for _ in range(self.settings.iterations):
            felt = self.embedding(precise(logits[-1]).softmax(dim=-1))
            states = self.again(torch.cat((utterances, felt), dim=-1), batch.turn_mask)
            logits.append(self.again_scores(self.dropout(states)))
        return Output(logits[-1], {"iterations": logits})

    def losses(self, output: Output, batch: DialogueBatch, entropy: Entropy) -> dict[str, Tensor]:
        """Cross-entropy of the last iteration, of those before it, and what they made worse."""
        terms, logits = super().losses(output, batch, entropy), output.extra["iterations"]
        for number, scores in enumerate(logits[:-1]):
            terms[f"cross_entropy_{number}"] = entropy(scores, batch.labels)
        if self.settings.improvement and len(logits) > 1:
            worse = _worsening(torch.stack(logits), batch.labels)
            terms["improvement"] = self.settings.improvement * worse
        return terms


def _worsening(logits: Tensor, labels: Tensor) -> Tensor:
    """Sum over iterations of how much lower they make a labelled turn's class, on average.

    Args:
        logits: [iteration, batch, turn, class].
        labels: [batch, turn].
    """
    labelled = labels != NO_LABEL
    chances = precise(logits[:, labelled]).softmax(dim=-1)
    gold = chances.gather(-1, labels[labelled].expand(len(logits), -1).unsqueeze(-1))
    return functional.relu(gold[:-1] - gold[1:]).sum() / labelled.sum().clamp(min=1)
