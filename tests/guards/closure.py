"""Which files of this repository a stage's code is made of: the static import closure, with data.

Data are what a module names beside itself, such as templates: as much its code as its own lines.
`python -m tests.guards.closure` prints the code deps of every stage as they must stand in dvc.yaml.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("pipeline", "stages")


def file_of(module: str) -> Path | None:
    """The file of one of our modules, None for other packages and for empty packages."""
    if module.split(".")[0] not in PACKAGES:
        return None
    path = ROOT / (module.replace(".", "/") + ".py")
    return path if path.is_file() else None


def imported(path: Path) -> set[str]:
    """Dotted names that a file imports, anywhere in it, as written."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def closure(module: str) -> list[str]:
    """Paths of a module and of all it imports of ours, sorted, relative to the root."""
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        path = file_of(waiting.pop())
        if path is not None and path not in found:
            found.add(path)
            waiting += imported(path)
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


# What it decides reaches every other stage through the encoder's folder, an output of `weights`.
LOCK = "pipeline/weights/lock.yaml"


def data(stage: str) -> list[str]:
    """Paths of the data files that the modules of a stage read, sorted, relative to the root."""
    modules = (ROOT / path for path in closure(f"stages.{stage}"))
    found = {file for module in modules for file in beside(module)}
    paths = sorted(file.relative_to(ROOT).as_posix() for file in found)
    return [path for path in paths if path != LOCK or stage == "weights"]


def beside(path: Path) -> set[Path]:
    """Files that a module names by its own place, as in `Path(__file__).with_name("lock.yaml")`.

    A folder named so stands for all files in it but Python's.
    """
    files: set[Path] = set()
    for statement in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(statement, ast.Assign | ast.AnnAssign | ast.Return | ast.Expr):
            nodes = list(ast.walk(statement))
            if any(isinstance(node, ast.Name) and node.id == "__file__" for node in nodes):
                words = {node.value for node in nodes if isinstance(node, ast.Constant)}
                places = {path.parent / word for word in words if isinstance(word, str) and word}
                files |= {file for place in places for file in (place, *place.rglob("*"))}
    return {file for file in files if file.is_file() and file.suffix not in (".py", ".pyc")}


if __name__ == "__main__":
    for stage in sorted((ROOT / "stages").glob("*.py")):
        if stage.stem != "__init__":
            print(stage.stem)
            files = [*closure(f"stages.{stage.stem}"), *data(stage.stem)]
            print("".join(f"        - {path}\n" for path in files))
