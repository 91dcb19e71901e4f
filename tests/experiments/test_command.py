"""`python -m pipeline experiment NAME`: what stops it at once, and a tiny recipe end to end."""

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.experiments.revisions import dvc_reader
from tests.conftest import ROOT
from tests.dag.clone import copy_repository, python

RECIPE = """\
about: Whether a recipe runs.
corpora: [demo_meld]
beside: [tfidf]
changes: [CORPUS.SYSTEM.workers=1, "CORPUS.SYSTEM.seeds=[1,2]"]
variants:
  full: []
  text: ["CORPUS.SYSTEM.modalities=[text]"]
  gru: [CORPUS.mcn_cl.context=gru]
reference: full
jobs: 2
"""
SEARCH = """\
about: Whether a search runs.
corpora: [demo_meld]
changes: [CORPUS.SYSTEM.workers=1]
grid:
  CORPUS.SYSTEM.learning_rate: [0.001, 0.01]
  CORPUS.mcn_cl.layers: [1, 2]
budget: 3
quick: 2
jobs: 2
"""
# What the command may write to, or what is no part of the workspace: stores, and git's own.
APART = (".git/", ".dvc/", "data/cache/", "models/weights/", "docs/experiments/")


def experiment(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return python(folder, "pipeline", "experiment", *words, PYTHONPATH=str(ROOT))


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.slow
def test_without_a_repository_or_a_commit_one_message_says_so(tmp_path: Path) -> None:
    outside = experiment(tmp_path, "demo-ablation")
    assert outside.returncode == 1 and "Traceback" not in outside.stderr
    assert "this folder is not a git repository, which DVC needs: `git init" in outside.stderr
    git(tmp_path, "init", "-q")
    empty = experiment(tmp_path, "demo-ablation")
    assert empty.returncode == 1 and "the repository has no commit yet" in empty.stderr


def kept(folder: Path, label: str) -> list[tuple[str, str]]:
    """Variant and name of a recipe's experiments in DVC."""
    refs = git(folder, "for-each-ref", "refs/exps", "--format=%(refname)").split()
    names = [ref.rpartition("/")[2] for ref in refs]
    pattern = re.compile(rf"{label}-(\w+)-[0-9a-f]{{8}}")
    return sorted((found[1], name) for name in names if (found := pattern.fullmatch(name)))


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
    for name in ("metrics/demo_meld/mcn_cl/metrics.json", "data/raw/demo_meld/mine.csv"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}\n")
    git(folder, "add", "metrics")
    git(folder, "commit", "-qm", "results")
    (folder / "experiments/tiny.yaml").write_text(RECIPE)
    (folder / "experiments/tiny-search.yaml").write_text(SEARCH)
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
    assert list(rows.index) == ["full", "text", "gru", "TF-IDF"]
    assert "Best single modality: text" in first.stdout

    refs, names = git(clone, "for-each-ref", "refs/exps"), dict(kept(clone, "tiny"))
    assert names.keys() == {"full", "text", "gru"}
    monkeypatch.chdir(clone)
    read = dvc_reader()
    for variant in ("full", "text", "gru"):
        test = json.loads(
            read(names[variant], paths.metrics("demo_meld", "mcn_cl", "metrics.json"))
        )["test"]
        for name in ("weighted_f1", "weighted_f1_low", "weighted_f1_high"):
            assert rows[name][variant] == pytest.approx(test[name], abs=0.011)

    pages = [table.with_suffix(end).read_bytes() for end in (".csv", ".md", ".png")]
    again = experiment(clone, "tiny")
    assert again.returncode == 0 and "tiny: 3 experiments, 3 of them done" in again.stdout
    assert git(clone, "for-each-ref", "refs/exps") == refs and contents(clone) == before
    assert [table.with_suffix(end).read_bytes() for end in (".csv", ".md", ".png")] == pages


@pytest.mark.slow
def test_a_search_tests_nothing_but_its_choice(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(clone)
    done = experiment(clone, "tiny-search", "--quick")
    assert done.returncode == 0, done.stdout + done.stderr
    assert contents(clone) == before, "the workspace is as it was"
    rows = pd.read_csv(clone / "docs/experiments/quick/tiny-search.csv").set_index("point")
    assert list(rows.index) == ["as_it_is", "p1", "p2"] and rows["chosen"].sum() == 1
    assert rows.index[rows["chosen"]] == rows["validation_weighted_f1"][1:].idxmax()

    monkeypatch.chdir(clone)
    read, names = dvc_reader(), kept(clone, "tiny-search-quick")
    assert [variant for variant, _ in names] == ["as_it_is", "as_it_is", "chosen", "p1", "p2"]
    tested = []
    for variant, name in names:
        read(name, paths.epochs("demo_meld", "mcn_cl"))
        try:
            read(name, paths.predictions("demo_meld", "mcn_cl"))
            tested.append(variant)
        except PipelineError as error:
            assert "its dvc.lock does not know it" in str(error)
            assert read(name, paths.metrics("demo_meld", "mcn_cl", "metrics.json")) == b"{}\n", (
                "as before"
            )
    assert tested == ["as_it_is", "chosen"]
