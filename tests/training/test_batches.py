"""What an epoch learns from: each dialogue once, or rare classes more often; similar lengths."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.nn.batch import Dialogue
from pipeline.training.batches import draw, length_buckets, sampling_weights
from pipeline.training.learner import DialogueLearner
from tests.systems.zoo import conversations, fold_of


def dialogue(*labels: int) -> Dialogue:
    """One that has nothing but labels."""
    return Dialogue("", [""] * len(labels), {}, None, {}, torch.zeros(0), torch.tensor(labels))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_weights_by_hand() -> None:
    """Class 0 has four utterances, class 1 one; unlabelled turns count nowhere."""
    found = sampling_weights([dialogue(0, 0), dialogue(0, 0, 1), dialogue(-1, -1)], classes=3)
    assert found.tolist() == pytest.approx([1 / 4, (1 / 4 + 1 / 4 + 1) / 3, 0])


def test_rare_classes_are_drawn_as_often_as_their_weight_says() -> None:
    train = [dialogue(0, 0), dialogue(0, 0, 1), dialogue(-1)]
    drawn = [n for seed in range(2000) for n in draw(train, "class_balanced", 2, seeded(seed))]
    assert len(drawn) == 6000 and 2 not in drawn, "a dialogue without a label teaches nothing"
    assert drawn.count(1) / len(drawn) == pytest.approx(0.5 / 0.75, abs=0.03)


def test_each_epoch_and_each_run_draws_anew() -> None:
    """A seed that came again with each epoch would repeat its dropout and its order."""
    fold = fold_of("bc_lstm", train=conversations(range(1, 13)), batch_size=3)
    one, other = (DialogueLearner(fold, seed) for seed in (1, 2))
    drawn = [
        (learner.seed(n, 0), str(learner.batches(n))) for learner in (one, other) for n in (1, 2)
    ]
    for parts in zip(*drawn, strict=True):
        assert len({*parts}) == 4
    assert one.seed(1, 1) is None, "an epoch's later steps go on"
    assert str(one.batches(1)) == drawn[0][1]


def test_all_takes_each_dialogue_once() -> None:
    assert draw([dialogue(0)] * 5, "all", 2, seeded()) == [0, 1, 2, 3, 4]


@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=50), size=st.integers(1, 9))
def test_buckets_hold_each_place_once(lengths: list[int], size: int) -> None:
    batches = length_buckets(lengths, size, seeded())
    assert sorted(place for batch in batches for place in batch) == list(range(len(lengths)))
    assert all(len(batch) <= size for batch in batches)
    assert sum(len(batch) < size for batch in batches) <= 1


def test_buckets_hold_similar_lengths_and_differ_between_epochs() -> None:
    lengths = torch.randint(1, 60, (200,), generator=seeded()).tolist()
    first, second = (length_buckets(lengths, 10, seeded(s)) for s in (1, 2))
    slots = sum(len(b) * max(lengths[n] for n in b) for b in first)
    assert slots < 1.15 * sum(lengths), "random batches would have nearly twice the slots"
    assert first != second
    assert {frozenset(b) for b in first} != {frozenset(b) for b in second}
