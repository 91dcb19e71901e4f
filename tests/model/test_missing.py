"""Missing modalities: finite results and gradients whatever is missing, none of it read."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.model.inputs import MODALITIES, DialogueBatch
from pipeline.model.loss import Loss
from tests.model.dialogues import collate, make_dialogues, make_model

LENGTHS = (5, 3, 4)
FULL = {"missing": 0.0}


def without(batch: DialogueBatch, modality: str, where: Tensor) -> DialogueBatch:
    """The batch with a modality taken away, and NaN left in its place."""
    gone = where.view(*where.shape, *(1,) * (batch.features[modality].dim() - 2))
    return replace(
        batch,
        features=batch.features | {modality: batch.features[modality].masked_fill(gone, torch.nan)},
        present=batch.present | {modality: batch.present[modality] & ~where},
    )


def cases() -> dict[str, DialogueBatch]:
    """Batches in which ever more is missing."""
    full = collate(make_dialogues(LENGTHS, **FULL), filler=torch.nan)
    nowhere = torch.zeros_like(full.turn_mask)
    one_dialogue, one_turn = nowhere.clone(), nowhere.clone()
    one_dialogue[1] = True
    one_turn[0, 2] = True
    everywhere = ~nowhere
    named = {"nothing": full}
    for modality in MODALITIES:
        named[f"{modality} of a dialogue"] = without(full, modality, one_dialogue)
        named[f"{modality} of the batch"] = without(full, modality, everywhere)
    for name, where in (("turn", one_turn), ("dialogue", one_dialogue), ("batch", everywhere)):
        batch = full
        for modality in MODALITIES:
            batch = without(batch, modality, where)
        named[f"all of a {name}"] = batch
    assert full.frame_mask is not None
    frameless = full.frame_mask.clone()
    frameless[0, 1] = frameless[1] = False
    named["present, but no frame"] = replace(
        full,
        frame_mask=frameless,
        features=full.features
        | {"visual": full.features["visual"].masked_fill(~frameless.unsqueeze(-1), torch.nan)},
    )
    return named


@pytest.mark.parametrize("case", cases())
@pytest.mark.parametrize(
    "options",
    [{}, {"context": "none"}, {"psa": False, "mcn": False}, {"psa_activation": "none"}],
    ids=str,
)
def test_forward_and_backward_are_finite(case: str, options: dict[str, Any]):
    batch, model = cases()[case], make_model(**options)
    output = model(batch)
    Loss()(output, batch).total.backward()
    assert output.logits.isfinite().all()
    assert all(projected.isfinite().all() for projected in output.projections.values())
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert len(gradients) > 10
    assert all(g.isfinite().all() for g in gradients)


def test_no_visual_frames_at_all():
    # A batch without a single frame has a frame axis of length 0.
    batch = collate(make_dialogues(LENGTHS))
    empty = replace(
        batch,
        features=batch.features | {"visual": batch.features["visual"][:, :, :0]},
        frame_mask=torch.zeros(*batch.turn_mask.shape, 0, dtype=torch.bool),
    )
    expected = without(batch, "visual", torch.ones_like(batch.turn_mask))
    model = make_model()
    torch.testing.assert_close(model(empty).logits, model(expected).logits)


@pytest.mark.parametrize("modality", MODALITIES)
def test_missing_is_not_zeros(modality: str):
    # A learned vector stands for what is missing; silent zeros would pass for a real clip.
    batch = collate(make_dialogues(LENGTHS, **FULL))
    where = torch.zeros_like(batch.turn_mask)
    where[0, 1] = True
    missing = without(batch, modality, where)
    zeros = replace(missing, present=batch.present)
    zeros.features[modality].nan_to_num_(nan=0.0)
    model = make_model()
    assert (model(missing).logits - model(zeros).logits)[0].abs().max() > 1e-3


def test_the_vector_for_missing_learns_only_where_something_is_missing():
    batch = collate(make_dialogues([4, 4], **FULL))
    where = torch.zeros_like(batch.turn_mask)
    where[0, 1] = True
    model = make_model(context="none")
    model(without(batch, "audio", where)).logits[batch.turn_mask].sum().backward()
    assert model.missing.grad is not None
    moved = model.missing.grad.abs().flatten(1).amax(dim=1)
    assert [bool(m > 0) for m in moved] == [False, True, False]


@pytest.mark.parametrize("modality", MODALITIES)
def test_no_gradient_reaches_what_is_missing(modality: str):
    batch = collate(make_dialogues(LENGTHS), filler=0.5)
    for values in batch.features.values():
        values.requires_grad_()
    Loss()(make_model()(batch), batch).total.backward()
    available = batch.available(modality)
    gradient = batch.features[modality].grad
    assert gradient is not None
    assert not gradient[~available].any()
    assert gradient[available].flatten(1).any(dim=1).all()
