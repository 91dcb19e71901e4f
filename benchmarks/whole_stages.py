"""The feature stages on a corpus of MELD's layout: cold, warm, after one new clip, beside others.

Stages run one after the other in processes of their own, as DVC runs them; what counts is the
clock. Starting Python and importing libraries is part of every run.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from rich.table import Table

from benchmarks import naive_extraction as naive
from benchmarks import our_extraction as ours
from benchmarks.encoding import CUTS
from benchmarks.material import make_corpus_clips, make_texts
from benchmarks.measure import cost
from benchmarks.taking_turns import verdict
from benchmarks.workspace import STAGES, Workspace, clip_name, run_quietly
from pipeline.extractors.faces import choose_boxes, crop
from pipeline.frames import read_frames
from pipeline.jobs import workers

COUNT = 20
MARGIN = 0.3  # round a face
MELD_CLIPS = 13_708
BARE_SHARE = 4  # the bare sum runs on a quarter of the clips before the cold run, and one after

Seconds = dict[str, float]


def whole_table(folder: Path, encoded: list[Path], clips: int, naive_clips: int) -> Table:
    """Runs everything and makes the table.

    Args:
        folder: An empty folder.
        encoded: Clips that are cut into others.
        clips: Of the corpus, before one is added; at most 128 for each that is encoded.
        naive_clips: How many stand for all in the naive way.
    """
    assert clips < CUTS * len(encoded), (clips, len(encoded))
    workspace = Workspace(folder)
    texts = make_texts(clips + 1)
    made = make_corpus_clips(encoded, folder / "made", [clip_name(n) for n in range(clips + 1)])
    for clip in made[:clips]:
        clip.rename(workspace.clips / clip.name)
    workspace.annotate(texts[:clips])
    (folder / "texts").write_text("\n".join(texts[:clips]), encoding="utf-8")
    workspace.install_encoders()
    workspace.run("manifest")
    start = _stages(lambda stage: run_quietly(_importing(stage), workspace))
    bare = [_bare(workspace, 0)]
    cold = _stages(workspace.run)
    bare.append(_bare(workspace, 1))
    distinct = _distinct(workspace)
    workspace.remove_stores()
    warm = _stages(workspace.run)
    made[clips].rename(workspace.clips / made[clips].name)
    workspace.annotate(texts)
    workspace.run("manifest")
    new = _stages(workspace.run)
    some = sorted(workspace.clips.iterdir())[:naive_clips]
    slow = _naive(some, texts[:naive_clips], clips / naive_clips)
    mean = {stage: sum(part[stage] for part in bare) * BARE_SHARE / 2 for stage in STAGES}
    title = f"stages on {clips} clips, {workers()} cores, seconds on the clock"
    table = _table(title, cold, warm, new, mean, slow)
    table.add_row("of each run: start and import", *_cells(start), "", "", "")
    table.caption = f"{distinct:.1%} of the pictures differ from all others"
    _add_scaled(table, cold, warm, start, MELD_CLIPS / clips)
    return table


def _table(
    title: str, cold: Seconds, warm: Seconds, new: Seconds, bare: Seconds, slow: Seconds
) -> Table:
    table = Table("run", *STAGES, "sum", "ratio of sums", "goal", "", title=title)
    first, total = sum(cold.values()), {n: sum(x.values()) for n, x in (("w", warm), ("n", new))}
    table.add_row("cold", *_cells(cold), "", "", "")
    again = first / total["w"]
    table.add_row("again, warm cache", *_cells(warm), f"{again:.1f}", *verdict(again, 100))
    one = first / total["n"]
    table.add_row("one new clip", *_cells(new), f"{one:.1f}", *verdict(one, 50))
    over = first / sum(bare.values())
    told = verdict(over, 1.1, most=True)
    table.add_row("bare functions, scaled from half", *_cells(bare), f"cold / it {over:.2f}", *told)
    naively = sum(slow.values()) / first
    table.add_row("naive, scaled", *_cells(slow), f"it / cold {naively:.2f}", "", "")
    return table


def _add_scaled(table: Table, cold: Seconds, warm: Seconds, start: Seconds, factor: float) -> None:
    """A row of what the warm run would gain on the whole of MELD, if all but the start grows."""
    first, again = (
        sum(start[s] + max(0.0, run[s] - start[s]) * factor for s in STAGES) for run in (cold, warm)
    )
    ratio = first / again
    name = f"warm cache, scaled to MELD's {MELD_CLIPS}"
    table.add_row(name, *[""] * len(STAGES), f"{again:.0f}", f"{ratio:.0f}", *verdict(ratio, 100))


def _cells(seconds: Seconds) -> list[str]:
    return [f"{v:.1f}" for v in (*(seconds[s] for s in STAGES), sum(seconds.values()))]


def _stages(run: Callable[[str], object]) -> Seconds:
    """Seconds of each feature stage."""

    def once(stage: str) -> float:
        return cost(lambda: run(stage))[0].wall

    return {stage: once(stage) for stage in STAGES}


def _importing(stage: str) -> list[str]:
    return [sys.executable, "-c", f"import stages.{stage}"]


def _bare(workspace: Workspace, first: int) -> Seconds:
    """The bare functions' seconds on every fourth clip."""
    given = (str(workspace.clips), str(workspace.root / "texts"), str(first), str(BARE_SHARE))
    told = run_quietly([sys.executable, "-m", "benchmarks.bare_sum", *given], workspace)
    seconds: Seconds = json.loads(told)
    return seconds


def _distinct(workspace: Workspace) -> float:
    """Share of the pictures that are like no other: the network sees the rest once."""
    rows = read_frames(workspace.root / "data/frames/bench.parquet")
    digests = [hashlib.sha256(i).digest() for _, found in rows if found for i in found.images]
    return len(set(digests)) / len(digests)


def _naive(clips: Sequence[Path], texts: Sequence[str], factor: float) -> Seconds:
    """Clip after clip: all frames read, faces at full size, everything one at a time."""
    torch.set_num_threads(workers())
    (weights,) = (ours.WEIGHTS / "mobilenet_v2").glob("*.pth")
    state = torch.load(weights, weights_only=True)
    network = naive.one_picture_per_call("mobilenet_v2", state)
    encoder = naive.one_text_per_call(ours.WEIGHTS / "all-MiniLM-L6-v2", ours.MAX_TOKENS)
    steps: dict[str, Callable[[], object]] = {
        "frames": lambda: [pictures.append(naive_crops(clip)) for clip in clips],
        "visual": lambda: [network(crops) for crops in pictures],
        "audio": lambda: [naive.ffmpeg_sound_new_smile(c, ours.FEATURE_SET) for c in clips],
        "text": lambda: encoder(texts),
    }
    pictures: list[naive.Images] = []
    return {stage: cost(step)[0].wall * factor for stage, step in steps.items()}


def naive_crops(clip: Path) -> naive.Images:
    """The faces of a clip, all of whose frames are read, found at full size."""
    images = naive.opencv_reads_all(clip, COUNT)
    detector = ours.face_detector(longest_side=max(images[0].shape))
    boxes = choose_boxes([detector.detect(image) for image in images])
    return [crop(image, box, MARGIN)[0] for image, box in zip(images, boxes, strict=True)]
