"""Speakers standardised by themselves: hand-computed vectors, and one way in training and use."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.base import paths
from pipeline.nn.batch import Dialogue
from pipeline.prediction.checkpoints import Trained
from pipeline.records.epochs import read_epochs
from pipeline.systems.base import FeatureSettings
from pipeline.training.checkpoint import load_checkpoint
from pipeline.training.data import FEW, as_read
from pipeline.training.reading import read_data
from pipeline.training.train import train_system
from tests.synthetic import Size, lay_out
from tests.training.toy import toy

BY_SPEAKER = FeatureSettings(enabled=True, modalities=("audio", "visual"), standardise="speaker")
BY_CORPUS = BY_SPEAKER.model_copy(update={"standardise": "corpus"})


def spoken(names: str, audio: Tensor, there: list[bool] | None = None) -> Dialogue:
    """A dialogue of the speakers whose letters are given, with one feature."""
    turns = len(names)
    present = torch.tensor(there or [True] * turns)
    return Dialogue(
        name=names,
        utterances=[f"{names}{turn}" for turn in range(turns)],
        features={"audio": audio.view(turns, -1)},
        frame_mask=None,
        present={"audio": present},
        speakers=torch.zeros(turns, dtype=torch.long),
        labels=torch.full((turns,), -1),
        names=list(names),
    )


def test_each_speaker_by_their_own_mean_and_deviation() -> None:
    # Ann alternates between 10 and 14, Bob between -1 and 1: both come out as -1 and 1.
    first = spoken("ABABABAB", torch.tensor([10.0, -1, 14, 1, 10, -1, 14, 1]))
    second = spoken("BABABABA", torch.tensor([-1.0, 10, 1, 14, -1, 10, 1, 14]))
    read = as_read([first, second], BY_SPEAKER)
    assert FEW == 8
    for dialogue in read:
        expected = torch.tensor([-1.0, -1, 1, 1, -1, -1, 1, 1])[:, None]
        torch.testing.assert_close(dialogue.features["audio"], expected)
    assert torch.equal(first.features["audio"][:2, 0], torch.tensor([10.0, -1])), "not in place"
    assert as_read([first], BY_CORPUS)[0] is first


def test_those_with_few_utterances_are_taken_together() -> None:
    # Seven of Ann's have the sound, as has one of Cid's: their mean is 3, their deviation 3.
    ann, cid = torch.tensor([0.0, 0, 0, 0, 6, 6, 6]), torch.tensor([6.0])
    dialogue = spoken(
        "AAAAAAAAC", torch.cat([ann, torch.tensor([99.0]), cid]), [True] * 7 + [False, True]
    )
    (read,) = as_read([dialogue], BY_SPEAKER)
    expected = torch.tensor([-1.0, -1, -1, -1, 1, 1, 1, 99, 1])
    torch.testing.assert_close(read.features["audio"][:, 0], expected)


def test_a_feature_that_never_varies_is_centred_alone() -> None:
    values = torch.stack([torch.arange(8.0), torch.full((8,), 5.0)], dim=1)
    (read,) = as_read([spoken("AAAAAAAA", values)], BY_SPEAKER)
    assert torch.equal(read.features["audio"][:, 1], torch.zeros(8))
    torch.testing.assert_close(read.features["audio"][:, 0].square().mean(), torch.tensor(1.0))


def test_frames_count_one_by_one() -> None:
    frames = torch.zeros(8, 2, 1)
    frames[:, 0, 0], frames[:, 1, 0] = 1.0, 3.0
    frames[0, 1] = torch.nan  # padding
    mask = torch.ones(8, 2, dtype=torch.bool)
    mask[0, 1] = False
    dialogue = replace(
        spoken("AAAAAAAA", torch.zeros(8)),
        features={"visual": frames},
        present={"visual": torch.ones(8, dtype=torch.bool)},
        frame_mask=mask,
    )
    (read,) = as_read([dialogue], BY_SPEAKER)
    real = frames[mask].double().numpy()
    expected = (real - real.mean()) / real.std()
    np.testing.assert_allclose(read.features["visual"][mask].numpy(), expected, rtol=1e-5)


@pytest.mark.slow
def test_training_and_a_checkpoint_read_the_same(workspace: Path) -> None:
    lay_out("toy", Size(train=9, valid=5, test=4))
    training = toy(seeds=(1,), epochs=2, standardise="speaker")
    train_system(training)
    plain = toy(seeds=(1,), epochs=2)
    data, other = read_data(training), read_data(plain)
    assert not torch.equal(
        data.fold(0).test[0].features["text"], other.fold(0).test[0].features["text"]
    )
    stores = {m: store.provenance for m, store in data.stores.items()}
    file = paths.checkpoints("toy", "mcn_cl") / "fold0-seed1.safetensors"
    model, facts = load_checkpoint(file, stores)
    assert facts["settings"]["standardise"] == "speaker"
    predicted = Trained(0, 1, model, None).probabilities(other.fold(0).test)
    (known,) = (
        row
        for row in read_epochs(paths.epochs("toy", "mcn_cl"))[0]
        if row.selected and row.split == "test"
    )
    assert np.array_equal(predicted, known.probabilities)
