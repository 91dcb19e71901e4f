"""Tests the whole model: invariances, missing modalities, its switches, and that it can learn."""

from dataclasses import replace
from itertools import combinations

import pytest
import torch

from pipeline.model.inputs import MODALITIES
from pipeline.model.loss import Loss
from tests.model.batches import CLASSES, DIMENSIONS, map_turns, random_batch, small_model, without

CONTEXTS = ("dialogue_rnn", "gru", "none")
SUBSETS = [subset for n in (1, 2, 3) for subset in combinations(MODALITIES, n)]


def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("modalities", SUBSETS)
def test_a_prediction_depends_on_its_dialogue_alone(modalities, context):
    model = small_model(dimensions={m: DIMENSIONS[m] for m in modalities}, context=context)
    batch = random_batch()
    together = model(batch)
    for row, length in enumerate(batch.turn_mask.sum(dim=1).tolist()):
        alone = map_turns(batch, lambda x, r=row, n=length: x[r : r + 1, :n])
        longest = int(alone.frame_mask.sum(dim=-1).max())
        alone.features["visual"] = alone.features["visual"][:, :, :longest]
        output = model(replace(alone, frame_mask=alone.frame_mask[..., :longest]))
        close(together.logits[row, :length], output.logits[0])
        for modality in modalities:
            close(together.projections[modality][row, :length], output.projections[modality][0])


def test_padding_holds_anything():
    model, batch = small_model(), random_batch()
    features = {m: x.clone() for m, x in batch.features.items()}
    for values in features.values():
        values[~batch.turn_mask] = torch.nan
    features["visual"][~batch.frame_mask] = torch.nan
    speakers = torch.where(batch.turn_mask, batch.speakers, -5)
    spoiled = replace(batch, features=features, speakers=speakers, labels=batch.labels * 0 - 1)
    mask = batch.turn_mask
    output = model(spoiled)
    close(output.logits[mask], model(batch).logits[mask])
    output.logits[mask].sum().backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(grad.isfinite().all() for grad in grads)


def test_dialogue_order_equivariance():
    model, batch = small_model(), random_batch()
    order = torch.tensor([2, 0, 3, 1])
    mask = batch.turn_mask[order]
    shuffled = model(map_turns(batch, lambda x: x[order])).logits
    close(shuffled[mask], model(batch).logits[order][mask])


@pytest.mark.parametrize("mcn", [False, True])
def test_without_context_turn_order_means_nothing(mcn):
    # Cross-attention has no positions, so it does not know the order either.
    model, batch = small_model(context="none", mcn=mcn), random_batch((5,))
    order = torch.tensor([3, 1, 4, 0, 2])
    shuffled = model(map_turns(batch, lambda x: x[:, order])).logits
    close(shuffled, model(batch).logits[:, order])


def test_without_context_and_mcn_an_utterance_stands_alone():
    model, batch = small_model(context="none", mcn=False), random_batch((5,))
    alone = model(map_turns(batch, lambda x: x[:, 2:3])).logits
    close(alone[:, 0], model(batch).logits[:, 2])


def test_renaming_speakers_changes_nothing():
    model, batch = small_model(), random_batch()
    renamed = replace(batch, speakers=torch.tensor([2, 0, 1])[batch.speakers])
    close(model(renamed).logits, model(batch).logits)


def test_the_order_of_the_dict_changes_nothing():
    backwards = dict(reversed(DIMENSIONS.items()))
    model, other = small_model(), small_model(dimensions=backwards)
    batch = random_batch()
    assert torch.equal(model(batch).logits, other(batch).logits)
    assert list(model.state_dict()) == list(other.state_dict())


def missing_patterns(batch):
    """Each pattern names what is missing where, [batch, turn] per modality."""
    nowhere = torch.zeros_like(batch.turn_mask)
    whole_dialogue, one_turn = nowhere.clone(), nowhere.clone()
    whole_dialogue[0] = True
    one_turn[1, 1] = True
    yield from ({m: whole_dialogue} for m in MODALITIES)
    yield dict.fromkeys(MODALITIES, one_turn)
    yield dict.fromkeys(MODALITIES, whole_dialogue | one_turn)
    yield dict.fromkeys(MODALITIES, ~nowhere)
    yield {"visual": ~nowhere}


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("pattern", range(7))
def test_missing_modalities(pattern, context):
    model, batch = small_model(context=context).train(), random_batch()
    for modality, where in list(missing_patterns(batch))[pattern].items():
        batch = without(batch, modality, where)
    output = model(batch)
    assert output.logits.isfinite().all()
    Loss()(output, batch).total.backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(grad.isfinite().all() for grad in grads)
    assert model.missing.grad.count_nonzero() > 0


