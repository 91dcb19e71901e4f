"""The whole DAG on a tiny demo corpus, as a user runs it: dvc repro, again, and after changes."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.records.ledger import Problem, retry
from tests.dag.clone import SYSTEMS, dvc, python, ran, stages_of, trained, with_corpora

pytestmark = pytest.mark.slow


def edited(path: Path, change: Callable[[str], str]) -> Callable[[], None]:
    """Changes a file; the result puts it back."""
    before = path.read_text()
    path.write_text(change(before))
    return lambda: path.write_text(before) and None


def test_metrics_are_whole(reproduced: Path) -> None:
    for system in SYSTEMS:
        found = json.loads((reproduced / f"metrics/demo_meld/{system}/metrics.json").read_text())
        assert set(found) == {"test", "validation", "test_selected"}
    assert found["test_selected"]["weighted_f1"] >= found["test"]["weighted_f1"]
    about = json.loads((reproduced / "metrics/demo_meld/run.json").read_text())
    assert about["features"]["visual"]["encoder"]["name"] == "mobilenet_v2"
    assert about["ledger"]["manifest"]["visual truncated"] == 1
    page = (reproduced / "metrics/demo_meld/ledger.md").read_text()
    assert "| manifest | visual | truncated | 1 |" in page


def test_the_report_is_written(reproduced: Path) -> None:
    page = (reproduced / "metrics/demo_meld/report.md").read_text()
    assert "| manifest | visual | truncated | 1 |" in page
    sheet = (reproduced / "metrics/demo_meld/report.html").read_text()
    assert "peak memory" in sheet and "peak memory" not in page
    assert "evaluate" in sheet, "what it cost"


def test_a_second_run_runs_nothing_and_leaves_nothing_untracked(reproduced: Path) -> None:
    assert "up to date" in dvc(reproduced, "repro")
    status = subprocess.run(
        ["git", "status", "--porcelain"], cwd=reproduced, capture_output=True, text=True, check=True
    )
    untracked = [line for line in status.stdout.splitlines() if line.startswith("??")]
    assert untracked == ["?? metrics/"], "which is there to be committed"


def test_what_may_be_the_machines_fault_is_tried_again_by_the_command_that_is_told(
    reproduced: Path,
) -> None:
    problems = [Problem("u", "visual", "hung", "it was not done after 180 s")]
    (line,) = retry(problems, "frames", "demo_meld")
    again, rest = re.findall(r"dvc ([a-z@_ -]+?)(?: &&|`)", line)
    printed = dvc(reproduced, *again.split())
    assert "Running stage 'frames@demo_meld'" in printed and printed.count("Running stage") == 1
    assert "up to date" in dvc(reproduced, rest), "these frames are the same ones"


# Each comes on top of those before it.
ALL = trained("demo_meld", *SYSTEMS)
TEXT = {"finetune@demo_meld", "text@demo_meld"}
CHANGES = [
    # A setting or the code of one system trains that one alone.
    ("params.yaml", "psa_groups: 4", "psa_groups: 2", trained("demo_meld", "mcn_cl")),
    ("pipeline/systems/tfidf.py", '"""', '# A comment.\n"""', {"train@demo_meld-tfidf"}),
    ("params.yaml", "set: eGeMAPSv02", "set: eGeMAPSv01b", {"audio@demo_meld"} | ALL),
    (
        "params.yaml",
        "label_set: emotion",
        "label_set: sentiment",
        {"protocol@demo_meld", "finetune@demo_meld"} | ALL,
    ),
    ("params.yaml", "pooling: mean", "pooling: cls", TEXT | ALL),
    ("pipeline/features/text/encoder.py", '"""', '# A comment.\n"""', TEXT),
    ("pipeline/report/style.css", ":root", "\n:root", {"report@demo_meld"}),
    ("pipeline/features/visual/settings.py", '"""', '# A comment.\n"""', {"visual@demo_meld"}),
]


