"""What a recipe says: corpora, systems, settings, and either variants or a grid of values."""

import math
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

CORPUS, SYSTEM = "CORPUS", "SYSTEM"  # stand for each of the recipe's corpora, and of its systems
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")  # becomes part of a git reference
VARIANT = re.compile(r"[a-z0-9][a-z0-9_-]*(\.[a-z0-9_-]+)*")  # 0.8, too
SETTING = re.compile(r"[\w.]+=.+", re.DOTALL)  # DVC would also add (+) and delete (~) keys
ONE_SEED = f"{CORPUS}.{SYSTEM}.seeds=[1]"
QUICK = 4  # variants or points of a quick run at most
AS_IT_IS, CHOSEN = "as_it_is", "chosen"  # what a search tests: without the grid, its best point
NULL = "null"
Settings = tuple[str, ...]  # values of -S of dvc exp run
Names = tuple[str, ...]
Value = bool | int | float | str | None


class Recipe(BaseModel):
    """What recipes of both kinds say; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    about: str = Field(min_length=1, description="One sentence on what is asked, or a few.")
    corpora: Names = Field(min_length=1, description="Those of every experiment.")
    systems: Names = Field(
        default=(), description="Those that are varied; none: the reference of params.yaml."
    )
    beside: Names = Field(default=(), description="Systems that are shown below the variants.")
    changes: Settings = Field(
        default=(), description=f"Values of dvc's -S for every experiment; {CORPUS}: each corpus."
    )
    larger: Settings = Field(
        default=(),
        description="Further values of -S, not of quick runs: larger corpora, for example.",
    )
    jobs: int = Field(default=1, ge=1, le=64, description="Experiments at a time.")

    def on(self, corpora: Sequence[str], systems: Sequence[str]) -> Self:
        """The recipe for others; settings that name one of those left out fall away."""
        gone = ({*self.corpora} - {*corpora}) | ({*self.systems} - {*systems})
        others = {"corpora": tuple(corpora), "systems": tuple(systems)}
        return self.model_copy(update={**others, **self.without(gone)})

    def without(self, gone: set[str]) -> dict[str, object]:
        """The fields that hold settings, less the settings that name some corpora or systems."""
        return {"changes": without(self.changes, gone), "larger": without(self.larger, gone)}

    @property
    def common(self) -> Settings:
        """Values of -S of every experiment."""
        return (*self.changes, *self.larger)

    def quickened(self) -> Self:
        """The recipe with one seed, without what is larger, and less of what it runs."""
        return self.model_copy(update={"changes": (*self.changes, ONE_SEED), "larger": ()})

    def filled(self, settings: Iterable[str]) -> list[str]:
        """Settings as DVC takes them, with each corpus and system in its place."""
        places = [(corpus, system) for corpus in self.corpora for system in self.systems]
        return [
            filled
            for setting in settings
            for filled in dict.fromkeys(
                setting.replace(CORPUS, corpus).replace(SYSTEM, system) for corpus, system in places
            )
        ]

    def problems(self) -> Iterator[str]:
        """What the fields' types do not say."""
        for field in ("corpora", "systems", "beside"):
            names = getattr(self, field)
            yield from misnamed(field, names, NAME)
            if len(set(names)) < len(names):
                yield f"{field}: names one twice: {list(names)}"
        yield from unfit("changes", self.changes)
        yield from unfit("larger", self.larger)


class Variants(Recipe):
    """A recipe that compares variants on test, each with the reference."""

    others: Settings = Field(
        default=(), description="Values of -S for every variant but the reference."
    )
    variants: dict[str, Settings] = Field(min_length=2, description="Further values of -S by name.")
    reference: str = Field(description="The variant that every other is compared with.")
    quick: Names = Field(
        default=(),
        max_length=QUICK,
        description=f"The variants of a quick run, {QUICK} at most, the reference among them.",
    )
    axis: str | None = Field(
        default=None,
        description="A key that each variant sets to a number, or to null: the plot's axis.",
    )

    def runs(self) -> dict[str, list[str]]:
        """All values of -S by variant, the reference first."""
        others = {name: () if name == self.reference else self.others for name in self.variants}
        names = sorted(self.variants, key=lambda name: name != self.reference)
        return {n: self.filled([*self.common, *others[n], *self.variants[n]]) for n in names}

    def without(self, gone: set[str]) -> dict[str, object]:
        """The fields that hold settings, less the settings that name some corpora or systems."""
        variants = {name: without(settings, gone) for name, settings in self.variants.items()}
        return {**super().without(gone), "others": without(self.others, gone), "variants": variants}

    def quickened(self) -> Self:
        """The recipe with one seed, and the quick variants alone."""
        kept = {name: self.variants[name] for name in self.variants if name in self.quick}
        return super().quickened().model_copy(update={"variants": kept})

    def axis_value(self, variant: str) -> float | None:
        """A variant's number on the axis; None where it sets null."""
        (text,) = self._on_axis(variant)
        return None if text == NULL else float(text)

    def _on_axis(self, variant: str) -> list[str]:
        pairs = [setting.partition("=") for setting in self.variants[variant]]
        return [value for key, _, value in pairs if key == self.axis]

    def problems(self) -> Iterator[str]:
        """What the fields' types do not say."""
        yield from super().problems()
        yield from misnamed("variants", self.variants, VARIANT)
        yield from unfit("others", self.others)
        for name, settings in self.variants.items():
            yield from unfit(f"variants.{name}", settings)
        if self.reference not in self.variants:
            yield f"reference: got {self.reference!r}, expected one of {list(self.variants)}"
        elif self.quick and not self._can_be_quick():
            yield (
                f"quick: got {list(self.quick)}, expected two or more of {list(self.variants)}, "
                f"each once, {self.reference!r} among them"
            )
        for name in self.variants if self.axis else ():
            numbers = self._on_axis(name)
            if len(numbers) != 1 or not _is_number_or_null(numbers[0]):
                yield f"variants.{name}: expected {self.axis}=NUMBER (or null), which is the axis"

    def _can_be_quick(self) -> bool:
        chosen = set(self.quick)
        return len(chosen) == len(self.quick) and {self.reference} < chosen <= {*self.variants}


