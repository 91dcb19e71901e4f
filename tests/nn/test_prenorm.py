"""Attention by pairs, layers normalised first, and positions as waves, by hand and by loops."""

import math

import pytest
import torch

from pipeline.nn.attention import MultiHeadAttention
from pipeline.nn.prenorm import PairwiseAttention, PreNormLayer, sinusoids
from tests.nn.naive_transformer import naive_attention, naive_norm


def naive_heads(attention, query, keys):
    """Attention of one vector to others."""
    size = len(query) // attention.heads
    queries = attention.query(query).split(size)
    pairs = [attention.key_value(key).split(len(query)) for key in keys]
    mixed = [
        naive_attention(
            queries[h], [k.split(size)[h] for k, _ in pairs], [v.split(size)[h] for _, v in pairs]
        )
        for h in range(attention.heads)
    ]
    return attention.output(torch.cat(mixed))


def naive_layer(layer, turn, keys):
    """One turn of a layer, which attends to these."""
    first, second = layer.norms
    if keys:
        own = naive_norm(first, turn)
        turn = turn + naive_heads(layer.attention, own, [naive_norm(first, k) for k in keys])
    inner = layer.feedforward[0](naive_norm(second, turn)).clamp(min=0)
    return turn + layer.feedforward[3](inner)


def test_a_layer_equals_a_loop_over_queries_and_their_keys():
    layer = PreNormLayer(6, 2, 10, 0.3).double().eval()
    turns, source = (torch.randn(2, n, 6, dtype=torch.float64) for n in (4, 3))
    usable = torch.rand(2, 4, 3) > 0.4
    usable[1, 2] = False
    expected = [
        naive_layer(layer, turns[b, t], [source[b, k] for k in range(3) if usable[b, t, k]])
        for b in range(2)
        for t in range(4)
    ]
    torch.testing.assert_close(layer(turns, source, usable).flatten(0, 1), torch.stack(expected))


def test_a_query_without_keys_gets_nothing_and_learns_without_nan():
    attention = PairwiseAttention(4, 2)
    usable = torch.tensor([[[True, False], [False, False]]])
    queries = torch.randn(1, 2, 4, requires_grad=True)
    result = attention(queries, torch.randn(1, 2, 4), usable)
    assert result[0, 0].any()
    assert not result[0, 1].any()
    result.sum().backward()
    assert queries.grad.isfinite().all()


def test_where_all_queries_have_the_same_keys_it_is_plain_attention():
    pairwise, plain = PairwiseAttention(8, 2), MultiHeadAttention(8, 2)
    plain.load_state_dict(pairwise.state_dict())
    queries, keys = torch.randn(3, 5, 8), torch.randn(3, 4, 8)
    usable = torch.rand(3, 4) > 0.3
    usable[0] = False
    expected = plain(queries, keys, usable)
    got = pairwise(queries, keys, usable.unsqueeze(1).expand(3, 5, 4))
    torch.testing.assert_close(got, expected)


def test_waves_by_hand():
    # Frequencies 1, 1/100 and 1/10000.
    rows = sinusoids(2, 6, torch.zeros((), dtype=torch.float64))
    for position, row in enumerate(rows.tolist(), start=1):
        angles = [position, position / 100, position / 10_000]
        expected = [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
        assert row == pytest.approx(expected, abs=1e-12)
