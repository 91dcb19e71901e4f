"""The naive peer is the same model, its data are in shape, and no other peer is timed."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks import systems
from benchmarks.dialogues import IEMOCAP, MELD, lengths, random_dialogues
from benchmarks.harness import bare_epoch, epoch, fold_of
from benchmarks.measure import Cost
from benchmarks.training import check, differences, make_trainers
from pipeline.training.fit import Run
from pipeline.training.learner import DialogueLearner

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


def test_the_longest_dialogues_have_all_turns_and_speakers():
    dialogues = random_dialogues(systems.LONGEST, dimensions=TINY, frames=2)
    assert [len(d) for d in dialogues] == [110] * 8
    assert [sorted(set(d.speakers.tolist())) for d in dialogues] == [list(range(9))] * 8


@pytest.mark.parametrize("name", ["bc_lstm", "mcihn", "telme", "mcn_cl"])
def test_the_costs_of_systems_are_measured_games_and_stages_too(name):
    long = replace(systems.LONGEST, dialogues=2, turns=(4, 4, 4))
    halved = replace(long, dialogues=4, turns=(2, 2, 2))
    costs = systems.measured(name, (long, halved), halved, rounds=1, frames=2)
    assert costs.parameters > costs.beside_inputs > 0
    assert min(costs.step.wall, costs.growth, costs.prediction.wall, costs.epoch.wall) > 0


@pytest.mark.slow
def test_a_system_that_fails_has_a_row_and_leaves_the_others_theirs(monkeypatch, capsys):
    done = systems.Costs(
        *(2_000_000, 1_500_000, Cost(0.25, 0.5), 1.75, Cost(0.1, 0.2), 1234.5, Cost(60.0, 70.0))
    )
    rows = {"bc_lstm": systems.in_a_process("no|body"), "mcn_cl": systems.cells(done)}
    monkeypatch.setattr(systems, "in_a_process", rows.__getitem__)
    systems.main(["--systems", "bc_lstm", "mcn_cl"])
    header, rule, first, second = capsys.readouterr().out.splitlines()
    assert len({line.count("|") for line in (header, rule, first, second)}) == 1
    assert first.startswith("| `bc_lstm` | failed, ModuleNotFoundError: No module named")
    assert (
        second
        == "| `mcn_cl` | 2.00 M | 1.50 M | 0.25 | 0.50 | 1.75 | 0.10 | 0.20 | 1,234 | 60.0 | 70.0 |"
    )


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


def test_the_harness_and_the_bare_loop_learn_from_the_same_batches():
    dialogues = random_dialogues(replace(MELD, dialogues=40), dimensions=TINY, frames=2)
    ours, bare = (
        Run(DialogueLearner(fold_of("bc_lstm", dialogues, len(MELD.classes)), seed=1))
        for _ in range(2)
    )
    for run, learn in ((ours, lambda: epoch(ours)), (bare, lambda: bare_epoch(bare, dialogues))):
        run._enter(0)
        before = [p.detach().clone() for p in run.learner.model.parameters()]
        learn()
        assert not all(map(torch.equal, before, run.learner.model.parameters()))
    assert ours.learner.batches(1) == bare.learner.batches(1)
