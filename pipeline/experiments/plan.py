"""What a recipe runs: an experiment per variant, under a name that says what decides its result.

Whoever finds an experiment of that name finds the result of these very files and settings, whatever
was committed, changed and changed back in between: so a name that exists is done.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.cache import digest_of
from pipeline.errors import PipelineError
from pipeline.experiments.recipe import Recipe
from pipeline.files import sha256_file
from pipeline.params import PARAMS, read_params

DAG = Path("dvc.yaml")
LOCK = Path("dvc.lock")
DIGITS = 8


@dataclass(frozen=True)
class Experiment:
    """One variant of a recipe.

    Attributes:
        variant: Its name in the recipe.
        name: Its name in DVC.
        settings: All values of -S.
        allow_missing: Whether a corpus' raw files may be absent where it runs.
    """

    variant: str
    name: str
    settings: tuple[str, ...]
    allow_missing: bool


def experiments(recipe_name: str, recipe: Recipe) -> list[Experiment]:
    """A recipe's experiments, the reference first.

    Raises:
        PipelineError: params.yaml does not know a corpus, or one that is not generated has not
            been through `dvc repro` yet.
    """
    generated, given = _corpora(recipe)
    selected = (f"corpora=[{','.join(recipe.corpora)}]", f"demos=[{','.join(generated)}]")
    state = [*_code(), PARAMS.as_posix(), DAG.as_posix()]
    facts = [[(file, sha256_file(Path(file))) for file in state], _manifests(given)]
    found = []
    for variant in sorted(recipe.variants, key=lambda variant: variant != recipe.reference):
        settings = (*selected, *recipe.settings(variant))
        name = f"{recipe_name}-{variant}-{digest_of(facts, settings)[:DIGITS]}"
        found.append(Experiment(variant, name, settings, allow_missing=bool(given)))
    return found


def _corpora(recipe: Recipe) -> tuple[list[str], list[str]]:
    """The recipe's corpora that the stage `demo` generates, and the others.

    Raw files of the others are ignored by git: the workspaces of DVC's queue do not have them.
    """
    params = _yaml(PARAMS)
    unknown = [corpus for corpus in recipe.corpora if corpus not in params["corpus"]]
    if unknown:
        raise PipelineError(
            f"The recipe's corpora are {list(recipe.corpora)}; {PARAMS} has no blocks of {unknown},"
            f" only of {sorted(params['corpus'])}."
        )
    generated = [corpus for corpus in recipe.corpora if corpus in params["demo"]]
    return generated, [corpus for corpus in recipe.corpora if corpus not in generated]


def _code() -> list[str]:
    """The files of this repository that stages depend on: their import closures, and the lock."""
    stages = _yaml(DAG)["stages"].values()
    deps = {dep for stage in stages for dep in stage.get("do", stage).get("deps", [])}
    # Data are templated by corpus, and follow from the code and the settings.
    return sorted(dep for dep in deps if "${" not in dep and Path(dep).is_file())


def _manifests(corpora: Sequence[str]) -> list[Any]:
    """What dvc.lock says of the manifests, which hold a digest of every raw file."""
    stages = _yaml(LOCK).get("stages", {}) if LOCK.is_file() else {}
    lacking = [corpus for corpus in corpora if f"manifest@{corpus}" not in stages]
    if lacking:
        raise PipelineError(
            f"{LOCK} knows nothing of {lacking}, whose raw files the experiments' workspaces do "
            f"not have: set corpora: {lacking} in {PARAMS} and run `dvc repro` once."
        )
    return [stages[f"manifest@{corpus}"]["outs"] for corpus in corpora]


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


def _yaml(path: Path) -> Any:
    return _parsed(path.read_text(encoding="utf-8"))


# A plan is made anew for each experiment that is queued; the texts are nearly always the same.
@lru_cache(maxsize=8)
def _parsed(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)
