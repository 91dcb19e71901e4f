"""Reads params.yaml and checks all of it before any stage does any work.

Settings classes live in pipeline/settings, one module a section, and are found by name at run
time. A stage imports the one class it uses, so that DVC re-runs it for an edit of that module and
not for an edit of another section's; the check of the rest needs no such tie, because it can only
stop a run, never change a number.
"""

import difflib
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.errors import PipelineError

PARAMS = Path("params.yaml")
SETTINGS = Path(__file__).parent / "settings"
LISTS = ("corpora", "demos")
ONE_BLOCK = ("compute",)
NOT_SECTIONS = ("__init__", "base", "agreement")
S = TypeVar("S", bound=BaseModel)


@dataclass(frozen=True)
class Params:
    """A checked params.yaml.

    Attributes:
        corpora: The selected corpora, in order.
        demos: The demo corpora that are generated.
        sections: Settings by section and corpus; `compute` has the one key `""`.
    """

    corpora: list[str]
    demos: list[str]
    sections: dict[str, dict[str, BaseModel]]

    def of(self, settings: type[S], corpus: str = "") -> S:
        """The settings of one class for one corpus.

        Raises:
            PipelineError: params.yaml has no block for this corpus.
        """
        section = settings.__name__.removesuffix("Settings").lower()
        blocks = self.sections[section]
        if corpus not in blocks:
            raise PipelineError(
                f"params.yaml has no block {section}.{corpus}; it has {sorted(blocks)}."
            )
        found = blocks[corpus]
        assert isinstance(found, settings)
        return found


def read_params(path: Path = PARAMS) -> Params:
    """Reads and checks params.yaml.

    Raises:
        PipelineError: One message that names every problem found.
    """
    raw = _parse(path)
    problems: list[str] = []
    lists = {name: _names(raw.pop(name, None), name, problems) for name in LISTS}
    sections = _sections(raw, lists, problems)
    if not problems:
        agreement = importlib.import_module("pipeline.settings.agreement")
        problems += agreement.problems(sections, lists["corpora"])
    if problems:
        count = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise PipelineError(f"{path} has {count}:\n" + "\n".join(f"  {p}" for p in problems))
    return Params(lists["corpora"], lists["demos"], sections)


def _parse(path: Path) -> dict[str, Any]:
    # The parser DVC uses, so that both read the same numbers (1e-4 is a float in YAML 1.2 alone).
    try:
        raw = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise PipelineError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(raw, dict):
        raise PipelineError(f"{path} holds {type(raw).__name__}, expected a mapping of sections.")
    return raw


def _names(value: Any, key: str, problems: list[str]) -> list[str]:
    good = isinstance(value, list) and all(isinstance(v, str) for v in value)
    if not good or len(set(value)) != len(value) or (key == "corpora" and not value):
        problems.append(f"{key}: got {value!r}, expected a list of different corpus names")
        return []
    return list(value)


def _sections(
    raw: dict[str, Any], lists: dict[str, list[str]], problems: list[str]
) -> dict[str, dict[str, BaseModel]]:
    classes = settings_classes()
    for name in sorted(set(raw) - set(classes)):
        near = difflib.get_close_matches(name, [*classes, *LISTS], 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        problems.append(f"{name}: unknown section, expected one of {sorted(classes)}{hint}")
    needed = {"demo": lists["demos"]}
    return {
        name: _blocks(name, cls, raw.get(name), needed.get(name, lists["corpora"]), problems)
        for name, cls in classes.items()
    }


def settings_classes() -> dict[str, type[BaseModel]]:
    """Each section's settings class: section `x` is `pipeline/settings/x.py`, `XSettings`."""
    stems = sorted(path.stem for path in SETTINGS.glob("*.py"))
    return {
        stem: getattr(
            importlib.import_module(f"pipeline.settings.{stem}"), f"{stem.title()}Settings"
        )
        for stem in stems
        if stem not in NOT_SECTIONS
    }


def _blocks(
    name: str, cls: type[BaseModel], raw: Any, needed: list[str], problems: list[str]
) -> dict[str, BaseModel]:
    blocks = {"": raw} if name in ONE_BLOCK else raw
    if not isinstance(blocks, dict):
        problems.append(f"{name}: got {raw!r}, expected a block for each of {needed}")
        return {}
    if name not in ONE_BLOCK:
        problems += [f"{name}.{c}: missing" for c in needed if c not in blocks]
    valid = {}
    for corpus, block in blocks.items():
        try:
            valid[str(corpus)] = cls.model_validate(block)
        except ValidationError as error:
            problems += _told(f"{name}.{corpus}".rstrip("."), error, cls)
    return valid


def _told(where: str, error: ValidationError, cls: type[BaseModel]) -> list[str]:
    lines = []
    for problem in error.errors():
        key = ".".join([where, *map(str, problem["loc"])])
        if problem["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(problem["loc"][-1]), cls.model_fields, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {sorted(cls.model_fields)}"
            lines.append(f"{key}: unknown key; {hint}")
        elif problem["type"] == "missing":
            lines.append(f"{key}: missing")
        else:
            lines.append(f"{key}: got {problem['input']!r}; {problem['msg']}")
    return lines
