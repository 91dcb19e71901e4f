"""Formatting of figures and names, shared by the whole page."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from pipeline.base.costs import Cost
from pipeline.records.ledger import Problem

NONE = "-"
MEASURES = {
    "weighted_f1": "weighted F1",
    "macro_f1": "macro F1",
    "accuracy": "accuracy",
    "uar": "unweighted average recall",
}


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as mappings from column to cell."""
    return [{str(name): cell for name, cell in row.items()} for row in table.to_dict("records")]


def number(value: Any, decimals: int = 1, signed: bool = False) -> str:
    """A figure, `-` if there is none."""
    sign = "+" if signed else ""
    return NONE if value is None or pd.isna(value) else f"{value:{sign}.{decimals}f}"


def spread(summary: Mapping[str, Any], name: str, decimals: int = 1) -> str:
    """Mean and standard deviation: `67.0 ± 2.4`."""
    deviation = number(summary.get(f"{name}_std"), decimals)
    mean = number(summary.get(name), decimals)
    return mean if deviation == NONE else f"{mean} ± {deviation}"


def interval(summary: Mapping[str, Any], name: str, decimals: int = 1, signed: bool = False) -> str:
    """The 95 % interval: `[58.1, 75.2]`; empty if there is none."""
    ends = [number(summary.get(f"{name}_{end}"), decimals, signed) for end in ("low", "high")]
    return "" if NONE in ends else f"[{ends[0]}, {ends[1]}]"


def whole(summary: Mapping[str, Any], name: str, decimals: int = 1) -> str:
    """Mean and standard deviation, and below them the interval."""
    lines = (spread(summary, name, decimals), interval(summary, name, decimals))
    return "\n".join(line for line in lines if line)


def difference(row: Mapping[str, Any]) -> str:
    """A difference with its sign, and below it the interval; `-` for the reference itself."""
    lines = (number(row["difference"], signed=True), interval(row, "difference", signed=True))
    return "\n".join(line for line in lines if line)


def wholes(columns: Iterable[tuple[str, Mapping[str, Any]]], name: str) -> list[str]:
    """`whole` of one figure in each column."""
    return [whole(summary, name) for _, summary in columns]


def spreads(summary: Mapping[str, Any]) -> list[str]:
    """`spread` of each overall figure."""
    return [spread(summary, name) for name in MEASURES]


def count(value: Any) -> str:
    """A number of things, `-` if there is none."""
    return NONE if value is None or pd.isna(value) else f"{value:,.0f}"


def listed(words: Iterable[object], joint: str = "and") -> str:
    """`a, b and c`."""
    *first, last = map(str, words)
    return f"{', '.join(first)} {joint} {last}" if first else last


def many(count: int, one: str, ending: str = "s") -> str:
    """A count with its noun: `1 fold`, `2,610 utterances`."""
    return f"{count:,} {one}" if count == 1 else f"{count:,} {one}{ending}"


def distinct(rows: Iterable[object], name: str) -> int:
    """How many values an attribute has."""
    return len({getattr(row, name) for row in rows})


def some(names: Sequence[str], most: int = 5) -> str:
    """The first names and how many more there are: `a, b and 3 more`."""
    more = len(names) - most
    return listed([*names[:most], *([f"{more} more"] if more > 0 else [])])


def examples(problems: Sequence[Problem], most: int = 3) -> str:
    """The first problems of a kind, a line each."""
    return "\n".join(f"{p.utterance}: {p.detail}" for p in problems[:most])


def duration(seconds: float) -> str:
    """`1 h 03 min`, `2 min 05 s` or `0.5 s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{seconds:.1f} s"


def cost(of_stage: Cost) -> str:
    """How long a stage took, and how long its items on a cluster did together."""
    here = duration(of_stage.seconds)
    if not of_stage.hosts:
        return here
    machines = many(of_stage.hosts, "machine")
    return f"{here}; its items {duration(of_stage.spread_seconds)} together, on {machines}"


def value(setting: Any) -> str:
    """A setting as written in params.yaml."""
    if isinstance(setting, Mapping):
        return ", ".join(f"{key}: {value(inner)}" for key, inner in setting.items())
    if isinstance(setting, list | tuple):
        return ", ".join(map(value, setting))
    if setting is None or isinstance(setting, bool):
        return {None: "null", True: "true", False: "false"}[setting]
    return str(setting)
