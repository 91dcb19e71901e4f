"""What stops a stage does not cost what was done, and never changes a byte of the result."""

import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import enlarge
from tests.features.small_corpus import CLIPS, STAGES, entries, outputs, results, run, started

pytestmark = pytest.mark.slow

POINTS = 20
SEED = 5


@pytest.fixture
def folder(undisturbed: Path, tmp_path: Path) -> Path:
    """A copy of it without what the feature stages of media and text wrote, and without cache."""
    copy = tmp_path / "copy"
    shutil.copytree(undisturbed, copy, ignore=shutil.ignore_patterns("cache"))
    return copy


def killed_at(folder: Path, stage: str, cache: Path, count: int, delay: float) -> None:
    """Kills a stage some moments after its cache holds `count` entries."""
    process = started(folder, stage, cache=cache)
    while process.poll() is None and len(entries(cache, stage)) < count:
        time.sleep(0.002)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_killed_at_random_points_it_ends_in_the_same_bytes(
    undisturbed: Path, folder: Path, tmp_path: Path
) -> None:
    generator = random.Random(SEED)
    went_on = 0
    for point in range(POINTS):
        stage, cache = STAGES[point % len(STAGES)], tmp_path / f"cache{point}"
        for path in outputs(folder, stage):
            path.unlink()
        killed_at(folder, stage, cache, generator.randint(0, CLIPS), generator.uniform(0, 0.03))
        before = entries(cache, stage)
        run(folder, stage, cache=cache)
        assert results(folder, stage) == results(undisturbed, stage), (point, stage)
        after = entries(cache, stage)
        assert after.items() >= before.items() and len(after) == CLIPS, "nothing is done twice"
        went_on += 0 < len(before) < CLIPS
    assert went_on >= 3, "kills fell into the work"


def test_two_runs_at_once_share_a_cache(undisturbed: Path, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    for stage in STAGES:
        both = [started(place, stage, cache=tmp_path / "shared") for place in (folder, other)]
        for process in both:
            printed, _ = process.communicate()
            assert process.returncode == 0, printed
        expected = results(undisturbed, stage)
        assert results(folder, stage) == expected == results(other, stage)
        assert len(entries(tmp_path / "shared", stage)) == CLIPS


def test_a_full_disk_under_the_cache(undisturbed: Path, folder: Path, small_disk: Path) -> None:
    printed = run(folder, "frames", cache=small_disk, fails=True)
    assert "No space left on device" in printed and "the stage resumes" in printed
    assert "Traceback" not in printed
    before = entries(small_disk, "frames")
    assert before
    enlarge(small_disk)
    run(folder, "frames", cache=small_disk)
    assert results(folder, "frames") == results(undisturbed, "frames")
    assert entries(small_disk, "frames").items() >= before.items()


def test_a_full_disk_under_the_store(undisturbed: Path, folder: Path, small_disk: Path) -> None:
    shutil.rmtree(folder / "data/frames")
    (folder / "data/frames").symlink_to(small_disk)
    printed = run(folder, "frames", cache=folder / "cache", fails=True)
    assert "No space left on device" in printed and "Traceback" not in printed
    assert not list(small_disk.glob("*.parquet")), "no half store is left"
    enlarge(small_disk)
    run(folder, "frames", cache=folder / "cache")
    assert results(folder, "frames") == results(undisturbed, "frames")
