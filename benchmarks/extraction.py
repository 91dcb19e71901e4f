"""Feature extraction beside the ways of public tools: `python -m benchmarks.extraction [PART]...`.

All media are generated. Parts: `bare`, the steps alone, one thread each, in turns in one process;
`stages`, the four feature stages on a corpus: cold, again with a warm cache, and after one new
clip; `startup`, the time each stage takes where there is nothing to do, and `dvc repro`. Read the
ratios. For a GPU see `benchmarks.gpu`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import torch
import typer
from rich.table import Table
from torchvision.models import get_model
from transformers import AutoConfig, AutoModel
from transformers.utils import logging

from benchmarks import naive_extraction as naive
from benchmarks import steps as ours
from benchmarks.material import (
    CLIP_RATE,
    CLIP_SECONDS,
    CROPS,
    make_clips,
    make_corpus,
    make_dialogue,
    make_texts,
    make_turns,
)
from benchmarks.measure import CONSOLE, Way, compare, cost, median, verdict
from benchmarks.steps import COUNT, FEATURE_SET, MAX_TOKENS
from benchmarks.workspace import ROLES, ROOT, STAGES, STORES, Workspace, run_quietly
from pipeline.base.workers import workers

ENCODED = 8  # clips that are encoded; corpora are cropped from them
BARE_SHARE = 4  # the bare functions run on every fourth clip
NAIVE_CLIPS = 6  # on which the naive ways run
WARM_GOALS, NEW_GOALS = {1000: 100, 300: 50}, {300: 10}  # least ratio from so many clips on
STARTED = ("weights faces", "manifest", "finetune", *STAGES)

Seconds = dict[str, float]


class Part(StrEnum):
    """What can be measured."""

    BARE = "bare"
    STAGES = "stages"
    STARTUP = "startup"


def main(
    parts: Annotated[list[Part] | None, typer.Argument(help="Parts to run; none: all.")] = None,
    clips: Annotated[int, typer.Option(min=1, help="Of the corpus of `stages`.")] = 300,
    rounds: Annotated[int, typer.Option(min=1, help="Repetitions; the median counts.")] = 3,
    quick: Annotated[bool, typer.Option(help="Less of the bare steps.")] = False,
) -> None:
    """Print a table for each bare step, for the stages, and for their start."""
    wanted = parts or list(Part)
    with tempfile.TemporaryDirectory(prefix="extraction") as name:
        folder = Path(name)
        few = max(min(ENCODED, clips), -(-(clips + rounds) // CROPS))
        encoded = make_clips(folder, few)
        if Part.BARE in wanted:
            for table in bare_tables(encoded, folder / "bare", rounds, quick):
                CONSOLE.print(table)
        if Part.STAGES in wanted:
            CONSOLE.print(stages_table(encoded, folder / "stages", clips, rounds))
        if Part.STARTUP in wanted:
            CONSOLE.print(startup_table(encoded[0], folder / "startup", rounds))


def bare_tables(clips: Sequence[Path], folder: Path, rounds: int, quick: bool) -> Iterator[Table]:
    """Each bare step beside public tools' ways."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    workspace = Workspace(folder)
    workspace.install_encoders()
    encoders = {role: workspace.encoder(role) for role in ROLES}
    few, seconds = (clips[:1], 20) if quick else (clips[:4], 240)
    texts = make_texts(200 if quick else 2500)
    yield decoding(few, rounds)
    yield dialogue(make_dialogue(folder, seconds), seconds, rounds)
    yield faces(few[0], encoders["faces"], rounds)
    yield sound(few, rounds)
    yield text("MiniLM-L6", encoders["text"], texts, rounds)
    if not quick:
        large = _write_base_encoder(encoders["text"], folder / "base")
        yield text("12 layers of 768, random weights", large, texts[:1000], rounds, 3.5)
    yield pictures("resnet101", folder, 8 if quick else 32, rounds, 1.5)


def _each(work: Callable[[Any], Any], items: Sequence[Any]) -> Callable[[], None]:
    """Calls `work` on each item and keeps nothing."""

    def run() -> None:
        for item in items:
            work(item)

    return run


def decoding(clips: Sequence[Path], rounds: int) -> Table:
    """Twenty frames of each clip."""
    ffmpeg = None
    if shutil.which("ffmpeg"):
        ffmpeg = _each(partial(naive.ffmpeg_images, count=COUNT, seconds=CLIP_SECONDS), clips)
    ways = [Way("ours: sequential, only what is needed", _each(ours.frames, clips))]
    for name, read, goal in (
        ("OpenCV, seek per frame", naive.opencv_seeks, 8),
        ("PyAV, seek per frame", naive.pyav_seeks, 8),
        ("OpenCV, read all then pick", naive.opencv_reads_all, None),
        ("PyAV, all to RGB then pick", naive.pyav_reads_all, None),
    ):
        ways.append(Way(name, _each(partial(read, count=COUNT), clips), goal=goal))
    ways.append(Way("an ffmpeg process to image files", ffmpeg))
    return compare(f"{COUNT} frames of a clip of 1280 x 720", "clip", len(clips), ways, rounds)


