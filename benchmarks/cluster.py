"""What many clips and many machines cost: `python -m benchmarks.cluster [PART]...`.

Parts: `mended`, three costs that grew with a corpus; `overheads`, this machine's processes and a
running Ray cluster of as many places, in turns; `size`, generated manifests of many rows through
the stages that read them whole. The cluster is two nodes on this machine, with half the cores each.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import psutil
import typer
from rich.table import Table

from benchmarks.material import make_clips, make_corpus, make_texts
from benchmarks.measure import CONSOLE, cost
from benchmarks.workspace import CORPUS, Workspace
from pipeline.base.cache import ClipCache, digest_of
from pipeline.base.errors import MediaError
from pipeline.base.params import read_params
from pipeline.base.paths import places
from pipeline.base.workers import MANY, isolated, workers
from pipeline.executors.processes import in_processes
from pipeline.executors.spread import Needs, spread
from pipeline.features.audio import extract as audio
from pipeline.features.common.once import Entries, Piece, media_key
from pipeline.records.features import VECTORS, vectors_row, write_features
from pipeline.records.manifest import Origin, Segment, Utterance, write_manifest

ENCODED = 8
PORT = 6379
HANG = 8.0  # seconds that a clip may take in `mended`
DISTINCT = 1000  # sounds of a large manifest


class Part(StrEnum):
    """What can be measured."""

    MENDED = "mended"
    OVERHEADS = "overheads"
    SIZE = "size"


def main(
    parts: Annotated[list[Part] | None, typer.Argument(help="Parts to run; none: all.")] = None,
    clips: Annotated[int, typer.Option(min=1, help="Of the corpus of `overheads`.")] = 345,
    rows: Annotated[list[int], typer.Option(help="Of the manifests of `size`.")] = (100_000,),  # type: ignore[assignment]
    rounds: Annotated[int, typer.Option(min=1, help="Repetitions; the median counts.")] = 3,
) -> None:
    """Print a table for each part."""
    wanted = parts or list(Part)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if Part.MENDED in wanted:
            CONSOLE.print(mended(folder))
        if Part.OVERHEADS in wanted:
            for table in overheads(folder, clips, rounds):
                CONSOLE.print(table)
        if Part.SIZE in wanted:
            for count in rows:
                CONSOLE.print(size(folder / str(count), count))


def mended(folder: Path) -> Table:
    """Puts into large folders, looks in long lists of failures, and one clip that hangs."""
    table = Table("what", "of how many", "each")
    for count in (100, 4_000, 40_000):
        table.add_row("put into a folder of entries", f"{count:,}", f"{_put(folder, count):.2f} ms")
    for count in (0, 1_000, 10_000):
        each = f"{_look(folder, count):.1f} us"
        table.add_row("look for a clip's entry after failures", f"{count:,}", each)
    table.add_row("the others are done, one hangs", "64 clips", f"{_hang():.1f} s")
    return table


def _put(folder: Path, count: int) -> float:
    """Milliseconds of a put into one folder of so many entries."""
    cache = ClipCache("puts", count, VECTORS, folder)
    crowd = cache.folder / "00"
    crowd.mkdir(parents=True)
    for number in range(count):
        (crowd / f"00{number:062x}").touch()
    row = vectors_row(np.zeros((1, 88), np.float32))
    keys = [f"00{number:062x}" for number in range(count, count + 200)]
    return cost(lambda: [cache.put(key, row) for key in keys])[0].wall / len(keys) * 1e3


def _look(folder: Path, failures: int) -> float:
    """Microseconds that a piece which failed before takes, beside so many that did."""
    clips = [Segment("a", n, n + 1.0, digest_of(n)) for n in range(max(2_000, failures))]
    pieces = [Piece(_utterance(n, clip), clip, media_key(clip)) for n, clip in enumerate(clips)]
    failed = {piece.key: MediaError("crashed", "") for piece in pieces[:failures]}
    cache = ClipCache("looks", failures, VECTORS, folder)
    entries = Entries(_nothing, cache, failed=failed)
    some = [[piece] for piece in pieces[: min(2_000, failures or 2_000)]]
    if not failures:
        for (piece,) in some:
            cache.put(piece.key, vectors_row(np.zeros((1, 1), np.float32)))
    return cost(lambda: list(entries.of(some)))[0].wall / len(some) * 1e6


def _nothing(pieces: Sequence[Piece]) -> dict[str, MediaError]:
    return {}


def _utterance(number: int, clip: Segment) -> Utterance:
    return Utterance(f"u{number}", "d", number, "s", "text", clip, clip)


def _hang() -> float:
    """Seconds until 63 of 64 clips are done, of which the first hangs."""
    done: list[float] = []
    start = time.monotonic()
    items = [(number, number) for number in range(64)]
    watching = _Watched(start)
    for _ in isolated(watching, items, lambda _: HANG, ahead=MANY):
        done.append(time.monotonic())
    return watching.last() - start


class _Watched:
    """Clips of 0.2 s, but for the first; each notes when it is done."""

    def __init__(self, start: float) -> None:
        self._notes = Path(tempfile.mkdtemp())

    def __call__(self, number: int) -> None:
        time.sleep(600.0 if number == 0 else 0.2)
        (self._notes / str(number)).write_text(str(time.monotonic()))

    def last(self) -> float:
        """When the last one was."""
        times = [float(path.read_text()) for path in self._notes.iterdir()]
        shutil.rmtree(self._notes)
        return max(times)


@contextmanager
def cluster(folder: Path) -> Iterator[None]:
    """Two nodes of Ray, which RAY_ADDRESS names while the block runs."""
    cores = max(1, workers() // 2)
    small = [f"--num-cpus={cores}", "--object-store-memory=104857600", "--disable-usage-stats"]
    head = ["--head", f"--port={PORT}", "--include-dashboard=false"]
    os.environ.update(RAY_AUTH_MODE="disabled", RAY_USAGE_STATS_ENABLED="0")
    nodes = []
    try:
        for where in (head, [f"--address=127.0.0.1:{PORT}"]):
            ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *where, *small]
            log = (folder / "ray.log").open("ab")
            nodes.append(subprocess.Popen(ray, stdout=log, stderr=log, cwd=folder))
            time.sleep(15)
        os.environ["RAY_ADDRESS"] = f"127.0.0.1:{PORT}"
        yield
    finally:
        os.environ.pop("RAY_ADDRESS", None)
        for node in nodes:
            for process in psutil.Process(node.pid).children(recursive=True):
                process.send_signal(signal.SIGKILL)
            node.kill()


def empty(item: int) -> Iterator[int]:
    """Nothing, so many times."""
    for _ in range(item):
        pass
    yield item


def overheads(folder: Path, clips: int, rounds: int) -> Iterator[Table]:
    """Items without content, then the stages `frames` and `audio` on a corpus."""
    with cluster(folder):
        yield _items(rounds)
        yield _stages(folder, clips, rounds)


def _items(rounds: int) -> Table:
    """An item's cost where it has nothing to do, and that of the start."""
    needs = Needs("train", workers=workers())

    def local(items: Sequence[int]) -> float:
        return cost(lambda: list(in_processes(empty, items, needs)))[0].wall

    def ray(items: Sequence[int]) -> float:
        os.environ["ERC_EXECUTOR"] = "ray"
        try:
            return cost(lambda: list(spread(empty, items, needs)))[0].wall
        finally:
            del os.environ["ERC_EXECUTOR"]

    def pebble(items: Sequence[int]) -> float:
        return cost(lambda: list(isolated(abs, [(None, 1) for _ in items])))[0].wall

    table = Table("executor", "start and end, s", "an item, ms", title="items without content")
    few, many = [1] * 4, [1] * 504
    ways: list[tuple[str, Callable[[Sequence[int]], float]]] = [
        ("isolated, for clips", pebble),
        ("processes, for runs", local),
        ("Ray, a running cluster", ray),
    ]
    for name, way in ways:
        start = float(np.median([way(few) for _ in range(rounds)]))
        whole = float(np.median([way(many) for _ in range(rounds)]))
        table.add_row(name, f"{start:.1f}", f"{(whole - start) / 500 * 1e3:.2f}")
    return table


