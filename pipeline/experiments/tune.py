"""`python -m pipeline tune CORPUS`: the same few points for every system, compared on validation.

Unlike a recipe's search, no point is an experiment of DVC's: all runs of all systems are trained by
the same few processes, which neither start anew nor read test labels. They stay in the cache, so
`dvc repro` finds those of the chosen points there.
"""

import math
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pydantic import ValidationError
from rich.box import SIMPLE_HEAD
from rich.table import Table

from pipeline.base.display import say, terminal
from pipeline.base.errors import PipelineError
from pipeline.base.files import write_text
from pipeline.base.params import Params, read_params
from pipeline.base.progress import progress
from pipeline.base.settings import ComputeSettings
from pipeline.base.workers import workers
from pipeline.systems.base import Settings
from pipeline.systems.registry import title
from pipeline.training.fit import VALID_F1
from pipeline.training.runs import Job, KeptRun, Training, in_processes, read_data
from pipeline.training.train import kept_runs

PAGES = Path("docs/tuning")
DEFAULT = ("learning_rate=0.0001,0.0003,0.001,0.003,0.01",)
INPUTS = ("protocol", "finetune", "text", "audio", "visual")  # stages whose outputs `train` reads
Point = Mapping[str, Any]


@dataclass
class Tried:
    """One point of one system.

    Attributes:
        point: Values by setting.
        training: With them.
        runs: One per fold and seed.
        scores: Validation weighted F1 of each run that has ended, in percent.
        diverged: Whether the loss of a run was NaN or infinite.
    """

    point: Point
    training: Training
    runs: Sequence[KeptRun]
    scores: list[float] = field(default_factory=list)
    diverged: bool = False

    @property
    def mean(self) -> float:
        """Over the runs; below all others if one of them diverged."""
        return -1.0 if self.diverged else float(np.mean(self.scores))


