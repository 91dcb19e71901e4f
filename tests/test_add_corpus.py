"""`python -m pipeline add-corpus`: blocks are copied, and nothing else of params.yaml changes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from pipeline.__main__ import app
from pipeline.commands.add_corpus import SKIPPED, add
from pipeline.errors import PipelineError
from pipeline.params import read_params, settings_classes
from tests.conftest import ROOT

TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")
SECTIONS = [section for section in settings_classes() if section not in SKIPPED]


@pytest.fixture
def params(workspace: Path) -> Path:
    path = workspace / "params.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def plain(text: str) -> dict[str, dict[str, object]]:
    tree: dict[str, dict[str, object]] = YAML(typ="safe", pure=True).load(text)
    return tree


def block(tree: dict[str, dict[str, object]], section: str, other: str) -> object:
    """What a copy of a block holds: published counts are those of the other corpus."""
    found = tree[section][other]
    return {**found, "full": False} if section == "corpus" else found  # type: ignore[dict-item]


def new_lines(path: Path, before: str = TEXT) -> list[str]:
    """The added lines; fails if a line of before was changed, moved or lost."""
    old, added = before.split("\n"), []
    for line in path.read_bytes().decode("utf-8").split("\n"):
        if old and line == old[0]:
            old.pop(0)
        else:
            added.append(line)
    assert not old
    return added


def changed(pattern: str, new: str) -> str:
    """The committed file with one place changed."""
    text, number = re.subn(pattern, new, TEXT, count=1)
    assert number == 1, pattern
    return text


@pytest.mark.parametrize("other", ["demo_meld", "meld", "meld_text", "iemocap", "cremad"])
def test_every_section_gets_a_copy_and_nothing_else_changes(params: Path, other: str) -> None:
    add("mine", other, None)
    added, tree = new_lines(params), plain(params.read_text("utf-8"))
    assert added.count("  mine:") == len(SECTIONS)
    for section in SECTIONS:
        assert tree[section]["mine"] == block(tree, section, other)
        keys = list(tree[section])
        assert keys.index("mine") == keys.index(other) + 1
        del tree[section]["mine"]
    assert tree == plain(TEXT)
    found = read_params(params)
    same = [s for s in SECTIONS if s != "corpus"]
    assert all(found.sections[s]["mine"] == found.sections[s][other] for s in same)
    assert "mine" not in found.sections["demo"]


def test_the_new_corpus_can_be_run_alone(params: Path) -> None:
    add("mine", "cremad", None)
    text = params.read_text("utf-8").splitlines()
    chosen = ["corpora: [mine]" if line.startswith("corpora: ") else line for line in text]
    params.write_text("\n".join(chosen) + "\n")
    assert read_params(params).corpora == ["mine"]


def test_another_reader_gets_its_own_block(params: Path) -> None:
    add("mine", "meld", "cremad")
    tree = plain(params.read_text("utf-8"))
    assert tree["corpus"]["mine"] == {"reader": "cremad", "full": False, "max_seconds": 60}
    assert tree["protocol"]["mine"] == tree["protocol"]["meld"]
    assert "    max_seconds: 60" in new_lines(params)
    read_params(params)


def test_the_same_reader_by_name_is_a_copy(params: Path) -> None:
    add("mine", "meld", "meld")
    tree = plain(params.read_text("utf-8"))
    assert tree["corpus"]["mine"] == block(tree, "corpus", "meld")


def test_a_readers_own_options_are_left_to_the_user(
    params: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add("mine", "demo_meld", "iemocap")
    told = capsys.readouterr().out
    assert "add corpus.mine.letterbox: Share of the picture's height" in told
    assert "test_twins" not in told
    assert "look at protocol.mine: do its labels, splits and validation fit" in told
    with pytest.raises(PipelineError, match=r"corpus\.mine\.letterbox: missing"):
        read_params(params)
    text = params.read_text("utf-8")
    written = "  mine:\n    reader: iemocap\n    full: false\n    max_seconds: 60\n"
    assert written in text
    params.write_text(text.replace(written, f"{written}    letterbox: 0.2\n"))
    read_params(params)


def test_it_says_what_comes_next(params: Path) -> None:
    done = CliRunner().invoke(app, ["add-corpus", "mine", "--like", "cremad"])
    assert done.exit_code == 0
    assert done.output.splitlines() == [
        f"params.yaml: mine, like cremad, in {len(SECTIONS)} sections",
        "next:",
        "  look at protocol.mine: do its labels, splits and validation fit this corpus?",
        "  set corpus.mine.full: true if it is a whole release with published counts",
        "  ln -s /where/it/is data/raw/mine",
        "  set corpora: [mine] and demos: [] in params.yaml",
        "  python -m pipeline doctor mine",
    ]


@pytest.mark.parametrize(
    ("name", "other", "reader", "said"),
    [
        ("meld", "cremad", None, "has meld already, in ['audio', 'corpus'"),
        ("Mine", "cremad", None, "name is 'Mine', expected [a-z][a-z0-9_]*"),
        ("1st", "cremad", None, "name is '1st'"),
        ("my-own", "cremad", None, "name is 'my-own'"),
        ("a\nb", "cremad", None, "name is 'a\\nb'"),
        ("", "cremad", None, "name is ''"),
        ("size", "cremad", None, "none of ['size', 'nfiles'"),
        ("null", "cremad", None, "name is 'null'"),
        ("mine", "nowhere", None, "--like is 'nowhere', expected a corpus with a block in every"),
        ("mine", "cremad", "crema", "--reader is 'crema', expected one of ['cremad', 'iemocap'"),
    ],
)
def test_what_cannot_be_added_changes_nothing(
    params: Path, name: str, other: str, reader: str | None, said: str
) -> None:
    with pytest.raises(PipelineError) as error:
        add(name, other, reader)
    assert said in str(error.value)
    assert params.read_text("utf-8") == TEXT


def test_a_corpus_without_a_block_somewhere_is_no_model(params: Path) -> None:
    frames = plain(TEXT)["frames"]
    assert list(frames)[-1] == "cremad"
    start = TEXT.index("\n  cremad:", TEXT.index("\nframes:"))
    end = TEXT.index("\n\n", start)
    params.write_text(TEXT[:start] + TEXT[end:])
    with pytest.raises(PipelineError, match="--like is 'cremad', expected a corpus with a block"):
        add("mine", "cremad", None)


def test_a_faulty_file_is_told_and_left_alone(params: Path) -> None:
    faulty = changed(r"    count: \d+", "    count: 0")
    params.write_text(faulty)
    with pytest.raises(PipelineError, match=r"frames\.demo_meld\.count"):
        add("mine", "meld", None)
    assert params.read_text("utf-8") == faulty


LAYOUTS = {
    "no line end at the end of the file": TEXT.rstrip("\n"),
    "lines that end as on Windows": TEXT.replace("\n", "\r\n"),
    "comments between and in blocks": changed(
        r"  cremad:\n    count: (\d+)\n",
        r"  # of 2.5 s\n  cremad: # acted\n# in column 0\n    # its own\n    count: \1\n\n",
    ),
    "other indents": changed(
        r"  cremad:\n    modalities: (.+)", r"  cremad:\n         modalities:   \1   # wide"
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_users_own_layout_stays(params: Path, layout: str) -> None:
    before = LAYOUTS[layout]
    params.write_bytes(before.encode("utf-8"))
    add("mine", "cremad", None)
    assert len(new_lines(params, before)) > 2 * len(SECTIONS)
    tree = plain(params.read_bytes().decode("utf-8"))
    assert all(tree[s]["mine"] == block(tree, s, "cremad") for s in SECTIONS)


@pytest.mark.parametrize(
    "new", [r"  'cremad':\n    modalities: \1", r"  cremad: {\n  modalities: \1\n }"]
)
def test_a_layout_that_lines_cannot_copy_is_refused(params: Path, new: str) -> None:
    params.write_text(changed(r"  cremad:\n    modalities: (.+)", new))
    before = params.read_text("utf-8")
    read_params(params)
    with pytest.raises(PipelineError, match="nothing was written"):
        add("mine", "cremad", None)
    assert params.read_text("utf-8") == before
    assert [path.name for path in params.parent.iterdir()] == ["params.yaml"]


def test_errors_are_told_without_a_traceback(params: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "add-corpus", "meld", "--like", "cremad"],
        cwd=params.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and "has meld already" in done.stderr
    assert "Traceback" not in done.stderr
