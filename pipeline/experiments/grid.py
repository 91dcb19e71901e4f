"""A recipe that searches a grid on validation; only the point that is chosen is tested."""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Self

from pydantic import Field

from pipeline.experiments.recipe import CORPUS, QUICK, SETTING, Recipe

Value = bool | int | float | str | None
REFERENCE, CHOSEN = "as_it_is", "chosen"  # what is tested: without the grid, and its best point


class Search(Recipe):
    """What is searched."""

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
        settings = {name: [f"{k}={v}" for k, v in p.items()] for name, p in self.points().items()}
        everything = {REFERENCE: [], **settings}
        return {name: self.filled([*self.common, *own]) for name, own in everything.items()}

    def decided(self, chosen: Mapping[str, str]) -> dict[str, list[str]]:
        """All values of -S of what is tested: the settings as they are, and the chosen ones.

        Args:
            chosen: The name of a point by corpus.
        """
        points, common = self.points(), self.filled(self.common)
        settings = [
            f"{key.replace(CORPUS, corpus)}={value}"
            for corpus in self.corpora
            for key, value in points[chosen[corpus]].items()
        ]
        return {REFERENCE: common, CHOSEN: [*common, *settings]}

    def quickened(self) -> Self:
        """The recipe with one seed and the quick budget."""
        return super().quickened().model_copy(update={"budget": self.quick})

    def problems(self) -> Iterator[str]:
        """What the fields' types do not say."""
        yield from super().problems()
        for key, values in self.grid.items():
            if CORPUS not in key.split(".") or not SETTING.fullmatch(f"{key}=x"):
                yield f"grid: got {key!r}, expected {CORPUS}.section.key, as each corpus chooses"
            if not values or len(set(map(_text, values))) < len(values):
                yield f"grid.{key}: got {list(values)}, expected values that differ"
        if self.combinations == 1:
            yield "grid: has one point, expected two or more"
        if self.quick is not None and self.quick > self.budget:
            yield f"quick: got {self.quick}, expected no more than the budget, {self.budget}"


def _text(value: Value) -> str:
    """A value as it stands in a setting."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
