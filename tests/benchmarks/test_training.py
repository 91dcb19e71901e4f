"""Tests that the benchmark's naive peer is the same model, and that its data are in shape."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.agreement import check, differences
from benchmarks.synthetic_dialogues import IEMOCAP, MELD, lengths, random_dialogues
from benchmarks.ways import make_ways

TINY = {"text": 5, "audio": 7, "visual": 6}


@pytest.mark.parametrize("shape", [MELD, IEMOCAP], ids=lambda s: s.name)
def test_the_peer_agrees_with_ours(shape):
    tiny = replace(shape, turns=(1, 4.0, 9), deviation=2.0, layers=2)
    found = differences(tiny, 4, torch.float64, TINY, width=16)
    assert set(found) >= {"logits", "cross-entropy", "contrastive, visual", "gradient norm"}
    assert max(found.values()) < 1e-10
    check(found)


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
    found = random_dialogues(replace(shape, dialogues=20), dimensions=TINY, missing=0.3)
    people = [int(d.speakers.max()) + 1 for d in found]
    assert shape.speakers[0] <= min(people) <= max(people) <= shape.speakers[1]
    assert all(d.frame_mask[~d.present["visual"]].sum() == 0 for d in found)
    assert 0 < sum(int((~d.present["text"]).sum()) for d in found) < sum(map(len, found))


def test_all_ways_train():
    shape = replace(MELD, dialogues=4, turns=(1, 2.0, 3), deviation=0.8, layers=1, batch=2)
    dialogues = random_dialogues(shape, dimensions=TINY, frames=2)
    for way in make_ways(shape, dialogues, timed=1, width=16):
        before = [p.detach().clone() for p in way.model.parameters()]
        way.warm_up(dialogues)
        way.round(dialogues)
        assert not all(map(torch.equal, before, way.model.parameters()))
        assert way.steps[0].wall > 0
        assert 0 <= way.padding(dialogues) < 1
