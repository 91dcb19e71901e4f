"""A working folder with one corpus of MELD's layout, whose stages run as DVC runs them."""

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from benchmarks.full_size import MELD_FOLDERS
from benchmarks.our_extraction import WEIGHTS
from pipeline.corpora.meld import COLUMNS
from pipeline.weights.lock import Role

ROOT = Path(__file__).parents[1]
CORPUS = "bench"
LIKE = "meld"  # the block of params.yaml that the corpus' settings are taken from
ENCODERS: dict[Role, str] = {
    "faces": "yunet",
    "visual": "mobilenet_v2",
    "text": "all-MiniLM-L6-v2",
}
HERE: dict[str, dict[str, Any]] = {
    "corpus": {"full": False, "max_seconds": 600},
    "faces": {"encoder": ENCODERS["faces"]},
    "visual": {"encoder": ENCODERS["visual"]},
    "text": {"encoder": ENCODERS["text"], "pooling": "mean"},
}
"""Settings that differ: encoders that need no hub, and no longest segment."""
INSTALL = """
import sys
from typing import get_args
from pipeline.params import read_params
from pipeline.weights.lock import Role
from stages.finetune import work as point
from stages.weights import work
for role in get_args(Role):
    work(read_params(), sys.argv[1], role)
point(read_params(), sys.argv[1])
"""
TURNS = 10  # of a dialogue
STAGES = ("frames", "visual", "audio", "text")


class Workspace:
    """A folder with params.yaml, a raw tree, and all that the stages write.

    Args:
        root: An empty folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.raw = root / "data/raw" / CORPUS
        self.clips = self.raw / MELD_FOLDERS["train"]
        for folder in MELD_FOLDERS.values():
            (self.raw / folder).mkdir(parents=True)
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "ERC_CACHE": str(root / "cache"),
            "ERC_WEIGHTS": str(WEIGHTS),
            "OMP_WAIT_POLICY": "passive",
        }
        _write_params(root / "params.yaml")

    def annotate(self, texts: Sequence[str]) -> None:
        """Writes the three CSVs; all utterances are of the training split."""
        for split in MELD_FOLDERS:
            with (self.raw / f"{split}_sent_emo.csv").open(
                "w", encoding="utf-8", newline=""
            ) as file:
                rows = csv.writer(file)
                rows.writerow(COLUMNS)
                if split == "train":
                    rows.writerows(_row(number, text) for number, text in enumerate(texts))

    def install_encoders(self) -> None:
        """Brings the files of all encoders, as stage `weights` does for each."""
        run_quietly([sys.executable, "-c", INSTALL, CORPUS], self)

    def command(self, stage: str, *words: str) -> list[str]:
        """The command line of a stage."""
        return [sys.executable, "-m", f"stages.{stage}", CORPUS, *words]

    def run(self, stage: str, *words: str) -> None:
        """Runs a stage; one that fails ends the benchmark with what it said."""
        run_quietly(self.command(stage, *words), self)

    def remove_stores(self) -> None:
        """Deletes what the feature stages wrote; the cache stays."""
        for name in ("frames", "features"):
            shutil.rmtree(self.root / "data" / name, ignore_errors=True)


def run_quietly(command: Sequence[str], workspace: Workspace) -> str:
    """What a command in a workspace prints; one that fails ends the benchmark with that."""
    done = subprocess.run(
        command,
        cwd=workspace.root,
        env=workspace.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def clip_name(number: int) -> str:
    """The file name of an utterance's clip."""
    return f"dia{number // TURNS}_utt{number % TURNS}.mp4"


def _row(number: int, text: str) -> list[object]:
    dialogue, turn = divmod(number, TURNS)
    speaker, times = f"Speaker {turn % 3}", ("00:00:01,000", "00:00:04,000")
    return [number + 1, text, speaker, "neutral", "neutral", dialogue, turn, 1, 1, *times]


def _write_params(path: Path) -> None:
    """params.yaml of the project with the one corpus `bench`."""
    yaml = YAML(typ="safe", pure=True)
    params = yaml.load(ROOT / "params.yaml")
    for section, blocks in params.items():
        if isinstance(blocks, dict) and LIKE in blocks:
            params[section] = {CORPUS: {**blocks[LIKE], **HERE.get(section, {})}}
    params |= {"corpora": [CORPUS], "demos": []}
    yaml.dump(params, path)
