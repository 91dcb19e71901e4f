"""The bare steps of extraction beside public tools' ways, one thread each: tables of ratios."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from rich.table import Table
from torchvision.models import get_model
from transformers import AutoConfig, AutoModel
from transformers.utils import logging

from benchmarks import naive_extraction as naive
from benchmarks import our_extraction as ours
from benchmarks.material import CLIP_RATE, CLIP_SECONDS, Material
from benchmarks.our_extraction import FEATURE_SET, MAX_TOKENS, WEIGHTS
from benchmarks.taking_turns import Way, compare

COUNT = 20  # frames of a clip or turn
FFMPEG = shutil.which("ffmpeg") is not None


def bare_tables(material: Material, folder: Path, rounds: int, quick: bool) -> Iterator[Table]:
    """One table a step.

    Args:
        material: What is read.
        folder: For weights that are made.
        rounds: Of which the median counts.
        quick: Whether to leave out the large text encoder and use fewer clips and pictures.
    """
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    clips = material.clips[: 1 if quick else 4]
    yield decoding(clips, rounds)
    yield dialogue(material, rounds, 2 if quick else 6)
    yield faces(clips[0], rounds)
    yield sound(material.clips, rounds)
    yield text("MiniLM-L6", WEIGHTS / "all-MiniLM-L6-v2", material.texts, rounds)
    if not quick:
        large = write_base_encoder(folder / "base")
        name = "12 layers of 768, as RoBERTa-base, random weights"
        yield text(name, large, material.texts[:1000], rounds, 3.5)
    yield pictures("resnet101", folder, 8 if quick else 32, rounds, 1.5)


def _each(work: Callable[[Any], Any], items: Sequence[Any]) -> Callable[[], None]:
    """Does that to all of them and keeps nothing."""

    def run() -> None:
        for item in items:
            work(item)

    return run


def decoding(clips: Sequence[Path], rounds: int) -> Table:
    """Twenty frames of each clip."""
    ffmpeg = partial(naive.ffmpeg_images, count=COUNT, seconds=CLIP_SECONDS)
    ways = [
        Way(
            "ours: sequential, only what is needed", _each(partial(ours.frames, count=COUNT), clips)
        ),
        Way(
            "OpenCV, seek per frame", _each(partial(naive.opencv_seeks, count=COUNT), clips), goal=8
        ),
        Way("PyAV, seek per frame", _each(partial(naive.pyav_seeks, count=COUNT), clips), goal=8),
        Way(
            "OpenCV, read all then pick", _each(partial(naive.opencv_reads_all, count=COUNT), clips)
        ),
        Way("PyAV, all to RGB then pick", _each(partial(naive.pyav_reads_all, count=COUNT), clips)),
        Way("an ffmpeg process to image files", _each(ffmpeg, clips) if FFMPEG else None),
    ]
    return compare(f"{COUNT} frames of a clip of 1280 x 720", "clip", len(clips), ways, rounds)


def dialogue(material: Material, rounds: int, sought: int) -> Table:
    """Twenty frames of each turn of a dialogue; few turns stand for all where each is sought."""
    path, turns = material.dialogue, material.turns
    some = turns[len(turns) // (2 * sought) :: len(turns) // sought]
    seeks = _each(lambda turn: naive.opencv_seeks(path, COUNT, turn), some)
    ways = [
        Way("ours: opened once, all turns in order", lambda: ours.turns_frames(path, COUNT, turns)),
        Way(
            "opened for each turn, one seek",
            lambda: naive.opened_for_each(path, COUNT, turns),
            goal=2,
        ),
        Way("OpenCV, seek per frame (some turns)", seeks, share=len(turns) / len(some)),
    ]
    title = f"{COUNT} frames of each of {len(turns)} turns of a dialogue of 720 x 480"
    return compare(title, "turn", len(turns), ways, rounds)


def faces(clip: Path, rounds: int) -> Table:
    """Faces of a clip whose frames are decoded."""
    images = ours.frames(clip, COUNT)
    every = naive.pyav_reads_all(clip, round(CLIP_SECONDS * CLIP_RATE))
    small, full = ours.face_detector(), ours.face_detector(longest_side=max(images[0].shape))
    ways = [
        Way(f"ours: {COUNT} frames, at most 320 pixels", _each(small.detect, images)),
        Way(f"{COUNT} frames, full size", _each(full.detect, images)),
        Way(f"all {len(every)} frames, at most 320 pixels", _each(small.detect, every)),
        Way(f"all {len(every)} frames, full size", _each(full.detect, every)),
    ]
    return compare("faces by YuNet, frames decoded", "clip", 1, ways, rounds)


def sound(clips: Sequence[Path], rounds: int) -> Table:
    """Functionals of each clip."""
    extract = ours.functionals()
    sounds = [ours.sound(clip) for clip in clips]
    by_ffmpeg = _each(lambda c: naive.ffmpeg_sound_new_smile(c, FEATURE_SET), clips)
    again = _each(lambda c: naive.new_smile(ours.sound(c), FEATURE_SET), clips)
    ways = [
        Way("ours: PyAV, one openSMILE", _each(lambda c: ours.sound_features(c, extract), clips)),
        Way("an ffmpeg process, a new openSMILE", by_ffmpeg if FFMPEG else None, goal=4),
        Way("PyAV, a new openSMILE", again),
        Way("of ours: openSMILE alone", _each(lambda s: extract(s, ours.RATE), sounds)),
    ]
    return compare(f"{FEATURE_SET} of a clip of 3 s", "clip", len(clips), ways, rounds)


def text(
    name: str, folder: Path, texts: Sequence[str], rounds: int, goal: float | None = None
) -> Table:
    """Vectors of MELD's utterances; every fourth stands for all where each is one call."""
    some = texts[::4]
    encode, one = ours.text_vectors(folder), naive.one_text_per_call(folder, MAX_TOKENS)
    ways = [
        Way("ours: batches of like lengths", lambda: encode(texts)),
        Way(
            "transformers, one text per call (some)",
            lambda: one(some),
            share=len(texts) / len(some),
            goal=goal,
        ),
    ]
    return compare(f"text, {name}, {len(texts)} utterances", "text", len(texts), ways, rounds)


