"""MCN-CL as a whole: what each setting changes, what is trained, and that it can learn."""

from dataclasses import replace

import pytest
import torch
from torch.func import functional_call

from pipeline.nn.batch import MODALITIES
from pipeline.nn.context import CONTEXTS
from tests.systems.dialogues import (
    CLASSES,
    DIMENSIONS,
    collate,
    fresh_model,
    in_float32,
    loss_of,
    make_dialogues,
    make_model,
    total_of,
)

LENGTHS = (5, 3, 1, 4)


def shapes(**changes):
    return {name: p.shape for name, p in fresh_model(**changes).named_parameters()}


@pytest.mark.parametrize(
    ("switch", "prefix"),
    [
        ({"psa": False}, "inputs.encoders.visual.psa."),
        ({"psa_activation": "none"}, "inputs.encoders.visual.psa.norm."),
        ({"mcn": False}, "mcn."),
        ({"contrastive": 0.0}, "heads."),
        ({"context": "none"}, "context."),
    ],
    ids=str,
)
def test_a_switch_removes_its_parameters_and_no_others(switch, prefix):
    full = shapes()
    kept = {name: shape for name, shape in full.items() if not name.startswith(prefix)}
    assert shapes(**switch) == kept != full


@pytest.mark.parametrize(
    ("setting", "prefixes"),
    [
        ({"context": "gru"}, ["context."]),
        ({"layers": 3}, ["mcn."]),
        ({"projection": 5}, [f"heads.{m}.output." for m in MODALITIES]),
        ({"psa_groups": 2}, ["inputs.encoders.visual.psa.convolutions."]),
        ({"classes": 5}, ["classifier.softmax."]),
        ({"heads": 4}, []),
        ({"residual": True}, []),
        ({"dropout": 0.5}, []),
        ({"limit": 3.0}, []),
    ],
    ids=str,
)
def test_a_setting_changes_its_parameters_and_no_others(setting, prefixes):
    changed = {name for name, _ in shapes().items() ^ shapes(**setting).items()}
    assert all(name.startswith(tuple(prefixes)) for name in changed)
    assert all(any(name.startswith(prefix) for name in changed) for prefix in prefixes)


@pytest.mark.parametrize("modality", MODALITIES)
def test_one_modality_has_no_cross_attention(modality):
    assert shapes(dimensions={modality: 5}) == shapes(dimensions={modality: 5}, mcn=False)


def test_outputs():
    batch = collate(make_dialogues(LENGTHS))
    output = make_model("text", "visual")(batch)
    assert output.logits.shape == (*batch.turn_mask.shape, CLASSES)
    assert {m: p.shape[2] for m, p in output.extra.items()} == {"text": 6, "visual": 6}
    for values in (output.logits, *output.extra.values()):
        assert values.any(dim=-1).equal(batch.turn_mask)  # zeros in padded turns
    assert make_model(contrastive=0.0)(batch).extra == {}


def test_attention_heads_change_the_result_if_not_the_weights():
    batch = collate(make_dialogues(LENGTHS))
    one, four = (make_model(heads=heads)(batch).logits[batch.turn_mask] for heads in (1, 4))
    assert (one - four).abs().max() > 1e-3


@pytest.mark.parametrize("residual", [False, True])
def test_without_mcn_heads_and_classifier_act_on_the_context(residual):
    model, batch = make_model(mcn=False, residual=residual), collate(make_dialogues(LENGTHS))
    seen = []
    model.context.register_forward_hook(
        lambda module, inputs, result: seen.extend((*inputs, result))
    )
    output, real = model(batch), batch.turn_mask
    context = seen[-1] + seen[0] if residual else seen[-1]  # seen[0]: the utterances themselves
    assert torch.equal(output.logits[real], model.classifier(context[:, real]))
    for modality, vectors in zip(MODALITIES, context, strict=True):
        expected = model.heads[modality](vectors[real])
        assert torch.equal(output.extra[modality][real], expected)


def test_the_order_of_the_dict_changes_nothing():
    batch = collate(make_dialogues(LENGTHS))
    model, other = make_model(), make_model(dimensions=dict(reversed(DIMENSIONS.items())))
    assert list(model.state_dict()) == list(other.state_dict())
    assert torch.equal(model(batch).logits, other(batch).logits)


def test_every_modality_is_standardised_and_clamped():
    model, batch = make_model(limit=2.0), collate(make_dialogues(LENGTHS))
    clamped = {m: f.clamp(-2, 2) for m, f in batch.features.items()}
    expected = model(replace(batch, features=clamped)).logits
    standardise = dict(model.standardised())
    for modality, dimension in DIMENSIONS.items():
        standardise[modality].fit(torch.full((dimension,), 3.0), torch.full((dimension,), 0.5))
    shifted = {m: 0.5 * f + 3 for m, f in batch.features.items()}
    logits = model(replace(batch, features=shifted)).logits
    torch.testing.assert_close(logits[batch.turn_mask], expected[batch.turn_mask])


def test_dropout_acts_in_training_alone():
    batch = collate(make_dialogues(LENGTHS))
    for dropout in (0.0, 0.5):
        model = make_model(dropout=dropout)
        predicted = model(batch).logits
        assert torch.equal(model.train()(batch).logits, predicted) == (dropout == 0)


@pytest.mark.parametrize("options", [{}, {"context": "gru", "psa_activation": "none"}], ids=str)
def test_every_parameter_is_trained(options):
    # The learned vectors need something missing, as there is.
    model, batch = make_model(**options), collate(make_dialogues(LENGTHS))
    loss_of(model, batch).backward()
    dead = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []


@pytest.mark.parametrize(
    "options",
    [{}, {"context": "gru", "psa_activation": "none"}, {"context": "none", "psa": False}],
    ids=str,
)
def test_gradient_from_the_features_to_the_loss(options):
    # In one random direction of all parameters and features at once.
    model, batch = make_model(**options), collate(make_dialogues([4, 2, 3]))
    weights = {n: (p.detach(), torch.randn_like(p)) for n, p in model.named_parameters()}
    values = {m: (f, torch.randn_like(f)) for m, f in batch.features.items()}

    def total(step):
        moved = replace(batch, features={m: f + step * d for m, (f, d) in values.items()})
        parameters = {n: p + step * d for n, (p, d) in weights.items()}
        return total_of(model, functional_call(model, parameters, moved), batch)

    step = torch.zeros((), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(total, step, rtol=1e-6, atol=0)


def test_the_same_seed_gives_the_same_model_and_gradients():
    batch = in_float32(collate(make_dialogues(LENGTHS)))
    torch.use_deterministic_algorithms(True)
    try:
        results = []
        for _ in range(2):
            model = fresh_model(seed=3).train()
            loss_of(model, batch).backward()
            results.append([(p.detach(), p.grad) for p in model.parameters()])
    finally:
        torch.use_deterministic_algorithms(False)
    torch.testing.assert_close(*results, rtol=0, atol=0)


@pytest.mark.parametrize("context", CONTEXTS)
def test_overfits_twenty_utterances(context):
    batch = in_float32(collate(make_dialogues([5, 5, 4, 3, 3], missing=0.0)))
    model = fresh_model(context=context, width=32, layers=1, dropout=0.0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    labels = batch.labels[batch.turn_mask]
    for _ in range(80):
        output = model(batch)
        if torch.equal(output.logits[batch.turn_mask].argmax(dim=-1), labels):
            return  # all are right: F1 is 1.0
        optimiser.zero_grad()
        total_of(model, output, batch).backward()
        optimiser.step()
    pytest.fail("some utterances are still wrong")
