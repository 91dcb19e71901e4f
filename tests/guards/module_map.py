"""The README's module map, one line per file: `python -m tests.guards.module_map` prints it."""

import ast

from tests.guards.closure import PACKAGES, ROOT


def module_map() -> list[str]:
    """A line per file with code: its path and the first sentence of its docstring."""
    files = (f for p in (*PACKAGES, "benchmarks") for f in sorted((ROOT / p).rglob("*.py")))
    lines = []
    for file in files:
        doc = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
        if doc is not None:
            first = " ".join(doc.split("\n\n")[0].split())
            lines.append(f"- `{file.relative_to(ROOT).as_posix()}`: {first}")
    return lines


if __name__ == "__main__":
    print("\n".join(module_map()))
