"""What a tuning found: a table on the terminal, and a page in docs/tuning."""

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from pipeline.base.display import terminal
from pipeline.base.files import write_text
from pipeline.systems.registry import title
from pipeline.training.kept import KeptRun
from pipeline.training.reading import Training

PAGES = Path("docs/tuning")
DEFAULT = ("learning_rate=0.0001,0.0003,0.001,0.003,0.01",)
Point = Mapping[str, Any]


@dataclass(frozen=True)
class Request:
    """A call of `python -m pipeline tune`.

    Attributes:
        corpus: Which.
        systems: Which; none: all of params.yaml that have the settings.
        values: `SETTING=VALUE,VALUE,...`; the points are their product.
        seeds: Of each point.
    """

    corpus: str
    systems: Sequence[str] = ()
    values: Sequence[str] = DEFAULT
    seeds: Sequence[int] = (1,)

    @property
    def command(self) -> str:
        """What the user types."""
        words = ["python", "-m", "pipeline", "tune", self.corpus]
        for option, given in (
            ("--system", self.systems),
            ("--values", self.values if tuple(self.values) != DEFAULT else ()),
            ("--seed", self.seeds if tuple(self.seeds) != (1,) else ()),
        ):
            words += [word for value in given for word in (option, str(value))]
        return shlex.join(words)

    @property
    def page(self) -> Path:
        """The file of its results: one for each corpus, systems, settings and seeds."""
        settings = [text.partition("=")[0] for text in self.values]
        others = settings if tuple(self.values) != DEFAULT else []
        seeds = ["seeds", *map(str, self.seeds)] if tuple(self.seeds) != (1,) else []
        return PAGES / ("-".join([self.corpus, *self.systems, *others, *seeds]) + ".md")


@dataclass
class Trial:
    """One point of one system.

    Attributes:
        point: Values by setting.
        training: With them.
        runs: One per fold and seed.
        scores: Validation weighted F1 of each run, in percent.
        diverged: Whether the loss of a run was NaN or infinite.
    """

    point: Point
    training: Training
    runs: Sequence[KeptRun]
    scores: list[float] = field(default_factory=list)
    diverged: bool = False

    @property
    def cell(self) -> str:
        """The mean over the runs."""
        return "diverged" if self.diverged else f"{np.mean(self.scores):.1f}"


def chosen(found: Sequence[Trial]) -> Trial | None:
    """The point with the highest mean, of equal ones the first; None if all diverged."""
    whole = [one for one in found if not one.diverged]
    return max(whole, key=lambda one: float(np.mean(one.scores)), default=None)


def show(
    request: Request, found: Mapping[str, Sequence[Trial]], console: Console | None = None
) -> None:
    """Print the table."""
    heads, rows = _table(found)
    table = Table(title=f"{request.corpus}: weighted F1 on validation", box=SIMPLE_HEAD)
    for number, head in enumerate(heads):
        table.add_column(head, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    (console or terminal()).print(table)


def write(request: Request, found: Mapping[str, Sequence[Trial]]) -> Path:
    """Write the page; return its path."""
    heads, rows = _table(found)
    seeds = f"{'seeds' if len(request.seeds) > 1 else 'seed'} {', '.join(map(str, request.seeds))}"
    rules = ["---"] + ["---:"] * (len(heads) - 1)
    parts = [
        f"# Tuning on {request.corpus}",
        f"```sh\n{request.command}\n```",
        f"Each system was trained at {len(heads) - 1} points with {seeds}; its other settings are "
        "those of params.yaml. Weighted F1 on validation in percent, each run at its best epoch, "
        "the mean of the runs; `*`: the point to choose. Test labels were not read. As the best of "
        "several, a chosen figure is too favourable.",
        "\n".join(f"| {' | '.join(cells)} |" for cells in [heads, rules, *rows]),
        "The chosen values, for `dvc exp run -S` or the corpus' block of params.yaml (none of a "
        "system that diverged everywhere):",
        "```\n" + "\n".join(_settings(request.corpus, found)) + "\n```",
    ]
    write_text(request.page, "\n\n".join(parts) + "\n")
    return request.page


def _table(found: Mapping[str, Sequence[Trial]]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows: a row for each system, a column for each point, the best one marked."""
    points = next(iter(found.values()))
    rows = []
    for name, of_system in found.items():
        best = chosen(of_system)
        rows.append([title(name), *(one.cell + " *" * (one is best) for one in of_system)])
    return ["system", *(words(one.point) for one in points)], rows


def words(point: Point) -> str:
    """A point for readers."""
    return ", ".join(f"{key} {_text(value)}" for key, value in point.items())


def _settings(corpus: str, found: Mapping[str, Sequence[Trial]]) -> Iterator[str]:
    for name, of_system in found.items():
        if best := chosen(of_system):
            yield from (setting(corpus, name, *pair) for pair in best.point.items())


def setting(corpus: str, system: str, key: str, value: Any) -> str:
    """A value of -S."""
    return f"{corpus}.{system}.{key}={_text(value)}"


def _text(value: Any) -> str:
    """A value as YAML, in one line without blanks."""
    shown = yaml.safe_dump(value, default_flow_style=True, width=math.inf)
    return shown.removesuffix("...\n").strip().replace(", ", ",")
