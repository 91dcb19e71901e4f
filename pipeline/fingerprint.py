"""What a result depends on besides its input: the code and the libraries that compute it."""

import ast
import hashlib
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path


def code_digest(*modules: str) -> str:
    """Hex SHA-256 of what modules do: comments, docstrings and layout do not enter.

    Args:
        modules: Their dotted names; they are read, not imported.
    """
    state = hashlib.sha256()
    for module in modules:
        spec = find_spec(module)
        assert spec is not None and spec.origin is not None, module
        tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
        state.update(ast.dump(_without_docstrings(tree)).encode())
    return state.hexdigest()


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:]
    return tree


def versions(*packages: str) -> dict[str, str]:
    """Installed versions of the packages that a result's numbers depend on.

    Where a package is not there, its build without windows is asked for: opencv-python-headless.
    """
    return {package: _version(package) for package in packages}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return version(f"{package}-headless")
