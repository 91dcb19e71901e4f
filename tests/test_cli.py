"""`python -m pipeline …`: a light start, the cache's table, and errors without a traceback."""

import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from pipeline.base.cache import ClipCache
from pipeline.base.errors import PipelineError
from pipeline.cli import app
from tests.conftest import PARAMS, ROOT
from tests.dag.clone import python


@pytest.fixture
def project(workspace: Path) -> Path:
    shutil.copy(PARAMS, workspace)
    return workspace


def test_the_start_imports_no_network_library(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    done = python(workspace, "pipeline", "--help", PYTHONPATH=str(ROOT))
    assert "doctor" in done.stdout and "typer" in done.stderr
    for heavy in ("torch", "sklearn", "pandas", "cv2", "pyarrow", "dvc"):
        assert f" {heavy}\n" not in done.stderr, heavy


def test_cache_shows_and_prunes(project: Path) -> None:
    schema = pa.schema([("frames", pa.int32())])
    ClipCache("audio", 1, schema).put("ab12", {"frames": 1})
    assert "audio" in CliRunner().invoke(app, ["cache"]).output
    kept = CliRunner().invoke(app, ["cache", "--prune-days", "1"])
    assert "pruned" not in kept.output
    assert "pruned audio" in CliRunner().invoke(app, ["cache", "--prune-days", "0"]).output
    assert "audio" not in CliRunner().invoke(app, ["cache"]).output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["meld-text", "/nowhere"], "lacks ['train_sent_emo.csv'"),
        (["summary"], "metrics/demo_meld/leaderboard.csv is missing: run `dvc repro` first."),
        (["baseline"], "metrics/demo_meld/mcn_cl/metrics.json is missing: run `dvc repro` first."),
    ],
)
def test_errors_are_worded_without_a_traceback(
    project: Path, words: list[str], message: str
) -> None:
    done = python(project, "pipeline", *words, PYTHONPATH=str(ROOT))
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["summary", "report", "results"])
def test_a_mistyped_corpus_names_the_nearest(project: Path, command: str) -> None:
    result = CliRunner().invoke(app, [command, "meldd"])
    assert isinstance(result.exception, PipelineError)
    assert "got 'meldd', which has no block here; did you mean 'meld'?" in str(result.exception)


def test_a_subfolder_is_told_where_the_root_is(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "data").mkdir()
    monkeypatch.chdir(project / "data")
    result = CliRunner().invoke(app, ["cache"])
    assert str(result.exception) == f"params.yaml is not here; run this in {project}."
