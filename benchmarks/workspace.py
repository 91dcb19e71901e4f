"""A working folder with one corpus of MELD's layout, whose stages run as DVC runs them."""

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from benchmarks.measure import cost
from pipeline.base import paths
from pipeline.corpora.meld import FOLDERS
from pipeline.corpora.meld_csv import MELD

ROOT = Path(__file__).parents[1]
WEIGHTS = os.environ.get("ERC_WEIGHTS") or str(ROOT / "models/weights")
CORPUS = "bench"
LIKE = "meld"  # the corpus of params.yaml whose settings are taken
SETTINGS: dict[str, dict[str, Any]] = {
    "corpus": {"full": False, "max_seconds": 600},
    "visual": {"encoder": "mobilenet_v2"},
    "text": {"encoder": "all-MiniLM-L6-v2", "pooling": "mean"},
}
"""Settings that differ, by section: encoders that need no hub, and no longest segment."""
ROLES, ONE_FILE = ("faces", "visual", "text"), (".onnx", ".pth")
STORES = ("data/frames", "data/features")
STAGES = ("frames", "visual", "audio", "text")
TURNS = 10  # of a dialogue


class Workspace:
    """A folder with params.yaml, a raw tree, a clip cache, and all that the stages write.

    Args:
        root: A folder that does not exist yet.
        changes: Settings of the corpus other than `SETTINGS`, by section.
        compute: Settings of `compute` other than the project's.
    """

    def __init__(
        self,
        root: Path,
        changes: Mapping[str, Mapping[str, Any]] | None = None,
        compute: Mapping[str, Any] | None = None,
    ) -> None:
        self.root = root
        self.texts: list[str] = []
        self.raw = root / paths.raw(CORPUS)
        for names in FOLDERS.values():
            (self.raw / names[0]).mkdir(parents=True)
        self.clips = self.raw / FOLDERS["train"][0]
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "ERC_CACHE": str(root / "cache"),
            "ERC_WEIGHTS": WEIGHTS,
        }
        _write_params(root / "params.yaml", changes or {}, compute or {})

    def install_encoders(self, roles: Sequence[str] = ROLES) -> None:
        """Runs the stage `weights` for each role, and lets the text stage read the pretrained."""
        for role in roles:
            self.run("weights", role)
        if "text" in roles:
            self.run("finetune")

    def encoder(self, role: str) -> Path:
        """The one file of an encoder of pictures, or the folder of the text encoder."""
        folder = self.root / paths.pretrained(CORPUS, role)
        return next((path for path in folder.iterdir() if path.suffix in ONE_FILE), folder)

    def add(self, clips: Sequence[Path], texts: Sequence[str]) -> None:
        """Adds clips (as links) and their texts to the training split, and runs `manifest`."""
        for number, clip in enumerate(clips, start=len(self.texts)):
            (self.clips / clip_name(number)).hardlink_to(clip)
        self.texts += texts
        for split in FOLDERS:
            path = self.raw / f"{split}_sent_emo.csv"
            with path.open("w", encoding="utf-8", newline="") as file:
                rows = csv.writer(file)
                rows.writerow(MELD.columns)
                if split == "train":
                    rows.writerows(_row(number, text) for number, text in enumerate(self.texts))
        self.run("manifest")

    def command(self, stage: str, *words: str) -> list[str]:
        """The command line of a stage."""
        return [sys.executable, "-m", f"stages.{stage}", CORPUS, *words]

    def run(self, stage: str, *words: str) -> None:
        """Runs a stage as a process of its own; one that fails ends the benchmark."""
        run_quietly(self.command(stage, *words), self.root, self.environment)

    def seconds(self, stages: Sequence[str] = STAGES) -> dict[str, float]:
        """Runs stages one after the other; the seconds of each."""
        return {stage: cost(partial(self.run, stage))[0].wall for stage in stages}

    def remove(self, *folders: str) -> None:
        """Deletes folders that the stages wrote."""
        for name in folders:
            shutil.rmtree(self.root / name)


def run_quietly(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    """Standard output of a command; one that fails ends the benchmark with all it printed."""
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
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


def _write_params(
    path: Path, changes: Mapping[str, Mapping[str, Any]], compute: Mapping[str, Any]
) -> None:
    """The project's params.yaml with this corpus, whose settings are those of `LIKE` as changed."""
    yaml = YAML(typ="safe", pure=True)
    project = yaml.load(ROOT / "params.yaml")
    block = dict(project[LIKE])
    for section, settings in [*SETTINGS.items(), *changes.items()]:
        block[section] = {**block[section], **settings}
    kept = {key: project[key] for key in ("systems", "reference")}
    chosen = {"corpora": [CORPUS], "demos": [], "compute": {**project["compute"], **compute}}
    yaml.dump({**chosen, **kept, CORPUS: block}, path)
