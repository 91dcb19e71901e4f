"""`python -m pipeline compare A B`: whether results differ by more than chance.

Recipes use the same rows: each with its figures, and its difference to the first where both were
tested on the very same utterances.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Column, Table

from pipeline.base.display import terminal
from pipeline.base.errors import PipelineError
from pipeline.base.params import hint, read_params
from pipeline.base.paths import BASELINE
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
from pipeline.experiments.revisions import WORKSPACE, Reader, dvc_reader, kept, read_system
from pipeline.records.foreign import is_foreign, read_foreign
from pipeline.records.predictions import Predictions, SystemPredictions, TestSet
from pipeline.systems.registry import SYSTEMS

HEAD = "HEAD"
WEIGHTED = "weighted_f1"
SHOWN = 5  # utterances that an error names


@dataclass(frozen=True)
class Entrant:
    """What is compared: a system's predictions, under a name for readers."""

    name: str
    test_set: TestSet
    predictions: SystemPredictions

    def on(self, test_set: TestSet) -> "Entrant":
        """The same, in the order of another test set of the same utterances."""
        place = {name: number for number, name in enumerate(self.test_set.utterances)}
        order = [place[name] for name in test_set.utterances]
        shares, predicted = self.predictions.probabilities, self.predictions.predicted[:, order]
        shares = None if shares is None else shares[:, order]
        return Entrant(
            self.name, test_set, SystemPredictions(self.predictions.seeds, predicted, shares)
        )

    @property
    def together(self) -> np.ndarray:
        """[utterance] one class number of all seeds.

        That of the mean probabilities; without any, the most frequent, of equal ones the first.
        """
        shares = self.predictions.probabilities
        if shares is None:
            shares = np.eye(len(self.test_set.classes))[self.predictions.predicted]
        numbers: np.ndarray = shares.mean(0).argmax(-1)
        return numbers


@dataclass(frozen=True)
class Row:
    """An entrant's figures by name, in percent.

    Attributes:
        entrant: Whose; in the order of the first row's utterances, unless it is apart.
        counts: [seed, dialogue, actual, predicted].
        figures: Each overall figure, averaged over seeds, with its interval.
        by_seed: Each seed's.
        differences: To the first row; none of the first itself, and of what is apart.
        apart: Why it cannot be paired with the first, in words; "" where it can.
    """

    entrant: Entrant
    counts: np.ndarray
    figures: Mapping[str, Interval]
    by_seed: Mapping[str, tuple[float, ...]]
    differences: Mapping[str, Difference]
    apart: str

    def std(self, figure: str = WEIGHTED) -> float | None:
        """See `deviation`."""
        return deviation(self.by_seed[figure])

    def figure(self, name: str = WEIGHTED) -> str:
        """Mean and standard deviation over seeds with the mean's interval."""
        own = self.figures[name]
        return f"{mean_std(own.value, self.std(name))} [{own.low:.1f}, {own.high:.1f}]"

    def less(self, other: "Row", figure: str = WEIGHTED) -> Difference:
        """How far it is above another that was tested on the same."""
        weights = resample_weights(self.counts.shape[1])
        return difference(self.counts, other.counts, weights, OVERALL[figure])


def deviation(values: Sequence[float]) -> float | None:
    """Sample standard deviation over seeds; None where there is one run."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def mean_std(mean: float, std: float | None) -> str:
    """A mean over seeds with its sample standard deviation, if there is one."""
    return f"{mean:.1f}" if std is None else f"{mean:.1f} ± {std:.1f}"


def compared(entrants: Sequence[Entrant]) -> list[Row]:
    """Each entrant's figures, and its differences to the first."""
    rows: list[Row] = []
    for entrant in entrants:
        why = apart(entrants[0].test_set, entrant.test_set)
        row = _row(entrant if why else entrant.on(entrants[0].test_set), why)
        paired = {} if why or not rows else {name: row.less(rows[0], name) for name in OVERALL}
        rows.append(Row(**{**vars(row), "differences": paired}))
    return rows


def _row(entrant: Entrant, why: str) -> Row:
    test_set, predicted = entrant.test_set, entrant.predictions.predicted
    counts = confusions(test_set.actual, predicted, test_set.clusters, len(test_set.classes))
    draws = Resampled(counts.sum(1), resample_counts(counts, resample_weights(counts.shape[1])))
    return Row(
        entrant,
        counts,
        figures={name: draws.interval(score) for name, score in OVERALL.items()},
        by_seed={n: tuple((100 * score(draws.whole)).tolist()) for n, score in OVERALL.items()},
        differences={},
        apart=why,
    )


def apart(one: TestSet, other: TestSet) -> str:
    """In what the second differs, in words; "" where both were tested on the very same.

    That are equal utterances in equal dialogues with equal labels, of which there are the same
    classes in the same order; the order of the utterances does not matter.
    """
    if one.classes != other.classes:
        return f"other classes ({', '.join(other.classes)})"
    first, second = _facts(one), _facts(other)
    if first.keys() != second.keys():
        return f"other utterances ({len(first.keys() & second.keys())} are in both)"
    changed = sum(first[utterance] != second[utterance] for utterance in first)
    return f"other labels or dialogues of {changed} utterances" if changed else ""


def _facts(test_set: TestSet) -> Mapping[str, tuple[str, int]]:
    """Dialogue and class number by utterance."""
    pairs = zip(test_set.dialogues, test_set.actual.tolist(), strict=True)
    return dict(zip(test_set.utterances, pairs, strict=True))


