"""Systems for live conversations: what comes later changes no earlier prediction, bit for bit."""

from dataclasses import replace

import pytest
import torch

from tests.systems.zoo import batch_of, conversations, logits, make

CAUSAL = ("dag_erc", "mvn", "icon")
LENGTHS = (6, 1, 9, 4)


def with_other_turns(batch, first: int):
    """A batch of which all turns from one on are of other speakers and hold other features."""
    later = torch.arange(batch.turn_mask.shape[1]) >= first
    features = {}
    for modality, vectors in batch.features.items():
        changed = later.view(1, -1, *[1] * (vectors.dim() - 2))
        features[modality] = torch.where(changed, 5 * torch.randn_like(vectors), vectors)
    speakers = torch.where(later, (batch.speakers + 1) % 3, batch.speakers)
    return replace(batch, features=features, speakers=speakers)


def first_turns(dialogue, turns: int):
    return replace(
        dialogue,
        utterances=dialogue.utterances[:turns],
        features={m: v[:turns] for m, v in dialogue.features.items()},
        frame_mask=dialogue.frame_mask[:turns],
        present={m: there[:turns] for m, there in dialogue.present.items()},
        speakers=dialogue.speakers[:turns],
        labels=dialogue.labels[:turns],
    )


@pytest.mark.parametrize("first", range(1, 9))
@pytest.mark.parametrize("name", CAUSAL)
def test_a_later_turn_changes_no_earlier_prediction(name, first):
    made = make(name)
    batch = batch_of(made, conversations(LENGTHS, missing=0.1), turns=2)
    with torch.no_grad():
        before, after = (made(b).logits for b in (batch, with_other_turns(batch, first)))
    earlier = batch.turn_mask & (torch.arange(batch.turn_mask.shape[1]) < first)
    assert torch.equal(after[earlier], before[earlier])
    later = batch.turn_mask & ~earlier
    assert (after[later] != before[later]).any(dim=-1).all()


@pytest.mark.parametrize("name", CAUSAL)
def test_a_dialogue_that_breaks_off_has_the_same_predictions(name):
    """But for last bits, as a product of another size may add up in another order."""
    made, (whole,) = make(name), conversations((9,))
    batch, begun = batch_of(made, [whole]), batch_of(made, [first_turns(whole, 5)])
    torch.testing.assert_close(logits(made, begun), logits(made, batch)[:5], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", CAUSAL)
def test_a_later_gap_changes_no_earlier_prediction(name):
    """But for last bits, likewise."""
    made = make(name)
    batch = batch_of(made, conversations((9,), missing=0.0))
    gaps = {m: there & (torch.arange(9) < 5) for m, there in batch.present.items()}
    before, after = (logits(made, b) for b in (batch, replace(batch, present=gaps)))
    torch.testing.assert_close(after[:5], before[:5], rtol=1e-5, atol=1e-5)
    assert not torch.allclose(after[5:], before[5:])


def test_systems_that_read_both_ways_are_not_causal():
    made = make("bc_lstm")
    batch = batch_of(made, conversations(LENGTHS))
    before, after = (made(b).logits for b in (batch, with_other_turns(batch, 3)))
    assert not torch.equal(after[0, :3], before[0, :3])


@pytest.mark.parametrize("name", ["icon", "mvn"])
def test_a_turn_beyond_the_window_is_forgotten(name):
    made = make(name, past=3)
    batch = batch_of(made, conversations((9,), missing=0.0))
    before = logits(made, batch)
    for vectors in batch.features.values():
        vectors[:, 2] += 1
    changed = (logits(made, batch) != before).any(dim=1)
    assert changed.tolist() == [False, False, True, True, True, True, False, False, False]
