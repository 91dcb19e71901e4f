"""Vectors that a fine-tuning benchmark brought back, as the text store of `meld_text`.

`python -m benchmarks.finetune_store FOLDER final 1` writes the store and the head in the place of
the stages `finetune` and `text`, for `python -m stages.train meld_text` and `stages.evaluate`: what
MCN-CL makes of an encoder that was fine-tuned on another machine. `dvc repro` would put its own
in their place.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.finetune_found import RUNS
from benchmarks.finetune_runs import CORPUS
from pipeline.base import paths
from pipeline.base.files import sha256_file
from pipeline.finetuning.head import Head, write_head
from pipeline.records.features import write_features
from pipeline.records.manifest import stream_manifest
from pipeline.records.protocol import read_protocol
from pipeline.weights.folder import load


def write_store(folder: Path, phase: str, seed: int) -> None:
    """Writes store and head.

    Args:
        folder: Of the benchmark's results.
        phase: `final` or `no-context`.
        seed: Of the run.
    """
    with np.load(folder / f"vectors-{phase}-{seed}.npz") as found:
        vectors, weight, bias = (
            found[name].astype(np.float32) for name in ("vectors", "weight", "bias")
        )
    utterances = list(stream_manifest(paths.manifest(CORPUS)))
    if len(utterances) != len(vectors):
        raise SystemExit(f"{len(vectors)} vectors of {len(utterances)} utterances")
    rows = (
        (u.utterance, vector[None] if u.text.strip() else None)
        for u, vector in zip(utterances, vectors, strict=True)
    )
    write_features(paths.features(CORPUS, "text"), rows, _about(folder, phase, seed))
    classes = read_protocol(paths.protocol(CORPUS), labels_of=()).classes
    write_head(paths.head(CORPUS), Head(classes, weight, bias))


def _about(folder: Path, phase: str, seed: int) -> dict[str, Any]:
    lines = (folder / RUNS).read_text(encoding="utf-8").splitlines()
    start = f"{phase.replace('-', ' ')}|"
    for row in map(json.loads, lines):
        if row.get("run", "").startswith(start) and row.get("seed") == seed:
            told = {"finetune": row["finetune"], **row["text"], "seed": seed}
            base = load(paths.pretrained(CORPUS, "text")).about
            revision = f"{base['revision']}, fine-tuned on another machine, seed {seed}"
            vectors = sha256_file(folder / f"vectors-{phase}-{seed}.npz")
            encoder = {**base, "revision": revision, "sha256": vectors}
            return {"extractor": "text", "settings": told, "encoder": encoder, "versions": {}}
    raise SystemExit(f"{folder / RUNS} has no run of {phase} with seed {seed}")


def main(
    folder: Annotated[Path, typer.Argument(help="Of the benchmark's results.")],
    phase: Annotated[str, typer.Argument(help="final or no-context.")],
    seed: Annotated[int, typer.Argument(help="Of the run.")],
) -> None:
    """Writes store and head."""
    write_store(folder, phase, seed)


if __name__ == "__main__":
    typer.run(main)
