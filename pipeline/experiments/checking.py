"""Tries settings before anything runs: mistakes are told now, not by the ninth experiment."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.experiments.plan import Experiment
from pipeline.params import PARAMS, read_params


def check(experiments: Sequence[Experiment]) -> None:
    """Tries every experiment's settings on a copy of params.yaml, as DVC will.

    Raises:
        PipelineError: One message that names all settings that do not fit.
    """
    problems: dict[str, list[str]] = {}
    for experiment in experiments:
        for problem in _problems(experiment.settings):
            problems.setdefault(problem, []).append(experiment.variant)
    if problems:
        lines = [f"  {', '.join(variants)}: {line}" for line, variants in problems.items()]
        raise PipelineError(
            f"{PARAMS} cannot be changed as the recipe says; mend the recipe:\n" + "\n".join(lines)
        )


def _problems(settings: Sequence[str]) -> Iterator[str]:
    # The functions that DVC calls, so that nothing passes here and fails there.
    from dvc.exceptions import DvcException
    from dvc.utils.hydra import apply_overrides

    unfit = [f"{setting}: {reason}" for setting in settings if (reason := _unfit(setting))]
    if unfit:
        yield from unfit
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copy(PARAMS, folder))
        try:
            apply_overrides(copy, list(settings))
            read_params(copy)
        except DvcException as error:
            # Hydra's second line advises to add the key, which no stage would read.
            yield f"{str(error.__cause__ or error).splitlines()[0]} No such key in {PARAMS}."
        except PipelineError as error:
            yield from (line.strip() for line in str(error).splitlines()[1:])


def _unfit(setting: str) -> str | None:
    """Why one value of -S cannot be in a recipe, or None."""
    from dvc.utils.hydra import to_hydra_overrides
    from hydra.errors import HydraException

    try:
        (override,) = to_hydra_overrides([setting])
    except HydraException as error:
        return f"not readable, {str(error).splitlines()[0]}"
    several = "several values, which DVC makes several experiments of; write a variant for each"
    return several if override.is_sweep_override() else None
