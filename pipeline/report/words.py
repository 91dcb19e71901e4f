"""Formatting of figures and names, shared by all tables."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

NONE = "-"
MEASURES = {
    "weighted_f1": "weighted F1",
    "macro_f1": "macro F1",
    "accuracy": "accuracy",
    "uar": "unweighted average recall",
}
INTERVALS = (
    "In percent. ± is the sample standard deviation over seeds; brackets hold the 95 % interval of "
    "the mean over seeds, from resampling whole test dialogues."
)


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as mappings from column to cell."""
    return [{str(name): cell for name, cell in row.items()} for row in table.to_dict("records")]


def number(value: Any, decimals: int = 1) -> str:
    """A figure, `-` if there is none."""
    return NONE if value is None or pd.isna(value) else f"{value:.{decimals}f}"


def spread(summary: Mapping[str, Any], name: str, decimals: int = 1) -> str:
    """Mean and standard deviation: `67.0 ± 2.4`."""
    deviation = number(summary.get(f"{name}_std"), decimals)
    mean = number(summary.get(name), decimals)
    return mean if deviation == NONE else f"{mean} ± {deviation}"


def interval(summary: Mapping[str, Any], name: str, decimals: int = 1) -> str:
    """The 95 % interval: `[58.1, 75.2]`; empty if there is none."""
    ends = [number(summary.get(f"{name}_{end}"), decimals) for end in ("low", "high")]
    return "" if NONE in ends else f"[{ends[0]}, {ends[1]}]"


def whole(summary: Mapping[str, Any], name: str, decimals: int = 1) -> str:
    """Mean and standard deviation, and below them the interval."""
    lines = (spread(summary, name, decimals), interval(summary, name, decimals))
    return "\n".join(line for line in lines if line)


def listed(words: Iterable[object], joint: str = "and") -> str:
    """`a, b and c`."""
    *first, last = map(str, words)
    return f"{', '.join(first)} {joint} {last}" if first else last


def many(count: int, one: str, ending: str = "s") -> str:
    """A count with its noun: `1 fold`, `2,610 utterances`."""
    return f"{count:,} {one}" if count == 1 else f"{count:,} {one}{ending}"


def sentence(text: str) -> str:
    """Capitalise the first letter."""
    return text[:1].upper() + text[1:]


def value(setting: Any) -> str:
    """A setting as written in params.yaml."""
    if isinstance(setting, Mapping):
        return ", ".join(f"{key}: {value(inner)}" for key, inner in setting.items())
    if isinstance(setting, list | tuple):
        return ", ".join(map(value, setting))
    if setting is None or isinstance(setting, bool):
        return {None: "null", True: "true", False: "false"}[setting]
    return str(setting)
