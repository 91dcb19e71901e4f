"""`python -m pipeline results`: weighted F1 of each run beside the settings that were changed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from pipeline.base import paths
from pipeline.base.display import terminal
from pipeline.base.params import LISTS, PARAMS
from pipeline.experiments.rows import mean_std
from pipeline.systems.registry import SYSTEMS, title

# What `dvc exp show --json` prints: the workspace, then the commit with its experiments.
States = Sequence[Mapping[str, Any]]
ABSENT = "-"


@dataclass(frozen=True)
class Run:
    """One run, as far as a system on a corpus is concerned.

    Attributes:
        name: workspace, the commit's, or the experiment's.
        status: Why there is no result, such as `running`; "" where there is one.
        metrics: metrics.json.
        settings: Values by `section.key`, and those that belong to no corpus.
    """

    name: str
    status: str
    metrics: Mapping[str, Any]
    settings: Mapping[str, Any]


def show(corpora: Sequence[str], systems: Sequence[str], console: Console | None = None) -> None:
    """Print a table for each corpus and system."""
    from dvc.repo import Repo

    with Repo() as repo:
        states = [state.dumpd() for state in repo.experiments.show()]
    for corpus in corpora:
        for system in systems:
            (console or terminal()).print(table(corpus, system, states))


def table(corpus: str, system: str, states: States) -> Table:
    """The runs of a system on a corpus; settings are compared with those of the commit."""
    found = list(runs(corpus, system, states))
    commit = next((run for run in found if run.name.startswith("HEAD")), found[0])
    head = f"{title(system)} on {corpus}: weighted F1 in percent (± over seeds)"
    grid = Table(title=head, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    grid.add_column("run", overflow="fold")
    for split in ("validation", "test"):
        grid.add_column(split, no_wrap=True, justify="right")
    grid.add_column("changed since HEAD", overflow="fold")
    for run in found:
        changed = "\n".join(_changed(corpus, commit.settings, run.settings))
        cells = [run.status or _cell(run.metrics, split) for split in ("validation", "test")]
        grid.add_row(run.name, *cells, changed)
    return grid


def runs(corpus: str, system: str, states: States) -> Iterator[Run]:
    """The workspace, the commit, and its experiments, the newest first."""
    for state in states:
        sha, name = state["rev"], state.get("name")
        known = "workspace" if sha == "workspace" else f"HEAD ({name or sha[:7]})"
        yield _run(corpus, system, known, state)
        for run in state.get("experiments") or ():
            last = run["revs"][0]
            status = (run.get("executor") or {}).get("state", "")
            yield _run(corpus, system, last.get("name") or last["rev"][:7], last, status)


def _run(corpus: str, system: str, name: str, state: Mapping[str, Any], status: str = "") -> Run:
    data = state.get("data") or {}
    settings = data.get("params", {}).get(PARAMS.as_posix(), {}).get("data") or {}
    file = paths.metrics(corpus, system, "metrics.json").as_posix()
    metrics = data.get("metrics", {}).get(file, {}).get("data") or {}
    status = status or ("error" if state.get("error") else "")
    fresh = _evaluated(data, paths.epochs(corpus, system).as_posix())
    block = {
        k: v for k, v in (settings.get(corpus) or {}).items() if k == system or k not in SYSTEMS
    }
    shared = {key: settings[key] for key in ("compute", *LISTS) if key in settings}
    return Run(
        name=name,
        status="" if status == "success" else status,
        metrics=metrics if fresh else {},
        settings=_flat(block) | _flat(shared),
    )


def _evaluated(data: Mapping[str, Any], epochs: str) -> bool:
    """Whether `evaluate` has read the last training: an experiment may end before."""
    read, made = (data.get(key, {}).get(epochs, {}).get("hash") for key in ("deps", "outs"))
    return bool(read == made)


def _flat(block: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in block.items():
        inner = isinstance(value, Mapping)
        flat |= _flat(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value}
    return flat


def _changed(corpus: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    ours, new = ({key for key in side if key.startswith("corpus.")} for side in (before, after))
    if new and not ours:
        yield f"a new corpus: HEAD has no block {corpus}"
        return
    for key in sorted(before.keys() | after.keys()) if before and after else ():
        if before.get(key) != after.get(key):
            yield f"{key}={after.get(key)}"


def _cell(metrics: Mapping[str, Any], split: str) -> str:
    figures = metrics.get(split, {})
    if "weighted_f1" not in figures:
        return ABSENT
    return mean_std(figures["weighted_f1"], figures.get("weighted_f1_std"))
