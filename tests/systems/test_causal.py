"""Systems for live conversations: what comes later changes no earlier prediction, bit for bit."""

from dataclasses import replace

import pytest
import torch

from tests.systems.zoo import batch_of, conversations, make

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


def without_modalities(batch, first: int):
    """A batch whose turns from one on have no modality."""
    earlier = torch.arange(batch.turn_mask.shape[1]) < first
    return replace(batch, present={m: there & earlier for m, there in batch.present.items()})


@pytest.mark.parametrize("first", range(1, 9))
@pytest.mark.parametrize("change", [with_other_turns, without_modalities])
@pytest.mark.parametrize("name", CAUSAL)
def test_a_later_turn_changes_no_earlier_prediction(name, change, first):
    made = make(name)
    batch = batch_of(made, conversations(LENGTHS, missing=0.1), turns=2)
    with torch.no_grad():
        before, after = (made(b).logits for b in (batch, change(batch, first)))
    earlier = batch.turn_mask & (torch.arange(batch.turn_mask.shape[1]) < first)
    assert torch.equal(after[earlier], before[earlier])
    later = batch.turn_mask & ~earlier
    assert (after[later] != before[later]).any(dim=-1).all()


@pytest.mark.parametrize("name", CAUSAL)
def test_a_dialogue_that_breaks_off_has_the_same_predictions(name):
    made = make(name)
    (whole,) = conversations((9,))
    batch = batch_of(made, [whole])
    begun = replace(
        batch,
        features={m: v[:, :5] for m, v in batch.features.items()},
        frame_mask=batch.frame_mask[:, :5],
        present={m: there[:, :5] for m, there in batch.present.items()},
        turn_mask=batch.turn_mask[:, :5],
        speakers=batch.speakers[:, :5],
        labels=batch.labels[:, :5],
    )
    torch.testing.assert_close(made(begun).logits, made(batch).logits[:, :5], rtol=1e-5, atol=1e-5)


def test_systems_that_read_both_ways_are_not_causal():
    made = make("bc_lstm")
    batch = batch_of(made, conversations(LENGTHS))
    before, after = (made(b).logits for b in (batch, with_other_turns(batch, 3)))
    assert not torch.equal(after[0, :3], before[0, :3])
