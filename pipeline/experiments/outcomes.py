"""What a recipe's experiments found for one system on one corpus, on test and on validation."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.base import paths
from pipeline.base.aliases import load_yaml
from pipeline.base.params import PARAMS
from pipeline.evaluation.evaluate import selected_runs
from pipeline.evaluation.intervals import Difference
from pipeline.experiments.plan import Experiment
from pipeline.experiments.recipe import AS_IT_IS, Recipe
from pipeline.experiments.revisions import Reader, fetched, read_system
from pipeline.experiments.rows import Entrant, Row, apart, compared, entrant
from pipeline.records.epochs import read_epochs
from pipeline.records.protocol import LEARNT, counts, read_protocol
from pipeline.systems.registry import title


@dataclass(frozen=True)
class Comparison:
    """A recipe's variants of one system on one corpus.

    Attributes:
        name: The corpus, and the system where there are several.
        rows: The reference, the other variants, the systems beside them.
        variants: How many of the rows are variants.
        learnt: Labelled utterances of the first fold's `train` and `valid`.
        lead: The reference less the best variant with a single modality; None without such a
            variant, or where it is the reference.
        singles: Each variant with a single modality less `least`, the best first; none where all
            variants have the same modalities.
        least: The first system beside them, the simplest one.
    """

    name: str
    rows: Sequence[Row]
    variants: int
    learnt: Mapping[str, int]
    lead: Difference | None
    singles: Mapping[str, Difference]
    least: Row | None


def compare(
    recipe: Recipe, plan: Sequence[Experiment], corpus: str, system: str, read: Reader
) -> Comparison:
    """Read and compare what a recipe's experiments say of a corpus' test split.

    Args:
        recipe: Whose.
        plan: The reference first.
        corpus: Which.
        system: Which.
        read: Gives an experiment's files.

    Raises:
        PipelineError: A file is gone, or the system is left out.
    """
    entrants = [entrant(e.variant, read_system(read, e.name, corpus, system), system) for e in plan]
    seen = {e.variant: _modalities(read, e.name, corpus, system) for e in plan}
    variants, beside = len(plan), [name for name in recipe.beside if name != system]
    rows = compared([*entrants, *_beside(plan, corpus, beside, read)])
    singles = sorted(
        (r for r in rows[:variants] if len(seen[r.entrant.name]) == 1 and not r.apart),
        key=lambda row: -row.figures["weighted_f1"].value,
    )
    singles = singles if len(set(seen.values())) > 1 else []
    least = next((row for row in rows[variants:] if not row.apart), None)
    lead = rows[0].less(singles[0]) if singles and singles[0] is not rows[0] else None
    return Comparison(
        name=case(recipe, corpus, system),
        rows=rows,
        variants=variants,
        learnt=_learnt(read, plan[0].name, corpus),
        lead=lead,
        singles={row.entrant.name: row.less(least) for row in singles if least},
        least=least,
    )


def case(recipe: Recipe, corpus: str, system: str) -> str:
    """A corpus' name for readers, with the system's if the recipe has several."""
    return corpus if len(recipe.systems) == 1 else f"{corpus}, {title(system)}"


def _beside(
    plan: Sequence[Experiment], corpus: str, systems: Sequence[str], read: Reader
) -> Iterator[Entrant]:
    """Other systems of the reference; of each variant, too, where they predict something else."""
    known: dict[str, Entrant] = {}
    for experiment in plan:
        for system in systems:
            table = read_system(read, experiment.name, corpus, system)
            if system not in table.by_system:  # left out
                continue
            of_variant = "" if experiment is plan[0] else f", {experiment.variant}"
            found = entrant(f"{title(system)}{of_variant}", table, system)
            if system not in known or _differ(found, known[system]):
                yield found
            known.setdefault(system, found)


def _differ(one: Entrant, other: Entrant) -> bool:
    if apart(other.test_set, one.test_set):
        return True
    here = one.on(other.test_set).predictions.predicted
    return not np.array_equal(here, other.predictions.predicted)


def _modalities(read: Reader, revision: str, corpus: str, system: str) -> tuple[str, ...]:
    content = load_yaml(read(revision, PARAMS).decode("utf-8"))
    return tuple(content[corpus][system]["modalities"])


def _learnt(read: Reader, revision: str, corpus: str) -> dict[str, int]:
    with fetched(read, revision, paths.protocol(corpus)) as file:
        numbers = counts(read_protocol(file))
    return {split: sum(numbers[split].values()) for split in LEARNT}


@dataclass(frozen=True)
class Ranking:
    """The points of a grid for one system on one corpus.

    Attributes:
        name: The corpus, and the system where there are several.
        by_seed: Validation weighted F1 of each seed, in percent, by point; the settings as they are
            stand first, and cannot be chosen.
    """

    name: str
    by_seed: Mapping[str, Sequence[float]]

    @property
    def chosen(self) -> str:
        """The point with the highest mean over seeds; of equal ones the first."""
        points = [name for name in self.by_seed if name != AS_IT_IS]
        return max(points, key=lambda name: float(np.mean(self.by_seed[name])))


def rank(
    recipe: Recipe, plan: Sequence[Experiment], corpus: str, system: str, read: Reader
) -> Ranking:
    """Read what the points of a grid reached on validation; test labels are not even read.

    Raises:
        PipelineError: A file is gone.
    """
    by_seed = {}
    for experiment in plan:
        with fetched(read, experiment.name, paths.protocol(corpus)) as file:
            protocol = read_protocol(file, LEARNT)
        with fetched(read, experiment.name, paths.epochs(corpus, system)) as file:
            rows, _ = read_epochs(file)
        runs = selected_runs(rows, protocol, "valid")
        by_seed[experiment.variant] = [run.scores(protocol.classes).weighted_f1 for run in runs]
    return Ranking(case(recipe, corpus, system), by_seed)
