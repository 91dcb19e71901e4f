"""The feature stages on a corpus of MELD's layout: cold, warm, after one new clip, beside others.

Stages run one after the other in processes of their own, as DVC runs them; what counts is the
clock. Starting Python and importing libraries is part of every run.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.table import Table

from benchmarks import naive_extraction as naive
from benchmarks import our_extraction as ours
from benchmarks.encoding import CUTS
from benchmarks.material import make_corpus_clips, make_texts
from benchmarks.measure import cost
from benchmarks.taking_turns import verdict
from benchmarks.workspace import STAGES, Workspace, clip_name, run_quietly
from pipeline.base.workers import workers
from pipeline.features.frames.faces import Face
from pipeline.records.frames import read_frames

COUNT = 20
SIDE = 224
MELD_CLIPS = 13_708
BARE_SHARE = 4  # the bare sum runs on a quarter of the clips before the cold run, and one after

Seconds = dict[str, float]


def whole_table(
    folder: Path, encoded: list[Path], clips: int, naive_clips: int, *, quick: bool
) -> Table:
    """Runs everything and makes the table.

    Args:
        folder: An empty folder.
        encoded: Clips that are cut into others.
        clips: Of the corpus, before one is added; at most 128 for each that is encoded.
        naive_clips: How many stand for all in the naive way.
        quick: Whether to leave out the fixed part, and the second half of the bare functions.
    """
    assert clips < CUTS * len(encoded), (clips, len(encoded))
    texts = make_texts(clips + 1)
    made = make_corpus_clips(encoded, folder / "made", [clip_name(n) for n in range(clips + 1)])
    fixed = None if quick else _fixed(_workspace(folder / "one", made[-1:], texts[-1:]))
    workspace = _workspace(folder / "all", made[:-1], texts[:-1])
    bare = [_bare(workspace, 0)]
    cold = _stages(workspace)
    if not quick:
        bare.append(_bare(workspace, 1))
    told = f"{_distinct(workspace):.1%} of the pictures differ from all others"
    workspace.remove_stores()
    warm = _stages(workspace)
    _add(workspace, made[-1:], texts)
    new = _stages(workspace)
    some = sorted(workspace.clips.iterdir())[:naive_clips]
    slow = _naive(some, texts[:naive_clips], clips / naive_clips)
    mean = {stage: sum(part[stage] for part in bare) * BARE_SHARE / len(bare) for stage in STAGES}
    title = f"stages on {clips} clips, {workers()} cores, seconds on the clock"
    table = _table(title, cold, warm, new, mean, slow)
    table.caption = told
    if fixed is not None:
        table.add_row("fixed: on one clip, warm", *_cells(fixed), "", "", "")
        _add_overhead(table, cold, mean, fixed)
        _add_scaled(table, cold, warm, fixed, MELD_CLIPS / clips)
    return table


def _workspace(folder: Path, clips: Sequence[Path], texts: Sequence[str]) -> Workspace:
    """A corpus of links to these clips, as far as its manifest."""
    workspace = Workspace(folder)
    (folder / "texts").write_text("\n".join(texts), encoding="utf-8")
    workspace.install_encoders()
    _add(workspace, clips, texts)
    return workspace


def _add(workspace: Workspace, clips: Sequence[Path], texts: Sequence[str]) -> None:
    """Adds clips, and writes the annotation of all there are then."""
    first = len(texts) - len(clips)
    for number, clip in enumerate(clips, start=first):
        (workspace.clips / clip_name(number)).hardlink_to(clip)
    workspace.annotate(texts)
    workspace.run("manifest")


def _fixed(workspace: Workspace) -> Seconds:
    """What the stages take where there is next to nothing to do."""
    _stages(workspace)
    return _stages(workspace)


def _table(
    title: str, cold: Seconds, warm: Seconds, new: Seconds, bare: Seconds, slow: Seconds
) -> Table:
    table = Table("run", *STAGES, "sum", "ratio of sums", "goal", "", title=title)
    first = sum(cold.values())
    table.add_row("cold", *_cells(cold), "", "", "")
    for name, seconds, goal in (("again, warm cache", warm, 100), ("one new clip", new, 50)):
        ratio = first / sum(seconds.values())
        table.add_row(name, *_cells(seconds), f"cold / it {ratio:.1f}", *verdict(ratio, goal))
    over = first / sum(bare.values())
    told = verdict(over, 1.1, most=True)
    table.add_row(
        "bare functions, scaled from a part", *_cells(bare), f"cold / it {over:.2f}", *told
    )
    naively = sum(slow.values()) / first
    table.add_row("naive, scaled", *_cells(slow), f"it / cold {naively:.2f}", "", "")
    return table


def _add_overhead(table: Table, cold: Seconds, bare: Seconds, fixed: Seconds) -> None:
    """Rows of each stage's time over the bare functions', with what is fixed and without."""
    grown = {stage: cold[stage] - fixed[stage] for stage in STAGES}
    for name, run in (("cold / bare", cold), ("(cold - fixed) / bare", grown)):
        each = [f"{run[stage] / bare[stage]:.2f}" for stage in STAGES]
        table.add_row(name, *each, f"{sum(run.values()) / sum(bare.values()):.2f}", "", "", "")


def _add_scaled(table: Table, cold: Seconds, warm: Seconds, fixed: Seconds, factor: float) -> None:
    """A row of what a warm cache saves on the whole of MELD, if all but the fixed part grows."""
    first, again = (
        sum(fixed[s] + max(0.0, run[s] - fixed[s]) * factor for s in STAGES) for run in (cold, warm)
    )
    ratio = first / again
    name = f"warm cache, scaled to MELD's {MELD_CLIPS}"
    table.add_row(
        name, *[""] * len(STAGES), f"{again:.0f}", f"cold / it {ratio:.0f}", *verdict(ratio, 100)
    )


def _cells(seconds: Seconds) -> list[str]:
    return [f"{v:.1f}" for v in (*(seconds[s] for s in STAGES), sum(seconds.values()))]


def _stages(workspace: Workspace) -> Seconds:
    """Runs each feature stage; their seconds."""
    return {stage: cost(partial(workspace.run, stage))[0].wall for stage in STAGES}


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
    pictures: list[naive.Images] = []
    steps: dict[str, Callable[[], object]] = {
        "frames": lambda: pictures.extend(map(naive_crops, clips)),
        "visual": lambda: [network(crops) for crops in pictures],
        "audio": lambda: [naive.ffmpeg_sound_new_smile(c, ours.FEATURE_SET) for c in clips],
        "text": lambda: encoder(texts),
    }
    return {stage: cost(step)[0].wall * factor for stage, step in steps.items()}


def naive_crops(clip: Path) -> naive.Images:
    """The largest face of each frame, found at full size; every frame of the clip is read."""
    images = naive.opencv_reads_all(clip, COUNT)
    detector = ours.face_detector(longest_side=max(images[0].shape))
    return [_largest_face(image, detector.detect(image)) for image in images]


def _largest_face(image: np.ndarray, faces: Sequence[Face]) -> np.ndarray:
    height, width = image.shape[:2]
    boxes = [face.box for face in faces] or [(0.0, 0.0, float(width), float(height))]
    left, top, wide, high = max(boxes, key=lambda box: box[2] * box[3])
    rows, columns = (slice(max(0, int(a)), int(a + n)) for a, n in ((top, high), (left, wide)))
    return np.asarray(cv2.resize(image[rows, columns], (SIDE, SIDE)))
