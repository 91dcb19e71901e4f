"""The call of a stage: help, words, folders and outputs, checked before its imports."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from pipeline.base import call
from pipeline.base.call import checked
from pipeline.base.errors import PipelineError
from tests.conftest import PARAMS, ROOT
from tests.dag.clone import python
from tests.test_house import STAGES


@pytest.fixture
def project(workspace: Path) -> Path:
    shutil.copy(PARAMS, workspace)
    return workspace


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_help(stage: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        checked(stage, ["--help"])
    lines = capsys.readouterr().out.splitlines()
    assert end.value.code is None and "$" not in "".join(lines)
    pair = dict.fromkeys(("train", "evaluate"), " CORPUS SYSTEM")
    words = {"params": "", "weights": " CORPUS ROLE", **pair}.get(stage, " CORPUS")
    assert lines[0] == f"usage: python -m stages.{stage}{words}"
    assert lines[3].startswith("settings: ") and lines[4].startswith("writes: ")


def test_help_says_what_is_read_and_written(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        checked("audio", ["-h"])
    printed = capsys.readouterr().out
    assert "one vector for the sound of an utterance" in printed
    assert "settings: compute, CORPUS.audio, CORPUS.extract (params.yaml)" in printed
    assert "data/features/CORPUS/audio.parquet" in printed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--help"], "usage: python -m stages.audio CORPUS"),
        ([], "usage: python -m stages.audio CORPUS"),
        (["meldd"], "audio meldd: params.yaml: got 'meldd', which has no block here; did you mean"),
    ],
)
def test_a_call_is_checked_before_a_stage_is_imported(
    project: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    done = python(project, "stages.audio", *words, PYTHONPATH=str(ROOT))
    assert message in done.stdout + done.stderr and "Traceback" not in done.stderr
    # The settings of systems lie beside their networks: checking params.yaml imports torch.
    assert "pydantic" in done.stderr and ("torch" in done.stderr) == (words == ["meldd"])
    assert "opensmile" not in done.stderr


def test_a_mistake_in_another_word_names_the_nearest(project: Path) -> None:
    with pytest.raises(PipelineError, match="role: got 'facess'; did you mean 'faces'"):
        checked("weights", ["meld", "facess"])


def test_a_subfolder_is_told_where_the_root_is(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "data/raw").mkdir(parents=True)
    monkeypatch.chdir(project / "data/raw")
    with pytest.raises(PipelineError, match=f"params.yaml is not here; run this in {project}"):
        checked("manifest", ["meld"])
    monkeypatch.chdir(project.parent)
    with pytest.raises(PipelineError, match="run this in the project's root"):
        checked("manifest", ["meld"])


@pytest.mark.parametrize("folder", ["data/manifests", "cache", "."])
def test_a_folder_that_cannot_be_written_stops_before_work(
    project: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    (project / folder).mkdir(parents=True, exist_ok=True)
    closed = (project / folder).resolve()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).resolve() != closed)
    with pytest.raises(PipelineError, match=r"cannot be written: `ls -ld .*` shows who may"):
        checked("manifest", ["meld"])


def test_a_mistake_under_exp_run_says_how_to_get_back(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["-m", "meldd"])
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "stages.manifest", "meldd"])
    monkeypatch.setenv("DVC_EXP_NAME", "x")
    monkeypatch.setenv("DVC_ROOT", str(project))
    with pytest.raises(SystemExit, match="git checkout"):
        call.check_call()
    monkeypatch.setenv("DVC_ROOT", str(project.parent))  # it runs in a folder of DVC's own
    with pytest.raises(SystemExit) as end:
        call.check_call()
    assert "did you mean 'meld'" in str(end.value) and "Nothing has run" not in str(end.value)
