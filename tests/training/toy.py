"""A small training, and what it writes."""

from typing import Any

from pipeline.base import paths
from pipeline.base.params import read_params
from pipeline.base.settings import ComputeSettings
from pipeline.systems.settings import LossSettings, ModelSettings
from pipeline.training.data import TrainingSettings
from pipeline.training.settings import TrainSettings
from tests.conftest import PARAMS


def toy_settings(**train: Any) -> TrainingSettings:
    """Settings of a model of width 16 and four epochs on the CPU, in one process."""
    params = read_params(PARAMS)
    small = {"width": 16, "projection": 8, "layers": 1, "dropout": 0.0}
    short = {"seeds": (1, 2), "epochs": 4, "learning_rate": 0.01, "batch_size": 3, "workers": 1}
    return TrainingSettings(
        model=params.of(ModelSettings, "demo_meld").model_copy(update=small),
        loss=params.of(LossSettings, "demo_meld"),
        train=params.of(TrainSettings, "demo_meld").model_copy(update=short | train),
        compute=params.of(ComputeSettings).model_copy(update={"device": "cpu"}),
    )


def outputs(corpus: str) -> dict[str, bytes]:
    """The bytes of every file that training writes."""
    files = [paths.epochs(corpus), paths.metrics(corpus, "history.csv")]
    files += sorted(paths.checkpoints(corpus).iterdir())
    return {file.name: file.read_bytes() for file in files}
