"""Reads recipes, of either kind, and says all that is wrong with one at once."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.base.aliases import load_yaml
from pipeline.base.errors import PipelineError
from pipeline.experiments.grid import Search
from pipeline.experiments.recipe import NAME, without
from pipeline.experiments.variants import Variants

FOLDER = Path("experiments")
LIKE = "like"


def read_recipe(name: str, folder: Path = FOLDER) -> Variants | Search:
    """Reads and checks a recipe; one with the key `grid` is a search.

    Args:
        name: `experiments/NAME.yaml`.
        folder: Where recipes lie.

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


def _taken_over(own: dict[str, Any], other: Variants | Search) -> dict[str, Any]:
    """A recipe with another's corpora, if it has none, and changes, as far as they concern it."""
    corpora = own.get("corpora", list(other.corpora))
    if not isinstance(corpora, list):
        return own  # its model says what is wrong with it
    gone = {corpus for corpus in other.corpora if corpus not in corpora}
    taken = {**own, "corpora": corpora}
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
