"""Read params.yaml, and check all of it before any stage does any work.

A section's settings class lies beside the code that uses it and is found by name at run time. A
stage imports the classes it uses; the check of the rest can only stop a run, never change a number.
A file that was found right is kept, resolved, under a digest of its bytes and of the settings'
code: the next stage neither parses nor checks it again.
"""

import hashlib
import importlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pipeline.base.aliases import load_yaml
from pipeline.base.errors import PipelineError
from pipeline.base.files import write_text
from pipeline.base.paths import cache_root

PARAMS = Path("params.yaml")
LISTS = ("corpora", "demos", "systems")
REFERENCE = "reference"
DEMO = "demo_"  # begins the name of each corpus of `demos`, where it is left out: see dvc.yaml
ANCHORS = "defaults"
COMPUTE = "compute"
# Section `x` of a corpus is the class `XSettings` of this module.
SECTIONS = {
    "demo": "pipeline.demo.settings",
    "corpus": "pipeline.corpora.registry",
    "protocol": "pipeline.corpora.settings",
    "extract": "pipeline.features.common.settings",
    "frames": "pipeline.features.frames.settings",
    "faces": "pipeline.features.frames.settings",
    "visual": "pipeline.features.visual.settings",
    "audio": "pipeline.features.audio.settings",
    "text": "pipeline.features.text.settings",
    "finetune": "pipeline.finetuning.settings",
}
AGREEMENT = "pipeline.features.agreement"
REGISTRY = "pipeline.systems.registry"
SYSTEM = "pipeline.systems.base"  # its `system` gives a system's class, which has its settings'
CODE = (
    *("**/settings.py", "systems/*.py", "nn/*.py"),
    *("features/agreement.py", "corpora/*.py", "weights/*"),
)
# Names of corpora become names of files and words of commands.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
S = TypeVar("S", bound=BaseModel)


@dataclass(frozen=True)
class Params:
    """A checked params.yaml.

    Attributes:
        corpora: The selected corpora, in order.
        demos: The demo corpora that are generated, by their whole names.
        systems: The systems that are run on them, in order.
        reference: The one that the others are compared with.
        compute: The block `compute`.
        blocks: By corpus, its block of each section and system.
    """

    corpora: list[str]
    demos: list[str]
    systems: list[str]
    reference: str
    compute: Mapping[str, Any]
    blocks: Mapping[str, Mapping[str, Any]]

    def of(self, settings: type[S], corpus: str = "") -> S:
        """The settings of one class for one corpus; `compute` belongs to none.

        Raises:
            PipelineError: params.yaml has no such corpus, or no such block of it.
        """
        section = settings.__name__.removesuffix("Settings").lower()
        if section == COMPUTE:
            return settings.model_validate(self.compute)
        self.check(corpus)
        if section not in self.blocks[corpus]:
            raise PipelineError(f"{PARAMS} has no block {corpus}.{section}.")
        return settings.model_validate(self.blocks[corpus][section])

    def system(self, corpus: str, name: str) -> Any:
        """The settings of a system for one corpus, of the system's own class.

        Raises:
            PipelineError: params.yaml has no such corpus, or no such block of it.
        """
        self.check(corpus)
        self.check_system(name)
        if name not in self.blocks[corpus]:
            raise PipelineError(f"{PARAMS} has no block {corpus}.{name}.")
        return _settings_of(name).model_validate(self.blocks[corpus][name])

    def only(self, corpus: str) -> "Params":
        """These with the blocks of one corpus, for another process."""
        return replace(self, blocks={corpus: self.blocks[corpus]})

    def check_system(self, name: str) -> None:
        """Check the name of a system that a user typed.

        Raises:
            PipelineError: It is none of those that are run; the message has the nearest name.
        """
        if name not in self.systems:
            raise PipelineError(f"{PARAMS}: got the system {name!r}{hint(name, self.systems)}")

    def check(self, corpus: str) -> None:
        """Check the name of a corpus that a user typed.

        Raises:
            PipelineError: params.yaml has no block of it; the message has the nearest name.
        """
        if corpus not in self.blocks:
            raise PipelineError(f"{PARAMS}: {_unknown(corpus, self.blocks)}")


