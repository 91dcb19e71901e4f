"""The naive peer is the same model, its data are in shape, and no other peer is timed."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.dialogues import IEMOCAP, MELD, lengths, random_dialogues
from benchmarks.training import check, differences, make_trainers

TINY = {"text": 5, "audio": 7, "visual": 6}


@pytest.mark.parametrize("shape", [MELD, IEMOCAP], ids=lambda s: s.name)
def test_the_peer_agrees_with_ours(shape):
    tiny = replace(shape, turns=(1, 4.0, 9), deviation=2.0, layers=2)
    difference = differences(tiny, 4, torch.float64, TINY, width=16)
    assert set(difference) >= {"logits", "cross_entropy", "contrastive", "gradient norm"}
    assert max(difference.values()) < 1e-10
    check(difference)


def test_a_disagreement_ends_the_benchmark():
    for value in (2e-5, float("nan")):
        with pytest.raises(SystemExit, match="nothing was timed"):
            check({"logits": value})


@pytest.mark.parametrize("shape", [MELD, IEMOCAP], ids=lambda s: s.name)
def test_dialogues_have_the_corpus_sizes(shape):
    turns = lengths(shape, np.random.default_rng(0))
    assert len(turns) == shape.dialogues
    assert (min(turns) >= shape.turns[0], max(turns)) == (True, shape.turns[2])
    assert np.mean(turns) == pytest.approx(shape.turns[1], rel=0.05)


@pytest.mark.parametrize("shape", [MELD, IEMOCAP], ids=lambda s: s.name)
def test_speakers_and_missing_modalities(shape):
    dialogues = random_dialogues(replace(shape, dialogues=20), dimensions=TINY, missing=0.3)
    people = [int(d.speakers.max()) + 1 for d in dialogues]
    assert shape.speakers[0] <= min(people) <= max(people) <= shape.speakers[1]
    assert all(d.frame_mask[~d.present["visual"]].sum() == 0 for d in dialogues)
    without_text = sum(int((~d.present["text"]).sum()) for d in dialogues)
    assert 0 < without_text < sum(map(len, dialogues))


def test_all_ways_train():
    shape = replace(MELD, dialogues=4, turns=(1, 2.0, 3), deviation=0.8, layers=1, batch=2)
    dialogues = random_dialogues(shape, dimensions=TINY, frames=2)
    trainers = make_trainers(shape, dialogues, width=16)
    assert [way.timed() for way in trainers] == [2, 2, 2, 4]
    for way in trainers:
        before = [p.detach().clone() for p in way.model.parameters()]
        way.learn(dialogues)
        assert not all(map(torch.equal, before, way.model.parameters()))
        assert 0 <= way.padding(dialogues) < 1
