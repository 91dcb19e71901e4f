"""Feature stores to checkpoints: one model per fold and seed."""

from pipeline.base.params import Params
from pipeline.base.settings import ComputeSettings
from pipeline.base.stage import run
from pipeline.systems.settings import LossSettings, ModelSettings
from pipeline.training.data import TrainingSettings
from pipeline.training.settings import TrainSettings
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
