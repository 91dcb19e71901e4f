"""Features that training reads: an absurd value silences nothing, and what is wrong is refused."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.nn.outliers import robust
from pipeline.records.features import Features, read_features, write_features
from pipeline.training.data import dialogues, mean_and_std
from pipeline.training.train import train_system
from tests.records.test_features import cell, rewritten
from tests.synthetic import lay_out
from tests.training.toy import toy


def written_anew(modality: str, change: Callable[[Features], None]) -> None:
    """Write a store with other values, under its own digest."""
    path = paths.features("toy", modality)
    store = read_features(path)
    store = replace(store, values=store.values.copy(), utterances=[*store.utterances])
    change(store)
    rows = [
        (name, store.values[start:end] if start < end else None)
        for name, start, end in zip(
            store.utterances, store.offsets[:-1], store.offsets[1:], strict=True
        )
    ]
    write_features(path, rows, store.provenance)


def refused() -> str:
    with pytest.raises(PipelineError) as caught:
        train_system(toy())
    assert not paths.checkpoints("toy", "mcn_cl").exists()
    assert not paths.metrics("toy", "mcn_cl").exists()
    return str(caught.value)


@pytest.mark.parametrize("value", [1e8, -1e30, 3e38])
@pytest.mark.parametrize("modality", ["text", "audio", "visual"])
def test_an_absurd_value_leaves_the_other_rows_as_they_are(
    workspace: Path, modality: str, value: float
) -> None:
    entries = lay_out("toy")

    def statistics() -> tuple[torch.Tensor, torch.Tensor]:
        stores = {modality: read_features(paths.features("toy", modality))}
        return mean_and_std(dialogues(entries, stores, defaultdict(str), 0, "train"), modality)

    def spoil(store: Features) -> None:
        store.values[2, :3] = value

    before = statistics()
    written_anew(modality, spoil)
    for old, new in zip(before, statistics(), strict=True):
        assert torch.equal(old[3:], new[3:]), "of the columns that it is not in"
        assert (old - new).abs().max() < 0.25, "less by a row"
    train_system(toy(seeds=(1,), epochs=1))


def test_heavy_tails_rare_events_and_constants_count_in_full() -> None:
    generator = np.random.default_rng(0)
    tails = generator.standard_t(2, size=(1000, 20))
    events = (generator.random((1000, 20)) < 0.002) * generator.normal(size=(1000, 20))
    noise = np.zeros((1000, 2))
    noise[0], noise[7] = 1e-7, 0.5
    for rows in (tails, events, noise, np.ones((5, 3)), np.zeros((1, 1)), np.array([[1.0], [9e9]])):
        mean, std = rows.mean(0), rows.std(0)
        deviation = np.abs(rows - mean).mean(0)
        found = robust(len(rows), mean, std, deviation, lambda some: rows[:, some])  # noqa: B023
        assert np.array_equal(found, [mean, std])


def test_an_absurd_value_by_hand() -> None:
    rows = np.array([[1.0], [2.0], [3.0], [1e30]])
    mean, std = rows.mean(0), rows.std(0)
    found = robust(4, mean, std, np.abs(rows - mean).mean(0), lambda some: rows[:, some])
    assert np.allclose(found, [[2.0], [np.sqrt(2 / 3)]])


def test_nan_in_validation_is_refused_before_training(workspace: Path) -> None:
    entries = lay_out("toy")
    place = next(n for n, entry in enumerate(entries) if entry.split == "valid")
    bad = {"values": cell(*[1.0] * 5, np.nan)}
    rewritten(paths.features("toy", "text"), lambda rows: rows[place].update(bad))
    assert f"values of {entries[place].utterance} are NaN or infinite" in refused()


def test_rows_under_the_ids_of_others_are_refused(workspace: Path) -> None:
    lay_out("toy")

    def swap(store: Features) -> None:
        store.utterances[0], store.utterances[1] = store.utterances[1], store.utterances[0]

    written_anew("text", swap)
    assert "text features stand in another order than the utterances" in refused()
