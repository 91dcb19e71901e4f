"""`make` in a folder that was moved or copied with its environment."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

# A distribution with a program, as pip installs it.
METADATA = "Metadata-Version: 2.1\nName: dvc\nVersion: 1\n"
PROGRAM = "import sys\ndef main(): print('dvc of', sys.prefix)\n"
TRY = "include Makefile\ntry: $(PLACE)\n\tdvc\n\t. $(VENV)/bin/activate && dvc\n"


@pytest.mark.slow
def test_its_programs_start_from_the_new_place(tmp_path: Path) -> None:
    first, moved = tmp_path / "first", tmp_path / "new place"
    first.mkdir()
    for name in ("Makefile", "requirements.lock"):
        shutil.copy(ROOT / name, first)
    (first / "try.mk").write_text(TRY)
    subprocess.run([sys.executable, "-m", "venv", ".venv"], cwd=first, check=True)
    (site,) = first.glob(".venv/lib/python*/site-packages")
    (site / "fakedvc.py").write_text(PROGRAM)
    (site / "dvc-1.dist-info").mkdir()
    (site / "dvc-1.dist-info/METADATA").write_text(METADATA)
    entry = "[console_scripts]\ndvc = fakedvc:main\n"
    (site / "dvc-1.dist-info/entry_points.txt").write_text(entry)
    (first / ".venv/.installed").touch()
    for folder in (first, moved):
        if folder == moved:
            first.rename(moved)
        for _ in range(2):
            done = subprocess.run(
                ["make", "-s", "-f", "try.mk", "try"], cwd=folder, capture_output=True, text=True
            )
            assert (done.stdout, done.stderr) == (f"dvc of {folder}/.venv\n" * 2, "")
    (project,) = moved.glob(".venv/lib/python*/site-packages/project.pth")
    assert project.read_text() == f"{moved}\n"
