"""What a prediction must not depend on: padding, batch mates, order of dialogues, speakers' names.

Everything runs on dialogues with missing modalities, and on what is not there being NaN.
"""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.nn.batch import MODALITIES
from pipeline.nn.context import CONTEXTS
from tests.systems.dialogues import (
    SUBSETS,
    collate,
    fresh_model,
    in_float32,
    loss_of,
    make_dialogues,
    make_model,
    map_turns,
)

LENGTHS = (6, 1, 9, 4)
SWITCHES = [
    {},
    {"context": "gru", "psa_activation": "none"},
    {"context": "none"},
    {"psa": False, "mcn": False},
]
MODELS = [(modalities, {"context": context}) for modalities in SUBSETS for context in CONTEXTS]
MODELS += [(MODALITIES, {"psa_activation": "none"}), (MODALITIES, {"psa": False})]
MODELS += [(MODALITIES, {"mcn": False}), (MODALITIES, {"residual": True})]
switches = pytest.mark.parametrize("options", SWITCHES, ids=str)


def outputs(model, batch):
    """Logits and projections of every real turn, side by side: [turn, value]."""
    output = model(batch)
    return torch.cat((output.logits, *output.extra.values()), dim=-1)[batch.turn_mask]


@pytest.mark.parametrize(("modalities", "options"), MODELS, ids=str)
def test_batch_mates_and_padding(modalities, options):
    model, dialogues = make_model(*modalities, **options), make_dialogues(LENGTHS)
    whole = collate(dialogues, extra_turns=5, extra_frames=3)
    single = [collate([dialogue]) for dialogue in dialogues]
    alone = torch.cat([outputs(model, batch) for batch in single])
    torch.testing.assert_close(outputs(model, whole), alone, rtol=0, atol=1e-10)
    model = fresh_model(*modalities, **options).eval()
    alone = torch.cat([outputs(model, in_float32(batch)) for batch in single])
    torch.testing.assert_close(outputs(model, in_float32(whole)), alone, rtol=0, atol=1e-5)


@switches
@pytest.mark.parametrize(
    ("filler", "index_filler"), [(1e4, 17), (torch.nan, -1), (torch.inf, -5), (-torch.inf, 2)]
)
def test_what_padding_and_gaps_hold(options, filler, index_filler):
    model, dialogues = make_model(**options), make_dialogues(LENGTHS)
    results = []
    for kind, index in ((0.0, 0), (filler, index_filler)):
        batch = collate(dialogues, extra_turns=1, filler=kind, index_filler=index)
        total = loss_of(model, batch)
        gradients = torch.autograd.grad(total, list(model.parameters()))
        results.append((outputs(model, batch), total, gradients))
    torch.testing.assert_close(*results)


@switches
@settings(max_examples=10)
@given(order=st.permutations(range(len(LENGTHS))))
def test_order_of_dialogues(options, order):
    model, dialogues = make_model(**options), make_dialogues(LENGTHS)
    expected = outputs(model, collate(dialogues)).split(LENGTHS)
    result = outputs(model, collate([dialogues[i] for i in order]))
    torch.testing.assert_close(result, torch.cat([expected[i] for i in order]))


@pytest.mark.parametrize("mcn", [True, False])
@pytest.mark.parametrize("context", CONTEXTS)
def test_order_of_turns_matters_to_the_context_alone(context, mcn):
    # Cross-attention has no positions, so it does not know the order either.
    model, batch = make_model(context=context, mcn=mcn), collate(make_dialogues([7]))
    order = torch.tensor([3, 0, 6, 5, 1, 2, 4])
    result = outputs(model, map_turns(batch, lambda x: x[:, order]))
    difference = (result - outputs(model, batch)[order]).abs().max()
    assert difference < 1e-9 if context == "none" else difference > 1e-3


@pytest.mark.parametrize("mcn", [True, False])
def test_an_utterance_stands_alone_only_without_context_and_mcn(mcn):
    model, batch = make_model(context="none", mcn=mcn), collate(make_dialogues([5]))
    alone = outputs(model, map_turns(batch, lambda x: x[:, 2:3]))
    difference = (alone - outputs(model, batch)[2:3]).abs().max()
    assert difference > 1e-3 if mcn else difference < 1e-9


@switches
@settings(max_examples=10)
@given(names=st.permutations(range(6)))
def test_renaming_speakers(options, names):
    model, batch = make_model(**options), collate(make_dialogues(LENGTHS), index_filler=0)
    renamed = replace(batch, speakers=torch.tensor(names)[batch.speakers])
    torch.testing.assert_close(outputs(model, renamed), outputs(model, batch))


@pytest.mark.parametrize("context", CONTEXTS)
def test_who_speaks_matters_to_dialogue_rnn_alone(context):
    model, batch = make_model(context=context), collate(make_dialogues(LENGTHS))
    one = replace(batch, speakers=torch.zeros_like(batch.speakers))
    difference = (outputs(model, one) - outputs(model, batch)).abs().max()
    assert difference > 1e-3 if context == "dialogue_rnn" else difference == 0


@switches
def test_the_model_never_reads_labels(options):
    model, batch = make_model(**options), collate(make_dialogues(LENGTHS))
    relabelled = replace(batch, labels=torch.full_like(batch.labels, 99))
    assert torch.equal(outputs(model, relabelled), outputs(model, batch))
