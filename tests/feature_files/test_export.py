"""`python -m pipeline export`: the same bytes every time, and no folder of others replaced."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.base.errors import PipelineError
from pipeline.cli import app
from pipeline.feature_files import export as module
from pipeline.feature_files.classes import MERTOOLS_MELD
from pipeline.feature_files.export import LAYOUTS, export
from tests.conftest import PARAMS, ROOT
from tests.feature_files.foreign_loaders import load_labels
from tests.feature_files.small_corpora import corpus
from tests.synthetic import CLASSES, Size, lay_out

ALL = """
import sys
from pathlib import Path
from pipeline.feature_files.export import LAYOUTS, export
from pipeline.feature_files.classes import MERTOOLS_MELD
from tests.feature_files.small_corpora import corpus
for kind in ("meld", "iemocap"):
    for name in LAYOUTS:
        export(name, corpus(kind), Path(sys.argv[1]) / kind / name)
"""


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def test_the_same_corpus_gives_the_same_bytes(tmp_path: Path) -> None:
    for seed in ("1", "2"):
        environment = os.environ | {
            "PYTHONHASHSEED": seed,
            "PYTHONPATH": str(ROOT),
            "TZ": f"UTC{seed}",
        }
        words = [sys.executable, "-c", ALL, str(tmp_path / seed)]
        subprocess.run(words, check=True, env=environment)
    first, second = digests(tmp_path / "1"), digests(tmp_path / "2")
    assert first == second and len(first) > 2 * 2 * len(LAYOUTS)


@pytest.fixture
def project(workspace: Path) -> Path:
    shutil.copy(PARAMS, workspace)
    return workspace


def test_the_command_exports_a_corpus_that_ran_up_to_its_features(project: Path) -> None:
    entries = lay_out("demo_meld", Size(train=3, valid=2, test=2))
    result = CliRunner().invoke(app, ["export", "demo_meld", "--layout", "mertools"])
    assert result.exit_code == 0, result.output
    folder = project / "data/exported/demo_meld/mertools"
    assert "demo_meld as mertools" in result.output and "demo_meld/mertools" in result.output
    labels = load_labels(folder / "label.npz")
    codes = [row["emo"] for part in labels.values() for row in part.values()]
    assert [MERTOOLS_MELD[code] for code in codes] == [CLASSES[e.label or 0] for e in entries]
    assert "train_dia0_utt0" in labels["train_corpus"] and len(labels["test_corpus"]) == 12
    out = CliRunner().invoke(app, ["export", "demo_meld", "--layout", "neutral", "--out", "mine"])
    assert out.exit_code == 0 and (project / "mine" / "utterances.csv").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["demo_meldd", "--layout", "sdt"], "did you mean 'demo_meld'?"),
        (["demo_meld", "--layout", "mmgnc"], "--layout: got 'mmgnc'; did you mean 'mmgcn'?"),
        (["demo_meld", "--layout", "sdt"], "data/manifests/demo_meld.parquet is missing"),
    ],
)
def test_mistakes_are_worded(project: Path, words: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["export", *words])
    assert isinstance(result.exception, PipelineError) and message in str(result.exception)


def test_the_help_names_every_layout() -> None:
    result = CliRunner().invoke(app, ["export", "--help"], terminal_width=200)
    assert not [name for name in LAYOUTS if name not in result.output]


def test_an_export_replaces_itself_but_nothing_of_others(tmp_path: Path) -> None:
    out, given = tmp_path / "out", corpus("meld")
    export("mmgcn", given, out)
    before = digests(out)
    export("mmgcn", given, out)
    assert digests(out) == before
    (out / "mine.txt").write_text("notes")
    with pytest.raises(PipelineError, match=r"holds \['mine.txt'\], which this export does not"):
        export("mmgcn", given, out)
    assert digests(out) == before | {"mine.txt": hashlib.sha256(b"notes").hexdigest()}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_users_folder_or_file_is_never_replaced(tmp_path: Path) -> None:
    home = tmp_path / "MMGCN"
    home.mkdir()
    (home / "README.md").write_text("# MMGCN")
    with pytest.raises(PipelineError, match=r"holds \['README.md'\]"):
        export("mmgcn", corpus("meld"), home)
    with pytest.raises(PipelineError, match="is a file"):
        export("mmgcn", corpus("meld"), home / "README.md")
    assert (home / "README.md").read_text() == "# MMGCN"


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    export("sdt", corpus("meld"), out)
    before = digests(out)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_rows", fail)
    with pytest.raises(OSError, match="No space"):
        export("sdt", corpus("meld"), out)
    assert digests(out) == before and [path.name for path in tmp_path.iterdir()] == ["out"]
