"""Two models on the same test utterances: how far apart they are, and whether that is clear."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.base.errors import PipelineError
from pipeline.evaluation.intervals import (
    Difference,
    Interval,
    McNemar,
    Resampled,
    caution,
    difference,
    mcnemar,
    resample_counts,
    resample_weights,
)
from pipeline.evaluation.scores import OVERALL, confusions
from pipeline.experiments.pairing import apart, facts
from pipeline.records.predictions import ModelPredictions, Predictions, TestSet

SHOWN = 5  # utterances that an error names


@dataclass(frozen=True)
class Side:
    """One of the two.

    Attributes:
        name: Revision, and the model where it is not MCN-CL.
        seeds: Of its runs.
        figures: Each overall figure averaged over seeds, with its interval, by name.
        deviations: Its sample standard deviation over seeds; None where there is one run.
    """

    name: str
    seeds: tuple[int, ...]
    figures: Mapping[str, Interval]
    deviations: Mapping[str, float | None]


@dataclass(frozen=True)
class Pair:
    """Two sides on the same utterances.

    Attributes:
        test_set: On what.
        one: The first.
        other: The second.
        differences: Second less first, by the figure's name.
        mcnemar: Of the predictions from probabilities averaged over seeds (the most frequent
            prediction where a model gives no probabilities).
    """

    test_set: TestSet
    one: Side
    other: Side
    differences: Mapping[str, Difference]
    mcnemar: McNemar


@dataclass(frozen=True)
class Entrant:
    """What is compared.

    Attributes:
        name: For whoever reads the outcome.
        table: The table of predictions that holds it.
        model: Which of the table's models.
    """

    name: str
    table: Predictions
    model: str

    def predictions(self, utterances: Sequence[str]) -> ModelPredictions:
        """What the model says of these utterances, in this order.

        Raises:
            PipelineError: The table lacks the model.
        """
        if self.model not in self.table.by_model:
            known = list(self.table.by_model)
            raise PipelineError(
                f"{self.name}: got the model {self.model!r}, expected one of {known}."
            )
        place = {name: number for number, name in enumerate(self.table.test_set.utterances)}
        order = [place[name] for name in utterances]
        predictions = self.table.by_model[self.model]
        shares = predictions.probabilities
        shares = None if shares is None else shares[:, order]
        return ModelPredictions(predictions.seeds, predictions.predicted[:, order], shares)


def pair(one: Entrant, other: Entrant) -> Pair:
    """Compares what two models say.

    Raises:
        PipelineError: A table lacks its model; the two were tested on other utterances, labels or
            classes.
    """
    _check_same(one, other)
    test_set = one.table.test_set
    both = [entrant.predictions(test_set.utterances) for entrant in (one, other)]
    clusters, classes = test_set.clusters, len(test_set.classes)
    counts = [confusions(test_set.actual, side.predicted, clusters, classes) for side in both]
    weights = resample_weights(counts[0].shape[1])
    sides = [
        _side(entrant.name, side.seeds, Resampled(count.sum(1), resample_counts(count, weights)))
        for entrant, side, count in zip((one, other), both, counts, strict=True)
    ]
    return Pair(
        test_set=test_set,
        one=sides[0],
        other=sides[1],
        differences={
            name: difference(counts[1], counts[0], weights, score)
            for name, score in OVERALL.items()
        },
        mcnemar=mcnemar(test_set.actual, *(_together(side, classes) for side in both)),
    )


def _check_same(one: Entrant, other: Entrant) -> None:
    why = apart(one.table.test_set, other.table.test_set)
    if why:
        lines = [f"{other.name} has {why}", *_examples(one, other)]
        raise PipelineError(
            f"{one.name} and {other.name} were not tested on the same:\n"
            + "\n".join(f"  {line}" for line in lines)
            + "\nOnly models of the same corpus, labels and splits can be compared in pairs."
        )


def _examples(one: Entrant, other: Entrant) -> list[str]:
    """Lines that name some of the utterances in which the two differ."""
    if one.table.test_set.classes != other.table.test_set.classes:
        return []  # then numbers of classes mean something else
    here, there = facts(one.table.test_set), facts(other.table.test_set)
    unlike = [u for u in here if u in there and here[u] != there[u]]
    groups = {
        f"of {one.name} alone": [u for u in here if u not in there],
        f"of {other.name} alone": [u for u in there if u not in here],
        "with another label or dialogue": unlike,
    }
    return [f"{len(us)} utterances {how}: {_listed(us)}" for how, us in groups.items() if us]


def _listed(utterances: Sequence[str]) -> str:
    return ", ".join(utterances[:SHOWN]) + (", ..." if len(utterances) > SHOWN else "")


def _side(name: str, seeds: tuple[int, ...], draws: Resampled) -> Side:
    return Side(
        name=name,
        seeds=seeds,
        figures={figure: draws.interval(score) for figure, score in OVERALL.items()},
        deviations={
            figure: float(100 * score(draws.whole).std(ddof=1)) if len(seeds) > 1 else None
            for figure, score in OVERALL.items()
        },
    )


def _together(predictions: ModelPredictions, classes: int) -> np.ndarray:
    """[utterance] one prediction of all seeds; of equal votes the first class."""
    if predictions.probabilities is not None:
        together: np.ndarray = predictions.probabilities.mean(0).argmax(-1)
        return together
    votes: np.ndarray = np.eye(classes)[predictions.predicted].sum(0).argmax(-1)
    return votes


def sentence(tested: Pair) -> str:
    """The outcome in words."""
    one, other, test = tested.one.name, tested.other.name, tested.mcnemar
    apart, dialogues = tested.differences["weighted_f1"], len(set(tested.test_set.dialogues))
    how = f"{abs(apart.value):.1f} points {'above' if apart.value > 0 else 'below'}"
    if not test.one and not test.other and not apart.low and not apart.high:
        return (
            f"Weighted F1 of {other} is the same as {one}: both are right in the same utterances, "
            "so nothing that differs between them changed what counts."
        )
    if apart.clear:
        words = "clear of 0: more than the choice of test dialogues explains"
    else:
        words = "not clear of 0: these test dialogues do not tell the two apart"
    words = (
        f"Weighted F1 of {other} is {how if apart.value else 'the same as'} {one}; the 95 % "
        f"interval of the difference over {dialogues} dialogues, {apart.low:+.1f} to "
        f"{apart.high:+.1f}, is {words}. McNemar: {one} alone is right in {test.one} of "
        f"{len(tested.test_set.utterances)} utterances, {other} alone in {test.other}, "
        f"p = {test.p:.2g}; it takes turns for independent."
    )
    return f"{words} {caution(dialogues)}".rstrip()
