"""Refuse YAML that is deeper, or has aliases for more, than anyone writes: it could fill memory."""

from collections.abc import Iterable
from typing import Any

LARGEST = 100_000  # values, each counted as often as an alias names it; params.yaml has about 1,000
DEEPEST = 100  # levels; the parser in C ends the process at some ten thousand


def check_depth(events: Iterable[Any]) -> None:
    """Raise a ValueError for a document, as PyYAML or ruamel parses it, that is too deep."""
    depth = 0
    for event in events:
        kind = type(event).__name__  # the two libraries have classes of their own
        depth += kind in ("SequenceStartEvent", "MappingStartEvent")
        depth -= kind in ("SequenceEndEvent", "MappingEndEvent")
        if depth > DEEPEST:
            raise ValueError("it is nested too deeply")


def check_aliases(root: Any) -> None:
    """Raise a ValueError for a document, as PyYAML or ruamel composes it, that is too large."""
    counts: dict[int, int] = {}

    def count(node: Any) -> int:
        if node is None or isinstance(node.value, str):
            return 1
        if id(node) not in counts:
            counts[id(node)] = LARGEST + 1  # an alias in here would stand for this node itself
            pairs = (part if isinstance(part, tuple) else (part,) for part in node.value)
            counts[id(node)] = 1 + sum(count(part) for pair in pairs for part in pair)
        return counts[id(node)]

    if count(root) > LARGEST:
        raise ValueError(f"its aliases stand for more than {LARGEST:,} values, or for themselves")


def _check_keys(node: Any, seen: set[int]) -> None:
    """Raise a ValueError for a key that is written twice: beside a merge, parsers take the last."""
    if node is None or isinstance(node.value, str) or id(node) in seen:
        return
    seen.add(id(node))
    keys = set()
    for part in node.value:
        if isinstance(part, tuple):
            key, part = part
            if isinstance(key.value, str) and key.value in keys:
                raise ValueError(f"line {key.start_mark.line + 1} writes key '{key.value}' again")
            keys.add(str(key.value))
        _check_keys(part, seen)


def load_yaml(text: str) -> Any:
    """Build a document with the parser that DVC uses, else a ValueError: 1e-4 is a float for it."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    parser = YAML(typ="safe")  # in C, several times as fast as in Python
    try:
        check_depth(parser.parse(text))
        root = parser.compose(text)
        check_aliases(root)
        _check_keys(root, set())
        return None if root is None else parser.constructor.construct_document(root)
    except YAMLError as error:
        raise ValueError(str(error)) from error
    except RecursionError as error:  # by aliases
        raise ValueError("it is nested too deeply") from error
