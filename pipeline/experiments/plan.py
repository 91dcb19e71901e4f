"""What a recipe runs: experiments under names that say what decides their results.

Whoever finds an experiment of that name finds the result of these very files and settings, whatever
was committed, changed and changed back in between: so a name that exists is done.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.base.cache import digest_of
from pipeline.base.errors import PipelineError
from pipeline.base.files import sha256_file
from pipeline.base.lockfile import LOCK, stages_here
from pipeline.base.params import DEMO, PARAMS, read_params
from pipeline.base.paths import PARAMS_CHECKED

DAG = Path("dvc.yaml")
DIGITS = 8
AROUND = ("params", "report")  # they check settings and describe results, and decide none
OF_SYSTEM = "${item.system}"  # in a stage's dependencies


@dataclass(frozen=True)
class Experiment:
    """One variant of a recipe, or one point of a grid.

    Attributes:
        variant: Its name in the recipe.
        name: Its name in DVC.
        settings: All values of -S.
        allow_missing: Whether a corpus' raw files may be absent where it runs.
        targets: Stages that are run, with all they need.
    """

    variant: str
    name: str
    settings: tuple[str, ...]
    allow_missing: bool
    targets: tuple[str, ...]


def experiments(
    label: str,
    corpora: Sequence[str],
    systems: Sequence[str],
    runs: Mapping[str, Sequence[str]],
    last: str = "evaluate",
) -> list[Experiment]:
    """The experiments of a recipe, in the order of its runs.

    Args:
        label: Their names begin with it.
        corpora: Those of every experiment.
        systems: Those that every experiment trains.
        runs: Values of -S by variant.
        last: The stage after which they end: the report is of the last `dvc repro`.

    Raises:
        PipelineError: params.yaml does not know a corpus or system, or a corpus that is not
            generated has not been through `dvc repro` yet.
    """
    generated, given = _corpora(corpora, systems)
    selected = (
        f"corpora=[{','.join(corpora)}]",
        f"demos=[{','.join(g.removeprefix(DEMO) for g in generated)}]",
    )
    targets = tuple(f"{last}@{corpus}-{system}" for corpus in corpora for system in systems)
    state = [*_code(systems), PARAMS.as_posix(), DAG.as_posix()]
    facts = [[(file, sha256_file(Path(file))) for file in state], _manifests(given), targets]
    plan = []
    for variant, own in runs.items():
        settings = (*selected, *own)
        name = f"{label}-{variant}-{digest_of(facts, settings)[:DIGITS]}"
        plan.append(Experiment(variant, name, settings, bool(given), targets))
    return plan


def _corpora(corpora: Sequence[str], systems: Sequence[str]) -> tuple[list[str], list[str]]:
    """The corpora that the stage `demo` generates, and the others.

    Raw files of the others are ignored by git: the folders that experiments run in lack them.
    """
    params = read_params()
    for corpus in corpora:
        params.check(corpus)
    for system in systems:
        params.check_system(system)
    generated = [corpus for corpus in corpora if "demo" in params.blocks[corpus]]
    return generated, [corpus for corpus in corpora if corpus not in generated]


def _code(systems: Iterable[str]) -> list[str]:
    """The files of this repository that stages depend on, in the folders that dvc.yaml lists."""
    stages = [stage for name, stage in _yaml(DAG)["stages"].items() if name not in AROUND]
    deps = {dep for stage in stages for dep in stage.get("deps", [])}
    deps |= {dep.replace(OF_SYSTEM, system) for dep in deps for system in systems}
    # Data follow from the code and the settings; most are templated by corpus.
    code = [Path(dep) for dep in deps if "${" not in dep and dep != PARAMS_CHECKED.as_posix()]
    files = {file for path in code for file in (path, *path.rglob("*"))}
    return sorted(f.as_posix() for f in files if f.is_file() and f.suffix != ".pyc")


def _manifests(corpora: Sequence[str]) -> list[Any]:
    """What dvc.lock says of the manifests, which hold a digest of every raw file."""
    stages = stages_here()
    lacking = [corpus for corpus in corpora if f"manifest@{corpus}" not in stages]
    if lacking:
        raise PipelineError(
            f"{LOCK} knows nothing of {lacking}, whose raw files experiments do not have where "
            f"they run: set corpora: {lacking} in {PARAMS} and run `dvc repro` once."
        )
    return [stages[f"manifest@{corpus}"]["outs"] for corpus in corpora]


def _yaml(path: Path) -> Any:
    return _parsed(path.read_text(encoding="utf-8"))


# A plan is made anew for each experiment that starts; the texts are nearly always the same.
@lru_cache(maxsize=8)
def _parsed(text: str) -> Any:
    return YAML(typ="safe").load(text)
