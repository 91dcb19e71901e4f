"""Settings `evaluate`: the baselines."""

from typing import Literal

from pydantic import Field

from pipeline.base.settings import Section


class EvaluateSettings(Section):
    """Baselines, fitted on the train split of the same run."""

    baselines: tuple[Literal["majority", "tfidf", "logistic_regression"], ...]
    regularisation: tuple[float, ...] = Field(
        min_length=1,
        description="Values of C tried for the linear baselines; validation chooses.",
    )
