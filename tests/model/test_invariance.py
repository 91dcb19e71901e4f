"""What a prediction must not depend on: padding, batch mates, order of dialogues, speakers' names.

Everything runs on random dialogues with missing modalities, and once more in float32.
"""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pipeline.model.inputs import DialogueBatch
from pipeline.model.loss import Loss
from pipeline.model.mcn_cl import MCNCL
from tests.model.dialogues import collate, make_dialogues, make_model

LENGTHS = (6, 1, 9, 4)
SWITCHES: list[dict[str, Any]] = [
    {},
    {"context": "gru", "psa_activation": "none"},
    {"context": "none"},
    {"psa": False, "mcn": False},
]
switches = pytest.mark.parametrize("options", SWITCHES, ids=str)


def outputs(model: MCNCL, batch: DialogueBatch) -> Tensor:
    """Logits and projections of every real turn, side by side: [turn, value]."""
    output = model(batch)
    return torch.cat((output.logits, *output.projections.values()), dim=-1)[batch.turn_mask]


def in_float32(batch: DialogueBatch) -> DialogueBatch:
    return replace(batch, features={m: f.float() for m, f in batch.features.items()})


@switches
@pytest.mark.parametrize("filler", [0.0, 1e4, torch.nan, torch.inf])
def test_padding_and_what_it_holds(options: dict[str, Any], filler: float):
    model, dialogues = make_model(**options), make_dialogues(LENGTHS)
    plain = collate(dialogues)
    padded = collate(dialogues, extra_turns=5, extra_frames=3, filler=filler, index_filler=17)
    torch.testing.assert_close(outputs(model, padded), outputs(model, plain))
    found, expected = (Loss()(model(batch), batch) for batch in (padded, plain))
    assert found.total.item() == pytest.approx(expected.total.item())
    model.float()
    torch.testing.assert_close(
        outputs(model, in_float32(padded)), outputs(model, in_float32(plain)), rtol=0, atol=1e-5
    )


@switches
def test_batch_mates(options: dict[str, Any]):
    model, dialogues = make_model(**options), make_dialogues(LENGTHS)
    for dtype in (torch.float64, torch.float32):
        model.to(dtype)
        whole, *single = (
            collate(some) if dtype == torch.float64 else in_float32(collate(some))
            for some in (dialogues, *([d] for d in dialogues))
        )
        alone = torch.cat([outputs(model, batch) for batch in single])
        torch.testing.assert_close(alone, outputs(model, whole), rtol=0, atol=1e-5)


@switches
@settings(max_examples=10, deadline=None)
@given(order=st.permutations(range(len(LENGTHS))))
def test_order_of_dialogues(options: dict[str, Any], order: list[int]):
    model, dialogues = make_model(**options), make_dialogues(LENGTHS)
    expected = outputs(model, collate(dialogues)).split(LENGTHS)
    found = outputs(model, collate([dialogues[i] for i in order]))
    torch.testing.assert_close(found, torch.cat([expected[i] for i in order]))


def shuffled_turns(batch: DialogueBatch, order: Tensor) -> DialogueBatch:
    def move(tensor: Tensor) -> Tensor:
        return tensor[:, order]

    assert batch.frame_mask is not None
    return DialogueBatch(
        features={m: move(f) for m, f in batch.features.items()},
        frame_mask=move(batch.frame_mask),
        present={m: move(p) for m, p in batch.present.items()},
        turn_mask=batch.turn_mask,
        speakers=move(batch.speakers),
        labels=move(batch.labels),
    )


@pytest.mark.parametrize(
    ("context", "mcn", "equivariant"),
    [
        ("none", True, True),
        ("none", False, True),
        ("dialogue_rnn", True, False),
        ("gru", False, False),
    ],
)
def test_order_of_turns(context: str, mcn: bool, equivariant: bool):
    model = make_model(context=context, mcn=mcn)
    batch = collate(make_dialogues([7, 7]))
    order = torch.tensor([3, 0, 6, 5, 1, 2, 4])
    expected = model(batch).logits[:, order]
    difference = (model(shuffled_turns(batch, order)).logits - expected).abs().max()
    assert difference < 1e-9 if equivariant else difference > 1e-3


@switches
@settings(max_examples=10, deadline=None)
@given(names=st.permutations(range(6)))
def test_renaming_speakers(options: dict[str, Any], names: list[int]):
    model, batch = make_model(**options), collate(make_dialogues(LENGTHS))
    renamed = replace(batch, speakers=torch.tensor(names)[batch.speakers])
    torch.testing.assert_close(outputs(model, renamed), outputs(model, batch))


def test_who_speaks_does_matter():
    model, batch = make_model(), collate(make_dialogues(LENGTHS))
    one = replace(batch, speakers=torch.zeros_like(batch.speakers))
    assert (outputs(model, one) - outputs(model, batch)).abs().max() > 1e-3


@switches
def test_the_model_never_reads_labels(options: dict[str, Any]):
    model, batch = make_model(**options), collate(make_dialogues(LENGTHS))
    relabelled = replace(batch, labels=torch.full_like(batch.labels, 99))
    assert torch.equal(outputs(model, relabelled), outputs(model, batch))