def read_params(path: Path = PARAMS) -> Params:
    """Reads and checks params.yaml.

    Raises:
        PipelineError: One message that names every problem.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        check_root()
        raise PipelineError(f"{path} is not here; run this in the project's root.") from error
    except OSError as error:
        raise PipelineError(f"{path} cannot be read: {error.strerror}.") from error
    verdict = cache_root() / "params" / f"{_digest(content)}.json"
    try:
        return Params(**json.loads(verdict.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        params = checked(path, _parsed(path, content))
    with suppress(OSError, TypeError):  # a cache that cannot be written costs a second
        write_text(verdict, json.dumps(vars(params)))
    return params


def check_root() -> None:
    """Check that this is not a subfolder of the project, where relative paths mislead.

    Raises:
        PipelineError: It is; the message names the root.
    """
    roots = [folder for folder in Path.cwd().parents if (folder / PARAMS).is_file()]
    if roots and not PARAMS.is_file():
        raise PipelineError(f"{PARAMS} is not here; run this in {roots[0]}.")


def _digest(content: bytes) -> str:
    state = hashlib.sha256(content)
    package = Path(__file__).parents[1]
    for file in sorted(file for pattern in CODE for file in package.glob(pattern)):
        if file.is_file():
            state.update(file.read_bytes())
    state.update(Path(__file__).read_bytes())
    return state.hexdigest()


def checked(path: Path, raw: Mapping[str, Any]) -> Params:
    """Check what a file like params.yaml holds.

    Raises:
        PipelineError: One message that names every problem.
    """
    problems: list[str] = []
    blocks = {str(k): v for k, v in raw.items() if k not in (*LISTS, REFERENCE, ANCHORS, COMPUTE)}
    lists = {key: _names(raw.get(key), key, blocks, problems) for key in LISTS}
    problems += _wrong_reference(raw.get(REFERENCE), lists["systems"])
    problems += _wrong_compute(raw.get(COMPUTE))
    problems += _wrong_blocks(blocks, lists)
    if not problems:
        sections = _sections(blocks)
        agreement = importlib.import_module(AGREEMENT)
        problems += agreement.problems(sections, lists["corpora"], lists["systems"])
    if problems:
        count = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise PipelineError(f"{path} has {count}:\n" + "\n".join(f"  {p}" for p in problems))
    return Params(**lists, reference=raw[REFERENCE], compute=raw[COMPUTE], blocks=blocks)


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    try:
        raw = load_yaml(content.decode("utf-8"))
    except ValueError as error:
        raise PipelineError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(raw, dict):
        raise PipelineError(f"{path} holds {type(raw).__name__}, expected a mapping of corpora.")
    return raw


def _names(value: Any, key: str, blocks: Mapping[str, Any], problems: list[str]) -> list[str]:
    good = isinstance(value, list) and all(isinstance(v, str) for v in value)
    if not good or len(set(value)) != len(value) or (key != "demos" and not value):
        problems.append(f"{key}: got {value!r}, expected a list of different names")
        return []
    if key == "systems":
        systems = _registered()
        problems += [f"{key}: got {n!r}{hint(n, systems)}" for n in value if n not in systems]
        return [name for name in value if name in systems]
    begin = DEMO * (key == "demos")
    known = [name.removeprefix(begin) for name in blocks if name.startswith(begin)]
    problems += [f"{key}: {_unknown(name, known)}" for name in value if name not in known]
    return [begin + name for name in value if name in known]


def _unknown(name: str, blocks: Iterable[str]) -> str:
    return f"got {name!r}, which has no block here{hint(name, blocks)}"


def hint(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest known one, or all."""
    import difflib

    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else f", expected one of {sorted(known)}"


