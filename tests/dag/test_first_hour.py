"""What a newcomer does after the first run, on a machine that never saw the author's cache."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.dag.clone import dvc, python

pytestmark = pytest.mark.slow

DEMO = "demo_meld"


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def elsewhere(reproduced: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone after its first run, whose commit has the results of another type of CPU."""
    folder = tmp_path_factory.mktemp("elsewhere") / "clone"
    shutil.copytree(reproduced, folder, symlinks=True)
    lock, metrics = folder / "dvc.lock", folder / f"metrics/{DEMO}/mcn_cl/metrics.json"
    ours = {path: path.read_text() for path in (lock, metrics)}
    trained = ours[lock][ours[lock].index(f"train@{DEMO}-") :]
    digests = {line.split()[1] for line in trained.splitlines() if " md5: " in line}
    theirs = ours[lock]
    for digest in sorted(digests):
        theirs = theirs.replace(digest, digest[::-1])
    lock.write_text(theirs)
    figures = json.loads(ours[metrics])
    figures["test"]["weighted_f1"] = 99.9
    metrics.write_text(json.dumps(figures))
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "the author's results")
    for path, text in ours.items():
        path.write_text(text)
    assert "up to date" in dvc(folder, "repro")
    return folder


def command(folder: Path, *words: str) -> str:
    done = python(folder, "pipeline", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_results_that_are_kept_can_be_compared_and_restored(elsewhere: Path) -> None:
    refused = python(elsewhere, "pipeline", "compare")
    assert refused.returncode == 1 and "cannot be read from HEAD" in refused.stderr

    code = elsewhere / "pipeline/report/words.py"
    text = code.read_text()
    code.write_text(f"{text}# A comment.\n")
    stale = python(elsewhere, "pipeline", "baseline")
    assert stale.returncode == 1 and f"report@{DEMO}, are to run: `dvc repro`" in stale.stderr
    code.write_text(text)

    closing = command(elsewhere, "baseline")
    assert "kept as the experiment my-baseline" in closing and "lists 2 files" in closing
    assert f"metrics/{DEMO}/report.html" in closing and "dvc exp apply my-baseline" in closing
    before = git(elsewhere, "status", "--porcelain")
    assert "my-baseline stays as it was kept" in command(elsewhere, "baseline")
    page = elsewhere / f"metrics/{DEMO}/report.md"
    written = page.stat().st_mtime_ns
    code.write_text(f"{text}# A comment.\n")
    assert python(elsewhere, "pipeline", "baseline").returncode == 1, "also where one is kept"
    assert page.stat().st_mtime_ns == written
    code.write_text(text)

    changed = f"{DEMO}.tfidf.regularisation=[0.1]"
    dvc(elsewhere, "exp", "run", "-S", changed, "--name", "changed")
    assert "the same as my-baseline" in " ".join(command(elsewhere, "compare").split())
    assert "99.9" in command(elsewhere, "results")
    assert "tfidf.regularisation=[0.1]" in command(elsewhere, "results", "--system", "tfidf")
    dvc(elsewhere, "plots", "diff", "my-baseline")
    dvc(elsewhere, "exp", "apply", "my-baseline")
    assert git(elsewhere, "status", "--porcelain") == before
    assert "up to date" in dvc(elsewhere, "status")


def test_a_mistyped_corpus_is_named_before_anything_runs(elsewhere: Path) -> None:
    command(elsewhere, "baseline")
    for words in (["exp", "run"], ["repro"]):
        option = ["-S", "corpora=[demo_meldd]"] if words == ["exp", "run"] else []
        if not option:
            params = elsewhere / "params.yaml"
            params.write_text(params.read_text().replace("- demo_meld\n", "- demo_meldd\n", 1))
        done = python(elsewhere, "dvc", *words, *option)
        told = done.stdout + done.stderr
        assert done.returncode and "did you mean 'demo_meld'?" in told
        assert [line for line in told.splitlines() if line.startswith("Running")] == [
            "Running stage 'params':"
        ]
        assert ("`dvc exp apply my-baseline`" in told) == bool(option)
        dvc(elsewhere, "exp", "apply", "my-baseline")
        assert "up to date" in dvc(elsewhere, "status")


def test_the_baseline_of_an_earlier_commit_is_kept_under_another_name(elsewhere: Path) -> None:
    command(elsewhere, "baseline")
    before = git(elsewhere, "rev-parse", "--short=7", "HEAD").strip()
    git(elsewhere, "commit", "-qam", "ours")
    assert "kept as the experiment my-baseline" in command(elsewhere, "baseline")
    names = dvc(elsewhere, "exp", "list", "--all-commits", "--name-only").split()
    assert {"my-baseline", f"my-baseline-{before}"} <= set(names)
    assert "the same as my-baseline" in " ".join(command(elsewhere, "compare").split())


def test_without_a_name_in_git_the_results_are_there_all_the_same(elsewhere: Path) -> None:
    git(elsewhere, "commit", "-q", "--allow-empty", "-m", "next")
    with (elsewhere / "README.md").open("a") as readme:
        readme.write("mine\n")
    for key in ("user.name", "user.email"):
        git(elsewhere, "config", "--unset", key)
    nobody = {"GIT_CONFIG_GLOBAL": "/dev/null", "HOME": str(elsewhere)}
    done = python(elsewhere, "pipeline", "baseline", **nobody)
    assert done.returncode == 0 and "report.html" in done.stdout
    assert "Git user name and email must be configured" in done.stdout
