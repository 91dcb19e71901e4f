"""The whole DAG on a tiny demo corpus, as a user runs it: dvc repro, again, and after changes."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.dag.clone import copy_repository, with_corpora

pytestmark = pytest.mark.slow

STAGES = ("manifest", "protocol", "frames", "visual", "audio", "text", "train", "evaluate")
DEMO = "@demo_meld"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone's files in a repository of their own, with a tiny demo corpus, reproduced."""
    folder = tmp_path_factory.mktemp("clone")
    copy_repository(folder, "demo_meld")
    assert ran(folder) == stages_of("demo_meld")
    return folder


def stages_of(corpus: str) -> set[str]:
    """Every stage of a demo corpus, as DVC names them."""
    weights = {f"weights@{corpus}-{role}" for role in ("faces", "visual", "text")}
    return {f"{stage}@{corpus}" for stage in ("demo", *STAGES)} | weights


def dvc(folder: Path, *words: str) -> str:
    store = os.environ.get("ERC_WEIGHTS", str(ROOT / "models/weights"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "ERC_WEIGHTS": store}
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ran(folder: Path) -> set[str]:
    """The stages that `dvc repro` runs."""
    return set(re.findall(r"^Running stage '(.+)':$", dvc(folder, "repro"), flags=re.M))


def edited(path: Path, change: Callable[[str], str]) -> Callable[[], None]:
    """Changes a file; the result puts it back."""
    before = path.read_text()
    path.write_text(change(before))
    return lambda: path.write_text(before) and None


def test_metrics_are_whole(clone: Path) -> None:
    found = json.loads((clone / "metrics/demo_meld/metrics.json").read_text())
    assert set(found) == {"test", "validation", "test_selected", "baselines"}
    assert set(found["baselines"]) == {"majority", "tfidf", "logistic_regression"}
    assert found["test_selected"]["weighted_f1"] >= found["test"]["weighted_f1"]
    about = json.loads((clone / "metrics/demo_meld/run.json").read_text())
    assert about["features"]["visual"]["encoder"]["name"] == "mobilenet_v2"
    assert about["ledger"]["manifest"]["visual truncated"] == 1
    page = (clone / "metrics/demo_meld/ledger.md").read_text()
    assert "| manifest | visual | truncated | 1 |" in page


def test_a_second_run_runs_nothing_and_leaves_nothing_untracked(clone: Path) -> None:
    assert "up to date" in dvc(clone, "repro")
    status = subprocess.run(
        ["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True, check=True
    )
    untracked = [line for line in status.stdout.splitlines() if line.startswith("??")]
    assert set(untracked) <= {"?? dvc.lock", "?? metrics/"}, "these two are there to be committed"


@pytest.mark.parametrize(
    ("file", "old", "new", "stages"),
    [
        ("params.yaml", "heads: 4", "heads: 2", {"train", "evaluate"}),
        (
            "params.yaml",
            "feature_set: eGeMAPSv02",
            "feature_set: eGeMAPSv01b",
            {"audio", "train", "evaluate"},
        ),
        (
            "params.yaml",
            "label_set: emotion",
            "label_set: sentiment",
            {"protocol", "train", "evaluate"},
        ),
        ("params.yaml", "pooling: mean", "pooling: cls", {"text", "train", "evaluate"}),
        ("pipeline/extractors/text.py", '"""Any', '# A comment.\n"""Any', {"text"}),
        ("pipeline/settings/visual.py", '"""`visual`', '# A comment.\n"""`visual`', {"visual"}),
    ],
)
def test_a_change_runs_what_depends_on_it(
    clone: Path, file: str, old: str, new: str, stages: set[str]
) -> None:
    undo = edited(clone / file, lambda text: text.replace(old, new, 1))
    try:
        # A comment in visual's settings also concerns the stage that reads its encoder's name.
        weights = {f"weights{DEMO}-{role}" for role in ("faces", "visual", "text")}
        assert ran(clone) - weights == {stage + DEMO for stage in stages}
    finally:
        undo()
        dvc(clone, "repro")


def test_a_second_corpus_runs_beside_the_first(clone: Path) -> None:
    """IEMOCAP's layout goes all the way too, and nothing of MELD's runs again."""
    undo = edited(
        clone / "params.yaml", lambda text: with_corpora(text, "demo_meld", "demo_iemocap")
    )
    undo_lock = edited(clone / "dvc.lock", lambda text: text)
    try:
        assert ran(clone) == stages_of("demo_iemocap")
        found = json.loads((clone / "metrics/demo_iemocap/metrics.json").read_text())
        assert list(found["test"]["f1"]) == ["hap", "sad", "neu", "ang", "exc", "fru"]
        about = json.loads((clone / "metrics/demo_iemocap/run.json").read_text())
        assert about["masked"] == {"text": 0, "audio": 2, "visual": 0}
        assert about["ledger"]["manifest"] == {"audio absent": 1, "audio empty": 1}
    finally:
        undo()
        undo_lock()


def test_the_same_inputs_give_the_same_bytes_elsewhere(clone: Path, tmp_path: Path) -> None:
    """A second workspace with an empty cache ends in the digests of the first."""
    other = tmp_path / "other"
    shutil.copytree(clone, other, ignore=shutil.ignore_patterns("data", "models", "cache", "tmp"))
    for name in ("data", "models"):
        (other / name).mkdir()
        shutil.copy(clone / name / ".gitignore", other / name / ".gitignore")
    first = (clone / "dvc.lock").read_text()
    (other / "dvc.lock").unlink()
    ran(other)
    assert (other / "dvc.lock").read_text() == first


def test_a_mistake_stops_before_any_work_without_a_traceback(clone: Path) -> None:
    undo = edited(clone / "params.yaml", lambda text: text.replace("patience: 8", "patience: 0"))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "stages.manifest", "demo_meld"],
            cwd=clone,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        undo()
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "train.demo_meld.patience: got 0" in done.stderr
