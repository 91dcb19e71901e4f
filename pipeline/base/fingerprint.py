"""What a result depends on besides its input: the code and the libraries that compute it."""

import ast
import hashlib
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pipeline.base.files import write_text
from pipeline.base.paths import cache_root

ROOT = Path(__file__).parents[2]
# Rooms whose code decides numbers. What packs, counts, names and reports lies elsewhere.
COMPUTING = ("corruption", "features", "finetuning", "media", "nn", "systems", "training")
# Settings enter results by their values; `extract` is the wiring of a feature stage.
NOT_COMPUTING = ("settings", "extract")


@lru_cache
def code_digest(*modules: str) -> str:
    """Hex SHA-256 of what modules, by dotted name, and all computing modules they import do.

    Comments, docstrings and layout do not enter. The digest is kept under one of all bytes that
    could enter: parsing them takes a quarter of the time of a stage with nothing to do.
    """
    kept = cache_root() / "code" / _sources(modules)
    with suppress(OSError, ValueError):
        return f"{int(kept.read_text(encoding='utf-8'), 16):064x}"
    state = hashlib.sha256()
    for module, tree in sorted(_closure(modules).items()):
        state.update(f"{module}\n{ast.dump(tree)}\n".encode())
    with suppress(OSError):
        write_text(kept, state.hexdigest())
    return state.hexdigest()


def computing(*modules: str) -> list[str]:
    """The modules whose code enters `code_digest`, sorted."""
    return sorted(_closure(modules))


def _sources(modules: tuple[str, ...]) -> str:
    """Hex SHA-256 of the modules' bytes, those of all computing rooms, and Python's version."""
    state = hashlib.sha256(f"{modules} {sys.version}".encode())
    rooms = (file for room in COMPUTING for file in (ROOT / "pipeline" / room).rglob("*.py"))
    for file in sorted({*map(_file, (*modules, __name__)), *rooms}):
        with suppress(FileNotFoundError):
            state.update(f"{file.relative_to(ROOT)}\n".encode() + file.read_bytes())
    return state.hexdigest()


def _file(module: str) -> Path:
    return ROOT / (module.replace(".", "/") + ".py")


def _closure(modules: tuple[str, ...]) -> dict[str, ast.Module]:
    """Syntax trees without docstrings, by module."""
    trees: dict[str, ast.Module] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        file = _file(module)
        if module not in trees and file.is_file():
            trees[module] = ast.parse(file.read_text(encoding="utf-8"))
            waiting += filter(_computes, _without_docstrings(trees[module]))
    return trees


def _computes(module: str) -> bool:
    package, *rooms = module.split(".")
    return package == "pipeline" and rooms[0] in COMPUTING and rooms[-1] not in NOT_COMPUTING


def _without_docstrings(tree: ast.Module) -> Iterator[str]:
    """Remove docstrings, and yield what is imported."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield from (module, *(f"{module}.{alias.name}" for alias in names))
            case (
                ast.Module(body=[ast.Expr(value=ast.Constant(value=str())), *rest])
                | ast.ClassDef(body=[ast.Expr(value=ast.Constant(value=str())), *rest])
                | ast.FunctionDef(body=[ast.Expr(value=ast.Constant(value=str())), *rest])
                | ast.AsyncFunctionDef(body=[ast.Expr(value=ast.Constant(value=str())), *rest])
            ):
                node.body = rest


def versions(*packages: str) -> dict[str, str]:
    """Installed versions of the packages that a result's numbers depend on.

    Where a package is absent, its build without windows is asked for: opencv-python-headless.
    """
    return {package: _version(package) for package in packages}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return version(f"{package}-headless")
