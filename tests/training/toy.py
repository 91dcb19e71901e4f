"""A small training, and what it writes."""

from dataclasses import replace
from typing import Any

from pipeline.base import paths
from pipeline.base.params import read_params
from pipeline.base.settings import ComputeSettings
from pipeline.training.reading import Training
from tests.conftest import PARAMS

SMALL = {"width": 16, "projection": 8, "layers": 1, "dropout": 0.0}
SHORT = {"seeds": (1, 2), "epochs": 4, "learning_rate": 0.01, "batch_size": 3, "workers": 1}


def toy(name: str = "mcn_cl", corpus: str = "toy", **changes: Any) -> Training:
    """A system of width 16 and four epochs on the CPU, in one process."""
    params = read_params(PARAMS)
    settings = params.system("demo_meld", name)
    known = {k: v for k, v in (SMALL | SHORT).items() if k in type(settings).model_fields}
    compute = params.of(ComputeSettings).model_copy(update={"device": "cpu"})
    return Training(corpus, name, settings.model_copy(update=known | changes), compute)


def changed(training: Training, **changes: Any) -> Training:
    """The same with other settings."""
    return replace(training, settings=training.settings.model_copy(update=changes))


def outputs(corpus: str = "toy", name: str = "mcn_cl") -> dict[str, bytes]:
    """The bytes of every file that training writes."""
    files = [paths.epochs(corpus, name), paths.metrics(corpus, name, "history.csv")]
    files += sorted(paths.checkpoints(corpus, name).iterdir())
    return {file.name: file.read_bytes() for file in files}
