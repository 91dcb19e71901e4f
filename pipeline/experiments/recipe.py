"""What every recipe says: which corpora, what is changed in params.yaml, how many run at a time."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

CORPUS = "CORPUS"  # stands for each of the recipe's corpora
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")  # becomes part of a git reference
SETTING = re.compile(r"[\w.]+=.+", re.DOTALL)  # DVC would also add (+) and delete (~) keys
ONE_SEED = f"{CORPUS}.train.seeds=[1]"
QUICK = 4  # variants or points of a quick run at most
Settings = tuple[str, ...]  # values of -S of dvc exp run


class Recipe(BaseModel):
    """What recipes of all kinds say; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    about: str = Field(min_length=1, description="One sentence on what is asked, or a few.")
    corpora: tuple[str, ...] = Field(min_length=1, description="Those of every experiment.")
    changes: Settings = Field(
        default=(), description="Values of dvc's -S for every experiment; CORPUS stands for each."
    )
    larger: Settings = Field(
        default=(),
        description="Further values of -S, not of quick runs: larger corpora, for example.",
    )
    jobs: int = Field(default=1, ge=1, le=64, description="Experiments at a time.")

    def on(self, corpora: Sequence[str]) -> Self:
        """The recipe for other corpora; settings that name one of those left out fall away."""
        gone = set(self.corpora) - set(corpora)
        return self.model_copy(update={"corpora": tuple(corpora), **self.without(gone)})

    def without(self, corpora: set[str]) -> dict[str, object]:
        """The fields that hold settings, less the settings that name some corpora."""
        return {
            "changes": without(self.changes, corpora),
            "larger": without(self.larger, corpora),
        }

    @property
    def common(self) -> Settings:
        """Values of -S of every experiment."""
        return (*self.changes, *self.larger)

    def quickened(self) -> Self:
        """The recipe with one seed, without what is larger, and less of what it runs."""
        return self.model_copy(update={"changes": (*self.changes, ONE_SEED), "larger": ()})

    def filled(self, settings: Iterable[str]) -> list[str]:
        """Settings as DVC takes them: CORPUS is replaced by each corpus."""
        return [
            setting.replace(CORPUS, corpus)
            for setting in settings
            for corpus in (self.corpora if CORPUS in setting else self.corpora[:1])
        ]

    def problems(self) -> Iterator[str]:
        """What the fields' types do not say."""
        yield from misnamed("corpora", self.corpora, NAME)
        if len(set(self.corpora)) < len(self.corpora):
            yield f"corpora: names one twice: {list(self.corpora)}"
        yield from unfit("changes", self.changes)
        yield from unfit("larger", self.larger)


def without(settings: Settings, corpora: set[str]) -> Settings:
    """Settings less those whose key names one of some corpora."""
    return tuple(s for s in settings if not corpora & set(s.partition("=")[0].split(".")))


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
