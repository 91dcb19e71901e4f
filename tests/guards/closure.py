"""Which files of this repository a stage's code is made of: the static import closure.

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


if __name__ == "__main__":
    for stage in sorted((ROOT / "stages").glob("*.py")):
        if stage.stem != "__init__":
            print(stage.stem)
            print("".join(f"        - {path}\n" for path in closure(f"stages.{stage.stem}")))
