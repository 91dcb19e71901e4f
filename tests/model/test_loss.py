"""Tests the training loss: which turns count, the weights of its terms, and batches without any."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from pipeline.model.contrastive import supervised_contrastive_loss
from pipeline.model.loss import Loss
from tests.model.batches import CLASSES, random_batch, small_model, without


def test_terms_and_weights():
    batch, weights = random_batch(), {"text": 0.5, "audio": 0.25, "visual": 2.0}
    output = small_model()(batch)
    terms = Loss(temperature=0.7, contrastive_weight=3.0, modality_weights=weights)(output, batch)
    real = batch.turn_mask
    entropy = functional.cross_entropy(output.logits[real], batch.labels[real])
    torch.testing.assert_close(terms.cross_entropy, entropy)
    expected = {
        m: supervised_contrastive_loss(z[real], batch.labels[real], temperature=0.7)
        for m, z in output.projections.items()
    }
    torch.testing.assert_close(terms.per_modality, expected)
    contrastive = sum(weights[m] * loss for m, loss in expected.items())
    torch.testing.assert_close(terms.contrastive, contrastive)
    torch.testing.assert_close(terms.total, entropy + 3 * contrastive)


def test_class_weights_and_smoothing_are_pytorchs():
    batch, weights = random_batch(), torch.tensor([1.0, 2.0, 0.5, 4.0])
    output = small_model(contrastive=False)(batch)
    terms = Loss(class_weights=weights, label_smoothing=0.1)(output, batch)
    real = batch.turn_mask
    expected = functional.cross_entropy(
        output.logits[real], batch.labels[real], weights, label_smoothing=0.1
    )
    torch.testing.assert_close(terms.total, expected)
    assert terms.per_modality == {}
    assert terms.contrastive == 0


def test_unlabelled_and_padded_turns_give_no_loss():
    batch, model, loss = random_batch((4, 3)), small_model(), Loss()
    output = model(batch)
    hidden = replace(batch, labels=batch.labels.index_fill(1, torch.tensor([0]), -1))
    some = loss(output, hidden)
    real = batch.turn_mask.clone()
    real[:, 0] = False
    expected = functional.cross_entropy(output.logits[real], batch.labels[real])
    torch.testing.assert_close(some.cross_entropy, expected)
    # Labels in padding, whatever they are, change nothing.
    padded = replace(batch, labels=torch.where(batch.turn_mask, batch.labels, 2))
    torch.testing.assert_close(loss(output, padded).total, loss(output, batch).total)


@pytest.mark.parametrize("class_weights", [None, torch.ones(CLASSES)])
def test_without_labels_the_loss_is_zero_and_has_a_graph(class_weights):
    batch, model = random_batch(), small_model()
    batch = replace(batch, labels=torch.full_like(batch.labels, -1))
    terms = Loss(class_weights=class_weights)(model(batch), batch)
    terms.total.backward()
    assert terms.total.item() == 0
    assert all(p.grad is None or p.grad.count_nonzero() == 0 for p in model.parameters())


def test_a_missing_modality_is_no_contrastive_sample():
    batch, model = random_batch(), small_model()
    where = torch.zeros_like(batch.turn_mask)
    where[0, :2] = True
    batch = without(batch, "audio", where)
    output = model(batch)
    sampled = batch.turn_mask & ~where
    expected = supervised_contrastive_loss(
        output.projections["audio"][sampled], batch.labels[sampled], temperature=0.8
    )
    torch.testing.assert_close(Loss()(output, batch).per_modality["audio"], expected)


def test_bfloat16_autocast():
    batch, model = random_batch(), small_model()
    exact = Loss()(model(batch), batch).total.item()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = Loss(class_weights=torch.ones(CLASSES))(model(batch), batch)
    terms.total.backward()
    assert terms.total.dtype == torch.float32
    assert terms.total.item() == pytest.approx(exact, rel=0.05)
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_gradient():
    batch = random_batch((3, 2))
    model = small_model(context="gru").double()
    output = model(batch_in_double(batch))
    names = list(output.projections)

    def total(logits, *projections):
        named = dict(zip(names, projections, strict=True))
        return Loss()(replace(output, logits=logits, projections=named), batch).total

    inputs = [output.logits, *output.projections.values()]
    leaves = tuple(tensor.detach().requires_grad_() for tensor in inputs)
    assert torch.autograd.gradcheck(total, leaves)


def batch_in_double(batch):
    return replace(batch, features={m: x.double() for m, x in batch.features.items()})


def test_bad_settings_are_refused_at_once():
    with pytest.raises(ValueError, match="Bad temperature"):
        Loss(temperature=-1)