def settings_classes() -> dict[str, type[BaseModel]]:
    """Each section's settings class."""
    return {
        section: getattr(importlib.import_module(module), f"{section.title()}Settings")
        for section, module in SECTIONS.items()
    }


def _registered() -> dict[str, str]:
    """The titles of all systems by name."""
    systems: dict[str, str] = importlib.import_module(REGISTRY).SYSTEMS
    return systems


def _settings_of(system: str) -> type[BaseModel]:
    settings: type[BaseModel] = importlib.import_module(SYSTEM).system(system).Settings
    return settings


def _wrong_reference(value: Any, systems: Sequence[str]) -> Iterator[str]:
    if value not in systems:
        yield f"{REFERENCE}: got {value!r}{hint(str(value), systems)}"


def _sections(blocks: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, BaseModel]]:
    """Valid settings by section or system, and corpus."""
    return {
        section: {c: cls.model_validate(b[section]) for c, b in blocks.items() if section in b}
        for section, cls in _classes(blocks).items()
    }


def _classes(blocks: Mapping[str, Any]) -> dict[str, type[BaseModel]]:
    """The settings class of each section, and of each system that a block has."""
    named = {name for block in blocks.values() if isinstance(block, dict) for name in block}
    systems = [name for name in _registered() if name in named]
    return settings_classes() | {name: _settings_of(name) for name in systems}


def _wrong_compute(block: Any) -> Iterator[str]:
    from pipeline.base.settings import ComputeSettings

    yield from (f"{COMPUTE}{p}" for p in _invalid(ComputeSettings, block))


def _wrong_blocks(blocks: Mapping[str, Any], lists: Mapping[str, list[str]]) -> Iterator[str]:
    """Problems of all blocks; one that several corpora share is named once."""
    shared: dict[str, list[str]] = {}
    classes = _classes(blocks)
    for corpus, block in blocks.items():
        for problem in _wrong_block(corpus, block, lists, classes):
            shared.setdefault(problem, []).append(corpus)
    for problem, corpora in shared.items():
        where = corpora[0] if len(corpora) == 1 else f"{{{','.join(corpora)}}}"
        yield f"{where}{problem}"


def _wrong_block(
    corpus: str,
    block: Any,
    lists: Mapping[str, list[str]],
    classes: Mapping[str, type[BaseModel]],
) -> Iterator[str]:
    if corpus in SECTIONS or corpus in _registered():
        yield f": a section, expected inside the block of a corpus: NAME.{corpus}"
        return
    if not NAME.fullmatch(corpus):
        yield ": not a name of a corpus, expected up to 64 letters, digits, `_` and `-`"
        return
    if not isinstance(block, dict):
        yield f": got {block!r}, expected a block with the sections {sorted(SECTIONS)}"
        return
    known = {*SECTIONS, *_registered()}
    for name in block:
        if name not in known:
            yield f".{name}: unknown section{hint(str(name), known)}"
    for section in (*SECTIONS, *_registered()):
        needed = corpus in lists["demos" if section == "demo" else "corpora"]
        if section in block:
            problems = _invalid(classes[section], block[section])
            yield from (f".{section}{problem}" for problem in problems)
        elif needed and (section in SECTIONS or section in lists["systems"]):
            yield f".{section}: missing"


def _invalid(cls: type[BaseModel], block: Any) -> Iterator[str]:
    try:
        cls.model_validate(block)
    except ValidationError as error:
        for problem in error.errors():
            yield f"{''.join(f'.{key}' for key in problem['loc'])}: {_reason(problem, cls)}"


def _reason(problem: Any, cls: type[BaseModel]) -> str:
    if problem["type"] == "extra_forbidden":
        return f"unknown key{hint(str(problem['loc'][-1]), cls.model_fields)}"
    if problem["type"] == "missing":
        return "missing"
    return f"got {problem['input']!r}; {problem['msg']}"
