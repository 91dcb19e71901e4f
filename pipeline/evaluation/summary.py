"""The results of a corpus on the terminal."""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.base import paths
from pipeline.base.display import plain_cell, terminal
from pipeline.base.errors import PipelineError

COLUMNS = {"title", "first", "rare_f1"} | {
    f"{name}{end}"
    for name in ("weighted_f1", "macro_f1", "difference")
    for end in ("", "_low", "_high")
}
LONGEST = 24  # letters of a title in a line
NOTE = """\
  F1 on test in percent, epochs chosen on validation: mean ± std over seeds;
  95 % intervals by resampling test dialogues. first: share of resamples.
"""


def show(corpus: str, console: Console | None = None) -> None:
    """Print a corpus' leaderboard, and what it was computed from.

    Raises:
        PipelineError: There are no results yet.
    """
    console = console or terminal()
    board, run = _read(corpus)
    console.print(_table(corpus, board))
    console.print(NOTE, end="", soft_wrap=True)
    for modality, provenance in run["features"].items():
        console.print(
            f"  {modality}: {source(provenance)}, {run['masked'][modality]} masked",
            soft_wrap=True,
        )
    problems = {f"{s}: {k}": n for s, kinds in run["ledger"].items() for k, n in kinds.items()}
    listed = ", ".join(f"{kind} {count}" for kind, count in problems.items()) or "empty"
    console.print(f"  ledger: {listed}", soft_wrap=True)


def _read(corpus: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    path, other = (paths.metrics(corpus, name) for name in ("leaderboard.csv", "run.json"))
    try:
        board = pd.read_csv(path, dtype={"title": str}, keep_default_na=False)
        if lacking := sorted(COLUMNS - set(board)):
            raise ValueError(f"it lacks the columns {lacking}")
        path = other
        run: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise PipelineError(f"{path} is missing: run `dvc repro` first.") from error
    except (OSError, ValueError) as error:
        raise PipelineError(f"{path}: {error}. Delete it and run `dvc repro`.") from error
    return board, run


def headline(corpus: str, title: str, metrics: Mapping[str, Any]) -> str:
    """A system's weighted F1 on validation and test in one line."""
    splits = ("validation", "test")
    figures = ", ".join(f"{_spread(metrics[s], 'weighted_f1')} on {s}" for s in splits)
    return f"{corpus}, {title}: weighted F1 {figures}"


def _table(corpus: str, board: pd.DataFrame) -> Table:
    # Without padding, six columns fit into 80 characters.
    table = Table(title=f"{corpus}: leaderboard", title_justify="left", box=SIMPLE_HEAD, padding=0)
    table.add_column("", max_width=LONGEST)
    for head in ("weighted F1", "macro F1", "rare", "to reference", "first"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in board.to_dict("records"):
        difference = f"{float(row['difference']):+.1f}" if row["difference"] != "" else "-"
        table.add_row(
            plain_cell(str(row["title"])),
            _over(_spread(row, "weighted_f1"), _interval(row, "weighted_f1")),
            _over(_spread(row, "macro_f1"), _interval(row, "macro_f1")),
            f"{float(row['rare_f1']):.1f}",
            _over(difference, _interval(row, "difference", "+")),
            f"{float(row['first']):.0f} %",
        )
    return table


def _over(figure: str, interval: str) -> Text:
    return Text.assemble(figure, (f"\n{interval}", "dim"))


def _spread(row: Mapping[Any, Any], name: str) -> str:
    deviation = row.get(f"{name}_std", "")
    mean = f"{float(row[name]):.2f}"
    return mean if deviation == "" else f"{mean} ± {float(deviation):.2f}"


def _interval(row: Mapping[Any, Any], name: str, sign: str = "") -> str:
    ends = [row[f"{name}_{end}"] for end in ("low", "high")]
    return "" if "" in ends else " to ".join(f"{float(end):{sign}.1f}" for end in ends)


def source(provenance: Mapping[str, Any]) -> str:
    """What a store's features were made with, in a few words."""
    settings = provenance["settings"]
    if "trained_on" in provenance:
        name = provenance.get("known_as", provenance["file"])
        labels = provenance["trained_on"]
        seen = f"has seen the labels of {labels}"
        if labels in ("none", "unknown"):
            seen = "has seen no labels of it" if labels == "none" else "may have seen its labels"
        return f"imported from {name} ({provenance['layout']}), whose encoder {seen}"
    if "encoder" not in provenance:
        return " ".join(settings[key] for key in ("feature_set", "level") if key in settings)
    kind = settings.get("layer") or settings.get("pooling") or settings.get("layers")
    if turns := settings.get("context_turns"):
        kind = f"{kind}, {turns} turns before"
    if turns := settings.get("context_turns_after"):
        kind = f"{kind}, {turns} after"
    if (marks := settings.get("speaker_marks", "none")) != "none":
        kind = f"{kind}, speakers' {marks}"
    encoder = provenance["encoder"]
    return f"{encoder['name']} ({encoder['revision']}), {kind}"
