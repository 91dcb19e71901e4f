"""JMT by hand, against a loop over turns and pairs of streams, and in the reference's size."""

import pytest
import torch

from tests.nn.naive import naive_attention
from tests.nn.naive_transformer import naive_encoder_layer, naive_post_norm
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

NAME = "jmt"


def test_a_cross_attention_by_hand():
    # Scores are 0, the value is the key: the mean of the keys that may be read, (2, 1).
    made = make(NAME, width=2, heads=1)
    cross = made.crosses["text"]
    with torch.no_grad():
        for parameter in cross.parameters():
            parameter.zero_()
        cross.key_value.weight[2:] = torch.eye(2)
        cross.output.weight.copy_(torch.eye(2))
    keys = torch.tensor([[[1.0, 4], [50, 50], [3, -2]]])
    usable = torch.tensor([[True, False, True]])
    torch.testing.assert_close(
        cross(torch.randn(1, 2, 2), keys, usable), torch.tensor([[[2.0, 1], [2, 1]]])
    )
    nothing = cross(torch.randn(1, 2, 2), keys, torch.zeros_like(usable))
    assert not nothing.any(), "a query without keys gets 0"


def naive_logits(made, utterances, available):
    """Logits of one dialogue, from its turns by modality and where they are available."""
    unit = [[u / u.norm() for u in vectors] for vectors in utterances.values()]
    usable = torch.stack([*available.values()])
    count, width = usable.shape[1], made.settings.width
    turns = [*unit, [made.joint(torch.cat(parts)) for parts in zip(*unit, strict=True)]]
    there = [*usable.tolist(), usable.any(0).tolist()]
    keys = [[t for t in range(count) if row[t]] for row in there]
    encoded = []
    for encoder, vectors, own in zip(made.encoders.values(), turns, keys, strict=True):
        for layer in encoder.layers:
            read = [vectors[k] for k in own]
            vectors = [naive_post_norm(layer, vector, read) for vector in vectors]
        encoded.append(vectors)
    result = []
    for turn in range(count):
        tokens = [
            naive_attention(cross, encoded[q][turn][None], [encoded[k][t] for t in keys[k]])[0]
            if keys[k]
            else torch.zeros(width, dtype=torch.float64)
            for q, cross in enumerate(made.crosses.values())
            for k in range(len(keys))
            if q != k
        ]
        if made.settings.readout == "fc":
            read = made.readout(torch.cat(tokens))
        else:
            updated = torch.stack(naive_encoder_layer(made.readout.layer, tokens))
            read = naive_attention(made.readout.attention, updated, updated).mean(dim=0)
        result.append(made.head[2](made.head[0](read).clamp(min=0)))
    return result


@pytest.mark.parametrize("readout", ["fc", "tokens"])
@pytest.mark.parametrize("modalities", ["tav", "av", "t"])
def test_it_equals_a_loop_over_turns_and_pairs_of_streams(modalities, readout):
    made = make(NAME, modalities=starting_with(modalities), layers=2, readout=readout).double()
    batch = in_float64(batch_of(made, conversations((5, 1, 3), missing=0.5), turns=2))
    expected = [
        logit for *read, _ in each_dialogue(made, batch) for logit in naive_logits(made, *read)
    ]
    torch.testing.assert_close(logits(made, batch), torch.stack(expected))


@pytest.mark.parametrize("readout", ["fc", "tokens"])
def test_the_order_of_the_turns_is_not_read(readout):
    made = make(NAME, readout=readout)
    batch = batch_of(made, conversations((5,)))
    order = [3, 0, 4, 1, 2]
    moved = reordered(batch, order)
    torch.testing.assert_close(made(moved).logits, made(batch).logits[:, order])


def test_how_long_a_vector_is_changes_nothing():
    made = make(NAME)
    batch = batch_of(made, conversations((5, 3)))
    before = made(batch).logits
    with torch.no_grad():
        made.inputs.missing.mul_(3)
        for number, encoder in enumerate(made.inputs.encoders.values()):
            encoder.project.weight.mul_(number + 2)
            encoder.project.bias.mul_(number + 2)
    torch.testing.assert_close(made(batch).logits, before)


def test_the_mean_of_the_tokens_does_not_hang_on_their_order():
    readout = make(NAME, readout="tokens").readout
    tokens = torch.randn(4, 12, 16)
    torch.testing.assert_close(readout(tokens.flip(1)), readout(tokens))


def test_pairs_share_the_attention_of_their_query():
    made = make(NAME)
    assert len(made.pairs) == 12
    assert list(made.crosses) == ["text", "audio", "visual", "joint"]
    assert len(make(NAME, modalities=("visual", "audio")).pairs) == 6, "as in the public code"


def test_it_has_as_many_parameters_as_the_reference():
    """3.65 M beside the inputs, of 256 features and for 7 classes."""
    assert size_of(NAME, width=256, heads=1, feedforward=256) + 129 == 3_653_127
