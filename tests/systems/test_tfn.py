"""TFN by hand, in loops over the entries of its product, and in the size of the reference."""

import pytest
import torch

from pipeline.nn.batch import MODALITIES
from pipeline.systems.tfn import outer
from tests.systems.zoo import (
    batch_of,
    conversations,
    in_float64,
    logits,
    make,
    size_of,
)

NAME = "tfn"


def vectors(*numbers):
    """[1; h] of one turn, by modality."""
    return torch.tensor([[[1.0, h]] for h in numbers])


def test_the_product_of_three_modalities_by_hand():
    assert outer(vectors(2, 3, 5)).tolist() == [[1, 5, 3, 15, 2, 10, 6, 30]]


def test_the_product_keeps_full_precision_under_autocast():
    rows = torch.randn(3, 5, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        lower = outer(rows)
    assert torch.equal(lower, outer(rows))


def test_the_product_of_two_modalities_and_of_one_by_hand():
    assert outer(vectors(2, 3)).tolist() == [[1, 3, 2, 6]]
    assert outer(vectors(2)).tolist() == [[1, 2]]


def test_without_a_modality_the_lower_order_terms_of_the_others_stay():
    assert outer(vectors(2, 0, 5)).tolist() == [[1, 5, 0, 0, 2, 10, 0, 0]]


def naive_logits(made, encoded, available):
    """One turn from its encoded modalities, [modality][width]."""
    tensor = [torch.ones((), dtype=torch.float64)]
    for network, vector, there in zip(made.subnetworks.networks, encoded, available, strict=True):
        for layer in (network[1], network[3], network[5]):
            vector = (layer.weight @ vector + layer.bias).clamp(min=0)
        entries = [torch.ones((), dtype=torch.float64), *(vector if there else 0 * vector)]
        tensor = [product * entry for product in tensor for entry in entries]
    hidden = torch.stack(tensor)
    for layer in (made.head[1], made.head[3]):
        hidden = (layer.weight @ hidden + layer.bias).clamp(min=0)
    return made.head[5].weight @ hidden + made.head[5].bias


@pytest.mark.parametrize("modalities", [MODALITIES, MODALITIES[1:], MODALITIES[:1]], ids=len)
def test_it_equals_a_loop_over_the_entries_of_the_product(modalities):
    lengths = (6, 1, 4)
    made = make(NAME, modalities=modalities, compressed=3, hidden=8).double()
    batch = in_float64(batch_of(made, conversations(lengths, missing=0.4), turns=2))
    encoded, available = made.inputs(batch), batch.all_available(modalities)
    expected = [
        naive_logits(made, encoded[:, row, turn], available[:, row, turn])
        for row, length in enumerate(lengths)
        for turn in range(length)
    ]
    torch.testing.assert_close(logits(made, batch), torch.stack(expected))


def test_a_turn_is_classified_by_itself():
    made = make(NAME)
    batch = batch_of(made, conversations([5], missing=0.0))
    before = logits(made, batch)
    batch.features["audio"][0, 2] += 1
    changed = (logits(made, batch) != before).any(1).tolist()
    assert changed == [False, False, True, False, False]


def test_every_parameter_learns_but_the_vectors_of_what_is_missing():
    made = make(NAME)
    logits(made, batch_of(made, conversations((6, 5)))).square().sum().backward()
    idle = [name for name, p in made.named_parameters() if not p.grad.any()]
    assert idle == ["inputs.missing"]


def test_it_has_as_many_parameters_as_the_reference():
    """4.73 M beside the inputs, of 256 features and for 7 classes, and three layers more.

    The reference writes three layers per modality, as the code has, but counts two: the middle ones
    are 3 x (128 x 128 + 128).
    """
    sizes = {"width": 256, "hidden": 128, "compressed": 32}
    assert size_of(NAME, **sizes) == 4_728_551 + 3 * 16_512 - 129
