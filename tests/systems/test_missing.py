"""Missing modalities: finite results and gradients whatever is missing, none of it read."""

from dataclasses import replace

import pytest
import torch

from pipeline.nn.batch import MODALITIES
from tests.systems.dialogues import (
    SUBSETS,
    collate,
    fresh_model,
    in_float32,
    loss_of,
    make_dialogues,
    make_model,
    total_of,
    without,
)

LENGTHS = (5, 3, 4)
SWITCHES = [
    {"context": "gru"},
    {"context": "none"},
    {"psa": False, "mcn": False},
    {"psa_activation": "none"},
]
MODELS = [(modalities, {}) for modalities in SUBSETS] + [(MODALITIES, o) for o in SWITCHES]
WHOLE_BATCH = [(), *((m,) for m in MODALITIES), MODALITIES]


def complete(lengths=LENGTHS, **options):
    """Dialogues with nothing missing."""
    return collate(make_dialogues(lengths, missing=0.0), **options)


def turns_of(batch, row, turn):
    """True at those turns of that dialogue, [batch, turn]."""
    where = torch.zeros_like(batch.turn_mask)
    where[row, turn] = True
    return where


def frameless(batch, row, turn):
    """The batch with a present visual utterance that has no frame."""
    gone = turns_of(batch, row, turn).unsqueeze(-1)
    visual = batch.features["visual"].masked_fill(gone.unsqueeze(-1), torch.nan)
    features = batch.features | {"visual": visual}
    return replace(batch, features=features, frame_mask=batch.frame_mask & ~gone)


def full_of_gaps(everywhere):
    """Dialogues with different gaps; the modalities `everywhere` are missing in the whole batch."""
    batch = complete([3] * 6, extra_turns=1)
    for row, modality in enumerate(MODALITIES):  # dialogues 0 to 2 lack one modality throughout
        batch = without(batch, modality, turns_of(batch, row, slice(None)))
        batch = without(batch, modality, turns_of(batch, 3, slice(None)))  # 3 lacks all
        batch = without(batch, modality, turns_of(batch, 4, 1))  # 4 lacks all for a turn
    batch = frameless(batch, 4, 2)  # and then is without a frame; 5 lacks nothing
    for modality in everywhere:
        batch = without(batch, modality, batch.turn_mask)
    return batch


@pytest.mark.parametrize("everywhere", WHOLE_BATCH, ids=str)
@pytest.mark.parametrize(("modalities", "options"), MODELS, ids=str)
def test_forward_and_backward_are_finite(modalities, options, everywhere):
    batch, model = full_of_gaps(everywhere), make_model(*modalities, **options)
    assert model(batch).logits[batch.turn_mask].isfinite().all()
    output = model.train()(batch)  # with dropout
    assert all(values.isfinite().all() for values in (output.logits, *output.extra.values()))
    total_of(model, output, batch).backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(g.isfinite().all() for g in gradients)
    assert model.inputs.missing.grad.flatten(1).any(dim=1).all()


def test_no_visual_frames_at_all():
    # A batch without a single frame has a frame axis of length 0.
    batch, model = collate(make_dialogues(LENGTHS)), make_model()
    visual = batch.features["visual"][:, :, :0]
    none = torch.zeros(*batch.turn_mask.shape, 0, dtype=torch.bool)
    empty = replace(batch, features=batch.features | {"visual": visual}, frame_mask=none)
    expected = without(batch, "visual", batch.turn_mask)
    torch.testing.assert_close(model(empty).logits, model(expected).logits)


def test_visual_without_a_frame_is_missing():
    batch, model = complete(), make_model()
    expected = without(batch, "visual", turns_of(batch, 0, 1))
    torch.testing.assert_close(model(frameless(batch, 0, 1)).logits, model(expected).logits)


@pytest.mark.parametrize("modality", MODALITIES)
def test_missing_is_not_zeros(modality):
    # A learned vector stands for what is missing; silent zeros would pass for a real clip.
    batch, model = complete(), make_model()
    missing = without(batch, modality, turns_of(batch, 0, 1))
    silent = missing.features[modality].nan_to_num(nan=0.0)
    zeros = replace(batch, features=batch.features | {modality: silent})
    assert (model(missing).logits - model(zeros).logits)[0].abs().max() > 1e-3


def test_the_vector_for_missing_learns_only_where_something_is_missing():
    batch, model = complete([4, 4]), make_model(context="none")
    missing = without(batch, "audio", turns_of(batch, 0, 1))
    model(missing).logits[batch.turn_mask].sum().backward()
    assert model.inputs.missing.grad.flatten(1).any(dim=1).tolist() == [False, True, False]


def test_nothing_attends_to_what_is_missing():
    batch, model = complete([4, 4]), make_model(context="none")
    projections = model(without(batch, "audio", turns_of(batch, 0, 1))).extra
    for modality, reads in (("text", False), ("audio", True), ("visual", False)):
        (gradient,) = torch.autograd.grad(
            projections[modality][batch.turn_mask].sum(), model.inputs.missing, retain_graph=True
        )
        assert bool(gradient.any()) == reads


@pytest.mark.parametrize("modality", MODALITIES)
def test_no_gradient_reaches_what_is_missing(modality):
    batch = collate(make_dialogues(LENGTHS), filler=0.5)
    for values in batch.features.values():
        values.requires_grad_()
    loss_of(make_model(), batch).backward()
    available = batch.available(modality)
    gradient = batch.features[modality].grad
    assert not gradient[~available].any()
    assert gradient[available].flatten(1).any(dim=1).all()


def one_bit_each(seed, missing):
    """Dialogues with labels of three bits; each modality holds one of them."""
    batch = collate(make_dialogues([3] * 24, seed, missing=missing))
    labels = torch.randint(2 ** len(MODALITIES), batch.labels.shape)
    for bit, modality in enumerate(MODALITIES):
        sign = 2.0 * (labels >> bit & 1) - 1
        features = batch.features[modality]
        features[..., 0] = 3 * sign.view(*sign.shape, *[1] * (features.ndim - 3))
    return in_float32(replace(batch, labels=labels))


def test_a_trained_model_does_worse_without_a_modality():
    train, test = one_bit_each(0, missing=0.1), one_bit_each(1, missing=0.0)
    model = fresh_model(classes=8, width=16, layers=1, dropout=0.0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(30):
        optimiser.zero_grad()
        loss_of(model, train).backward()
        optimiser.step()

    def accuracy(batch):
        logits = model.eval()(batch).logits
        assert logits.isfinite().all()
        return (logits.argmax(dim=-1) == test.labels).double().mean().item()

    full = accuracy(test)
    partial = [accuracy(without(test, m, test.turn_mask)) for m in MODALITIES]
    assert full > 0.8
    assert max(partial) < full - 0.3  # a bit is lost, so about half of the answers
