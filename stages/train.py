"""Feature stores to checkpoints: one model per fold and seed."""

from pipeline.params import Params
from pipeline.settings.compute import ComputeSettings
from pipeline.settings.loss import LossSettings
from pipeline.settings.model import ModelSettings
from pipeline.settings.train import TrainSettings
from pipeline.stage import run
from pipeline.training.data import TrainingSettings
from pipeline.training.train import train_corpus


def work(params: Params, corpus: str) -> None:
    """Trains; test labels are never read."""
    settings = TrainingSettings(
        model=params.of(ModelSettings, corpus),
        loss=params.of(LossSettings, corpus),
        train=params.of(TrainSettings, corpus),
        compute=params.of(ComputeSettings),
    )
    train_corpus(corpus, settings)


if __name__ == "__main__":
    run(work)
