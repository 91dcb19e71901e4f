"""LMF by hand, against the tensor that it is the factors of, and in the reference's size."""

import pytest
import torch

from pipeline.nn.batch import MODALITIES
from pipeline.systems.lmf import LowRank
from tests.systems.zoo import (
    batch_of,
    conversations,
    in_float64,
    logits,
    make,
    size_of,
)

NAME = "lmf"


def test_a_product_of_rank_two_by_hand():
    layer = LowRank(3, entries=2, rank=2, classes=1)
    with torch.no_grad():
        layer.factors[:, 0] = torch.tensor([[[1.0], [2]], [[0], [1]], [[1], [1]]])
        layer.factors[:, 1] = torch.tensor([[[0.0], [1]], [[1], [0]], [[-1], [0]]])
        layer.weights.copy_(torch.tensor([[0.5, 3]]))
        layer.bias.fill_(10)
    # (1 + 2 * 2) * 3 * (1 + 5) = 90 and 2 * 1 * -1 = -2: 45 - 6 + 10.
    assert layer(torch.tensor([[[1.0, 2]], [[1, 3]], [[1, 5]]])).tolist() == [[49]]
    # Without the second: 5 * 0 * 6, and 2 * 1 * -1.
    assert layer(torch.tensor([[[1.0, 2]], [[1, 0]], [[1, 5]]])).tolist() == [[4]]


def test_it_equals_the_contraction_with_the_tensor_of_its_factors():
    layer = LowRank(3, entries=4, rank=5, classes=2).double()
    torch.nn.init.normal_(layer.bias)
    vectors = torch.randn(3, 7, 4, dtype=torch.float64)
    full = torch.zeros(4, 4, 4, 2, dtype=torch.float64)
    for weight, text, audio, visual in zip(layer.weights[0], *layer.factors, strict=True):
        full += weight * torch.einsum("ic,jc,kc->ijkc", text, audio, visual)
    for row, result in enumerate(layer(vectors)):
        tensor = torch.einsum("i,j,k->ijk", *vectors[:, row])
        expected = (tensor.unsqueeze(-1) * full).sum((0, 1, 2)) + layer.bias
        torch.testing.assert_close(result, expected)


def naive_logits(made, encoded, available):
    """One turn from its encoded modalities, [modality][width]."""
    entries = []
    for network, vector, there in zip(made.subnetworks.networks, encoded, available, strict=True):
        for layer in (network[1], network[3], network[5]):
            vector = (layer.weight @ vector + layer.bias).clamp(min=0)
        entries.append([1.0, *(vector if there else 0 * vector)])
    fusion, scores = made.fusion, []
    for number, bias in enumerate(fusion.bias):
        score = bias
        for rank, weight in enumerate(fusion.weights[0]):
            product = weight
            for factors, vector in zip(fusion.factors, entries, strict=True):
                column = factors[rank, :, number]
                product = product * sum(f * e for f, e in zip(column, vector, strict=True))
            score = score + product
        scores.append(score)
    return torch.stack(scores)


@pytest.mark.parametrize("modalities", [MODALITIES, MODALITIES[1:], MODALITIES[:1]], ids=len)
def test_it_equals_a_loop_over_ranks_and_classes(modalities):
    lengths = (6, 1, 4)
    made = make(NAME, modalities=modalities, compressed=3, rank=2, hidden=8).double()
    torch.nn.init.normal_(made.fusion.bias)
    batch = in_float64(batch_of(made, conversations(lengths, missing=0.4), turns=2))
    encoded, available = made.inputs(batch), batch.all_available(modalities)
    expected = [
        naive_logits(made, encoded[:, row, turn], available[:, row, turn])
        for row, length in enumerate(lengths)
        for turn in range(length)
    ]
    torch.testing.assert_close(logits(made, batch), torch.stack(expected))


def test_every_parameter_learns_but_the_vectors_of_what_is_missing():
    """The public code leaves out the weights of the ranks, and the bias, by their position."""
    made = make(NAME)
    logits(made, batch_of(made, conversations((6, 5)))).square().sum().backward()
    idle = [name for name, p in made.named_parameters() if not p.grad.any()]
    assert idle == ["inputs.missing"]


def test_factors_start_by_xaviers_rule_for_rank_entry_and_class_together():
    """As torch reads [rank, entry, class]: of 65 x 7 and 16 x 7 connections."""
    layer = LowRank(3, entries=65, rank=16, classes=7)
    expected = torch.full((3,), (2 / (7 * (65 + 16))) ** 0.5)
    torch.testing.assert_close(layer.factors.std(dim=(1, 2, 3)), expected, rtol=0.1, atol=0)


def test_it_has_as_many_parameters_as_the_reference():
    """0.13 M beside the inputs, of 256 features and for 7 classes, and three layers more.

    The reference counts two layers per modality, the code has three: the middle ones are
    3 x (128 x 128 + 128). A class more has 4 factors of 3 x 65 numbers, and a bias.
    """
    sizes = {"width": 256, "hidden": 128, "compressed": 64, "rank": 4}
    assert size_of(NAME, **sizes) == 128_927 + 3 * 16_512 - (4 * 3 * 65 + 1)
