"""`python -m pipeline experiment NAME`: what stops it at once, and a tiny recipe end to end."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from pipeline.experiments.kept import dvc_reader
from tests.conftest import ROOT
from tests.dag.clone import copy_repository, python

RECIPE = """\
about: Whether a recipe runs.
corpora: [demo_meld]
changes: [train.CORPUS.workers=1, "train.CORPUS.seeds=[1,2]"]
variants:
  full: ["evaluate.CORPUS.baselines=[majority,logistic_regression]"]
  text: ["model.CORPUS.modalities=[text]", "evaluate.CORPUS.baselines=[majority]"]
  gru: [model.CORPUS.context=gru, "evaluate.CORPUS.baselines=[majority]"]
reference: full
jobs: 2
"""
# What the command may write to, or what is no part of the workspace: stores, and git's own.
APART = (".git/", ".dvc/", "data/cache/", "models/weights/", "docs/experiments/")


def experiment(folder: Path, name: str) -> subprocess.CompletedProcess[str]:
    return python(folder, "pipeline", "experiment", name, PYTHONPATH=str(ROOT))


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def test_without_a_repository_or_a_commit_one_message_says_so(tmp_path: Path) -> None:
    outside = experiment(tmp_path, "demo-ablation")
    assert outside.returncode == 1 and "Traceback" not in outside.stderr
    assert outside.stderr.strip().startswith("this folder is no git repository: `git init`")
    git(tmp_path, "init", "-q")
    empty = experiment(tmp_path, "demo-ablation")
    assert empty.returncode == 1 and "the repository has no commit yet" in empty.stderr


def contents(folder: Path) -> dict[str, str]:
    """Digests of the workspace's files, and what git thinks of them."""
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    kept = [n for n in names if not n.startswith(APART) and "__pycache__" not in n]
    digests = {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in kept}
    return digests | {"status": git(folder, "status", "--porcelain", "--", ":!docs/experiments")}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory, reproduced: Path) -> Path:
    """A repository with results, and with changes that are staged, not staged and not tracked.

    DVC's cache holds the features, so that the experiments only train and evaluate.
    """
    folder = tmp_path_factory.mktemp("experiments")
    copy_repository(folder, "demo_meld", "demo_iemocap")
    shutil.copytree(reproduced / ".dvc/cache", folder / ".dvc/cache")
    for name in ("dvc.lock", "metrics/demo_meld/metrics.json", "data/raw/demo_meld/mine.csv"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}\n" if name.endswith("json") else "schema: '2.0'\n")
    git(folder, "add", "dvc.lock", "metrics")
    git(folder, "commit", "-qm", "results")
    (folder / "experiments/tiny.yaml").write_text(RECIPE)
    for name, end in (("params.yaml", "# mine\n"), ("README.md", "mine\n")):
        with (folder / name).open("a") as file:
            file.write(end)
    git(folder, "add", "README.md")
    return folder


@pytest.mark.slow
def test_a_recipe_end_to_end_and_again(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(clone)
    first = experiment(clone, "tiny")
    assert first.returncode == 0, first.stdout + first.stderr
    assert contents(clone) == before, "the workspace is as it was"
    table = clone / "docs/experiments/tiny.csv"
    rows = pd.read_csv(table).set_index("variant")
    assert list(rows.index) == ["full", "text", "gru", "majority class", "logistic regression"]
    assert "Best single modality: text" in first.stdout

    refs = git(clone, "for-each-ref", "refs/exps")
    names = {
        line.rpartition("/")[2].rpartition("-")[0]: line.rpartition("/")[2]
        for line in refs.splitlines()
    }
    assert names.keys() == {"tiny-full", "tiny-text", "tiny-gru"}
    monkeypatch.chdir(clone)
    read = dvc_reader()
    for variant in ("full", "text", "gru"):
        kept = json.loads(read(names[f"tiny-{variant}"], Path("metrics/demo_meld/metrics.json")))
        assert rows["weighted_f1"][variant] == pytest.approx(kept["test"]["weighted_f1"], abs=0.011)

    pages = [table.read_bytes(), table.with_suffix(".md").read_bytes()]
    again = experiment(clone, "tiny")
    assert again.returncode == 0 and "tiny: 3 experiments, 3 of them done" in again.stdout
    assert git(clone, "for-each-ref", "refs/exps") == refs and contents(clone) == before
    assert [table.read_bytes(), table.with_suffix(".md").read_bytes()] == pages
