"""What a stage says when it cannot go on, in place of a traceback."""

import errno
import shutil
import subprocess
import sys

import pytest
import torch

from pipeline.base import stage
from pipeline.base.errors import PipelineError
from tests.conftest import PARAMS


@pytest.fixture
def ended(workspace, monkeypatch):
    """What a stage whose work raises an error says in the end."""
    shutil.copy(PARAMS, "params.yaml")

    def run(name, error, raised=SystemExit):
        def work(params, corpus, system=None):
            raise error

        words = ["demo_meld", *(["mcn_cl"] if name == "train" else [])]
        monkeypatch.setattr(sys, "argv", [f"stages/{name}.py", *words])
        with pytest.raises(raised) as end:
            stage.run(work)
        return str(end.value)

    return run


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("finetune", "demo_meld.finetune.accumulation"),
        ("train", "demo_meld.mcn_cl.batch_size"),
        ("visual", "demo_meld.visual.batch_size"),
        ("text", "demo_meld.text.tokens_per_batch"),
        ("audio", "compute.device: cpu"),
    ],
)
def test_a_gpu_without_room_is_told_with_what_helps(ended, name, setting):
    said = ended(name, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."))
    assert said.startswith(f"\n{name} demo_meld") and "CUDA out of memory" in said
    assert setting in said


def test_a_full_disk_is_told(ended):
    said = ended("text", OSError(errno.ENOSPC, "No space left on device", "data/x"))
    assert "text demo_meld: No space left on device: data/x\nFree disk space" in said


def test_an_error_in_words_is_told_as_it_is(ended):
    assert ended("text", PipelineError("So it is.")) == "\ntext demo_meld: So it is.\n"


def test_an_interrupted_stage_ends_in_one_line(ended, capsys):
    assert ended("text", KeyboardInterrupt()) == "130"
    assert capsys.readouterr().err == "\ntext demo_meld: interrupted. Run again: it resumes.\n"


def test_a_fault_of_ours_keeps_its_traceback(ended):
    assert ended("text", RuntimeError("shapes do not fit"), RuntimeError) == "shapes do not fit"


NAMES = ("weights@demo_meld-faces", "text@demo_meld", "demo@meld")


def test_a_stage_whose_entry_dvc_lock_has_lost_says_why_it_runs_again(
    workspace, monkeypatch, capsys
):
    shutil.copy(PARAMS, "params.yaml")
    lock = workspace / "dvc.lock"
    faces, text, demo = (f"  {name}:\n    cmd: x\n" for name in NAMES)
    lock.write_text(f"stages:\n{faces}{text}{demo}")
    commit = ["-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "start"]
    for command in (["init", "-q"], ["add", "-A"], commit):
        subprocess.run(["git", *command], check=True)

    def said(*words):
        monkeypatch.setattr(sys, "argv", [f"stages/{words[0]}.py", *words[1:]])
        stage.run(lambda *_: None)
        return capsys.readouterr().out

    assert said("weights", "demo_meld", "faces") == said("text", "demo_meld") == ""
    lock.write_text(f"stages:\n{text}")
    told = said("weights", "demo_meld", "faces")
    assert told.startswith("note: dvc.lock has lost the entry of weights@demo_meld-faces")
    assert said("text", "demo_meld") == said("audio", "demo_meld") == ""
    assert "lost the entry of demo@meld" in said("demo", "demo_meld"), "as DVC names it"
    lock.unlink()
    assert "lost the entry of text@demo_meld" in said("text", "demo_meld")
