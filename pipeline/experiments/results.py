"""What a recipe's experiments found on one corpus: each variant beside the reference."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.intervals import (
    Difference,
    Interval,
    Resampled,
    difference,
    resample_counts,
    resample_weights,
)
from pipeline.evaluation.scores import confusions, macro_f1, weighted_f1
from pipeline.experiments.kept import Outcome, Reader, read_outcome
from pipeline.experiments.pair import Entrant
from pipeline.experiments.pairing import apart
from pipeline.experiments.plan import Experiment
from pipeline.records.predictions import MAJORITY, MODEL, TestSet, model_name


@dataclass(frozen=True)
class Row:
    """A line of the table, in percent.

    Attributes:
        name: The variant's, or the baseline's.
        test_set: What it was tested on.
        weighted_f1: Mean over seeds, with its own interval.
        by_seed: Weighted F1 of each seed.
        macro_f1: Mean over seeds.
        to_reference: Difference in weighted F1; None for the reference itself, and for what cannot
            be paired with it.
        apart: Why it cannot be paired, in words; "" where it can.
    """

    name: str
    test_set: TestSet
    weighted_f1: Interval
    by_seed: tuple[float, ...]
    macro_f1: float
    to_reference: Difference | None
    apart: str

    @property
    def std(self) -> float | None:
        """Sample standard deviation of weighted F1 over seeds; None where there is one run."""
        return float(np.std(self.by_seed, ddof=1)) if len(self.by_seed) > 1 else None


@dataclass(frozen=True)
class Comparison:
    """A recipe's outcome on one corpus.

    Attributes:
        corpus: Which.
        reference: The variant that the others are compared with.
        outcome: The reference's.
        rows: The reference, the other variants, the baselines.
        variants: How many of the rows are variants.
        lead: The reference less the best variant with a single modality; None without such a
            variant, or where it is the reference.
        singles: Each variant with a single modality less the majority class, the best first.
    """

    corpus: str
    reference: str
    outcome: Outcome
    rows: Sequence[Row]
    variants: int
    lead: Difference | None
    singles: Mapping[str, Difference]


@dataclass(frozen=True)
class Model:
    """What one variant or baseline says, counted.

    Attributes:
        test_set: The test utterances.
        counts: [seed, dialogue, actual, predicted].
        apart: Why it cannot be paired with the reference, in words; "" where it can.
    """

    test_set: TestSet
    counts: np.ndarray
    apart: str

    @property
    def score(self) -> float:
        """Weighted F1, mean over seeds, from 0 to 1."""
        return float(weighted_f1(self.counts.sum(1)).mean())

    def differs(self, other: "Model") -> bool:
        """Whether another one that was tested on the same is right or wrong elsewhere."""
        return not np.array_equal(self.counts, other.counts)


def compare(plan: Sequence[Experiment], corpus: str, read: Reader) -> Comparison:
    """Reads and compares what a recipe's experiments say of a corpus.

    Args:
        plan: The reference first.
        corpus: Which.
        read: Gives an experiment's files.

    Raises:
        PipelineError: A file is gone.
    """
    outcomes = {e.variant: read_outcome(read, e.name, corpus) for e in plan}
    reference = plan[0].variant
    models = {
        name: _counted(outcome, MODEL, outcomes[reference]) for name, outcome in outcomes.items()
    }
    beside = dict(_baselines(outcomes, models))
    weights = resample_weights(models[reference].counts.shape[1])
    rows = [_row(name, m, models[reference], weights) for name, m in {**models, **beside}.items()]
    singles = _singles(outcomes, models)
    best = singles[0] if singles and singles[0] != reference else None
    return Comparison(
        corpus=corpus,
        reference=reference,
        outcome=outcomes[reference],
        rows=rows,
        variants=len(models),
        lead=_difference(models[reference], models[best], weights) if best else None,
        singles={
            name: _difference(models[name], beside[model_name(MAJORITY)], weights)
            for name in singles
            if model_name(MAJORITY) in beside
        },
    )


def _counted(outcome: Outcome, model: str, reference: Outcome) -> Model:
    """Counts in the order of the reference's utterances and dialogues, if the two can be paired."""
    why = apart(reference.predictions.test_set, outcome.predictions.test_set)
    test_set = outcome.predictions.test_set if why else reference.predictions.test_set
    predictions = Entrant(model, outcome.predictions, model).predictions(test_set.utterances)
    counts = confusions(
        test_set.actual, predictions.predicted, test_set.clusters, len(test_set.classes)
    )
    return Model(test_set, counts, why)


def _baselines(
    outcomes: Mapping[str, Outcome], models: Mapping[str, Model]
) -> Iterator[tuple[str, Model]]:
    """The reference's baselines; those of the others, too, where they say something else.

    They do where a variant was tested otherwise, or has other features.
    """
    reference = next(iter(outcomes.values()))
    known: dict[str, Model] = {}  # the reference's, which comes first
    for variant, outcome in outcomes.items():
        for name in outcome.predictions.by_model:
            if name == MODEL:
                continue
            found = _counted(outcome, name, reference)
            if outcome is reference:
                known[name] = found
                yield model_name(name), found
            elif name not in known or models[variant].apart or found.differs(known[name]):
                yield f"{model_name(name)}, {variant}", found


def _row(name: str, model: Model, reference: Model, weights: np.ndarray) -> Row:
    whole = model.counts.sum(1)  # [seed, actual, predicted]
    own = resample_weights(model.counts.shape[1]) if model.apart else weights
    alone = model is reference or bool(model.apart)
    return Row(
        name=name,
        test_set=model.test_set,
        weighted_f1=Resampled(whole, resample_counts(model.counts, own)).interval(weighted_f1),
        by_seed=tuple((100 * weighted_f1(whole)).tolist()),
        macro_f1=float(100 * macro_f1(whole).mean()),
        to_reference=None if alone else _difference(model, reference, weights),
        apart=model.apart,
    )


def _difference(one: Model, other: Model, weights: np.ndarray) -> Difference:
    return difference(one.counts, other.counts, weights)


def _singles(outcomes: Mapping[str, Outcome], models: Mapping[str, Model]) -> list[str]:
    """Variants that see one modality, the best first; none where all see the same."""
    if len({outcome.modalities for outcome in outcomes.values()}) == 1:
        return []
    found = [
        name
        for name, outcome in outcomes.items()
        if len(outcome.modalities) == 1 and not models[name].apart
    ]
    return sorted(found, key=lambda name: -models[name].score)
