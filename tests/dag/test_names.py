"""Names in params.yaml neither run a command nor remove a folder, whatever they are."""

from pathlib import Path
from subprocess import CompletedProcess

import pytest
import yaml

from tests.dag.clone import copy_repository, dumped, python

pytestmark = pytest.mark.slow

COMMANDS = ("x; touch touched;", "x'; touch touched; '", "$(touch touched)", "-x|touch touched")
CLIMBING = ("../../../victim", ".", "../raw", "mine/../../raw")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with a folder of the user's in data/raw, and one beside it."""
    folder = tmp_path_factory.mktemp("names") / "clone"
    folder.mkdir()
    copy_repository(folder, "demo_meld")
    for place in (folder / "data/raw/mine", folder.parent / "victim"):
        place.mkdir(parents=True)
        (place / "precious").write_text("x")
    return folder


def repro(repository: Path, name: str, *words: str, block: bool) -> CompletedProcess[str]:
    """Run `dvc repro` with a name in params.yaml, perhaps of a block that is there."""
    params = repository / "params.yaml"
    before = params.read_text()
    content = yaml.load(before, yaml.CSafeLoader)
    content |= {"corpora": [name if name in COMMANDS else "demo_meld"], "demos": [name]}
    try:
        blocks = {whole: content["demo_meld"] for whole in (name, f"demo_{name}") if block}
        params.write_text(dumped(content | blocks))
        return python(repository, "dvc", "repro", *words)
    finally:
        params.write_text(before)


@pytest.mark.parametrize("name", [*COMMANDS, *CLIMBING])
def test_a_name_that_is_no_corpus_stops_a_run_before_any_stage(repository: Path, name: str) -> None:
    done = repro(repository, name, block=name in COMMANDS)
    printed = done.stdout + done.stderr
    assert done.returncode and ("not a name of a corpus" in printed or "no block" in printed)
    assert printed.count("Running stage") == 1 and "Running stage 'params'" in printed
    assert not (repository / "touched").exists()
    assert (repository / "data/raw/mine/precious").exists()
    assert (repository.parent / "victim/precious").exists()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_name_never_reaches_the_shell(repository: Path, name: str) -> None:
    (repository / "data/params.txt").write_text("of a run before\n")
    done = repro(repository, name, "--single-item", f"demo@{name}", block=True)
    assert done.returncode and "not a name of a corpus" in done.stderr
    assert not (repository / "touched").exists()


def test_an_experiment_leaves_a_corpus_alone_that_is_taken_for_a_demo(repository: Path) -> None:
    done = python(repository, "dvc", "exp", "run", "-S", "demos=[mine]")
    assert done.returncode and "demo_mine" in done.stderr
    assert (repository / "data/raw/mine/precious").exists()


@pytest.mark.parametrize(
    "name", ["x/../../../docs", "x/../../../tests/dag", "x/../../../README.md"]
)
def test_an_experiment_removes_nothing_where_no_stage_writes(repository: Path, name: str) -> None:
    """`dvc exp run` begins with a forced checkout."""
    done = python(repository, "dvc", "exp", "run", "-S", f"demos=[{name}]")
    assert done.returncode and "is ignored by .dvcignore" in done.stderr
    assert (repository / name.removeprefix("x/../../../")).exists()
