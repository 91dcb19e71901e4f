"""`python -m pipeline cache`: what the clip cache holds."""

import time
from collections.abc import Mapping
from typing import Any

from rich.table import Table

from pipeline.base.cache import Held, contents, remove_orphans
from pipeline.base.display import say, terminal
from pipeline.base.paths import cache_root

MEGABYTE = 1e6
DAY = 86_400


def show() -> None:
    """Prints what each step was computed with, and its entries, megabytes and last use."""
    columns = ("step", "made with", "entries", "MB", "last used, days ago", "folder")
    table = Table(*columns, title=str(cache_root()))
    for held in contents():
        size, age = f"{held.total_bytes / MEGABYTE:.1f}", f"{_age(held):.1f}"
        made = made_with(held.about)
        table.add_row(held.step, made, str(held.entries), size, age, held.folder.name[:8])
    terminal().print(table)


def prune(days: float) -> None:
    """Deletes what no run has used for `days`, and what killed runs left half-written."""
    for held in contents():
        if _age(held) > days:
            held.delete()
            say(f"pruned {held.step}/{held.folder.name[:8]}: {held.entries} entries")
    for part in remove_orphans():
        say(f"removed {part.name}, left by a run that was killed")


def _age(held: Held) -> float:
    return (time.time() - held.used) / DAY


def made_with(about: Mapping[str, Any]) -> str:
    """The encoder and the settings of entries, for a person; empty where none are recorded."""
    given = (about.get(name) for name in ("encoder", "settings"))
    encoder, settings = (value if isinstance(value, dict) else {} for value in given)
    words = [f"{k} {v}" for k, v in settings.items() if k != "encoder"]
    return ", ".join([str(encoder["name"]), *words] if "name" in encoder else words)
