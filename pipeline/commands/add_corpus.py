"""`python -m pipeline add-corpus NAME --like OTHER`: a corpus' blocks in every section, copied.

Lines are copied as they stand and put below the block they come from: nothing else of the file
changes, neither its comments nor its layout.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline import paths
from pipeline.corpora.registry import READERS
from pipeline.errors import PipelineError
from pipeline.files import replacing
from pipeline.params import ONE_BLOCK, PARAMS, Params, read_params
from pipeline.settings.corpus import CorpusSettings

SKIPPED = (*ONE_BLOCK, "demo")
NAME = re.compile(r"[a-z][a-z0-9_]*")
# DVC drops the first two from its keys; YAML reads the others as something else than a name.
RESERVED = ("size", "nfiles", "true", "false", "null")
FULL = re.compile(r"(\bfull: )true\b")
KEPT = ("reader", "full", "max_seconds")


def add(name: str, other: str, reader: str | None) -> None:
    """Writes the blocks of a new corpus into params.yaml, and says what comes next.

    Args:
        name: The new corpus.
        other: The corpus whose blocks are copied.
        reader: What reads the new corpus' raw tree; None for the reader of `other`.

    Raises:
        PipelineError: A name is not usable, params.yaml is not valid, or its layout is such that
            lines cannot be copied. Nothing is written then.
    """
    params = read_params()
    _check_name(params, name)
    _check_model(params, other, reader)
    options = params.of(CorpusSettings, other).root
    own = None if reader in (None, options.reader) else _own_block(str(reader), options.max_seconds)
    text = PARAMS.read_bytes().decode("utf-8")
    sections = [section for section in params.sections if section not in SKIPPED]
    added = _added(text, sections, name, other, own)
    with replacing(PARAMS) as part:
        part.write_bytes(added.encode("utf-8"))
    print(f"{PARAMS}: {name}, like {other}, in {len(sections)} sections")
    print("\n".join(_next(name, str(reader) if own else None)))


def _check_name(params: Params, name: str) -> None:
    if not NAME.fullmatch(name) or name in RESERVED:
        raise PipelineError(
            f"The corpus' name is {name!r}, expected {NAME.pattern} and none of {list(RESERVED)}; "
            "name it otherwise."
        )
    there = [section for section, blocks in params.sections.items() if name in blocks]
    if there:
        raise PipelineError(
            f"{PARAMS} has {name} already, in {there}; take another name, or edit its blocks."
        )


def _check_model(params: Params, other: str, reader: str | None) -> None:
    blocks = [known for section, known in params.sections.items() if section not in SKIPPED]
    whole = sorted(set.intersection(*map(set, blocks)))
    if other not in whole:
        raise PipelineError(
            f"--like is {other!r}, expected a corpus with a block in every section: {whole}; "
            "name one of these."
        )
    if reader is not None and reader not in READERS:
        raise PipelineError(
            f"--reader is {reader!r}, expected one of {sorted(READERS)}; "
            "a new reader needs its line in pipeline/corpora/registry.py first."
        )


def _own_block(reader: str, max_seconds: float) -> dict[str, Any]:
    """The block `corpus.NAME` of another reader: what all readers know."""
    seconds = int(max_seconds) if max_seconds == int(max_seconds) else max_seconds
    return {"reader": reader, "full": False, "max_seconds": seconds}


def _added(
    text: str, sections: Sequence[str], name: str, other: str, own: Mapping[str, Any] | None
) -> str:
    """The file with a copy of each block of `other` below it; `own` stands in `corpus` instead."""
    tree, lines = YAML().load(text), text.split("\n")
    places = [(*tree[section].lc.key(other), section) for section in sections]
    for start, column, section in sorted(places, reverse=True):
        end = _end(lines, start, column)
        head = f"{lines[start][:column]}{name}{lines[start][column + len(other) :]}"
        copied = [head, *lines[start + 1 : end]]
        if section == "corpus":  # published counts are those of the other corpus
            copied = [FULL.sub(r"\1false", line) for line in copied]
        written = own if section == "corpus" else None
        lines[end:end] = copied if written is None else _written(name, written, column)
    added = "\n".join(lines)
    if _plain(added) != _expected(text, sections, name, other, own):
        raise PipelineError(
            f"The blocks of {other} in {PARAMS} cannot be copied by lines (quoted names, or braces "
            "around a whole block?); nothing was written. Write one key a line, or copy by hand."
        )
    return added


def _written(name: str, block: Mapping[str, Any], column: int) -> list[str]:
    """A block as lines."""
    indent = " " * column
    return [f"{indent}{name}:", *(f"{indent}  {k}: {_yaml(v)}" for k, v in block.items())]


def _yaml(value: Any) -> str:
    # JSON's numbers and truth values are YAML's; names need no quotes.
    return value if isinstance(value, str) else json.dumps(value)


def _end(lines: Sequence[str], start: int, column: int) -> int:
    """The line after a block: blank lines and comments before the next key are not its own."""
    end = start + 1
    for number, line in enumerate(lines[start + 1 :], start + 1):
        content = line.lstrip(" ").rstrip()
        deeper = len(line) - len(line.lstrip(" ")) > column
        if content and deeper:
            end = number + 1
        elif content and not content.startswith("#"):
            break
    return end


def _expected(
    text: str, sections: Sequence[str], name: str, other: str, own: Mapping[str, Any] | None
) -> Any:
    """What the new file must hold."""
    tree = _plain(text)
    for section in sections:
        tree[section][name] = tree[section][other]
        if section == "corpus":
            tree[section][name] = {**(own or tree[section][other]), "full": False}
    return tree


def _plain(text: str) -> Any:
    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        return None


def _next(name: str, reader: str | None) -> list[str]:
    """The steps that are left; `reader` where it is another than that of `other`."""
    fields = READERS[reader].options.model_fields if reader else {}
    missing = {k: f for k, f in fields.items() if f.is_required() and k not in KEPT}
    steps = [f"add corpus.{name}.{k}: {f.description}" for k, f in missing.items()]
    return [
        "next:",
        *(f"  {step}" for step in steps),
        f"  look at protocol.{name}: do its labels, splits and validation fit this corpus?",
        f"  set corpus.{name}.full: true if it is a whole release with published counts",
        f"  ln -s /where/it/is {paths.raw(name)}",
        f"  set corpora: [{name}] and demos: [] in {PARAMS}",
        f"  python -m pipeline doctor {name}",
    ]
