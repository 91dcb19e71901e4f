"""How long `manifest` (cold and warm) and `doctor` take on whole releases with stub clips.

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
    """Generates both trees, runs the stage twice and the doctor once, and prints seconds."""
    columns = ("corpus", "files", "manifest, s", "again, s", "doctor, s")
    table = Table(*columns, title="whole releases with stub clips")
    with tempfile.TemporaryDirectory() as name:
        workspace = Path(name)
        shutil.copy(ROOT / "params.yaml", workspace)
        write_iemocap(workspace / "data/raw/iemocap", read_sizes(dialogues))
        write_meld(workspace / "data/raw/meld", meld_csv)
        for corpus in ("iemocap", "meld"):
            files = sum(path.is_file() for path in (workspace / "data/raw" / corpus).rglob("*"))
            runs = ["stages.manifest"], ["stages.manifest"], ["pipeline", "doctor"]
            seconds = [_seconds(workspace, [*run, corpus]) for run in runs]
            table.add_row(corpus, str(files), *(f"{s:.1f}" for s in seconds))
    Console().print(table)


def _seconds(workspace: Path, words: list[str]) -> float:
    start = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ERC_CACHE": str(workspace / "cache")}
    # The doctor finds things to mend here (there is no repository), and says so by its status.
    subprocess.run([sys.executable, "-m", *words], cwd=workspace, env=environment, check=False)
    return time.perf_counter() - start


if __name__ == "__main__":
    typer.run(main)
