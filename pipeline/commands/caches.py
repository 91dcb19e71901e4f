"""`python -m pipeline cache`: what the clip cache holds."""

import shutil
import time

from rich.console import Console
from rich.table import Table

from pipeline.cache import cache_root, contents

MEGABYTE = 1e6
DAY = 86_400


def show() -> None:
    """Prints steps, fingerprints, entries, megabytes and age."""
    table = Table(
        "step", "fingerprint", "entries", "MB", "newest, days ago", title=str(cache_root())
    )
    now = time.time()
    for step, fingerprint, entries, size, newest in contents():
        age = f"{(now - newest) / DAY:.1f}"
        table.add_row(step, fingerprint, str(entries), f"{size / MEGABYTE:.1f}", age)
    Console().print(table)


def prune(days: float) -> None:
    """Deletes every fingerprint whose newest entry is older than `days`."""
    oldest = time.time() - days * DAY
    for step, fingerprint, entries, _, newest in contents():
        if newest < oldest:
            shutil.rmtree(cache_root() / step / fingerprint)
            print(f"pruned {step}/{fingerprint}: {entries} entries")
