"""Late fusion: a classifier of each modality, and the mean of their probabilities."""

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from pipeline.nn.batch import NO_LABEL, DialogueBatch, available_or_all
from pipeline.nn.entropy import Entropy
from pipeline.nn.inputs import Inputs
from pipeline.nn.precision import precise
from pipeline.nn.subnetworks import mlp
from pipeline.systems.base import Output, Settings, Shape, Source, System

PARTS = 20  # weights are multiples of 1 / 20
TIE = 1e-9  # weighted F1 that differ by less are equal: sums differ in their last bits


class LateFusionSettings(Settings):
    """Sizes of the classifiers, and how their probabilities are weighed."""

    width: int = Field(ge=1, le=4096, description="Features per modality and utterance.")
    weights: Literal["equal", "validation"] = Field(
        description="equal: the plain mean; validation: those with the highest weighted F1 there, "
        "after each epoch."
    )
    dropout: float = Field(ge=0, lt=1, description="Of utterances, and before the last layers.")


class LateFusion(System):
    """The weighted mean of the probabilities that each modality's own classifier gives a turn.

    `p_m = softmax(V_m dropout(ReLU(U_m u_m)))`, `p = sum_m w_m p_m / sum_m w_m` over the
    modalities m that the turn has; `L = sum_m CE(p_m)` over the turns that have m or nothing. w are
    equal, or searched for in steps of 0.05, with sum 1; of equally good ones the nearest to equal.
    With one modality there is nothing to fuse.
    """

    Settings = LateFusionSettings
    READS_DIALOGUE = False
    SOURCE = Source(
        fidelity="code",
        citation="the mean of unimodal probabilities, which every fusion must beat",
        adapted="`weights: validation` is late fusion after Padi et al., Multimodal Emotion "
        "Recognition Using Transfer Learning from Speaker Recognition and BERT-Based Models, "
        "Odyssey 2022, of which the abstract was read, and no code is public: the grid, the choice "
        "with each epoch, by the same validation turns that choose the epoch, and a third modality "
        "are ours; any stored features, where the paper has a "
        "ResNet of speakers and BERT",
    )
    weights: Tensor
    """w, [modality]; of the epoch whose state this is."""

    def __init__(self, settings: LateFusionSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        width, modalities = settings.width, tuple(shape.features)
        self.inputs = Inputs(shape.features, width, settings.limit)
        self.heads = nn.ModuleDict(
            {
                modality: nn.Sequential(
                    nn.Dropout(settings.dropout),
                    *mlp(width, width, shape.classes, settings.dropout),
                )
                for modality in modalities
            }
        )
        self.register_buffer("weights", torch.full((len(modalities),), 1 / len(modalities)))

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn; `extra` has the logits by modality."""
        vectors = self.inputs(batch).unbind()
        alone = {m: head(v) for (m, head), v in zip(self.heads.items(), vectors, strict=True)}
        logits = fused(*self._weighed(alone, batch), self.weights.view(-1, 1, 1))
        return Output(logits, alone)

    def losses(self, output: Output, batch: DialogueBatch, entropy: Entropy) -> dict[str, Tensor]:
        """Cross-entropy of each modality, of turns where it counts: the mean is not learnt."""
        counted = available_or_all(batch.all_available(self.inputs.modalities))
        return {
            f"cross_entropy_{m}": entropy(z, batch.labels.masked_fill(~own, NO_LABEL))
            for (m, z), own in zip(output.extra.items(), counted, strict=True)
        }

    def after_epoch(self, valid: Iterable[tuple[Output, DialogueBatch]]) -> None:
        """Choose w by the weighted F1 of labelled validation turns."""
        if self.settings.weights == "equal":
            return
        log_probabilities, available, labels = [], [], []
        for output, batch in valid:
            labelled = batch.labels != NO_LABEL
            of_turns, usable = self._weighed(output.extra, batch)
            log_probabilities.append(of_turns[:, labelled].cpu())
            available.append(usable[:, labelled].cpu())
            labels.append(batch.labels[labelled].cpu())
        rows = torch.cat(log_probabilities, dim=1), torch.cat(available, dim=1), torch.cat(labels)
        self.weights.copy_(best_weights(*rows))

    def _weighed(self, logits: Mapping[str, Tensor], batch: DialogueBatch) -> tuple[Tensor, Tensor]:
        """Log-probabilities, [modality, batch, turn, class], and which are available."""
        log_probabilities = precise(torch.stack([*logits.values()])).log_softmax(dim=-1)
        return log_probabilities, batch.all_available(self.inputs.modalities)


def fused(log_probabilities: Tensor, available: Tensor, weights: Tensor) -> Tensor:
    """Logarithms of the weighted mean of the available modalities' probabilities.

    A turn that has none counts as having all; one whose modalities all weigh 0 takes their mean.

    Args:
        log_probabilities: [modality, ..., class].
        available: [modality, ...].
        weights: Not negative, of a shape that expands to [modality, ...].

    Returns:
        [..., class].
    """
    counted = available_or_all(available)
    weights = weights * counted
    weights = torch.where(weights.sum(dim=0) > 0, weights, counted.to(weights))
    shares = weights / weights.sum(dim=0)
    return (log_probabilities + shares.log().unsqueeze(-1)).logsumexp(dim=0)


def best_weights(log_probabilities: Tensor, available: Tensor, labels: Tensor) -> Tensor:
    """The modalities' weights with the highest weighted F1; of several the nearest to equal.

    Args:
        log_probabilities: [modality, row, class].
        available: [modality, row].
        labels: [row].

    Returns:
        [modality], equal or multiples of 0.05 that add up to 1.
    """
    modalities, _, classes = log_probabilities.shape
    grid = [parts for parts in product(range(PARTS + 1), repeat=modalities) if sum(parts) == PARTS]
    grid.sort(key=lambda parts: sum((modalities * part - PARTS) ** 2 for part in parts))
    equal = [1 / modalities] * modalities
    shares = [equal, *([part / PARTS for part in parts] for parts in grid)]
    weights = torch.tensor(shares, dtype=log_probabilities.dtype)
    means = fused(log_probabilities.unsqueeze(1), available.unsqueeze(1), weights.T.unsqueeze(-1))
    predicted = functional.one_hot(means.argmax(dim=-1), classes).double()  # [weights, row, class]
    truth = functional.one_hot(labels, classes).double()
    count = truth.sum(dim=0)
    f1 = 2 * (predicted * truth).sum(dim=1) / (predicted.sum(dim=1) + count).clamp(min=1)
    scores = (f1 * count).sum(dim=-1) / count.sum().clamp(min=1)
    best = scores > scores.max() - TIE
    return weights[int(best.nonzero()[0])]