def test_visual_without_a_frame_is_missing():
    model, batch = small_model(), random_batch()
    where = torch.zeros_like(batch.turn_mask)
    where[0, 1] = True
    no_frames = replace(batch, frame_mask=batch.frame_mask & ~where.unsqueeze(-1))
    close(model(no_frames).logits, model(without(batch, "visual", where)).logits)


def shapes(**changes):
    return {name: p.shape for name, p in small_model(**changes).named_parameters()}


@pytest.mark.parametrize(
    ("switch", "prefix"),
    [("psa", "encoders.visual.psa."), ("mcn", "mcn."), ("contrastive", "heads.")],
)
def test_a_switch_removes_its_parameters_and_no_others(switch, prefix):
    full, reduced = shapes(), shapes(**{switch: False})
    assert reduced == {name: s for name, s in full.items() if not name.startswith(prefix)}
    assert any(name.startswith(prefix) for name in full)


def test_switches_show_in_the_output():
    batch, full = random_batch(), small_model()
    assert set(full(batch).projections) == set(MODALITIES)
    assert small_model(contrastive=False)(batch).projections == {}
    assert full(batch).logits.shape == (*batch.turn_mask.shape, CLASSES)


def test_without_mcn_the_heads_act_on_the_context():
    model, batch = small_model(mcn=False), random_batch()
    available = torch.stack([batch.available(m) for m in MODALITIES])
    context = model._contextualise(model._encode(batch, available), batch)
    close(model(batch).projections["audio"], model.heads["audio"](context[1]))


def test_one_modality_has_no_cross_attention():
    assert small_model(dimensions={"text": 5}).mcn is None


def test_every_parameter_is_trained():
    model, batch = small_model(), random_batch()
    where = torch.zeros_like(batch.turn_mask)
    where[0, 0] = True
    for modality in MODALITIES:  # the learned vectors need something missing
        batch = without(batch, modality, where)
    Loss()(model(batch), batch).total.backward()
    dead = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []


def test_standardise_is_part_of_the_model():
    model, batch = small_model(), random_batch()
    mean, std = torch.full((5,), 3.0), torch.full((5,), 2.0)
    shifted = replace(batch, features={**batch.features, "text": batch.features["text"] * 2 + 3})
    before = model(batch).logits
    model.standardise("text", mean, std)
    close(model(shifted).logits, before)


def test_the_same_seed_gives_the_same_model_and_gradients():
    torch.use_deterministic_algorithms(True)
    try:
        results = []
        for _ in range(2):
            model, batch = small_model().train(), random_batch()
            Loss()(model(batch), batch).total.backward()
            results.append(torch.cat([p.grad.flatten() for p in model.heads.parameters()]))
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(*results)


def test_to_moves_every_tensor():
    batch = random_batch().to("meta")
    tensors = [*batch.features.values(), *batch.present.values(), batch.frame_mask]
    tensors += [batch.turn_mask, batch.speakers, batch.labels]
    assert {t.device.type for t in tensors} == {"meta"}
    assert replace(random_batch(), frame_mask=None).to("cpu").frame_mask is None


@pytest.mark.parametrize("context", ["dialogue_rnn", "none"])
def test_overfits_twenty_utterances(context):
    batch = random_batch((8, 7, 5))
    model = small_model(context=context, dropout=0.0, layers=1).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(80):
        optimiser.zero_grad()
        Loss()(model(batch), batch).total.backward()
        optimiser.step()
    mask = batch.turn_mask
    predicted = model.eval()(batch).logits.argmax(dim=-1)
    assert torch.equal(predicted[mask], batch.labels[mask])


@pytest.mark.parametrize("dimensions", [{}, {"text": 5, "smell": 3}])
def test_bad_modalities_are_refused(dimensions):
    with pytest.raises(ValueError, match="Bad modalities"):
        small_model(dimensions=dimensions)
