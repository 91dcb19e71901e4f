"""Masked attention against PyTorch's and against loops, and rows in which nothing is allowed."""

import math

import pytest
import torch
from torch import nn

from pipeline.nn.attention import MultiHeadAttention, NodalAttention, masked_softmax

MASK = torch.tensor([[True, True, True, True], [True, True, False, False]])


def test_softmax_over_the_allowed_entries():
    scores = torch.tensor([[math.log(2), torch.nan, 0.0], [7.0, 7.0, 7.0]], requires_grad=True)
    allowed = torch.tensor([[True, False, True], [False, False, False]])
    weights = masked_softmax(scores, allowed)
    torch.testing.assert_close(weights, torch.tensor([[2 / 3, 0, 1 / 3], [0, 0, 0]]))
    weights[:, 0].sum().backward()
    torch.testing.assert_close(scores.grad, torch.tensor([[2 / 9, 0, -2 / 9], [0, 0, 0]]))
    by_column = masked_softmax(scores, torch.tensor([[True], [False]]), dim=0)
    assert torch.equal(by_column[1], torch.zeros(3))


@pytest.mark.parametrize("tanh", [False, True])
def test_nodal_attention_equals_a_loop(tanh):
    attention = NodalAttention(3, tanh=tanh).double()
    states = torch.randn(2, 4, 3, dtype=torch.float64)
    result = attention(states, MASK)
    for row, length in enumerate((4, 2)):
        for turn in range(length):
            query = attention.query.weight @ states[row, turn] + attention.query.bias
            scores = [query @ states[row, other] for other in range(length)]
            exponents = [(torch.tanh(s) if tanh else s).exp() for s in scores]
            mixed = sum(e * m for e, m in zip(exponents, states[row], strict=False))
            torch.testing.assert_close(result[row, turn], mixed / sum(exponents))


def test_nodal_attention_of_a_single_turn_is_the_identity():
    states = torch.randn(3, 1, 4)
    assert torch.equal(NodalAttention(4)(states, torch.ones(3, 1, dtype=torch.bool)), states)


def test_multi_head_attention_is_pytorchs():
    attention, reference = MultiHeadAttention(8, 2), nn.MultiheadAttention(8, 2, batch_first=True)
    with torch.no_grad():
        weights = torch.cat((attention.query.weight, attention.key_value.weight))
        reference.in_proj_weight.copy_(weights)
        reference.in_proj_bias.copy_(torch.cat((attention.query.bias, attention.key_value.bias)))
        reference.out_proj.weight.copy_(attention.output.weight)
        reference.out_proj.bias.copy_(attention.output.bias)
    queries, keys = torch.randn(2, 3, 8), torch.randn(2, 4, 8)
    expected = reference(queries, keys, keys, key_padding_mask=~MASK, need_weights=False)[0]
    torch.testing.assert_close(attention(queries, keys, MASK), expected)


def test_a_query_without_keys_gets_zeros():
    attention, keys = MultiHeadAttention(4, 2), torch.randn(2, 3, 4, requires_grad=True)
    result = attention(torch.randn(2, 5, 4), keys, torch.tensor([[False] * 3, [True] * 3]))
    result.sum().backward()
    assert torch.equal(result[0], torch.zeros(5, 4))
    assert torch.equal(keys.grad[0], torch.zeros(3, 4))
    assert keys.grad[1].isfinite().all()


def test_a_query_may_have_keys_of_its_own_and_one_without_any_learns_without_nan():
    attention = MultiHeadAttention(4, 2)
    usable = torch.tensor([[[True, False], [False, False], [True, True]]])
    queries, keys = torch.randn(1, 3, 4, requires_grad=True), torch.randn(1, 2, 4)
    result = attention(queries, keys, usable)
    for number in (0, 2):
        alone = attention(queries[:, number : number + 1], keys, usable[:, number])
        torch.testing.assert_close(result[:, number : number + 1], alone)
    assert result[0, 0].any()
    assert not result[0, 1].any()
    result.sum().backward()
    assert queries.grad.isfinite().all()


def test_keys_by_query_that_are_alike_are_keys_of_the_batch():
    attention, queries, keys = MultiHeadAttention(8, 2), torch.randn(3, 5, 8), torch.randn(3, 4, 8)
    usable = torch.rand(3, 4) > 0.3
    usable[0] = False
    got = attention(queries, keys, usable.unsqueeze(1).expand(3, 5, 4))
    torch.testing.assert_close(got, attention(queries, keys, usable))


def test_heads_divide_the_width():
    with pytest.raises(ValueError, match="Bad heads 3, expected a divisor of the width 8"):
        MultiHeadAttention(8, 3)
