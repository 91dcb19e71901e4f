"""Weighted F1 by epoch and split: how a run learnt, and what choosing on test would have gained."""

from collections.abc import Sequence

import pandas as pd

from pipeline.evaluation.evaluate import runs_of
from pipeline.records.epochs import EpochPrediction
from pipeline.records.protocol import LEARNT, SPLITS, Protocol

COLUMNS = ["fold", "seed", "epoch", "split", "weighted_f1"]


def f1_curves(
    history: pd.DataFrame, rows: Sequence[EpochPrediction], protocol: Protocol
) -> pd.DataFrame:
    """The weighted F1 of every split after each epoch of each run.

    Those of train are of the predictions made while training, those of test are derived here:
    training knows no test label.

    Args:
        history: As `train` writes it: fold, seed, epoch, train_weighted_f1, valid_weighted_f1.
        rows: Every epoch's predictions.
        protocol: With all labels.

    Returns:
        A row for each fold, seed, epoch and split, in this order: `COLUMNS`.
    """
    known = history[["fold", "seed", "epoch"]].astype(int)
    parts = [
        known.assign(split=split, weighted_f1=history[f"{split}_weighted_f1"]) for split in LEARNT
    ]
    test = [
        (row.fold, row.seed, row.epoch, "test", _weighted_f1(row, protocol))
        for row in rows
        if row.split == "test"
    ]
    every = pd.concat([*parts, pd.DataFrame(test, columns=COLUMNS)])
    every["split"] = pd.Categorical(every["split"], SPLITS, ordered=True)
    return every.sort_values(COLUMNS[:4], kind="stable").round(4).reset_index(drop=True)


def _weighted_f1(row: EpochPrediction, protocol: Protocol) -> float:
    (run,) = runs_of([row], protocol)
    return run.scores(protocol.classes).weighted_f1
