"""Ranks the points of a grid on validation: test labels are not even read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.base import paths
from pipeline.evaluation.evaluate import selected_runs
from pipeline.experiments.grid import REFERENCE
from pipeline.experiments.kept import Reader, fetched
from pipeline.experiments.plan import Experiment
from pipeline.records.epochs import read_epochs
from pipeline.records.protocol import LEARNT, read_protocol

LAST = "train"  # the stage that the points run up to; `evaluate` would give them figures on test


@dataclass(frozen=True)
class Ranking:
    """The points of a grid on one corpus.

    Attributes:
        corpus: Which.
        by_seed: Validation weighted F1 of each seed, in percent, by point; the settings as they are
            stand first, and cannot be chosen.
    """

    corpus: str
    by_seed: Mapping[str, Sequence[float]]

    @property
    def chosen(self) -> str:
        """The point with the highest mean over seeds; of equal ones the first."""
        points = [name for name in self.by_seed if name != REFERENCE]
        return max(points, key=lambda name: float(np.mean(self.by_seed[name])))


def rank(plan: Sequence[Experiment], corpus: str, read: Reader) -> Ranking:
    """Reads what the points of a grid reached on validation.

    Raises:
        PipelineError: A file is gone.
    """
    return Ranking(corpus, {e.variant: validated(read, e.name, corpus) for e in plan})


def validated(read: Reader, name: str, corpus: str) -> list[float]:
    """Validation weighted F1 of each seed at its selected epoch, in percent, folds pooled."""
    with fetched(read, name, paths.protocol(corpus)) as file:
        protocol = read_protocol(file, LEARNT)
    with fetched(read, name, paths.epochs(corpus)) as file:
        rows = read_epochs(file)
    runs = selected_runs(rows, protocol, "valid")
    return [run.scores(protocol.classes).weighted_f1 for run in runs]
