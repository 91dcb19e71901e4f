"""`python -m pipeline experiment NAME`: run a recipe, and compare what it ran."""

from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path

from pipeline.base.display import say
from pipeline.base.errors import PipelineError
from pipeline.base.params import read_params
from pipeline.doctor.machine import programs, repository
from pipeline.experiments import pages, tables
from pipeline.experiments.outcomes import Comparison, compare, rank
from pipeline.experiments.plan import Experiment, experiments
from pipeline.experiments.reading import Request
from pipeline.experiments.recipe import Recipe, Search, Variants
from pipeline.experiments.revisions import Reader, dvc_reader
from pipeline.experiments.run import run

LAST = "train"  # where the points of a search end; `evaluate` would give them figures on test


def carry_out(
    name: str, *, quick: bool = False, corpora: Sequence[str] = (), systems: Sequence[str] = ()
) -> None:
    """Run what DVC does not have yet, print the tables and write them to docs/experiments.

    Args:
        name: Of the recipe.
        quick: Whether few variants run, with one seed.
        corpora: Instead of the recipe's.
        systems: Instead of the recipe's.

    Raises:
        PipelineError: The recipe or the repository is not in order, or experiments failed.
    """
    for finding in (repository(), programs()):
        if finding.level == "FIX":
            raise PipelineError(finding.text)
    params = read_params()  # says what is wrong with it before anything else trips over that
    request = Request(name, quick, tuple(corpora), tuple(systems))
    recipe, read = request.recipe(params.reference), dvc_reader()
    if isinstance(recipe, Search):
        written = search(request, recipe, read)
    else:
        written = compare_variants(request, recipe, read)
    say("written:", *written)


def compare_variants(request: Request, recipe: Variants, read: Reader) -> list[Path]:
    """Run the variants and compare them; return what was written."""
    names = (*recipe.systems, *recipe.beside)
    plan = partial(experiments, request.label, recipe.corpora, names, recipe.runs())
    return pages.write(request, recipe, _tested(request, recipe, plan, read))


def search(request: Request, recipe: Search, read: Reader) -> list[Path]:
    """Train the points of a grid, and test the one that validation chooses.

    Returns:
        What was written.

    Raises:
        PipelineError: Experiments failed, or files changed between the choice and the test.
    """
    plan = partial(experiments, request.label, recipe.corpora, recipe.systems, recipe.runs(), LAST)
    before = plan()
    run(request.label, request.command, plan, recipe.jobs)
    rankings = [rank(recipe, before, *case, read) for case in _cases(recipe)]
    tables.show_points(recipe, rankings)
    for ranking in rankings:
        say(f"{request.label}, {pages.choice(recipe, ranking)}")
    if plan() != before:
        raise PipelineError(
            f"Files that decide the results changed during the search. `{request.command}` "
            "searches with the files as they are now; nothing has been tested."
        )
    chosen = [ranking.chosen for ranking in rankings]
    decided = recipe.decided(dict(zip(_cases(recipe), chosen, strict=True)))
    names = (*recipe.systems, *recipe.beside)
    plan = partial(experiments, request.label, recipe.corpora, names, decided)
    tested = _tested(request, recipe, plan, read)
    return pages.write(request, recipe, tested, rankings)


def _tested(
    request: Request, recipe: Recipe, plan: "partial[list[Experiment]]", read: Reader
) -> list[Comparison]:
    before = plan()
    run(request.label, request.command, plan, recipe.jobs)
    comparisons = [compare(recipe, before, *case, read) for case in _cases(recipe)]
    tables.show(comparisons)
    return comparisons


def _cases(recipe: Recipe) -> list[tuple[str, str]]:
    """Each corpus with each system."""
    return list(product(recipe.corpora, recipe.systems))
