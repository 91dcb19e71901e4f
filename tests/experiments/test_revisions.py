"""Reading of any revision: what is there is read, what is not is told with its reason."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from dvc.repo import Repo

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.experiments.revisions import dvc_reader, read_system
from tests.experiments.planted import SYSTEM, outcome, reader, split

DAG = """\
stages:
  evaluate:
    cmd: python make.py
    deps: [make.py]
    outs: [data/predictions/x/s.parquet]
    metrics:
      - metrics/x/metrics.json: {cache: false}
  never:
    cmd: python make.py
    deps: [data/predictions/x/s.parquet]
    outs: [data/epochs/x/s.parquet]
"""

EPOCHS = f"data/epochs/x/{SYSTEM}.parquet"


def run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


@pytest.fixture
def repository(workspace: Path) -> Path:
    """A commit `old` with a result, and one after it with another; one stage has not run."""
    run("git", "init", "-q")
    run("git", "config", "user.email", "t@example.org")
    run("git", "config", "user.name", "t")
    repo = Repo.init()  # not by its command line, which takes a second each time
    for folder in ("data/predictions/x", "metrics/x"):
        Path(folder).mkdir(parents=True)
    Path("dvc.yaml").write_text(DAG)
    for text in ("old", "new"):
        Path("make.py").write_text(
            "import pathlib\n"
            f"pathlib.Path('data/predictions/x/s.parquet').write_text({text!r})\n"
            f"pathlib.Path('metrics/x/metrics.json').write_text({text!r})\n"
        )
        repo.reproduce("evaluate", single_item=True)
        run("git", "add", "-A")
        run("git", "commit", "-qm", text)
        run("git", "tag", text)
    return workspace


def test_reading_of_revisions(repository: Path) -> None:
    read = dvc_reader()
    kept, tracked = paths.predictions("x", "s"), paths.metrics("x", "metrics.json")
    assert read("old", kept) == read("old", tracked) == b"old"
    assert read("HEAD", kept) == read("new", tracked) == b"new"
    for revision in ("nowhere", "HEAD~5", "-x"):
        with pytest.raises(PipelineError, match=f"There is no revision '{revision}': expected a"):
            read(revision, kept)
    with pytest.raises(PipelineError, match=r"y/s.parquet cannot be read from old: no stage there"):
        read("old", paths.predictions("y", "s"))
    with pytest.raises(PipelineError, match=r"its dvc.lock does not know it, so the stage"):
        read("old", paths.epochs("x", "s"))
    shutil.rmtree(".dvc/cache")
    with pytest.raises(PipelineError, match=r"from old: DVC's cache does not hold it. If it was"):
        dvc_reader()("old", kept)
    assert dvc_reader()("old", tracked) == b"old", "git keeps it"


@pytest.mark.parametrize(("evaluated", "stale"), [("b", True), ("a", False)])
def test_predictions_of_an_earlier_training_are_refused(evaluated: str, stale: bool) -> None:
    """As in a point of a search: it ends at `train`, and has its commit's predictions."""
    lock = {
        f"train@x-{SYSTEM}": {
            "outs": [{"path": "models", "md5": "m"}, {"path": EPOCHS, "md5": "a"}]
        },
        f"evaluate@x-{SYSTEM}": {"deps": [{"path": EPOCHS, "md5": evaluated}]},
    }
    files = outcome("e", (0.5,), ("text",), split())
    files["e", "dvc.lock"] = json.dumps({"stages": lock}).encode()
    if not stale:
        assert SYSTEM in read_system(reader(files), "e", "x", SYSTEM).by_system
        return
    with pytest.raises(PipelineError, match=f"e: the predictions of {SYSTEM} on x are of another"):
        read_system(reader(files), "e", "x", SYSTEM)
