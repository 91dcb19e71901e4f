"""The loss of MCN-CL: which turns count, the weights of its terms, and batches without any."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from pipeline.nn.batch import MODALITIES
from pipeline.nn.contrastive import supervised_contrastive_loss
from pipeline.nn.entropy import Entropy
from pipeline.systems.base import Output
from tests.systems.dialogues import (
    CLASSES,
    collate,
    fresh_model,
    in_float32,
    loss_of,
    make_dialogues,
    make_model,
    total_of,
)

LENGTHS = (5, 3, 1, 4)


@pytest.fixture
def batch():
    """Dialogues with gaps, and turns without a label."""
    batch = collate(make_dialogues(LENGTHS))
    labels = batch.labels.clone()
    labels[0, 1] = labels[3, 0] = -1
    return replace(batch, labels=labels)


def random_output(batch, filler=torch.nan):
    """A model's random output, with `filler` in turns without one."""
    shape = batch.turn_mask.shape
    logits = torch.randn(*shape, CLASSES, dtype=torch.float64)
    logits[~batch.turn_mask] = filler
    projections = {}
    for modality in MODALITIES:
        vectors = torch.randn(*shape, 6, dtype=torch.float64)
        projections[modality] = functional.normalize(vectors, dim=-1)
        projections[modality][~batch.available(modality)] = filler
    return Output(logits, projections)


def labelled_turns(batch):
    """Dialogue and turn of each labelled utterance."""
    turns = [(row, turn) for row, length in enumerate(LENGTHS) for turn in range(length)]
    return [(row, turn) for row, turn in turns if batch.labels[row, turn] >= 0]


def test_without_projections_the_cross_entropy_is_the_loss(batch):
    output, entropy = Output(random_output(batch).logits), Entropy(focal=2.0)
    terms = make_model().losses(output, batch, entropy)
    assert terms == {"cross_entropy": entropy(output.logits, batch.labels)}


@pytest.mark.parametrize(
    "settings",
    [{}, {"temperature": 0.1}, {"hard_ratio": 0.9}, {"hard_ratio": None, "denominator": "all"}],
    ids=str,
)
def test_eq_27(batch, settings):
    weights = {"text_weight": 0.5, "audio_weight": 0.25, "visual_weight": 2.0}
    output = random_output(batch)
    model = make_model(contrastive=3.0, **weights, **settings)
    terms = model.losses(output, batch, Entropy())
    expected = {}
    for m in MODALITIES:
        # An utterance that lacks the modality is left out.
        there = [at for at in labelled_turns(batch) if batch.present[m][at]]
        projected = torch.stack([output.extra[m][at] for at in there])
        labels = torch.stack([batch.labels[at] for at in there])
        expected[m] = supervised_contrastive_loss(
            projected, labels, **{"temperature": 0.8} | settings
        )
    assert all(loss > 0 for loss in expected.values())
    contrastive = 0.5 * expected["text"] + 0.25 * expected["audio"] + 2 * expected["visual"]
    torch.testing.assert_close(terms["contrastive"], 3 * contrastive)


def test_prototypes_take_part_as_an_utterance_of_each_class_does(batch):
    labels = torch.full_like(batch.labels, -1)
    labels[0, 0], labels[1, 1] = 0, 1  # neither has a positive among the utterances
    batch = replace(batch, labels=labels, present=dict.fromkeys(MODALITIES, batch.turn_mask))
    output = random_output(batch)
    assert make_model().losses(output, batch, Entropy())["contrastive"] == 0
    model = make_model(prototypes=True, projection=6, hard_by_class=True)
    terms = []
    for m in MODALITIES:
        learned = functional.normalize(model.prototypes[m], dim=-1)
        vectors = torch.stack([output.extra[m][0, 0], output.extra[m][1, 1], *learned])
        both = torch.tensor([0, 1, *range(CLASSES)])
        terms.append(supervised_contrastive_loss(vectors, both, temperature=0.8, by_class=True))
    total = model.losses(output, batch, Entropy())["contrastive"]
    torch.testing.assert_close(total, torch.stack(terms).sum() / 3, rtol=1e-3, atol=0)
    assert total > 0
    total.backward()
    assert all(model.prototypes[m].grad.count_nonzero() for m in MODALITIES)


@pytest.mark.parametrize(
    "settings", [{}, {"class_weights": torch.ones(CLASSES)}, {"focal": 2.0}], ids=str
)
def test_without_labels_the_loss_is_zero_and_has_a_graph(batch, settings):
    model, batch = make_model(), replace(batch, labels=torch.full_like(batch.labels, -1))
    total = loss_of(model, batch, Entropy(**settings))
    total.backward()
    assert total.item() == 0
    assert all(p.grad is None or p.grad.count_nonzero() == 0 for p in model.parameters())


def test_bfloat16_autocast(batch):
    batch, model = in_float32(batch), fresh_model()
    exact = loss_of(model, batch).item()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        total = loss_of(model, batch, Entropy(class_weights=torch.ones(CLASSES)))
    total.backward()
    assert total.dtype == torch.float32
    assert total.item() == pytest.approx(exact, rel=0.05)
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    ("entropy", "settings"),
    [
        (Entropy(focal=2.0), {}),
        (Entropy(label_smoothing=0.1), {"hard_ratio": None, "denominator": "all"}),
    ],
    ids=str,
)
def test_gradient(batch, entropy, settings):
    output, model = random_output(batch, filler=0.5), make_model(**settings)
    leaves = [x.requires_grad_() for x in (output.logits, *output.extra.values())]

    def total(logits, *projections):
        named = dict(zip(MODALITIES, projections, strict=True))
        return total_of(model, Output(logits, named), batch, entropy)

    assert torch.autograd.gradcheck(total, leaves, fast_mode=True)
