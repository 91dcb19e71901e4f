"""What a stage cost when it last ran: time and memory.

They differ from run to run, so they are no output of DVC's: they lie in a folder that git and DVC
leave alone, and the report reads them from there.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from pipeline.base.files import write_text

FOLDER = Path("data/costs")
SECONDS_BETWEEN_LOOKS = 0.25
MEGABYTE = 2**20


@dataclass(frozen=True)
class Cost:
    """One run of a stage.

    Attributes:
        seconds: On the clock.
        peak_megabytes: Most memory that the stage and its processes held together, looked at four
            times a second: the sum of their resident sets, which counts shared pages twice.
    """

    seconds: float
    peak_megabytes: float


@contextmanager
def measured(name: str, corpus: str) -> Iterator[None]:
    """Measures what runs inside it, and writes `data/costs/CORPUS/NAME.json` if it ends well.

    Args:
        name: Of the stage, with the role for one that has several.
        corpus: Which.
    """
    start, ended, peak = time.monotonic(), threading.Event(), [_held()]

    def look() -> None:
        while not ended.wait(SECONDS_BETWEEN_LOOKS):
            peak[0] = max(peak[0], _held())

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    cost = Cost(round(time.monotonic() - start, 1), round(max(peak[0], _held()) / MEGABYTE))
    write_text(_file(corpus, name), json.dumps(asdict(cost)) + "\n")


def read_costs(corpus: str) -> dict[str, Cost]:
    """The cost of each stage that ran in this folder, by name."""
    files = sorted((FOLDER / corpus).glob("*.json"))
    return {file.stem: Cost(**json.loads(file.read_text(encoding="utf-8"))) for file in files}


def _file(corpus: str, name: str) -> Path:
    return FOLDER / corpus / f"{name}.json"


def _held() -> int:
    """Bytes of this process and all below it."""
    here = psutil.Process()
    total = 0
    for process in [here, *here.children(recursive=True)]:
        try:
            total += process.memory_info().rss
        except psutil.Error:  # ended meanwhile
            continue
    return total
