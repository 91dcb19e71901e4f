"""Two choices of the design, measured: threads or processes for openSMILE, one opening or two."""

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import cache
from pathlib import Path
from threading import get_ident
from typing import Any

import numpy as np
from rich.table import Table

from benchmarks import our_extraction as ours
from benchmarks.taking_turns import Way, timed
from pipeline.media.opening import open_media

COUNT = 20
TWO = 2


def threads_or_processes(clips: Sequence[Path], sounds: int, rounds: int) -> Table:
    """What openSMILE does with sounds that are there, by one thread, two, and two processes."""
    some = [ours.sound(clip) for clip in clips]
    given = [some[number % len(some)] for number in range(sounds)]
    context = multiprocessing.get_context("forkserver")
    with ThreadPoolExecutor(TWO) as threads, ProcessPoolExecutor(TWO, context) as processes:
        pools: dict[str, Any] = {"2 threads": threads, "2 processes": processes}
        for pool in pools.values():
            list(pool.map(_extract, given))  # each worker builds its object
        ways = [Way("1 thread", lambda: [_extract(sound) for sound in given])]
        ways += [
            Way(name, lambda p=pool: list(p.map(_extract, given))) for name, pool in pools.items()
        ]
        found = [cost.wall for cost in timed(ways, rounds) if cost is not None]
    table = Table("openSMILE by", "sounds / s", "1 thread / it, wall")
    table.title = f"threads or processes, {sounds} sounds of 3 s (medians of {rounds} rounds)"
    for way, wall in zip(ways, found, strict=True):
        table.add_row(way.name, f"{sounds / wall:.1f}", f"{found[0] / wall:.2f}")
    return table


def _extract(sound: np.ndarray) -> np.ndarray:
    return _extractor(get_ident())(sound, ours.RATE)


@cache
def _extractor(thread: int) -> Any:
    """One object for each thread."""
    return ours.functionals()


def one_opening(clips: Sequence[Path], rounds: int) -> Table:
    """How much of a clip's two decodes is opening it and reading its packets."""
    ways = [
        Way("frames: opened, read, decoded", lambda: [ours.frames(c, COUNT) for c in clips]),
        Way("sound: opened, read, decoded", lambda: [ours.sound(c) for c in clips]),
        Way("opened and read alone", lambda: [_packets(c) for c in clips]),
    ]
    found = [cost for cost in timed(ways, rounds) if cost is not None]
    both = found[0].cpu + found[1].cpu
    table = Table("of a clip", "CPU ms", "share of both decodes")
    table.title = f"one opening for picture and sound saves the last row (medians of {rounds})"
    for way, cost in zip(ways, found, strict=True):
        table.add_row(way.name, f"{1000 * cost.cpu / len(clips):.1f}", f"{cost.cpu / both:.1%}")
    return table


def _packets(clip: Path) -> int:
    with open_media(clip) as container:
        return sum(1 for _ in container.demux())