def _stages(folder: Path, clips: int, rounds: int) -> Table:
    """Cold runs of both stages, in turns."""
    space = Workspace(folder / "overheads")
    space.install_encoders(("faces",))
    (folder / "encoded").mkdir()
    corpus = make_corpus(make_clips(folder / "encoded", ENCODED), folder / "corpus", clips)
    space.add(corpus, make_texts(clips))
    title = f"cold, {clips} clips, medians of {rounds} rounds in turns"
    table = Table("stage", "processes, s", "Ray, s", "Ray / processes", title=title)
    seconds: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        for executor in ("processes", "ray"):
            space.environment |= {
                "ERC_EXECUTOR": executor,
                "RAY_ADDRESS": os.environ["RAY_ADDRESS"],
            }
            for stage in ("frames", "audio"):
                shutil.rmtree(space.root / "cache" / stage, ignore_errors=True)
                taken = space.seconds((stage,))[stage]
                seconds.setdefault((stage, executor), []).append(taken)
    middle = {key: float(np.median(taken)) for key, taken in seconds.items()}
    for executor in ("processes", "ray"):
        middle["both", executor] = sum(middle[stage, executor] for stage in ("frames", "audio"))
    for stage in ("frames", "audio", "both"):
        ours, there = middle[stage, "processes"], middle[stage, "ray"]
        table.add_row(stage, f"{ours:.1f}", f"{there:.1f}", f"{there / ours:.2f}")
    return table


