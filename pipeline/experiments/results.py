"""What a recipe's experiments found on one corpus: each variant beside the reference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.counts import confusions, macro_f1, weighted_f1
from pipeline.evaluation.intervals import resampled
from pipeline.evaluation.paired import Difference, difference
from pipeline.experiments.kept import Outcome, Reader, Truth, read_outcome, read_truth
from pipeline.experiments.plan import Experiment

MAJORITY = "majority class"
LOGISTIC_REGRESSION = "logistic regression"


@dataclass(frozen=True)
class Row:
    """A line of the table, in percent.

    Attributes:
        name: The variant's, or the baseline's.
        weighted_f1: Mean over seeds.
        weighted_f1_std: Sample standard deviation over seeds; None where there is one run.
        macro_f1: Mean over seeds.
        to_reference: Difference in weighted F1; None for the reference itself, and where there are
            no predictions to draw from.
    """

    name: str
    weighted_f1: float
    weighted_f1_std: float | None
    macro_f1: float
    to_reference: Difference | None


@dataclass(frozen=True)
class Comparison:
    """A recipe's outcome on one corpus.

    Attributes:
        corpus: Which.
        reference: The variant that the others are compared with.
        truth: What they were tested on.
        seeds: Of the reference.
        rows: The reference, the other variants, the baselines.
        lead: The reference less the best variant with a single modality; None without such a
            variant, or where it is the reference.
        singles: Each variant with a single modality less the majority class, the best first.
    """

    corpus: str
    reference: str
    truth: Truth
    seeds: Sequence[int]
    rows: Sequence[Row]
    lead: Difference | None
    singles: Mapping[str, Difference]


def compare(plan: Sequence[Experiment], corpus: str, read: Reader) -> Comparison:
    """Reads and compares what a recipe's experiments say of a corpus.

    Args:
        plan: The reference first.
        corpus: Which.
        read: Gives an experiment's files.

    Raises:
        PipelineError: A file is gone, or a variant was tested on something else.
    """
    truth = read_truth(read, plan[0].name, corpus)
    outcomes = {e.variant: read_outcome(read, e.name, corpus, truth) for e in plan}
    counts = {name: _counts(truth, outcome.predicted) for name, outcome in outcomes.items()}
    counts[MAJORITY] = _counts(truth, truth.majority[None])
    weights = resampled(len(np.unique(truth.dialogues)))
    reference = plan[0].variant
    rows = [_row(name, counts, reference, weights) for name in counts]
    singles = _singles(outcomes, counts)
    best = singles[0] if singles and singles[0] != reference else None
    return Comparison(
        corpus=corpus,
        reference=reference,
        truth=truth,
        seeds=outcomes[reference].seeds,
        rows=[*rows, *_unpaired(outcomes[reference])],
        lead=difference(counts[reference], counts[best], weights) if best else None,
        singles={name: difference(counts[name], counts[MAJORITY], weights) for name in singles},
    )


def _counts(truth: Truth, predicted: np.ndarray) -> np.ndarray:
    """[seed, dialogue, actual, predicted] counts of [seed, utterance] predictions."""
    return confusions(truth.actual, predicted, truth.dialogues, len(truth.classes))


def _row(name: str, counts: Mapping[str, np.ndarray], reference: str, weights: np.ndarray) -> Row:
    whole = counts[name].sum(1)  # [seed, actual, predicted]
    scores = 100 * weighted_f1(whole)
    return Row(
        name=name,
        weighted_f1=float(scores.mean()),
        weighted_f1_std=float(scores.std(ddof=1)) if len(scores) > 1 else None,
        macro_f1=float(100 * macro_f1(whole).mean()),
        to_reference=(
            difference(counts[name], counts[reference], weights) if name != reference else None
        ),
    )


def _singles(outcomes: Mapping[str, Outcome], counts: Mapping[str, np.ndarray]) -> list[str]:
    """Variants that see one modality, the best first; none where all see the same."""
    if len({outcome.modalities for outcome in outcomes.values()}) == 1:
        return []
    found = [name for name, outcome in outcomes.items() if len(outcome.modalities) == 1]
    return sorted(found, key=lambda name: -weighted_f1(counts[name].sum(1)).mean())


def _unpaired(reference: Outcome) -> list[Row]:
    """Logistic regression on the reference's features: its figures are kept, not what it says."""
    found = reference.baselines.get("logistic_regression")
    if found is None:
        return []
    return [Row(LOGISTIC_REGRESSION, found["weighted_f1"], None, found["macro_f1"], None)]
