"""Feature stores to checkpoints: one model of a system per fold and seed."""

from pipeline.base.params import Params
from pipeline.base.settings import ComputeSettings
from pipeline.base.stage import run
from pipeline.training.reading import Training
from pipeline.training.train import train_system


def work(params: Params, corpus: str, system: str) -> None:
    """Train; test labels are never read."""
    settings, compute = params.system(corpus, system), params.of(ComputeSettings)
    train_system(Training(corpus, system, settings, compute))


if __name__ == "__main__":
    run(work)