def test_a_change_runs_what_depends_on_it(reproduced: Path) -> None:
    lock = (reproduced / "dvc.lock").read_text()
    # A comment in visual's settings also concerns the stage that reads its encoder's name.
    weights = {stage for stage in stages_of("demo_meld") if stage.startswith("weights")}
    undo = []
    try:
        for file, old, new, stages in CHANGES:
            undo.append(edited(reproduced / file, lambda text: text.replace(old, new, 1)))  # noqa: B023
            again = ran(reproduced) - weights
            results = {"report@demo_meld"} if stages & ALL else set()
            assert again - results == stages - results, (file, new)
    finally:
        for put_back in reversed(undo):
            put_back()
        again = ran(reproduced)
    # The rest lies in the run-cache; DVC keeps no run of a stage that has plain outs for git there.
    assert again <= ALL | {"report@demo_meld"}
    assert (reproduced / "dvc.lock").read_text() == lock


def test_a_system_that_is_added_is_trained_alone_and_one_that_is_left_out_says_so(
    reproduced: Path,
) -> None:
    more = "systems:\n- majority\n"
    undo = [edited(reproduced / "dvc.lock", lambda text: text)]
    undo.append(
        edited(reproduced / "params.yaml", lambda text: text.replace("systems:\n", more, 1))
    )
    try:
        expected = trained("demo_meld", "majority") | {"report@demo_meld"}
        assert ran(reproduced) == expected | {"params"}
        off = "  majority:\n    enabled: true"
        undo.append(
            edited(
                reproduced / "params.yaml",
                lambda text: text.replace(off, off.replace("true", "false"), 1),
            )
        )
        assert ran(reproduced) == expected
        found = json.loads((reproduced / "metrics/demo_meld/majority/metrics.json").read_text())
        assert found == {"left_out": "demo_meld.majority.enabled is false"}
    finally:
        for put_back in reversed(undo):
            put_back()
        for table in ("epochs", "predictions"):  # DVC deletes nothing of a stage that has gone
            (reproduced / f"data/{table}/demo_meld/majority.parquet").unlink(missing_ok=True)
        ran(reproduced)


def test_a_second_corpus_runs_beside_the_first(reproduced: Path) -> None:
    """IEMOCAP's layout goes all the way too, and nothing of MELD's runs again."""
    undo = edited(
        reproduced / "params.yaml", lambda text: with_corpora(text, "demo_meld", "demo_iemocap")
    )
    undo_lock = edited(reproduced / "dvc.lock", lambda text: text)
    try:
        assert ran(reproduced) == stages_of("demo_iemocap")
        folder = reproduced / "metrics/demo_iemocap"
        found = json.loads((folder / "mcn_cl/metrics.json").read_text())
        assert list(found["test"]["f1"]) == ["hap", "sad", "neu", "ang", "exc", "fru"]
        about = json.loads((folder / "run.json").read_text())
        assert about["masked"] == {"text": 0, "audio": 2, "visual": 0}
        assert about["ledger"]["manifest"] == {"audio absent": 1, "audio empty": 1}
    finally:
        undo()
        undo_lock()


def test_the_same_inputs_give_the_same_bytes_elsewhere(reproduced: Path, tmp_path: Path) -> None:
    """A second workspace with an empty cache ends in the digests of the first."""
    other = tmp_path / "other"
    shutil.copytree(
        reproduced, other, ignore=shutil.ignore_patterns("data", "models", "cache", "tmp")
    )
    for name in ("data", "models"):
        (other / name).mkdir()
        shutil.copy(reproduced / name / ".gitignore", other / name / ".gitignore")
    first = (reproduced / "dvc.lock").read_text()
    (other / "dvc.lock").unlink()
    ran(other)
    assert (other / "dvc.lock").read_text() == first


def test_a_mistake_stops_before_any_work_without_a_traceback(reproduced: Path) -> None:
    undo = edited(
        reproduced / "params.yaml", lambda text: text.replace("patience: 12", "patience: 0")
    )
    try:
        done = python(reproduced, "stages.manifest", "demo_meld")
    finally:
        undo()
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert ".mcn_cl.patience: got 0" in done.stderr
