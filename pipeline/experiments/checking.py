"""Try what can be tried before anything runs: mistakes show now, not in the ninth experiment."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.base import paths
from pipeline.base.aliases import load_yaml
from pipeline.base.errors import PipelineError
from pipeline.base.files import scratch_folder
from pipeline.base.lockfile import LOCK, digest, stages_here
from pipeline.base.params import PARAMS, Params, checked
from pipeline.experiments.plan import Experiment

# What is read of an experiment that ends at a stage, by corpus and system.
READ_OF = {"evaluate": paths.predictions, "train": paths.epochs}


def check(experiments: Sequence[Experiment]) -> None:
    """Try every experiment's settings on a copy of params.yaml, as DVC will.

    Raises:
        PipelineError: One message that names all settings that do not fit. Or results that an
            experiment would take for its own are not there.
    """
    _refuse_lost(experiments)
    problems: dict[str, list[str]] = {}
    for experiment in experiments:
        for problem in with_settings(experiment.settings)[1]:
            problems.setdefault(problem, []).append(experiment.variant)
    if problems:
        lines = [f"  {', '.join(variants)}: {line}" for line, variants in problems.items()]
        raise PipelineError(
            f"{PARAMS} cannot be changed as the recipe says; fix the recipe:\n" + "\n".join(lines)
        )


def _refuse_lost(experiments: Sequence[Experiment]) -> None:
    """DVC, told that files may be absent, takes what dvc.lock knows for done, there or not."""
    targets = {
        t for experiment in experiments if experiment.allow_missing for t in experiment.targets
    }
    stages, lost = stages_here(), []
    for target in sorted(targets):
        stage, _, item = target.partition("@")
        corpus, _, system = item.rpartition("-")
        known = digest(stages, target, "outs", READ_OF[stage](corpus, system))
        if known and not _cached(known):
            lost.append(corpus)
    if lost:
        raise PipelineError(
            f"{LOCK} has results of {sorted({*lost})} whose predictions are not in DVC's cache: an "
            "experiment that changes nothing would end without them. `dvc pull` them, or set "
            f"corpora: {sorted({*lost})} in {PARAMS} and run `dvc repro` once."
        )


def _cached(md5: str) -> bool:
    from dvc.repo import Repo  # takes a second

    with Repo() as repo:
        return bool(repo.cache.local.exists(md5))


def with_settings(settings: Sequence[str]) -> tuple[Params | None, list[str]]:
    """params.yaml with values of -S, as DVC sets them; or None, and a line for each problem."""
    # The functions that DVC calls, so that nothing passes here and fails there.
    from dvc.exceptions import DvcException
    from dvc.utils.hydra import apply_overrides
    from ruamel.yaml import YAML

    unfit = [f"{setting}: {reason}" for setting in settings if (reason := _unfit(setting))]
    if unfit:
        return None, unfit
    raw = load_yaml(PARAMS.read_text(encoding="utf-8"))
    part = _named(raw, settings)
    with scratch_folder("erc-params") as folder:
        copy = folder / PARAMS.name
        YAML(typ="safe").dump(part, copy)
        try:
            apply_overrides(copy, list(settings))
            for block, value in load_yaml(copy.read_text(encoding="utf-8")).items():
                raw[block] = {**raw[block], **value} if isinstance(value, dict) else value
            return checked(PARAMS, raw), []
        except DvcException as error:
            # Hydra's second line advises to add the key, which no stage would read.
            line = f"{str(error.__cause__ or error).splitlines()[0]} No such key in {PARAMS}."
            return None, [line]
        except PipelineError as error:
            return None, [line.strip() for line in str(error).splitlines()[1:]]


def _named(raw: Mapping[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """The sections that are set: over the whole file DVC would take seconds."""
    from dvc.utils.hydra import to_hydra_overrides

    part: dict[str, Any] = {}
    for override in to_hydra_overrides(list(settings)):
        block, *sections = override.key_or_group.split(".")[:2]
        own = raw.get(block)
        if sections and isinstance(own, dict):
            part[block] = part.get(block, {}) | {key: own[key] for key in sections if key in own}
        elif block in raw:
            part[block] = own
    return part


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
