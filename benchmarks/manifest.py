"""How long the stage `manifest` takes on corpora of full size with stub clips, cold and warm.

`python -m benchmarks.manifest --dialogues FILE --meld-csv FOLDER`: FILE has a line for each of
IEMOCAP's 151 dialogues (name, turns, six-class turns, tabs between), FOLDER MELD's three CSVs.
Stubs are small: on real clips the time to read the disk comes on top.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.full_size import read_sizes, write_iemocap, write_meld

ROOT = Path(__file__).parents[1]


def main(
    dialogues: Annotated[Path, typer.Option(help="IEMOCAP's dialogues and their sizes.")],
    meld_csv: Annotated[Path, typer.Option(help="The folder of MELD's three CSVs.")],
) -> None:
    """Generates both trees, runs the stage twice on each, and prints seconds."""
    table = Table("corpus", "files", "first run, s", "second run, s", title="stage manifest")
    with tempfile.TemporaryDirectory() as name:
        workspace = Path(name)
        shutil.copy(ROOT / "params.yaml", workspace)
        write_iemocap(workspace / "data/raw/iemocap", read_sizes(dialogues))
        write_meld(workspace / "data/raw/meld", meld_csv)
        for corpus in ("iemocap", "meld"):
            files = sum(path.is_file() for path in (workspace / "data/raw" / corpus).rglob("*"))
            seconds = [_seconds(workspace, corpus) for _ in range(2)]
            table.add_row(corpus, str(files), *(f"{s:.1f}" for s in seconds))
    Console().print(table)


def _seconds(workspace: Path, corpus: str) -> float:
    start = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ERC_CACHE": str(workspace / "cache")}
    command = [sys.executable, "-m", "stages.manifest", corpus]
    subprocess.run(command, cwd=workspace, env=environment, check=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    typer.run(main)