def carry_out(one: str | None, other: str | None, corpora: Sequence[str]) -> None:
    """Compare two results and print the outcome for each corpus.

    Args:
        one: None for the baseline that was kept, or the commit if there is none.
        other: None for the workspace.
        corpora: None given: those of params.yaml.

    Raises:
        PipelineError: See `entrants` and `pair`.
    """
    params, read = read_params(), dvc_reader()
    sides = (one or (BASELINE if kept() else HEAD), other or WORKSPACE)
    for corpus in corpora or params.corpora:
        params.check(corpus)
        show(corpus, *entrants(sides, corpus, params.reference, read))


def entrants(
    sides: tuple[str, str], corpus: str, reference: str, read: Reader
) -> tuple[Entrant, Entrant]:
    """Read two sides.

    Args:
        sides: Each `REV` or `REV:SYSTEM`, or a file of predictions that others made; a revision is
            anything that git or DVC knows by a name, or `workspace`.
        corpus: Which.
        reference: The system of a side that names none.
        read: Reads a revision's files.

    Raises:
        PipelineError: No such revision or system, or it has no predictions of the corpus; a file
            is not one of predictions for it.
    """
    ours = [side for side in sides if not is_foreign(side)]
    known = {side: _entrant(side, corpus, reference, read) for side in ours}
    with_labels = known[ours[0]] if ours else _entrant(WORKSPACE, corpus, reference, read)
    test_set = with_labels.test_set
    one, other = (
        known.get(side) or Entrant(side, test_set, read_foreign(Path(side), test_set))
        for side in sides
    )
    return one, other


def _entrant(side: str, corpus: str, reference: str, read: Reader) -> Entrant:
    revision, _, system = side.partition(":")
    system = system or reference
    if system not in SYSTEMS:  # it becomes part of a path
        raise PipelineError(f"{side}: got the system {system!r}{hint(system, SYSTEMS)}.")
    table = read_system(read, revision, corpus, system)
    return entrant(f"{revision}:{system}", table, system)


def entrant(name: str, table: Predictions, system: str) -> Entrant:
    """A system of a table of predictions, under a name for readers.

    Raises:
        PipelineError: It is left out there.
    """
    if system not in table.by_system:
        why = table.about.get(system, {}).get("left_out", "the table is empty")
        raise PipelineError(f"{name} has no predictions: {why}")
    return Entrant(name, table.test_set, table.by_system[system])


def pair(one: Entrant, other: Entrant) -> tuple[Row, Row, McNemar]:
    """Compare two entrants, the second with the first.

    Raises:
        PipelineError: The two were tested on other utterances, labels or classes.
    """
    first, second = compared([one, other])
    if second.apart:
        lines = [f"{other.name} has {second.apart}", *_examples(one, other)]
        raise PipelineError(
            f"{one.name} and {other.name} were not tested on the same:\n"
            + "\n".join(f"  {line}" for line in lines)
            + "\nOnly results on the same corpus, labels and splits can be compared in pairs."
        )
    together = (row.entrant.together for row in (first, second))
    return first, second, mcnemar(one.test_set.actual, *together)


def _examples(one: Entrant, other: Entrant) -> list[str]:
    """Lines that name some of the utterances in which the two differ."""
    if one.test_set.classes != other.test_set.classes:
        return []  # then numbers of classes mean something else
    here, there = _facts(one.test_set), _facts(other.test_set)
    groups = {
        f"of {one.name} alone": [u for u in here if u not in there],
        f"of {other.name} alone": [u for u in there if u not in here],
        "with another label or dialogue": [u for u in here if u in there and here[u] != there[u]],
    }
    return [
        f"{len(us)} utterances {how}: {', '.join(us[:SHOWN])}{', ...' if len(us) > SHOWN else ''}"
        for how, us in groups.items()
        if us
    ]


def show(corpus: str, one: Entrant, other: Entrant, console: Console | None = None) -> None:
    """Print a table of both sides and the outcome in words."""
    console = console or terminal()
    first, second, test = pair(one, other)
    dialogues = len(set(one.test_set.dialogues))
    title = f"{corpus}: {len(one.test_set.utterances)} test utterances in {dialogues} dialogues"
    # Names of experiments that differ in their last letters alone are not cut off.
    sides = [Column(_head(side), overflow="fold") for side in (one, other)]
    table = Table("percent", *sides, "difference", title=title)
    for name in OVERALL:
        cells = (first.figure(name), second.figure(name), str(second.differences[name]))
        table.add_row(name.replace("_", " "), *cells)
    console.print(table)
    console.print(sentence(first, second, test), soft_wrap=True)


def _head(side: Entrant) -> str:
    runs = len(side.predictions.seeds)
    return f"{side.name}\n{runs} run{'s' if runs > 1 else ''}"


def sentence(first: Row, second: Row, test: McNemar) -> str:
    """The outcome of a pair in words."""
    one, other = first.entrant.name, second.entrant.name
    gap, test_set = second.differences[WEIGHTED], first.entrant.test_set
    if not test.one and not test.other and not gap.low and not gap.high:
        return (
            f"Weighted F1 of {other} is the same as {one}: both are right in the same utterances, "
            "so nothing that differs between them changed what counts."
        )
    how = f"{abs(gap.value):.1f} points {'above' if gap.value > 0 else 'below'}"
    clear = "clear of 0: more than the choice of test dialogues explains"
    unclear = "not clear of 0: these test dialogues do not tell the two apart"
    dialogues = len(set(test_set.dialogues))
    words = (
        f"Weighted F1 of {other} is {how if gap.value else 'the same as'} {one}; the 95 % "
        f"interval of the difference over {dialogues} dialogues, {gap.low:+.1f} to "
        f"{gap.high:+.1f}, is {clear if gap.clear else unclear}. McNemar: {one} alone is right in "
        f"{test.one} of {len(test_set.utterances)} utterances, {other} alone in {test.other}, "
        f"p = {test.p:.2g}; it takes turns for independent."
    )
    return f"{words} {caution(dialogues)}".rstrip()
