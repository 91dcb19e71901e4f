"""Several folds, and turns without a label: trained, pooled, and never scored."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.base import paths
from pipeline.evaluation.evaluate import selected_runs
from pipeline.records.epochs import read_epochs
from pipeline.records.protocol import Entry, Protocol, read_protocol, write_protocol
from pipeline.training.train import train_system
from tests.synthetic import CLASSES, Size, lay_out
from tests.training.toy import toy

TURNED = {"train": "train", "valid": "test", "test": "valid"}


@pytest.fixture
def protocol(workspace: Path) -> Protocol:
    """Two folds; a whole dialogue and every third turn of the others have no label."""
    entries = [
        replace(e, label=None) if e.dialogue == "train/dia0" or n % 3 == 1 else e
        for n, e in enumerate(lay_out("toy", Size(train=9, valid=5, test=4)))
    ]
    turned = [replace(e, fold=1, split=TURNED[e.split]) for e in entries]
    written = Protocol(CLASSES, [*entries, *turned])
    write_protocol(paths.protocol("toy"), written)
    return written


def train(seeds: tuple[int, ...]) -> None:
    train_system(toy(seeds=seeds, epochs=3, batch_size=1))


def on_test(protocol: Protocol) -> list[Entry]:
    return [e for e in protocol.entries if e.split == "test" and e.label is not None]


@pytest.mark.slow
def test_folds_are_pooled_and_context_is_never_scored(protocol: Protocol) -> None:
    train((1, 2))
    history = pd.read_csv(paths.metrics("toy", "mcn_cl", "history.csv"))
    assert set(zip(history["fold"], history["seed"], strict=True)) == {
        (fold, seed) for fold in (0, 1) for seed in (1, 2)
    }
    # With a dialogue a batch, one batch of each epoch has no labelled turn at all.
    assert np.isfinite(history.select_dtypes("number").to_numpy()).all()
    read = read_protocol(paths.protocol("toy"))
    for run in selected_runs(read_epochs(paths.epochs("toy", "mcn_cl"))[0], read, "test"):
        assert run.utterances == [e.utterance for e in on_test(protocol)]
        assert run.actual.tolist() == [e.label for e in on_test(protocol)]
        assert np.isfinite(run.probabilities).all()
