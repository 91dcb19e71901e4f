"""Folders that may not be read or named, beside a corpus, are passed over, and that is told."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.base.errors import PipelineError
from pipeline.corpora.meld import MeldOptions, read
from tests.conftest import ROOT
from tests.corpora.cremad_tree import lay_out as lay_out_cremad
from tests.corpora.iemocap_tree import conversation, lay_out
from tests.corpora.meld_tree import LINE, tree

OPTIONS = {
    "meld": {"test_twins": "final"},
    "iemocap": {"letterbox": 0.25},
    "cremad": {},
}


@pytest.fixture
def rightless() -> list[str]:
    """Words that start a program to which permissions apply: they do not to the superuser."""
    if os.geteuid():
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("needs a user other than root, or setpriv")
    rights = "-dac_override,-dac_read_search"
    return ["setpriv", "--bounding-set", rights, "--inh-caps", rights]


@pytest.fixture(params=["meld", "iemocap", "cremad"])
def corpus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A reader's name, and a folder with its tree in a folder, a closed one, one to list alone."""
    home = tmp_path / "release"
    if request.param == "meld":
        tree(home, LINE.format(text="x", dialogue=0, utterance=0))
    elif request.param == "iemocap":
        lay_out(home, [conversation("Ses01F_impro01", "FM")])
    else:
        lay_out_cremad(home, ["1001_DFA_ANG_XX"])
    closed = {tmp_path / "lost+found": 0o000, tmp_path / "odd": 0o600, home / "lost+found": 0o000}
    for folder, mode in closed.items():
        (folder / "train_splits").mkdir(parents=True)
        folder.chmod(mode)
    yield request.param, tmp_path
    for folder in closed:
        folder.chmod(0o700)


def run(words: list[str], code: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*words, sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )


def reading(name: str, root: Path) -> str:
    """Code that prints how many utterances a reader finds, or its error."""
    return f"""
from pathlib import Path
from pipeline.base.errors import PipelineError
from pipeline.corpora.registry import READERS
reader = READERS[{name!r}]
options = {{"reader": {name!r}, "full": False, "max_seconds": 60, **{OPTIONS[name]!r}}}
try:
    print(len(reader.read(Path({str(root)!r}), reader.options.model_validate(options)).utterances))
except PipelineError as error:
    print(error)
"""


def test_they_are_passed_over_and_told(rightless: list[str], corpus: tuple[str, Path]) -> None:
    name, root = corpus
    done = run(rightless, reading(name, root))
    assert done.stdout == {"meld": "3\n", "iemocap": "2\n", "cremad": "1\n"}[name], done.stderr
    for folder in ("lost+found", "odd"):
        told = f"note: {root}/{folder} may not be read and is passed over; if needed: chmod u+rx"
        assert done.stderr.count(told) == 1


def test_a_corpus_that_may_not_be_read_says_so(rightless: list[str], tmp_path: Path) -> None:
    tree(tmp_path / "x", LINE.format(text="x", dialogue=0, utterance=0))
    (tmp_path / "x").chmod(0o000)
    done = run(rightless, reading("meld", tmp_path / "x"))
    (tmp_path / "x").chmod(0o700)
    assert "found: a folder that may not be read" in done.stdout
    assert f"next: chmod u+rx {tmp_path}/x" in done.stdout


def test_names_that_are_not_utf8_are_passed_over_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No table could hold them."""
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    tree(Path(odd), LINE.format(text="x", dialogue=0, utterance=0))
    options = MeldOptions(reader="meld", full=False, max_seconds=60, test_twins="final")
    with pytest.raises(PipelineError, match="is not an unpacked MELD tree"):
        read(tmp_path, options)
    assert "names that are not UTF-8 are passed over (1): caf\\udce9; rename" in (
        capsys.readouterr().err
    )
    tree(tmp_path / "utf-8", LINE.format(text="x", dialogue=0, utterance=0))
    assert len(read(tmp_path, options).utterances) == 3


def test_doctor_names_files_that_dvc_could_not_read(rightless: list[str], tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "gone.mp4").symlink_to("nowhere")
    for name in ("b.mp4", "c.mp4"):
        (tmp_path / name).chmod(0o000)
    code = f"""
from pathlib import Path
from pipeline.doctor.corpus import closed_files
print(*closed_files("x", Path({str(tmp_path)!r})))
"""
    said = f"x: 2 files may not be read, such as {tmp_path}/b.mp4, and DVC reads all: chmod -R u+rX"
    assert said in run(rightless, code).stdout


def test_a_clip_in_a_closed_folder_is_unreadable(tmp_path: Path, rightless: list[str]) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed/a.wav").write_bytes(b"RIFF")
    (tmp_path / "closed").chmod(0o000)
    code = (
        "from pathlib import Path\n"
        "from pipeline.base.errors import MediaError\n"
        "from pipeline.media.probe import probe\n"
        "try:\n"
        f"    probe(Path({str(tmp_path / 'closed/a.wav')!r}))\n"
        "except MediaError as error:\n"
        "    print(error)\n"
    )
    done = run(rightless, code)
    (tmp_path / "closed").chmod(0o700)
    assert done.stdout.strip() == "unreadable: the file cannot be read: Permission denied"
