"""A stage that finds everything in the cache waits for no library that it does not use."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.features.small_corpus import CORPUS, STAGES, entries, environment

# What computes, decodes, runs beside or draws, and what other libraries bring along.
UNUSED = {
    "av",
    "cv2",
    "multiprocessing",
    "onnxruntime",
    "opensmile",
    "pandas",
    "pebble",
    "psutil",
    "pyarrow.compute",
    "pyarrow.dataset",
    "rich",
    "ruamel",
    "scipy",
    "torch",
    "transformers",
}


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_warm_stage_imports_neither_what_computes_nor_what_draws(
    undisturbed: Path, stage: str
) -> None:
    cache = undisturbed / "cache"
    before = entries(cache, stage)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", f"stages.{stage}", CORPUS],
        cwd=undisturbed,
        env=environment(cache),
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "pyarrow" in imported and entries(cache, stage) == before
    assert not imported & UNUSED
