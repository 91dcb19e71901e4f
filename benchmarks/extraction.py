"""Feature extraction beside public tools' access patterns: `python -m benchmarks.extraction`.

Ratios of the bare steps, of whole stages, of two choices of the design, and peak memory. All
media are made on the spot. What is compared takes turns in one process; read the ratios. On a GPU
see `benchmarks.gpu`.
"""

import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.bare_steps import bare_tables
from benchmarks.choices import one_opening, threads_or_processes
from benchmarks.material import Material, make_material
from benchmarks.memory import memory_table
from benchmarks.our_extraction import WEIGHTS
from benchmarks.taking_turns import CONSOLE
from benchmarks.whole_stages import whole_table
from benchmarks.workspace import ENCODERS
from pipeline.weights.store import bring


@dataclass(frozen=True)
class Extent:
    """How much is run.

    Attributes:
        rounds: Of what takes turns.
        encoded: Clips that are encoded; corpora are cut from them.
        dialogue: Seconds of the avi.
        texts: That are encoded.
        sounds: For threads or processes.
        clips: Of the corpus for whole stages.
        naive: Of them, for the naive way.
        memory: Clips of the corpora for memory.
        long: Seconds of the long clip.
        utterances: Small and large number for memory.
    """

    rounds: int
    encoded: int
    dialogue: float
    texts: int
    sounds: int
    clips: int
    naive: int
    memory: int
    long: float
    utterances: tuple[int, int]


FULL = Extent(3, 8, 240, 2500, 60, 1000, 6, 24, 305, (1000, 100_000))
QUICK = Extent(1, 2, 20, 200, 16, 40, 1, 4, 60, (100, 1000))


def main(
    quick: Annotated[bool, typer.Option(help="Less of everything: does it run?")] = False,
    part: Annotated[list[str] | None, typer.Option(help="bare, choices, stages, memory")] = None,
    clips: Annotated[int | None, typer.Option(help="Of the corpus, 1023 at most.")] = None,
) -> None:
    """Prints a table for each step, one for whole stages and one for memory."""
    extent = QUICK if quick else FULL
    if unknown := set(part or []) - set(PARTS):
        sys.exit(f"--part: got {sorted(unknown)}, expected some of {list(PARTS)}")
    extent = replace(extent, clips=clips or extent.clips)
    for role, encoder in ENCODERS.items():
        bring(encoder, WEIGHTS, role=role, setting="the benchmark's encoder")
    with tempfile.TemporaryDirectory(prefix="extraction") as name:
        folder = Path(name)
        start = time.perf_counter()
        material = make_material(folder, extent.encoded, extent.dialogue, extent.texts)
        CONSOLE.print(f"material made in {time.perf_counter() - start:.0f} s")
        for wanted, tables in PARTS.items():
            if not part or wanted in part:
                tables(material, folder, extent)
                CONSOLE.print(f"{wanted}: after {time.perf_counter() - start:.0f} s")


def _bare(material: Material, folder: Path, extent: Extent) -> None:
    for table in bare_tables(material, folder, extent.rounds, quick=extent.rounds == QUICK.rounds):
        CONSOLE.print(table)


def _choices(material: Material, folder: Path, extent: Extent) -> None:
    CONSOLE.print(threads_or_processes(material.clips, extent.sounds, extent.rounds))
    CONSOLE.print(one_opening(material.clips, extent.rounds))


def _stages(material: Material, folder: Path, extent: Extent) -> None:
    size = extent.clips, extent.naive
    few = extent.rounds == QUICK.rounds
    CONSOLE.print(whole_table(folder / "whole", material.clips, *size, quick=few))


def _memory(material: Material, folder: Path, extent: Extent) -> None:
    size = extent.memory, extent.long, extent.utterances
    CONSOLE.print(memory_table(folder / "memory", material.clips, *size))


PARTS = {"bare": _bare, "choices": _choices, "stages": _stages, "memory": _memory}

if __name__ == "__main__":
    typer.run(main)