def dialogue(path: Path, seconds: float, rounds: int) -> Table:
    """Twenty frames of each turn of a dialogue; few turns stand for all where each is sought."""
    turns = make_turns(seconds)
    some = turns[:: max(1, len(turns) // 6)]
    opened = partial(naive.pyav_seeks_once, path, COUNT)
    sought = _each(partial(naive.opencv_seeks, path, COUNT), some)
    ways = [
        Way("ours: opened once, all in order", lambda: ours.turns_frames(path, COUNT, turns)),
        Way("opened for each turn, one seek", _each(opened, turns), goal=2),
        Way("OpenCV, seek per frame (some turns)", sought, share=len(turns) / len(some)),
    ]
    title = f"{COUNT} frames of each of {len(turns)} turns of a dialogue of 720 x 480"
    return compare(title, "turn", len(turns), ways, rounds)


def faces(clip: Path, weights: Path, rounds: int) -> Table:
    """Faces of a clip whose frames are decoded."""
    images = ours.frames(clip)
    every = naive.pyav_reads_all(clip, round(CLIP_SECONDS * CLIP_RATE))
    small = ours.face_detector(weights)
    full = ours.face_detector(weights, longest_side=max(images[0].shape))
    ways = [
        Way(f"ours: {COUNT} frames, at most 320 pixels", _each(small.detect, images)),
        Way(f"{COUNT} frames, full size", _each(full.detect, images)),
        Way(f"all {len(every)} frames, full size", _each(full.detect, every)),
    ]
    return compare("faces by YuNet, frames decoded", "clip", 1, ways, rounds)


def sound(clips: Sequence[Path], rounds: int) -> Table:
    """Functionals of each clip."""
    extract = ours.functionals()
    sounds = [ours.sound(clip) for clip in clips]
    process = None
    if shutil.which("ffmpeg"):
        process = _each(lambda clip: naive.ffmpeg_sound_new_smile(clip, FEATURE_SET), clips)
    again = _each(lambda clip: naive.new_smile(ours.sound(clip), FEATURE_SET), clips)
    whole = _each(lambda clip: extract(ours.sound(clip), ours.RATE), clips)
    ways = [
        Way("ours: PyAV, one openSMILE", whole),
        Way("an ffmpeg process, a new openSMILE", process, goal=4),
        Way("PyAV, a new openSMILE", again),
        Way("of ours: openSMILE alone", _each(lambda s: extract(s, ours.RATE), sounds)),
    ]
    return compare(f"{FEATURE_SET} of a clip of 3 s", "clip", len(clips), ways, rounds)


def text(
    name: str, folder: Path, texts: Sequence[str], rounds: int, goal: float | None = None
) -> Table:
    """Vectors of utterances; every fourth stands for all where each is one call."""
    some = texts[::4]
    encode, one = ours.text_vectors(folder), naive.one_text_per_call(folder, MAX_TOKENS)
    share = len(texts) / len(some)
    ways = [
        Way("ours: batches of like lengths", lambda: encode(texts)),
        Way("transformers, one text per call (some)", lambda: one(some), share, goal),
    ]
    return compare(f"text, {name}, {len(texts)} utterances", "text", len(texts), ways, rounds)


def _write_base_encoder(small: Path, folder: Path) -> Path:
    """A network as large as RoBERTa-base with random weights, and the tokenizer of `small`."""
    torch.manual_seed(0)
    logging.disable_progress_bar()
    shutil.copytree(small, folder)
    config = AutoConfig.from_pretrained(small, local_files_only=True)
    config.update({"hidden_size": 768, "num_hidden_layers": 12, "intermediate_size": 3072})
    AutoModel.from_config(config).save_pretrained(folder)
    return folder


def pictures(
    architecture: str, folder: Path, count: int, rounds: int, goal: float | None = None
) -> Table:
    """Class scores of pictures by a network with random weights."""
    torch.manual_seed(0)
    state = get_model(architecture, weights=None).state_dict()
    torch.save(state, folder / "network.pth")
    encoder = ours.image_encoder(architecture, folder / "network.pth", min(count, 32))
    one = naive.one_picture_per_call(architecture, state)
    images = list(np.random.default_rng(0).integers(0, 256, (count, 224, 224, 3), np.uint8))
    ways = [
        Way("ours: batches", lambda: list(ours.picture_vectors(encoder, images))),
        Way("eager, one picture per call", lambda: one(images), goal=goal),
    ]
    title = f"{architecture} on the CPU, random weights, {count} pictures"
    return compare(title, "picture", count, ways, rounds)


def stages_table(encoded: list[Path], folder: Path, clips: int, rounds: int) -> Table:
    """The feature stages one after the other, as DVC runs them; seconds on the clock.

    Starting Python and importing libraries is part of every run. Beside them the bare functions
    and the naive ways, scaled from some clips.
    """
    texts = make_texts(clips + rounds)
    corpus = make_corpus(encoded, folder / "clips", clips + rounds)
    workspace = Workspace(folder / "workspace")
    workspace.install_encoders()
    encoders = {role: workspace.encoder(role) for role in ROLES}
    workspace.add(corpus[:clips], texts[:clips])
    share, some = corpus[:clips:BARE_SHARE], texts[:clips:BARE_SHARE]
    bare = _scaled(ours.bare_seconds(encoders, share, some), clips / len(share))
    cold = workspace.seconds()
    warm, new = [], []
    for _ in range(rounds):
        workspace.remove(*STORES)
        warm.append(workspace.seconds())
    for number in range(clips, clips + rounds):
        workspace.add(corpus[number : number + 1], texts[number : number + 1])
        new.append(workspace.seconds())
    few = corpus[: min(clips, NAIVE_CLIPS)]
    naively = _scaled(_naive_seconds(encoders, few, texts), clips / len(few))
    table = Table("run", *STAGES, "sum", "ratio of sums", "goal", "")
    table.title = f"feature stages on {clips} clips, {workers()} cores, seconds on the clock"
    for row in ratio_rows(clips, cold, _middle(warm), _middle(new), bare, naively):
        table.add_row(*row)
    return table


def ratio_rows(
    clips: int, cold: Seconds, warm: Seconds, new: Seconds, bare: Seconds, naively: Seconds
) -> Iterator[list[str]]:
    """Cells of the stages' table: seconds by stage, their sum, a ratio and its goal."""

    def row(name: str, run: Seconds, *tail: str) -> list[str]:
        return [name, *(f"{run[s]:.1f}" for s in STAGES), f"{sum(run.values()):.1f}", *tail]

    first = sum(cold.values())
    yield row("cold", cold, "", "", "")
    for name, run, goals in (
        ("again, warm cache", warm, WARM_GOALS),
        ("one new clip", new, NEW_GOALS),
    ):
        ratio = first / sum(run.values())
        goal = next((ratio for least, ratio in goals.items() if clips >= least), None)
        yield row(name, run, f"cold / it {ratio:.1f}", *verdict(ratio, goal))
    over = first / sum(bare.values())
    yield row("bare functions, scaled", bare, f"cold / it {over:.2f}", *verdict(over, 1.1, True))
    yield row("naive, scaled", naively, f"it / cold {sum(naively.values()) / first:.1f}", "", "")


def _scaled(seconds: Seconds, factor: float) -> Seconds:
    return {stage: taken * factor for stage, taken in seconds.items()}


def _middle(runs: Sequence[Seconds]) -> Seconds:
    """The run with the median sum."""
    return sorted(runs, key=lambda run: sum(run.values()))[len(runs) // 2]


def _naive_seconds(
    encoders: Mapping[str, Path], clips: Sequence[Path], texts: Sequence[str]
) -> Seconds:
    """Clip after clip: all frames read, faces at full size, everything one at a time."""
    torch.set_num_threads(workers())
    cv2.setNumThreads(workers())
    detector = ours.face_detector(encoders["faces"], longest_side=1280)
    state = torch.load(encoders["visual"], weights_only=True)
    network = naive.one_picture_per_call(ours.ARCHITECTURE, state)
    encoder = naive.one_text_per_call(encoders["text"], MAX_TOKENS)
    smile = naive.ffmpeg_sound_new_smile if shutil.which("ffmpeg") else _sound_new_smile
    crops: list[naive.Images] = []
    steps: dict[str, Callable[[], object]] = {
        "frames": lambda: crops.extend(naive.largest_faces(c, COUNT, detector) for c in clips),
        "visual": lambda: [network(images) for images in crops],
        "audio": lambda: [smile(clip, FEATURE_SET) for clip in clips],
        "text": lambda: encoder(texts[: len(clips)]),
    }
    return {stage: cost(step)[0].wall for stage, step in steps.items()}


def _sound_new_smile(clip: Path, feature_set: str) -> np.ndarray:
    return naive.new_smile(ours.sound(clip), feature_set)


def startup_table(clip: Path, folder: Path, rounds: int) -> Table:
    """Stages on one clip whose results are there, and `dvc repro` of this checkout."""
    workspace = Workspace(folder)
    workspace.install_encoders()
    workspace.add([clip], make_texts(1))
    table = Table("nothing to do", "wall s", "CPU s", title=f"start-up, medians of {rounds}")
    commands = {
        "Python": [sys.executable, "-c", "pass"],
        "import torch": [sys.executable, "-c", "import torch"],
        **{f"stage {stage}": workspace.command(*stage.split()) for stage in STARTED},
    }
    runs = {n: partial(run_quietly, c, folder, workspace.environment) for n, c in commands.items()}
    dvc = [sys.executable, "-m", "dvc"]
    current = subprocess.run([*dvc, "status", "--quiet"], cwd=ROOT, check=False).returncode == 0
    if current:
        runs["dvc repro"] = partial(run_quietly, [*dvc, "repro"], ROOT, os.environ)
    for name, run in runs.items():
        run()
        taken = median([cost(run)[0] for _ in range(rounds)])
        table.add_row(name, f"{taken.wall:.2f}", f"{taken.cpu:.2f}")
    if not current:
        table.add_row("dvc repro", "not up to date", "run it first")
    return table


if __name__ == "__main__":
    typer.run(main)