def write_base_encoder(folder: Path) -> Path:
    """A network as large as RoBERTa-base with random weights, and MiniLM's tokenizer."""
    config = AutoConfig.from_pretrained(WEIGHTS / "all-MiniLM-L6-v2", local_files_only=True)
    config.update({"hidden_size": 768, "num_hidden_layers": 12, "intermediate_size": 3072})
    return write_text_network(folder, config)


def write_text_network(folder: Path, config: Any) -> Path:
    """Saves a network of MiniLM's kind with random weights beside MiniLM's tokenizer."""
    torch.manual_seed(0)
    shutil.copytree(WEIGHTS / "all-MiniLM-L6-v2", folder, dirs_exist_ok=True)
    logging.disable_progress_bar()
    AutoModel.from_config(config).save_pretrained(folder)
    return folder


def pictures(
    architecture: str, folder: Path, count: int, rounds: int, goal: float | None = None
) -> Table:
    """Class scores of pictures by a network with random weights."""
    torch.manual_seed(0)
    state = get_model(architecture, weights=None).state_dict()
    torch.save(state, folder / "network.pth")
    encode = ours.picture_vectors(architecture, folder / "network.pth", min(count, 32))
    one = naive.one_picture_per_call(architecture, state)
    images = list(np.random.default_rng(0).integers(0, 256, (count, 224, 224, 3), np.uint8))
    ways = [
        Way("ours: a batch, folded batch norms", lambda: list(encode(images))),
        Way("eager, one picture per call", lambda: one(images), goal=goal),
    ]
    title = f"{architecture} on the CPU, random weights, {count} pictures"
    return compare(title, "picture", count, ways, rounds)
