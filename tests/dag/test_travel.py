"""Features travel: a colleague without raw files, frames and encoders trains on the same stores."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.dag.clone import dvc, ran, trained

pytestmark = pytest.mark.slow

DEMO = "demo_meld"
# As docs/changing-an-extractor.md names them.
STAGES = [f"{stage}@{DEMO}" for stage in ("manifest", "protocol", "visual", "audio", "text")]
LEDGER = f"data/ledgers/{DEMO}/frames.parquet"
HEAD = f"models/heads/{DEMO}.safetensors"


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


def test_a_colleague_trains_on_the_stores_of_a_remote(reproduced: Path, tmp_path: Path) -> None:
    author, colleague = tmp_path / "author", tmp_path / "colleague"
    shutil.copytree(reproduced, author, symlinks=True)
    git(author, "add", "-A")
    git(author, "commit", "-qm", "results")
    dvc(author, "remote", "add", "--default", "lab", str(tmp_path / "remote"))
    git(author, "commit", "-qam", "remote")
    dvc(author, "push", *STAGES)
    dvc(author, "push", LEDGER, HEAD)
    dvc(author, "push", "train", "evaluate")

    git(tmp_path, "clone", "-q", str(author), str(colleague))
    dvc(colleague, "pull", *STAGES)
    dvc(colleague, "pull", LEDGER, HEAD)
    dvc(colleague, "pull", "train", "evaluate")
    for lacking in ("data/raw", "data/frames", "models/pretrained"):
        assert not list((colleague / lacking).glob("*")), "none of these left the author's machine"
    params = colleague / "params.yaml"
    params.write_text(params.read_text().replace("psa_groups: 4", "psa_groups: 2", 1))
    assert ran(colleague, "--allow-missing") == {
        *trained(DEMO, "mcn_cl"),
        f"report@{DEMO}",
    }
    params.write_text((author / "params.yaml").read_text())
    ran(colleague, "--allow-missing")
    assert (colleague / "dvc.lock").read_text() == (author / "dvc.lock").read_text()
