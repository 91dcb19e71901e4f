"""MulT by hand, against a loop over turns and their keys, and in the reference's size."""

import pytest
import torch

from pipeline.nn.positions import sinusoids
from pipeline.systems.mult import Stack
from tests.nn.naive_transformer import naive_norm, naive_pre_norm
from tests.systems.zoo import (
    batch_of,
    conversations,
    each_dialogue,
    in_float64,
    logits,
    make,
    reordered,
    size_of,
    starting_with,
)

NAME = "mult"


def test_a_stack_of_idle_layers_by_hand():
    # 2 * (0.5, 0, 0, 0) + (sin 0, cos 0, sin 0, cos 0) = (1, 1, 0, 1), of mean 3/4 and deviation
    # sqrt(3) / 4; with (sin 1, cos 1, sin 0.01, cos 0.01): (1.841471, 0.540302, 0.01, 0.99995), of
    # mean 0.847931 and deviation 0.672123.
    stack = Stack(4, 1, 2, 0.0)
    with torch.no_grad():
        for layer in stack.layers:
            for part in (layer.attention.output, layer.feedforward[3]):
                part.weight.zero_()
                part.bias.zero_()
    turns = torch.tensor([[[0.5, 0, 0, 0], [0.5, 0, 0, 0]]])
    got = stack(turns, torch.randn(1, 2, 4), torch.ones(1, 2, 2, dtype=torch.bool))
    expected = torch.tensor(
        [[0.577350, 0.577350, -1.732051, 0.577350], [1.478196, -0.457692, -1.246680, 0.226175]]
    )
    torch.testing.assert_close(got[0], expected, rtol=0, atol=5e-5)


def naive_stack(stack, turns, source, keys_of):
    """A stack over one dialogue; `keys_of` has the places that each turn may read."""

    def placed(vectors):
        waves = sinusoids(len(vectors), len(vectors[0]))
        return [len(v) ** 0.5 * v + w for v, w in zip(vectors, waves, strict=True)]

    turns = placed(turns)
    fixed = None if source is None else placed(source)
    for layer in stack.layers:
        keys = fixed or turns
        turns = [
            naive_pre_norm(layer, turn, [keys[place] for place in keys_of[number]])
            for number, turn in enumerate(turns)
        ]
    return [naive_norm(stack.norm, turn) for turn in turns]


def naive_logits(made, utterances, available):
    """Logits of one dialogue, from its turns by modality and where they are available."""
    names, count = made.inputs.modalities, len(utterances[made.inputs.modalities[0]])
    seen = [range(t + 1 if made.settings.causal else count) for t in range(count)]
    vectors = {m: list(u) for m, u in utterances.items()}
    keys = {m: [[k for k in own if available[m][k]] for own in seen] for m in names}
    joined = []
    for target in names:
        pairs = [
            naive_stack(made.crossmodal[f"{target}_{m}"], vectors[target], vectors[m], keys[m])
            for m in names
            if m != target
        ]
        own = [torch.cat(parts) for parts in zip(*pairs, strict=True)] or vectors[target]
        joined.append(naive_stack(made.memory[target], own, None, seen if pairs else keys[target]))
    result = []
    for parts in zip(*joined, strict=True):
        h = torch.cat(parts)
        inner = made.residual[0](h).clamp(min=0)
        result.append(made.scores(h + made.residual[3](inner)))
    return result


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("modalities", ["tav", "ta", "v"])
def test_it_equals_a_loop_over_turns_and_their_keys(modalities, causal):
    options = {"modalities": starting_with(modalities), "causal": causal}
    made = make(NAME, **options, width=8, layers=2).double()
    batch = in_float64(batch_of(made, conversations((5, 1, 3), missing=0.5), turns=2))
    expected = [
        logit for *read, _ in each_dialogue(made, batch) for logit in naive_logits(made, *read)
    ]
    torch.testing.assert_close(logits(made, batch), torch.stack(expected))


@pytest.mark.parametrize("causal", [False, True])
def test_the_future_is_read_unless_it_is_hidden(causal):
    made = make(NAME, causal=causal)
    batch = batch_of(made, conversations((6,), missing=0.0))
    before = made(batch).logits
    batch.features["text"][0, 3] += 5
    changed = (made(batch).logits - before)[0].abs().amax(dim=-1) > 1e-6
    assert changed.tolist() == [not causal] * 3 + [True] * 3


def test_turns_know_their_place():
    made = make(NAME)
    batch = batch_of(made, conversations((5,), missing=0.0))
    order = [3, 0, 4, 1, 2]
    moved = reordered(batch, order)
    assert not torch.allclose(made(moved).logits, made(batch).logits[:, order], atol=1e-3)


@pytest.mark.parametrize(("layers", "memory"), [(1, 3), (5, 5)])
def test_self_attention_has_at_least_three_layers(layers, memory):
    made = make(NAME, layers=layers)
    assert len(made.crossmodal) == 6
    assert {len(stack.layers) for stack in made.crossmodal.values()} == {layers}
    assert {len(stack.layers) for stack in made.memory.values()} == {memory}


def test_it_has_as_many_parameters_as_the_reference():
    """1.56 M with 40 features, 8 heads and 4 layers, for 7 classes.

    The reference puts three maps without bias after its inputs of 256; here they are the inputs.
    """
    assert size_of(NAME, width=40, heads=8, layers=4) + 241 + 3 * 256 * 40 == 1_556_407
