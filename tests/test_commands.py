"""`python -m pipeline …`: doctor, cache, meld-text, summary, and errors without a traceback."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from pipeline.__main__ import app
from pipeline.cache import ClipCache
from tests.conftest import ROOT


@pytest.fixture
def repository(workspace: Path) -> Path:
    shutil.copy(ROOT / "params.yaml", workspace)
    return workspace


def test_doctor_names_what_to_mend(repository: Path) -> None:
    found = CliRunner().invoke(app, ["doctor", "meld"])
    assert found.exit_code == 1
    assert "no git repository" in found.output
    assert "data/raw/meld does not exist" in found.output and "ln -s" in found.output
    assert "not looked at" in found.output and "things to mend first" in found.output


def test_doctor_tells_a_dangling_link(repository: Path) -> None:
    (repository / "data/raw").mkdir(parents=True)
    (repository / "data/raw/meld").symlink_to(repository / "nowhere")
    assert "is a dangling link" in CliRunner().invoke(app, ["doctor", "meld"]).output


def test_meld_text_is_laid_out_and_examined(repository: Path, shared: Path) -> None:
    laid = CliRunner().invoke(app, ["meld-text", str(shared / "meld_csv")])
    assert laid.exit_code == 0 and "not the bytes" not in laid.output
    found = CliRunner().invoke(app, ["doctor", "meld_text"])
    assert "13708 utterances, 1432 dialogues, 0 of 13708 media files" in found.output


def test_cache_shows_and_prunes(repository: Path) -> None:
    schema = pa.schema([("frames", pa.int32())])
    ClipCache("audio", 1, schema).put("ab12", {"frames": 1})
    assert "audio" in CliRunner().invoke(app, ["cache"]).output
    kept = CliRunner().invoke(app, ["cache", "--prune-days", "1"])
    assert "pruned" not in kept.output
    (entry,) = (p for p in (repository / "cache").rglob("*") if p.is_file())
    old = time.time() - 3 * 86_400
    os.utime(entry, (old, old))
    assert "pruned audio" in CliRunner().invoke(app, ["cache", "--prune-days", "1"]).output
    assert not entry.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["meld-text", "/nowhere"], "lacks ['train_sent_emo.csv'"),
        (["summary"], "metrics/demo_meld/metrics.json is missing: run `dvc repro` first."),
    ],
)
def test_errors_are_told_without_a_traceback(repository: Path, words: list[str], said: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", *words],
        cwd=repository,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr
