"""AIMDiT, our reading: its image by hand and against loops, and in the reference's size."""

import math

import pytest
import torch

from tests.systems.zoo import (
    DIMENSIONS,
    batch_of,
    conversations,
    in_float64,
    logits,
    make,
    size_of,
)

NAME = "aimdit"


def convolved(image, inception):
    """A mean of convolutions of [channel][row][column] by loops over places and kernels."""
    _, height, width = image.shape
    outputs = len(inception.convolutions[0].bias)
    result = torch.zeros(outputs, height, width, dtype=torch.float64)
    for convolution in inception.convolutions:
        reach = convolution.kernel_size[0] // 2
        for o in range(outputs):
            for y in range(height):
                for x in range(width):
                    total = convolution.bias[o]
                    for dy in range(-reach, reach + 1):
                        for dx in range(-reach, reach + 1):
                            if 0 <= y + dy < height and 0 <= x + dx < width:
                                weights = convolution.weight[o, :, dy + reach, dx + reach]
                                total = total + weights @ image[:, y + dy, x + dx]
                    result[o, y, x] += total / 3
    return result


def transformed(layer, turns, source, usable, heads):
    """A pre-norm layer, with a loop over queries and heads; a query without keys adds nothing."""
    attention, size = layer.attention, turns.shape[1] // heads
    first, second = layer.norms
    query, read = attention.query(first(turns)), first(source[usable])
    key, value = attention.key_value(read).chunk(2, dim=1)
    rows = []
    for i, own in enumerate(query):
        attended = torch.zeros_like(own)
        if len(read):
            parts = []
            for head in range(heads):
                some = slice(head * size, (head + 1) * size)
                weights = (key[:, some] @ own[some] / math.sqrt(size)).softmax(0)
                parts.append(weights @ value[:, some])
            attended = attention.output(torch.cat(parts))
        middle = turns[i] + attended
        wide = layer.feedforward[0](second(middle)).clamp(min=0)
        rows.append(middle + layer.feedforward[3](wide))
    return torch.stack(rows)


def naive(made, turns, available):
    """One dialogue from its encoded turns, [modality, turn, width], and [modality, turn]."""
    count, length, _ = turns.shape
    images = turns.masked_fill(~available.unsqueeze(-1), 0)
    augmented = torch.zeros_like(images)
    for t in range(length):
        wide = convolved(images[:, t][None], made.widen)
        wide = wide * (1 + torch.erf(wide / math.sqrt(2))) / 2
        whole = images[:, t] + convolved(wide, made.narrow)[0]
        for m in range(count):
            if available[m, t]:
                augmented[m, t] = made.norms[m](whole[m])
    features = []
    for m in range(count):
        read = [
            transformed(layer, augmented[m], augmented[n], available[n], made.settings.heads)
            for n, layer in enumerate(made.layers[m])
        ]
        others = [read[n] for n in range(count) if n != m]
        features += [read[m], *([sum(others) / len(others)] if others else [])]
    return made.head(torch.cat(features, dim=1))


@pytest.mark.parametrize("modalities", ["tav", "tv", "a"])
def test_it_equals_loops_over_pixels_queries_and_heads(modalities):
    lengths = (4, 1, 3)
    names = tuple(m for m in DIMENSIONS if m[0] in modalities)
    made = make(NAME, modalities=names, channels=2, width=8).double()
    batch = in_float64(batch_of(made, conversations(lengths, missing=0.4), turns=2))
    encoded, available = made.inputs(batch), batch.all_available(names)
    expected = [
        naive(made, encoded[:, row, :length], available[:, row, :length])
        for row, length in enumerate(lengths)
    ]
    torch.testing.assert_close(logits(made, batch), torch.cat(expected))


def test_without_weights_of_convolutions_the_image_stays_as_it_is():
    made = make(NAME)
    for inception in (made.widen, made.narrow):
        for parameter in inception.parameters():
            torch.nn.init.zeros_(parameter)
    batch, read = batch_of(made, conversations((5, 2), missing=0.0)), []
    for norm in made.norms:
        norm.register_forward_pre_hook(lambda _, arguments: read.append(arguments[0]))
    made(batch)
    torch.testing.assert_close(torch.stack(read), made.inputs(batch)[:, batch.turn_mask])


def test_a_convolution_by_hand_reaches_the_next_modality_and_the_next_feature():
    made = make(NAME)
    with torch.no_grad():
        for parameter in made.widen.parameters():
            parameter.zero_()
        one, three, five = made.widen.convolutions
        one.weight[0, 0] = 6.0
        three.weight[0, 0, 0, 1] = 3.0  # the row above
        five.weight[0, 0, 2, 4] = 12.0  # two features to the right
        result = made.widen(torch.tensor([[[[1.0, 2, 3], [4, 5, 6]]]]))
    expected = [[2 + 12.0, 4, 6], [8 + 1 + 24.0, 10 + 2, 12 + 3]]
    torch.testing.assert_close(result[0, 0], torch.tensor(expected))
    assert not result[0, 1:].any()


def test_a_modality_that_a_turn_lacks_is_neither_a_row_nor_a_key():
    made = make(NAME)
    batch = batch_of(made, conversations((6, 4), missing=0.4))
    before = logits(made, batch)
    torch.nn.init.normal_(made.inputs.missing)
    assert torch.equal(logits(made, batch), before)


def test_it_has_as_many_parameters_as_the_reference():
    """7.51 M for 7 classes; here 6."""
    sizes = {"width": 256, "channels": 8, "heads": 4, "feedforward": 1024}
    assert size_of(NAME, **sizes) == 7_505_234 - (256 + 1)
