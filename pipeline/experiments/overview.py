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

# What `dvc exp show --json` prints: the workspace, then the commit with its experiments.
States = Sequence[Mapping[str, Any]]
ABSENT = "-"


@dataclass(frozen=True)
class Row:
    """One run, as far as a corpus is concerned.

    Attributes:
        name: workspace, the commit's, or the experiment's.
        status: Why there is no result, such as `queued`; "" where there is one.
        metrics: metrics.json.
        settings: Values by `section.key`, and those that belong to no corpus.
    """

    name: str
    status: str
    metrics: Mapping[str, Any]
    settings: Mapping[str, Any]


def show(corpora: Sequence[str], console: Console | None = None) -> None:
    """Print a table for each corpus."""
    from dvc.repo import Repo

    with Repo() as repo:
        states = [state.dumpd() for state in repo.experiments.show()]
    for corpus in corpora:
        (console or terminal()).print(table(corpus, states))


def table(corpus: str, states: States) -> Table:
    """The runs of a corpus; settings are compared with those of the commit."""
    runs = list(rows(corpus, states))
    commit = next((row for row in runs if row.name.startswith("HEAD")), runs[0])
    title = f"{corpus}: weighted F1 in percent (± over seeds)"
    grid = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    grid.add_column("run", overflow="fold")
    grid.add_column("validation", no_wrap=True, justify="right")
    grid.add_column("test", no_wrap=True, justify="right")
    grid.add_column("changed since HEAD", overflow="fold")
    for row in runs:
        changed = "\n".join(_changed(corpus, commit.settings, row.settings))
        cells = [row.status or _cell(row.metrics, split) for split in ("validation", "test")]
        grid.add_row(row.name, *cells, changed)
    return grid


def rows(corpus: str, states: States) -> Iterator[Row]:
    """The workspace, the commit, and its experiments, the newest first."""
    for state in states:
        sha, name = state["rev"], state.get("name")
        known = "workspace" if sha == "workspace" else f"HEAD ({name or sha[:7]})"
        yield _row(corpus, known, state, None)
        for run in state.get("experiments") or ():
            last = run["revs"][0]
            yield _row(corpus, last.get("name") or last["rev"][:7], last, run.get("executor"))


def _row(
    corpus: str, name: str, state: Mapping[str, Any], executor: Mapping[str, Any] | None
) -> Row:
    data = state.get("data") or {}
    settings = data.get("params", {}).get(PARAMS.as_posix(), {}).get("data") or {}
    metrics = data.get("metrics", {}).get(paths.metrics(corpus, "metrics.json").as_posix(), {})
    status = (executor or {}).get("state") or ("error" if state.get("error") else "")
    if status == "success":
        status = ""
    fresh = _evaluated(data, paths.epochs(corpus).as_posix())
    own = _flat(settings.get(corpus) or {})
    others = ("compute", *LISTS)
    shared = _flat({key: settings[key] for key in others if key in settings})
    return Row(name, status, (metrics.get("data") or {}) if fresh else {}, own | shared)


def _evaluated(data: Mapping[str, Any], epochs: str) -> bool:
    """Whether `evaluate` has read the last training: an experiment may end before."""
    read, made = (data.get(key, {}).get(epochs, {}).get("hash") for key in ("deps", "outs"))
    return bool(read == made)


def _flat(block: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in block.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
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
    mean, deviation = figures["weighted_f1"], figures.get("weighted_f1_std")
    return f"{mean:.1f}" if deviation is None else f"{mean:.1f} ± {deviation:.1f}"