class Search(Recipe):
    """A recipe that searches a grid on validation; only the point that is chosen is tested."""

    grid: dict[str, tuple[Value, ...]] = Field(
        min_length=1, description="Values to be tried, by key; every key has CORPUS in it."
    )
    budget: int = Field(
        ge=2, le=1000, description="Points that are tried at most; of a larger grid, a sample."
    )
    quick: int | None = Field(
        default=None, ge=2, le=QUICK, description=f"The budget of a quick run, {QUICK} at most."
    )
    seed: int = Field(default=1, ge=0, description="Draws the sample.")

    @property
    def combinations(self) -> int:
        """How many points the whole grid has."""
        return math.prod(map(len, self.grid.values()))

    def points(self) -> dict[str, dict[str, str]]:
        """The values of each point that is tried, by key, as DVC takes them.

        Points are named p1, p2, ... in the order of the grid, in which the last key's value changes
        first.
        """
        numbers: Sequence[int] = range(self.combinations)
        if self.combinations > self.budget:
            numbers = sorted(random.Random(self.seed).sample(numbers, self.budget))
        digits = len(str(len(numbers)))
        return {f"p{n:0{digits}}": self._point(number) for n, number in enumerate(numbers, start=1)}

    def _point(self, number: int) -> dict[str, str]:
        given = {}
        for key, values in reversed(self.grid.items()):
            number, place = divmod(number, len(values))
            given[key] = _text(values[place])
        return {key: given[key] for key in self.grid}

    def runs(self) -> dict[str, list[str]]:
        """All values of -S by point; the settings as they are come first."""
        points: dict[str, Mapping[str, str]] = {AS_IT_IS: {}, **self.points()}
        return {
            name: self.filled([*self.common, *(f"{k}={v}" for k, v in point.items())])
            for name, point in points.items()
        }

    def decided(self, chosen: Mapping[tuple[str, str], str]) -> dict[str, list[str]]:
        """All values of -S of what is tested: the settings as they are, and the chosen ones.

        Args:
            chosen: The name of a point by corpus and system.
        """
        points, common = self.points(), self.filled(self.common)
        settings = [
            f"{key.replace(CORPUS, corpus).replace(SYSTEM, system)}={value}"
            for (corpus, system), point in chosen.items()
            for key, value in points[point].items()
        ]
        return {AS_IT_IS: common, CHOSEN: [*common, *settings]}

    def quickened(self) -> Self:
        """The recipe with one seed and the quick budget."""
        return super().quickened().model_copy(update={"budget": self.quick})

    def problems(self) -> Iterator[str]:
        """What the fields' types do not say."""
        yield from super().problems()
        for key, values in self.grid.items():
            if len(self.systems) > 1 and SYSTEM not in key.split("."):
                yield f"grid: got {key!r}, expected {CORPUS}.{SYSTEM}.key, as each system chooses"
            if CORPUS not in key.split(".") or not SETTING.fullmatch(f"{key}=x"):
                yield f"grid: got {key!r}, expected {CORPUS}.section.key, as each corpus chooses"
            if not values or len(set(map(_text, values))) < len(values):
                yield f"grid.{key}: got {list(values)}, expected values that differ"
        if self.combinations == 1:
            yield "grid: has one point, expected two or more"
        if self.quick is not None and self.quick > self.budget:
            yield f"quick: got {self.quick}, expected no more than the budget, {self.budget}"


def without(settings: Settings, gone: set[str]) -> Settings:
    """Settings less those whose key names one of some corpora or systems."""
    return tuple(s for s in settings if not gone & set(s.partition("=")[0].split(".")))


def misnamed(field: str, names: Iterable[str], pattern: re.Pattern[str]) -> Iterator[str]:
    """A line for each name that cannot be one."""
    for name in names:
        if not pattern.fullmatch(name):
            yield f"{field}: got {name!r}, expected a name of a-z, 0-9, _ and -"


def unfit(where: str, settings: Settings) -> Iterator[str]:
    """A line for each setting that is none."""
    for setting in settings:
        if not SETTING.fullmatch(setting):
            yield f"{where}: got {setting!r}, expected key.in.params=value, as for dvc exp run -S"


def _is_number_or_null(text: str) -> bool:
    try:
        return text == NULL or math.isfinite(float(text))
    except ValueError:
        return False


def _text(value: Value) -> str:
    """A value as it stands in a setting."""
    if value is None:
        return NULL
    return str(value).lower() if isinstance(value, bool) else str(value)
