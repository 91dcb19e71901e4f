"""The plan of the house: who may import whom, and what dvc.yaml and params.yaml must hold."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from ruamel.yaml import YAML

from pipeline.base.fingerprint import COMPUTING, NOT_COMPUTING, computing
from pipeline.base.params import SECTIONS
from pipeline.systems.base import Fidelity, system
from pipeline.systems.registry import SYSTEMS
from pipeline.training.kept import CODE as TRAINING_CODE
from tests.conftest import ROOT

STAGES = sorted(p.stem for p in (ROOT / "stages").glob("*.py") if p.stem != "__init__")
# A room imports rooms of the rows above its own, and of its own row.
FLOORS = (
    {"base"},
    {"records", "executors"},
    {"media", "feature_files", "corpora", "weights", "features", "nn", "demo"},
    {"systems", "training"},
    {"finetuning", "evaluation"},
    {"report", "experiments", "prediction", "corruption", "doctor", "export", "cli", "__main__"},
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


PIPELINE = sorted((ROOT / "pipeline").rglob("*.py"))


def load(name: str) -> Any:
    return YAML(typ="safe").load((ROOT / name).read_text(encoding="utf-8"))


def stage(name: str) -> dict[str, Any]:
    return dict(load("dvc.yaml")["stages"][name])


def imported(path: Path) -> set[str]:
    """Files of ours that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    files = {name.replace(".", "/") + ".py" for name in names}
    return {file for file in files if (ROOT / file).is_file()}


def closure(file: str) -> list[str]:
    """A file and all of ours that it imports, sorted."""
    found, waiting = set(), [file]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += imported(ROOT / file)
    return sorted(found)


def test_every_stage_module_is_in_dvc_yaml() -> None:
    assert sorted(load("dvc.yaml")["stages"]) == STAGES


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_imports_nothing_outside_the_folders_that_it_depends_on(name: str) -> None:
    deps = [dep for dep in stage(name)["deps"] if "${item.system}.py" not in dep]  # by name
    listed = [dep for dep in deps if dep.startswith(("pipeline/", "stages/"))]
    files = closure(f"stages/{name}.py")
    outside = [f for f in files if not any(f == d or f.startswith(f"{d}/") for d in listed)]
    unused = [d for d in listed if not any(f == d or f.startswith(f"{d}/") for f in files)]
    assert (outside, unused) == ([], [])


@pytest.mark.parametrize("file", PIPELINE, ids=str)
def test_rooms_import_rooms_below_them(file: Path) -> None:
    room = file.relative_to(ROOT / "pipeline").parts[0].removesuffix(".py")
    rooms = {Path(name).parts[1].removesuffix(".py") for name in imported(file)}
    assert not [r for r in rooms if FLOOR[r] > FLOOR[room]]


def test_the_pipeline_never_imports_a_stage() -> None:
    for file in (ROOT / "pipeline").rglob("*.py"):
        assert not [name for name in imported(file) if name.startswith("stages/")], file


@pytest.mark.parametrize("name", STAGES)
def test_params_are_the_sections_whose_settings_the_stage_imports(name: str) -> None:
    classes = {f"{section.title()}Settings": section for section in SECTIONS}
    files = [ROOT / file for file in closure(f"stages/{name}.py") if "settings" in file or name]
    text = "".join(f.read_text(encoding="utf-8") for f in files if f.name != "params.py")
    used = {s for c, s in classes.items() if f"params.of({c}" in text.replace("\n", "")}
    params = stage(name).get("params", ())
    listed = {re.sub(r"^(demo_)?\$\{item\.\w+\}\.", "", str(param)) for param in params}
    listed = {setting.split(".")[0] for setting in listed}
    assert listed >= used


def keys(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield str(key)
            yield from keys(value)


def test_no_parameter_is_named_size_or_nfiles() -> None:
    """DVC drops these keys from the run-cache's key and would restore stale outputs."""
    assert not {"size", "nfiles"} & set(keys(load("params.yaml")))


def test_settings_under_anchors_are_flat() -> None:
    """A nested mapping under an anchor is shared: `-S` on one corpus would change the others."""
    for section, block in load("params.yaml")["defaults"].items():
        assert not [key for key, value in block.items() if isinstance(value, dict)], section


@pytest.mark.parametrize("file", [*PIPELINE, *sorted((ROOT / "stages").glob("*.py"))], ids=str)
def test_what_people_read_is_written_in_one_place(file: Path) -> None:
    """Names hold anything: base/display.py prints them, base/plots.py draws them as text."""
    text = file.read_text(encoding="utf-8")
    calls = {ast.unparse(n.func) for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Call)}
    forbidden = {c for c in calls if c in ("print", "Console") or c.endswith(".to_csv")}
    assert not forbidden or file.name == "display.py"
    if "from matplotlib.axes import" in text:
        assert "pipeline/base/plots.py" in imported(file) or file.name == "plots.py"


def test_package_files_are_empty() -> None:
    """So that importing one module never imports another."""
    for file in (ROOT / "pipeline").rglob("__init__.py"):
        assert not ast.parse(file.read_text(encoding="utf-8")).body, file


# They pass on, count and choose where to compute; none of them changes a number.
AROUND = {
    f"pipeline.features.common.{name}" for name in ("once", "shards", "device", "without")
} | {"pipeline.features.imported"}


@pytest.mark.parametrize("name", ["frames", "visual", "audio", "text"])
def test_the_cache_fingerprint_holds_all_code_that_computes(name: str) -> None:
    """Or stale entries would be read."""
    module = __import__(f"pipeline.features.{name}.extract", fromlist=["CODE"])
    code = module.CODE
    roots = [m for modules in code.values() for m in modules] if isinstance(code, dict) else code
    files = [Path(file).with_suffix("").parts for file in closure(f"stages/{name}.py")]
    needed = [".".join(f) for f in files if f[1] in COMPUTING and f[-1] not in NOT_COMPUTING]
    assert set(needed) - AROUND == set(computing(*roots)) - AROUND


# They read, deal out, keep and write; none of them changes a weight.
AROUND_TRAINING = {
    f"pipeline.training.{name}"
    for name in ("train", "runs", "reading", "kept", "checkpoint", "card")
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_imports_no_other_and_nothing_that_its_training_does_not_depend_on(
    name: str,
) -> None:
    deps = [dep.replace("${item.system}", name) for dep in stage("train")["deps"]]
    files = closure(f"pipeline/systems/{name}.py")
    assert not [f for f in files if not any(f == d or f.startswith(f"{d}/") for d in deps)]


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_has_a_block_in_every_corpus_and_says_where_it_is_from(name: str) -> None:
    params = load("params.yaml")
    corpora = [c for c, block in params.items() if isinstance(block, dict) and "corpus" in block]
    assert [c for c in corpora if name in params[c]] == corpora
    kind = system(name)
    assert kind.SOURCE.citation and kind.SOURCE.fidelity in get_args(Fidelity) and kind.__doc__


def test_the_registry_has_every_system() -> None:
    files = {file.stem for file in (ROOT / "pipeline/systems").glob("*.py")}
    assert files - {"__init__", "base", "registry"} == set(SYSTEMS)


def test_the_key_of_a_training_run_holds_all_code_that_computes() -> None:
    files = [Path(file).with_suffix("").parts for file in closure("stages/train.py")]
    needed = {".".join(f) for f in files if f[1] in COMPUTING and f[-1] not in NOT_COMPUTING}
    assert needed - AROUND - AROUND_TRAINING == set(computing(*TRAINING_CODE)) - AROUND
