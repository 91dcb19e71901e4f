"""A recipe, `experiments/NAME.yaml`: which variants are compared, and with what."""

import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.errors import PipelineError

FOLDER = Path("experiments")
CORPUS = "CORPUS"  # stands for each of the recipe's corpora
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")  # becomes part of a git reference
SETTING = re.compile(r"[\w.]+=.+", re.DOTALL)  # DVC would also add (+) and delete (~) keys


class Recipe(BaseModel):
    """What is compared; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    about: str = Field(min_length=1, description="One sentence on what is asked.")
    corpora: tuple[str, ...] = Field(min_length=1, description="Those of every experiment.")
    changes: tuple[str, ...] = Field(
        default=(), description="Values of dvc's -S for every variant; CORPUS stands for each."
    )
    others: tuple[str, ...] = Field(
        default=(), description="Values of -S for every variant but the reference."
    )
    variants: dict[str, tuple[str, ...]] = Field(
        min_length=2, description="Further values of -S by name."
    )
    reference: str = Field(description="The variant that every other is compared with.")
    jobs: int = Field(default=1, ge=1, le=64, description="Experiments at a time.")

    def settings(self, variant: str) -> list[str]:
        """A variant's values of -S: those for all first, CORPUS replaced by each corpus."""
        others = self.others if variant != self.reference else ()
        return [
            setting.replace(CORPUS, corpus)
            for setting in (*self.changes, *others, *self.variants[variant])
            for corpus in (self.corpora if CORPUS in setting else self.corpora[:1])
        ]

    def problems(self) -> list[str]:
        """What the fields' types do not say."""
        found = [
            f"{what}: got {name!r}, expected a name of a-z, 0-9, _ and -"
            for what, names in (("corpora", self.corpora), ("variants", self.variants))
            for name in names
            if not NAME.fullmatch(name)
        ]
        if len(set(self.corpora)) < len(self.corpora):
            found.append(f"corpora: names one twice: {list(self.corpora)}")
        if self.reference not in self.variants:
            found.append(
                f"reference: got {self.reference!r}, expected one of {list(self.variants)}"
            )
        common = (("changes", self.changes), ("others", self.others))
        for where, settings in (*common, *_named(self.variants)):
            found += [
                f"{where}: got {setting!r}, expected key.in.params=value, as for dvc exp run -S"
                for setting in settings
                if not SETTING.fullmatch(setting)
            ]
        return found


def _named(variants: dict[str, tuple[str, ...]]) -> list[tuple[str, tuple[str, ...]]]:
    return [(f"variants.{name}", settings) for name, settings in variants.items()]


def read_recipe(name: str, folder: Path = FOLDER) -> Recipe:
    """Reads and checks a recipe.

    Args:
        name: `experiments/NAME.yaml`.
        folder: Where recipes lie.

    Raises:
        PipelineError: There is no such recipe, or one message that names all that is wrong with it.
    """
    path = folder / f"{name}.yaml"
    if not NAME.fullmatch(name) or not path.is_file():
        there = sorted(file.stem for file in folder.glob("*.yaml"))
        raise PipelineError(
            f"There is no recipe {path}; {folder}/ has {there}. Name one of them, or write yours "
            "(a name is made of a-z, 0-9, _ and -)."
        )
    try:
        recipe = Recipe.model_validate(_parsed(path))
        problems = recipe.problems()
    except ValidationError as error:
        problems = [_told(problem) for problem in error.errors()]
    if problems:
        raise PipelineError(f"{path} needs mending:\n" + "\n".join(f"  {p}" for p in problems))
    return recipe


def _parsed(path: Path) -> Any:
    try:
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise PipelineError(f"{path} cannot be read as YAML: {error}") from error


def _told(problem: Any) -> str:
    key = ".".join(map(str, problem["loc"])) or "the file"
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key, expected some of {list(Recipe.model_fields)}"
    if problem["type"] == "missing":
        return f"{key}: missing; {Recipe.model_fields[key].description}"
    return f"{key}: got {problem['input']!r}; {problem['msg']}"
