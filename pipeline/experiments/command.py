"""`python -m pipeline experiment NAME`: run a recipe, and compare what it ran."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pipeline.base.display import say
from pipeline.base.errors import PipelineError
from pipeline.base.params import read_params
from pipeline.doctor import programs, repository
from pipeline.experiments import pages, search_pages, tables
from pipeline.experiments.grid import Search
from pipeline.experiments.kept import Reader, dvc_reader
from pipeline.experiments.plan import experiments
from pipeline.experiments.request import Request
from pipeline.experiments.results import compare
from pipeline.experiments.run import run
from pipeline.experiments.search import LAST, rank
from pipeline.experiments.variants import Variants


def carry_out(name: str, *, quick: bool = False, corpora: Sequence[str] = ()) -> None:
    """Runs what DVC does not have yet, prints the tables and writes them to docs/experiments.

    Args:
        name: Of the recipe.
        quick: Whether few variants run, with one seed.
        corpora: Instead of the recipe's.

    Raises:
        PipelineError: The recipe or the repository is not in order, or experiments failed.
    """
    for finding in (repository(), programs()):
        if finding.level == "FIX":
            raise PipelineError(finding.text)
    read_params()  # says what is wrong with it before anything else trips over that
    request = Request(name, quick, tuple(corpora))
    recipe = request.recipe()
    read = dvc_reader()
    if isinstance(recipe, Search):
        written = search(request, recipe, read)
    else:
        written = compare_variants(request, recipe, read)
    say("written:", *written)


def compare_variants(request: Request, recipe: Variants, read: Reader) -> list[Path]:
    """Runs the variants and compares them; returns what was written."""
    again = partial(experiments, request.label, recipe.corpora, recipe.runs())
    plan = again()
    run(request.label, request.command, again, recipe.jobs)
    comparisons = [compare(plan, corpus, read) for corpus in recipe.corpora]
    tables.show(comparisons)
    return pages.write(request, recipe, comparisons)


def search(request: Request, recipe: Search, read: Reader) -> list[Path]:
    """Trains the points of a grid, and tests the one that validation chooses.

    Returns:
        What was written.

    Raises:
        PipelineError: Experiments failed, or files changed between the choice and the test.
    """
    again = partial(experiments, request.label, recipe.corpora, recipe.runs(), LAST)
    plan = again()
    run(request.label, request.command, again, recipe.jobs)
    rankings = [rank(plan, corpus, read) for corpus in recipe.corpora]
    search_pages.show(recipe, rankings)
    for ranking in rankings:
        say(f"{request.label}, {search_pages.sentence(recipe, ranking)}")
    if again() != plan:
        raise PipelineError(
            f"Files that decide the results changed during the search. `{request.command}` "
            "searches with the files as they are now; nothing has been tested."
        )
    decided = recipe.decided({ranking.corpus: ranking.chosen for ranking in rankings})
    again = partial(experiments, request.label, recipe.corpora, decided)
    tested = again()
    run(request.label, request.command, again, recipe.jobs)
    comparisons = [compare(tested, corpus, read) for corpus in recipe.corpora]
    tables.show(comparisons)
    return search_pages.write(request, recipe, rankings, comparisons)
