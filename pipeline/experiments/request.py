"""What the user asked for: a recipe by name, perhaps quick, perhaps on corpora of their choice."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.base.errors import PipelineError
from pipeline.experiments.grid import Search
from pipeline.experiments.reading import FOLDER, read_recipe
from pipeline.experiments.variants import Variants

PAGES = Path("docs/experiments")


@dataclass(frozen=True)
class Request:
    """A call of `python -m pipeline experiment`.

    Attributes:
        name: Of the recipe.
        quick: Whether few variants run, with one seed.
        corpora: Instead of the recipe's; none if its own are meant.
    """

    name: str
    quick: bool = False
    corpora: Sequence[str] = ()

    @property
    def command(self) -> str:
        """What the user types."""
        options = ["--quick"] * self.quick + [f"--corpus {corpus}" for corpus in self.corpora]
        return " ".join(["python -m pipeline experiment", self.name, *options])

    @property
    def label(self) -> str:
        """Names of its experiments begin with this."""
        return "-".join([self.name, *["quick"] * self.quick, *self.corpora])

    def page(self, suffix: str) -> Path:
        """A file of its results in docs/.

        Args:
            suffix: With the dot.
        """
        folder = PAGES / "quick" if self.quick else PAGES
        return folder / ("-".join([self.name, *self.corpora]) + suffix)

    def recipe(self) -> Variants | Search:
        """The recipe, for what was asked.

        Raises:
            PipelineError: It does not exist, is not in order, or has no quick runs.
        """
        recipe = read_recipe(self.name)
        if self.quick and not recipe.quick:
            raise PipelineError(
                f"{FOLDER}/{self.name}.yaml has no key `quick`, so it has no quick run: "
                f"{type(recipe).model_fields['quick'].description} Add it, or leave --quick out."
            )
        if len(set(self.corpora)) < len(self.corpora):
            raise PipelineError(f"--corpus names one twice: {list(self.corpora)}.")
        recipe = recipe.on(self.corpora) if self.corpora else recipe
        return recipe.quickened() if self.quick else recipe
