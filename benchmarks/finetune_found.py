"""What a fine-tuning benchmark has found: a line per run, and what models say of each utterance."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.finetune_options import SEEDS, Variant
from benchmarks.finetune_runs import Found, Job
from pipeline.base.files import replacing

RUNS = "runs.jsonl"
PROBABILITIES = "probabilities.npz"


class Results:
    """The folder of results; what is in it from an earlier call is not run again.

    Args:
        folder: Where they lie.

    Attributes:
        rows: One per run.
        arrays: Probabilities by run and split, `RUN|valid` or `RUN|test`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        lines = folder / RUNS
        text = lines.read_text(encoding="utf-8") if lines.is_file() else ""
        self.rows: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
        self.arrays: dict[str, np.ndarray] = {}
        if (folder / PROBABILITIES).is_file():
            with np.load(folder / PROBABILITIES) as kept:
                self.arrays = {name: kept[name] for name in kept.files}

    def has(self, job: Job) -> bool:
        """Whether a run was done before."""
        return any(row.get("run") == job.key for row in self.rows)

    def of_same_settings(self, job: Job) -> Found | None:
        """What a run of another phase with the same settings and seed found; None: none did."""
        if job.test or job.vectors or job.left_out:
            return None
        wanted = (dict(job.variant.text), dict(job.variant.finetune), job.seed)
        for row in self.rows:
            if "validation" in row and "run" in row:
                valid = self.arrays.get(f"{row['run']}|valid")
                if valid is not None and (row["text"], row["finetune"], row["seed"]) == wanted:
                    names = {"run": job.key, "phase": job.phase, "name": job.variant.name}
                    return Found({**row, **names, "kind": job.variant.kind}, {"valid": valid})
        return None

    def add(self, job: Job, found: Found) -> None:
        """Keeps a run at once."""
        self.write(found.row)
        for split in ("valid", "test"):
            if split in found.arrays:
                self.arrays[f"{job.key}|{split}"] = found.arrays[split].astype(np.float16)

    def write(self, row: dict[str, Any]) -> None:
        """Keeps a line."""
        self.rows.append(row)
        with (self.folder / RUNS).open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(row) + "\n")

    def save(self) -> None:
        """Writes the probabilities of all runs so far."""
        with replacing(self.folder / PROBABILITIES) as part, part.open("wb") as file:
            np.savez(file, **self.arrays)  # type: ignore[arg-type]

    def validation(self, variant: Variant) -> dict[int, float]:
        """Weighted F1 of the runs of these very settings in percent, by seed.

        Further seeds of the final setting choose nothing.
        """
        wanted = (dict(variant.text), dict(variant.finetune))
        by_seed: dict[int, float] = {}
        for row in self.rows:
            same = "run" in row and (row["text"], row["finetune"]) == wanted
            if same and "validation" in row and row["seed"] in SEEDS:
                by_seed.setdefault(row["seed"], row["validation"]["weighted_f1"])
        return by_seed

    def final(self) -> Variant | None:
        """The settings of the runs that predicted test; None before any."""
        for row in self.rows:
            if row.get("phase") == "final" and "run" in row:
                return Variant(row["name"], row["kind"], row["text"], row["finetune"])
        return None