@dataclass(frozen=True)
class Reading:
    """A stage that reads a whole manifest, and how it is run."""

    name: str
    code: str


MEASURED = """
import sys
from pipeline.base.costs import measured
from pipeline.base.params import read_params
from pipeline.base.paths import manifest, places
params, corpus = read_params(), {corpus!r}
with measured({name!r}, corpus):
    {code}
"""
READINGS = (
    Reading(
        "manifest, read and written again",
        "from pipeline.records.manifest import *; "
        "write_manifest(manifest(corpus), read_manifest(manifest(corpus)), "
        "read_origin(manifest(corpus)))",
    ),
    Reading("protocol", "from stages.protocol import work; work(params, corpus)"),
    Reading(
        "audio, all in the cache",
        "from pipeline.features.audio.extract import extract; "
        "extract(params, corpus, places(corpus))",
    ),
    Reading(
        "train, its loading",
        "from pipeline.training.reading import *; "
        "read_data(Training(corpus, 'mcn_cl', params.system(corpus, 'mcn_cl'), "
        "params.of(ComputeSettings))).fold(0)",
    ),
)


def size(root: Path, rows: int) -> Table:
    """A generated manifest through what reads it whole; of sounds there are a thousand."""
    changes = {
        "audio": {"feature_set": "eGeMAPSv02"},
        "mcn_cl": {"modalities": ["audio"]},
    }
    space = Workspace(root, changes)
    os.chdir(root)
    os.environ["ERC_CACHE"] = space.environment["ERC_CACHE"]
    clips = [Segment(f"{n}.mp4", 0.0, 3.0, digest_of(n)) for n in range(DISTINCT)]
    utterances = [_large(number, clips[number % DISTINCT]) for number in range(rows)]
    where = places(CORPUS)
    where.manifest.parent.mkdir(parents=True)
    write_manifest(where.manifest, utterances, Origin("meld", full=False))
    del utterances
    step = audio.step_of(read_params(), CORPUS, where)
    for clip in clips:
        step.entries.cache.put(media_key(clip), vectors_row(np.ones((1, 88), np.float32)))
    for modality in ("text", "visual"):
        write_features(where.stores[modality], [], {"extractor": None})
    table = Table("what", "seconds", "peak MB", title=f"a manifest of {rows:,} rows")
    for reading in READINGS:
        code = MEASURED.format(corpus=CORPUS, name=reading.name, code=reading.code)
        subprocess.run([sys.executable, "-c", code], env=space.environment, check=True)
        found = json.loads((root / f"data/costs/{CORPUS}/{reading.name}.json").read_text())
        table.add_row(reading.name, f"{found['seconds']:.0f}", f"{found['peak_megabytes']:,}")
    return table


def _large(number: int, clip: Segment) -> Utterance:
    dialogue, turn = divmod(number, 10)
    split = ("train", "dev", "test")[min(2, dialogue % 10 // 4)]
    emotion = ("neutral", "joy", "anger", "sadness", "surprise", "fear", "disgust")[number % 7]
    return Utterance(
        f"{split}/dia{dialogue}_utt{turn}",
        f"{split}/dia{dialogue}",
        turn,
        f"Speaker {turn % 3}",
        f"Some words that are said {number}.",
        clip,
        clip,
        emotion=emotion,
        sentiment="neutral",
        official_split=split,
    )


if __name__ == "__main__":
    typer.run(main)
