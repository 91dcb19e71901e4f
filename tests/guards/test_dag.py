"""Guards of dvc.yaml and params.yaml: deps are the import closure, layers hold, names are safe."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.guards.closure import PACKAGES, ROOT, beside, closure, data, imported
from tests.guards.module_map import module_map

STAGES = sorted(p.stem for p in (ROOT / "stages").glob("*.py") if p.stem != "__init__")


def load(name: str) -> Any:
    return YAML(typ="safe", pure=True).load((ROOT / name).read_text(encoding="utf-8"))


def stage(name: str) -> dict[str, Any]:
    entry = load("dvc.yaml")["stages"][name]
    return dict(entry.get("do", entry))


def test_every_stage_module_is_in_dvc_yaml() -> None:
    assert sorted(load("dvc.yaml")["stages"]) == STAGES


@pytest.mark.parametrize("name", STAGES)
def test_code_deps_are_the_import_closure(name: str) -> None:
    listed = [dep for dep in stage(name)["deps"] if dep.endswith(".py")]
    assert listed == closure(f"stages.{name}"), "run `python -m tests.guards.closure`"


@pytest.mark.parametrize("name", STAGES)
def test_data_deps_are_what_the_modules_read(name: str) -> None:
    """An edit of a template or of the weights' lock is an edit of the stage."""
    ours = tuple(f"{package}/" for package in PACKAGES)
    listed = [dep for dep in stage(name)["deps"] if dep.startswith(ours) and dep[-3:] != ".py"]
    assert listed == data(name), "run `python -m tests.guards.closure`"


def test_data_are_found_by_the_place_of_the_module(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    for name in ("a.yaml", "b.yaml", "pages/c.html", "pages/d.py"):
        (tmp_path / name).touch()
    module = tmp_path / "module.py"
    module.write_text('A = Path(__file__).with_name("a.yaml")\nB = "b.yaml"\n')
    assert beside(module) == {tmp_path / "a.yaml"}
    module.write_text('def place():\n    return Path(__file__).parent / "pages"\n')
    assert beside(module) == {tmp_path / "pages/c.html"}


@pytest.mark.parametrize("name", STAGES)
def test_param_deps_are_the_settings_the_stage_imports(name: str) -> None:
    sections = {Path(p).stem for p in closure(f"stages.{name}") if "/settings/" in p}
    listed = {str(param).split(".")[0] for param in stage(name)["params"]}
    if name == "weights":  # its own section is chosen by the matrix' role
        listed = listed - {"${item"} | {"faces", "text", "visual", "audio"}
    assert listed == sections - {"base"}


def keys(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield str(key)
            yield from keys(value)


def test_no_parameter_is_named_size_or_nfiles() -> None:
    """DVC drops these keys from the run-cache's key and would restore stale outputs."""
    assert not {"size", "nfiles"} & set(keys(load("params.yaml")))


LAYERS = {
    "pipeline/model": ("pipeline.model",),
    "pipeline/media": ("pipeline.media", "pipeline.errors", "pipeline.files"),
    "pipeline/extractors": ("pipeline.extractors", "pipeline.errors", "pipeline.chunks"),
    "pipeline/settings/model.py": ("pipeline.settings",),
}


@pytest.mark.parametrize("place", LAYERS)
def test_layers(place: str) -> None:
    path = ROOT / place
    for file in [path] if path.suffix else sorted(path.glob("*.py")):
        ours = {name for name in imported(file) if name.startswith("pipeline")}
        wrong = {name for name in ours if not name.startswith(LAYERS[place])}
        assert not wrong, f"{file} imports {wrong}"


def test_the_model_imports_torch_alone() -> None:
    for file in sorted((ROOT / "pipeline/model").glob("*.py")):
        tops = {name.split(".")[0] for name in imported(file)}
        third = tops - {"torch", "pipeline", "collections", "dataclasses", "math", "typing"}
        assert not third - {"functools", "contextlib", "itertools"}, f"{file} imports {third}"


def test_the_library_never_imports_a_stage() -> None:
    for file in sorted((ROOT / "pipeline").rglob("*.py")):
        assert not any(name.split(".")[0] == "stages" for name in imported(file)), file


@pytest.mark.parametrize("name", STAGES)
def test_no_stage_depends_on_what_compares_experiments_or_predicts(name: str) -> None:
    """An edit of it would run every experiment again."""
    apart = ("pipeline/experiments/", "pipeline/commands/", "pipeline/evaluation/paired.py")
    apart += ("pipeline/prediction/",)
    assert not [file for file in closure(f"stages.{name}") if file.startswith(apart)]


def test_package_files_are_empty() -> None:
    """So that importing one module never imports another; see also tests.guards.closure."""
    for file in (ROOT / "pipeline").rglob("__init__.py"):
        assert not ast.parse(file.read_text(encoding="utf-8")).body, file


def test_the_readme_maps_every_module() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    listed = [
        line for line in readme if line.startswith(("- `pipeline/", "- `stages/", "- `benchmarks/"))
    ]
    assert listed == module_map(), "run `python -m tests.guards.module_map`"


# What counts, names and packs results; none of it changes a number.
AROUND = {"keys", "once", "shares", "tally", "vectors", "device"}


@pytest.mark.parametrize("name", ["frames", "visual", "audio", "text"])
def test_the_cache_fingerprint_holds_all_code_that_computes(name: str) -> None:
    """A step's CODE names every extracting module of its stage, or stale entries would be read."""
    folders = ("pipeline/extraction/", "pipeline/extractors/", "pipeline/media/")
    files = [Path(file) for file in closure(f"stages.{name}") if file.startswith(folders)]
    computing = [".".join(f.with_suffix("").parts) for f in files if f.stem not in AROUND]
    code = importlib.import_module(f"pipeline.steps.{name}").CODE
    if isinstance(code, dict):  # by extractor
        code = {module for modules in code.values() for module in modules}
    assert sorted(code) == computing


def test_a_fine_tuning_is_named_after_all_code_that_computes() -> None:
    """Or a run would go on with the state of another one."""
    folders = ("chunks.py", "extraction", "extractors", "finetuning", "model", "training")
    # What examples and parts come to is in the name itself; the others write and tell.
    around = AROUND | {"inputs", "divergence", "examples", "cross_fit", "finetune"}
    around |= {"head", "writing"}
    files = [Path(file) for file in closure("stages.finetune")]
    computing = {
        ".".join(file.with_suffix("").parts)
        for file in files
        if file.parts[1] in folders
        and file.stem not in around
        and file != Path("pipeline/finetuning/scores.py")
    }
    assert set(importlib.import_module("pipeline.finetuning.finetune").CODE) == computing
