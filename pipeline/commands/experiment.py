"""`python -m pipeline experiment NAME`: a recipe's variants, run over DVC's queue and compared."""

from functools import partial

from pipeline.commands.tools import programs, repository
from pipeline.errors import PipelineError
from pipeline.experiments import report
from pipeline.experiments.kept import dvc_reader
from pipeline.experiments.plan import experiments
from pipeline.experiments.queue import Queue
from pipeline.experiments.recipe import read_recipe
from pipeline.experiments.results import compare
from pipeline.experiments.running import run
from pipeline.params import read_params


def carry_out(name: str) -> None:
    """Runs what DVC does not have yet, prints the tables and writes them to docs/experiments.

    Raises:
        PipelineError: The recipe or the repository needs mending, or experiments failed.
    """
    for finding in (repository(), programs()):
        if finding.level == "MEND":
            raise PipelineError(finding.text)
    read_params()  # says what is wrong with it before anything else trips over that
    recipe = read_recipe(name)
    plan = experiments(name, recipe)
    run(name, partial(experiments, name, recipe), recipe.jobs, Queue())
    read = dvc_reader()
    comparisons = [compare(plan, corpus, read) for corpus in recipe.corpora]
    report.show(comparisons)
    print("written:", *report.write(name, recipe, comparisons))
