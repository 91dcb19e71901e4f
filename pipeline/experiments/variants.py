"""A recipe that compares variants on test, each with the reference."""

import math
import re
from collections.abc import Iterator
from typing import Self

from pydantic import Field

from pipeline.experiments.recipe import QUICK, Recipe, Settings, misnamed, unfit, without

NAME = re.compile(r"[a-z0-9][a-z0-9_-]*(\.[a-z0-9_-]+)*")  # 0.8, too
NULL = "null"


class Variants(Recipe):
    """What is compared."""

    others: Settings = Field(
        default=(), description="Values of -S for every variant but the reference."
    )
    variants: dict[str, Settings] = Field(min_length=2, description="Further values of -S by name.")
    reference: str = Field(description="The variant that every other is compared with.")
    quick: tuple[str, ...] = Field(
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
        names = sorted(self.variants, key=lambda name: name != self.reference)
        return {name: self.filled([*self._common(name), *self.variants[name]]) for name in names}

    def _common(self, name: str) -> Settings:
        return self.common if name == self.reference else (*self.common, *self.others)

    def without(self, corpora: set[str]) -> dict[str, object]:
        """The fields that hold settings, less the settings that name some corpora."""
        variants = {name: without(found, corpora) for name, found in self.variants.items()}
        others = without(self.others, corpora)
        return {**super().without(corpora), "others": others, "variants": variants}

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
        yield from misnamed("variants", self.variants, NAME)
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
            found = self._on_axis(name)
            if len(found) != 1 or not _is_number_or_null(found[0]):
                yield f"variants.{name}: expected {self.axis}=NUMBER (or null), which is the axis"

    def _can_be_quick(self) -> bool:
        chosen = set(self.quick)
        distinct = len(chosen) == len(self.quick)
        return distinct and {self.reference} < chosen <= self.variants.keys()


def _is_number_or_null(text: str) -> bool:
    try:
        return text == NULL or math.isfinite(float(text))
    except ValueError:
        return False
