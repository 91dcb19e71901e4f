"""A corpus of a dozen short clips in a working folder, and the stages run on it as DVC would."""

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np

from pipeline.corpora.meld import FOLDERS
from tests.conftest import PARAMS, ROOT
from tests.corpora.meld_tree import LINE, csv_bytes
from tests.dag.clone import with_values
from tests.media.make_media import channels, tone, write_media

CORPUS = "demo_meld"
CLIPS = 12
STAGES = ("frames", "visual", "audio", "text")
STORES = {
    "frames": ("data/frames/{}.parquet", "data/ledgers/{}/frames.parquet"),
    "visual": ("data/features/{}/visual.parquet",),
    "audio": ("data/features/{}/audio.parquet", "data/ledgers/{}/audio.parquet"),
    "text": ("data/features/{}/text.parquet",),
}


def lay_out(folder: Path, clips: int = CLIPS) -> None:
    """Writes params.yaml and a raw tree of clips, each of other pictures, sound and words."""
    params = PARAMS.read_text()
    # Small batches: entries come one after another, so that a kill falls between them.
    values = {"count": 3, "feature_set": "eGeMAPSv02", "batch_size": 4, "tokens_per_batch": 16}
    (folder / "params.yaml").write_text(with_values(params, values, CORPUS))
    raw = folder / "data/raw" / CORPUS
    for split, names in FOLDERS.items():
        (raw / names[0]).mkdir(parents=True)
        mine = range(clips) if split == "train" else range(0)
        lines = [
            LINE.format(text=f"word {n} of many", dialogue=n // 4, utterance=n % 4) for n in mine
        ]
        (raw / f"{split}_sent_emo.csv").write_bytes(csv_bytes(*lines))
    for number in range(clips):
        write_clip(raw / FOLDERS["train"][0] / f"dia{number // 4}_utt{number % 4}.mp4", number)


def write_clip(path: Path, number: int) -> Path:
    """Half a second of noise in which no two clips are alike, with a tone of its own."""

    def picture(frame: int) -> np.ndarray:
        generator = np.random.default_rng([number, frame])
        return generator.integers(0, 255, (96, 160, 3), np.uint8)

    sound = channels("stereo", left=tone(0.5, 48000, 200.0 + 30 * number))
    return write_media(path, stamps=range(12), rate=Fraction(24), picture=picture, sound=sound)


def environment(cache: Path, **variables: str) -> dict[str, str]:
    """That of a stage."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "ERC_CACHE": str(cache),
        "ERC_WEIGHTS": os.environ.get("ERC_WEIGHTS", str(ROOT / "models/weights")),
        **variables,
    }


def started(
    folder: Path, stage: str, *words: str, cache: Path, **variables: str
) -> subprocess.Popen[str]:
    """A stage as a process of its own."""
    command = [sys.executable, "-m", f"stages.{stage}", CORPUS, *words]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment(cache, **variables),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def run(folder: Path, stage: str, *words: str, cache: Path, fails: bool = False) -> str:
    """Runs a stage to its end and returns what it printed."""
    process = started(folder, stage, *words, cache=cache)
    printed, _ = process.communicate()
    assert (process.returncode != 0) == fails, printed
    return printed


def prepared(folder: Path, cache: Path) -> None:
    """A working folder in which every feature stage can run."""
    lay_out(folder)
    run(folder, "manifest", cache=cache)
    for role in ("faces", "visual", "text", "audio"):
        run(folder, "weights", role, cache=cache)
    run(folder, "finetune", cache=cache)


def outputs(folder: Path, stage: str) -> list[Path]:
    """The files that a stage writes."""
    return [folder / name.format(CORPUS) for name in STORES[stage]]


def results(folder: Path, stage: str) -> list[bytes]:
    """Their bytes."""
    return [path.read_bytes() for path in outputs(folder, stage)]


def entries(cache: Path, stage: str) -> dict[str, int]:
    """Entries of a stage in a cache: name and time of writing."""
    files = (path for path in (cache / stage).glob("*/*/*") if not path.name.endswith(".part"))
    return {path.name: path.stat().st_mtime_ns for path in files}
