"""Read the recipe that a user asks for, and say all that is wrong with it at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.base.aliases import load_yaml
from pipeline.base.errors import PipelineError
from pipeline.experiments.recipe import NAME, SYSTEM, Recipe, Search, Variants, without
from pipeline.systems.registry import SYSTEMS

FOLDER, PAGES = Path("experiments"), Path("docs/experiments")
LIKE = "like"
TAKEN_OVER = ("corpora", "systems", "beside")  # from the recipe that one is like


@dataclass(frozen=True)
class Request:
    """A call of `python -m pipeline experiment`: corpora and systems instead of the recipe's."""

    name: str
    quick: bool = False
    corpora: Sequence[str] = ()
    systems: Sequence[str] = ()

    @property
    def command(self) -> str:
        """What the user types."""
        options = [
            *["--quick"] * self.quick,
            *(f"--corpus {corpus}" for corpus in self.corpora),
            *(f"--system {system}" for system in self.systems),
        ]
        return " ".join(["python -m pipeline experiment", self.name, *options])

    @property
    def label(self) -> str:
        """Names of its experiments begin with this."""
        return "-".join([self.name, *["quick"] * self.quick, *self.corpora, *self.systems])

    def page(self, suffix: str) -> Path:
        """A file of its results in docs/."""
        folder = PAGES / "quick" if self.quick else PAGES
        return folder / ("-".join([self.name, *self.corpora, *self.systems]) + suffix)

    def recipe(self, reference: str, folder: Path = FOLDER) -> Variants | Search:
        """The recipe for what was asked.

        Args:
            reference: The system of a recipe that names none.
            folder: Where recipes lie.

        Raises:
            PipelineError: It does not exist, is not in order, or has no such runs.
        """
        recipe = read_recipe(self.name, folder)
        path = folder / f"{self.name}.yaml"
        if self.quick and not recipe.quick:
            raise PipelineError(
                f"{path} has no key `quick`, so it has no quick run: "
                f"{type(recipe).model_fields['quick'].description} Add it, or leave --quick out."
            )
        for option, names in (("--corpus", self.corpora), ("--system", self.systems)):
            if len(set(names)) < len(names):
                raise PipelineError(f"{option} names one twice: {list(names)}.")
        systems = self.systems or recipe.systems or (reference,)
        recipe = recipe.on(self.corpora or recipe.corpora, systems)
        runs = list(recipe.runs().values())
        same = any(settings in runs[:place] for place, settings in enumerate(runs))
        varied = {s for settings in runs for s in settings if any(s not in run for run in runs)}
        named = {key.split(".")[1] for key in varied if key.count(".") > 1} & set(SYSTEMS)
        if self.systems and (same or (named and not named.issuperset(self.systems))):
            raise PipelineError(
                f"{path} varies settings of another system by name, so for {list(self.systems)} "
                f"some of its variants are the same; write a recipe for it, with {SYSTEM}."
            )
        return recipe.quickened() if self.quick else recipe


def read_recipe(name: str, folder: Path = FOLDER) -> Variants | Search:
    """Read and check experiments/NAME.yaml; one with the key `grid` is a search.

    Raises:
        PipelineError: There is no such recipe, or one message that names all that is wrong with it.
    """
    content, problems = _content(name, folder)
    kind = Search if isinstance(content, dict) and "grid" in content else Variants
    try:
        recipe = kind.model_validate(content)
        problems += recipe.problems()
    except ValidationError as error:
        problems += [_sentence(problem, kind) for problem in error.errors()]
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise PipelineError(f"{_path(name, folder)} needs mending:\n{lines}")
    return recipe


def _content(name: str, folder: Path) -> tuple[Any, list[str]]:
    """What a recipe's file holds, with what it takes over from another, and what is wrong there."""
    content = _parsed(_path(name, folder))
    if not isinstance(content, dict) or LIKE not in content:
        return content, []
    own = {key: value for key, value in content.items() if key != LIKE}
    other = str(content[LIKE])
    there = _parsed(_path(other, folder))
    if isinstance(there, dict) and LIKE in there:  # itself, for one
        return own, [f"{LIKE}: got {other!r}, expected a recipe that is like no other"]
    return _taken_over(own, read_recipe(other, folder)), []


def _taken_over(own: dict[str, Any], other: Recipe) -> dict[str, Any]:
    """A recipe with another's names, if it has none, and changes, as far as they concern it."""
    taken = {key: list(getattr(other, key)) for key in TAKEN_OVER} | own
    if not isinstance(taken["corpora"], list):
        return own  # its model says what is wrong with it
    gone = {corpus for corpus in other.corpora if corpus not in taken["corpora"]}
    for key, settings in (("changes", other.changes), ("larger", other.larger)):
        if isinstance(mine := own.get(key, []), list):  # its model says what else it may not be
            taken[key] = [*without(settings, gone), *mine]
    return taken


def _path(name: str, folder: Path) -> Path:
    path = folder / f"{name}.yaml"
    if not NAME.fullmatch(name) or not path.is_file():
        there = sorted(file.stem for file in folder.glob("*.yaml"))
        raise PipelineError(
            f"There is no recipe {path}; {folder}/ has {there}. Name one of them, or write yours "
            "(a name is made of a-z, 0-9, _ and -)."
        )
    return path


def _parsed(path: Path) -> Any:
    try:
        return load_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PipelineError(f"{path} cannot be read as YAML: {error}") from error


def _sentence(problem: Any, kind: type[Variants] | type[Search]) -> str:
    key = ".".join(map(str, problem["loc"])) or "the file"
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key, expected some of {[*kind.model_fields, LIKE]}"
    if problem["type"] == "missing":
        return f"{key}: missing; {kind.model_fields[key].description}"
    return f"{key}: got {problem['input']!r}; {problem['msg']}"