def carry_out(
    corpus: str, systems: Sequence[str], values: Sequence[str], seeds: Sequence[int]
) -> None:
    """Train every system at every point, print what validation says, write it to docs/tuning.

    Args:
        corpus: Which.
        systems: Which; none: all of params.yaml that have the settings.
        values: `setting=value,value,...`; the points are their product.
        seeds: Of each point.

    Raises:
        PipelineError: Settings or values do not fit, or a stage before training failed.
    """
    params, grid = read_params(), dict(map(_values, values))
    trainings = _trainings(params, corpus, systems, grid, seeds)
    _bring_up_to_date(corpus)
    tried = {
        name: [Tried(point, one, kept_runs(read_data(one))) for point, one in of_system]
        for name, of_system in trainings.items()
    }
    _train(corpus, [one for of_system in tried.values() for one in of_system])
    heads, rows = _table(tried)
    table = Table(title=f"{corpus}: weighted F1 on validation", box=SIMPLE_HEAD)
    for number, head in enumerate(heads):
        table.add_column(head, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    terminal().print(table)
    others = grid if tuple(values) != DEFAULT else ()
    path = PAGES / ("-".join([corpus, *systems, *others]) + ".md")
    write_text(path, _page(corpus, systems, values, seeds, tried))
    say("written:", path)


def _values(text: str) -> tuple[str, list[Any]]:
    """A setting and its values, from the command line.

    Raises:
        PipelineError: It cannot be read.
    """
    key, _, listed = text.partition("=")
    try:
        values = yaml.safe_load(f"[{listed}]")
    except yaml.YAMLError:
        values = []
    if not key.isidentifier() or not values or len({*map(repr, values)}) < len(values):
        raise PipelineError(f"--values: got {text!r}, expected SETTING=VALUE,VALUE,... that differ")
    return key, values


def _trainings(
    params: Params,
    corpus: str,
    systems: Sequence[str],
    grid: Mapping[str, Sequence[Any]],
    seeds: Sequence[int],
) -> dict[str, list[tuple[Point, Training]]]:
    """All points of all systems with their settings, which are checked."""
    points: list[Point] = [dict(zip(grid, one, strict=True)) for one in product(*grid.values())]
    compute, problems = params.of(ComputeSettings), list[str]()
    found: dict[str, list[tuple[Point, Training]]] = {}
    for name in systems or params.systems:
        settings = params.system(corpus, name)
        lacks = [key for key in grid if key not in type(settings).model_fields]
        if lacks and systems:
            problems.append(f"{name} has no setting {', '.join(lacks)}")
        if lacks or not isinstance(settings, Settings) or not settings.enabled:
            continue
        try:
            changed = [_changed(settings, {**point, "seeds": seeds}) for point in points]
        except ValidationError as error:
            problems += [
                f"{corpus}.{name}.{'.'.join(map(str, p['loc']))}: got {p['input']!r}; {p['msg']}"
                for p in error.errors()
            ]
            continue
        trainings = [Training(corpus, name, one, compute) for one in changed]
        found[name] = list(zip(points, trainings, strict=True))
    if problems or not found:
        none = ["no system that is enabled there has all of these settings"]
        raise PipelineError("These cannot be tuned:\n" + "\n".join(problems or none))
    return found


def _changed(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    return type(settings).model_validate(settings.model_dump() | dict(changes))


def _bring_up_to_date(corpus: str) -> None:
    """Run the stages before training, so that stores are of params.yaml as it is."""
    stages = [f"{stage}@{corpus}" for stage in INPUTS]
    ended = subprocess.run([sys.executable, "-m", "dvc", "repro", "--quiet", *stages], check=False)
    if ended.returncode:
        raise PipelineError(f"A stage before the training of {corpus} failed, as is said above.")


def _train(corpus: str, tried: Sequence[Tried]) -> None:
    """Train what the cache lacks, and read what all runs reached."""
    of_path = {run.path: one for one in tried for run in one.runs}
    jobs = []
    for one in tried:
        for run in one.runs:
            state = run.file.read()
            if state is None or not state.finished(one.training.limits):
                jobs.append(Job(one.training, run))
    with progress(f"tune {corpus}, runs", len(of_path), len(of_path) - len(jobs)) as loop:
        for epoch in in_processes(jobs, workers()):
            if epoch.last:
                of_path[epoch.run.path].diverged |= bool(epoch.diverged)
                loop.advance(of_path[epoch.run.path].training.name)
    for one in tried:
        states = [run.file.read() for run in one.runs if not one.diverged]
        one.scores = [state.history[state.best_epoch - 1][VALID_F1] for state in states if state]


def chosen(tried: Sequence[Tried]) -> Tried:
    """The point with the highest mean on validation; of equal ones the first."""
    return max(tried, key=lambda one: one.mean)


def _table(tried: Mapping[str, Sequence[Tried]]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows: a row for each system, a column for each point, the best one marked."""
    points = next(iter(tried.values()))
    rows = []
    for name, of_system in tried.items():
        best = chosen(of_system)
        marks = [_cell(one) + " *" * (one is best) for one in of_system]
        rows.append([title(name), *marks])
    return ["system", *(_words(one.point) for one in points)], rows


def _cell(tried: Tried) -> str:
    return "diverged" if tried.diverged else f"{tried.mean:.1f}"


def _words(point: Point) -> str:
    return ", ".join(f"{key} {_text(value)}" for key, value in point.items())


def _text(value: Any) -> str:
    """A value as YAML, in one line without blanks."""
    shown = yaml.safe_dump(value, default_flow_style=True, width=math.inf)
    return shown.removesuffix("...\n").strip().replace(", ", ",")


def _page(
    corpus: str,
    systems: Sequence[str],
    values: Sequence[str],
    seeds: Sequence[int],
    tried: Mapping[str, Sequence[Tried]],
) -> str:
    heads, rows = _table(tried)
    options = [f"--system {name}" for name in systems]
    options += [f"--values {value}" for value in values if tuple(values) != DEFAULT]
    options += [f"--seed {seed}" for seed in seeds if list(seeds) != [1]]
    lines = [
        f"# Tuning on {corpus}",
        f"```sh\n{' '.join([f'python -m pipeline tune {corpus}', *options])}\n```",
        f"Every system was trained at the same {len(heads) - 1} points, with "
        f"{'the seeds' if len(seeds) > 1 else 'the seed'} {', '.join(map(str, seeds))}; its other "
        "settings are those of params.yaml. Weighted F1 on validation in percent, the mean of the "
        "runs, each at its best epoch; `*`: the point to choose. Test labels were not read. As the "
        "best of several, a chosen figure is too favourable.",
        "\n".join(
            "| " + " | ".join(cells) + " |"
            for cells in [heads, ["---"] + ["---:"] * (len(heads) - 1), *rows]
        ),
        "The chosen values, for `dvc exp run -S` or the corpus' block of params.yaml:",
        "```\n" + "\n".join(_settings(corpus, tried)) + "\n```",
    ]
    return "\n\n".join(lines) + "\n"


def _settings(corpus: str, tried: Mapping[str, Sequence[Tried]]) -> Iterator[str]:
    for name, of_system in tried.items():
        for key, value in chosen(of_system).point.items():
            yield f"{corpus}.{name}.{key}={_text(value)}"
