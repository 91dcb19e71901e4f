"""Shards filled in any order and twice, by processes of their own, end in the same bytes."""

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.features.small_corpus import (
    CORPUS,
    STAGES,
    entries,
    environment,
    lay_out,
    outputs,
    prepared,
    results,
    run,
)

pytestmark = pytest.mark.slow
PARTS = 2


def extract(folder: Path, stage: str, shard: str, cache: Path) -> str:
    command = [sys.executable, "-m", "pipeline", "extract", CORPUS, stage, "--shard", shard]
    done = subprocess.run(
        command, cwd=folder, env=environment(cache), capture_output=True, text=True, check=True
    )
    return done.stdout


def test_jobs_of_a_scheduler_fill_the_cache_and_the_stage_computes_nothing(tmp_path: Path) -> None:
    alone, cache = tmp_path / "alone", tmp_path / "cache"
    alone.mkdir()
    prepared(alone, tmp_path / "first")
    generator = random.Random(3)
    for stage in ("frames", "audio"):  # the others pass through the same loop
        run(alone, stage, cache=tmp_path / "first")
        parts = [f"{number}/{PARTS}" for number in range(1, PARTS + 1)]
        generator.shuffle(parts)
        told = [extract(alone, stage, shard, cache) for shard in [*parts, parts[0]]]
        assert any("rows 1 to 12 are done" in line for line in told)
        filled, expected = entries(cache, stage), results(alone, stage)
        for path in outputs(alone, stage):
            path.unlink()
        run(alone, stage, cache=cache)
        assert results(alone, stage) == expected
        assert entries(cache, stage) == filled == entries(cache, stage), "nothing was made again"


NO_RAY = "raise SystemExit('Ray was imported')"


def test_a_run_that_finds_everything_in_the_cache_imports_no_ray(
    undisturbed: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(undisturbed, folder)
    (folder / "ray.py").write_text(NO_RAY)
    for stage in ("manifest", *STAGES):
        command = [sys.executable, "-m", f"stages.{stage}", CORPUS]
        asked = environment(folder / "cache", ERC_EXECUTOR="ray")
        done = subprocess.run(command, cwd=folder, env=asked, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        if stage != "manifest":
            assert results(folder, stage) == results(undisturbed, stage)


def test_the_check_above_can_fail(undisturbed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    lay_out(folder, clips=20)
    (folder / "ray.py").write_text(NO_RAY)
    command = [sys.executable, "-m", "stages.manifest", CORPUS]
    asked = environment(folder / "cache", ERC_EXECUTOR="ray")
    done = subprocess.run(command, cwd=folder, env=asked, capture_output=True, text=True)
    assert done.returncode != 0 and "Ray was imported" in done.stderr
