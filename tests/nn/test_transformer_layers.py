"""Transformer layers against loops and PyTorch's own, and without keys."""

import pytest
import torch
from torch import nn

from pipeline.nn.transformer_layers import PostNormLayer, PreNormLayer
from tests.nn.naive_transformer import naive_post_norm, naive_pre_norm


@pytest.mark.parametrize(
    ("kind", "naive"), [(PreNormLayer, naive_pre_norm), (PostNormLayer, naive_post_norm)]
)
def test_a_layer_equals_a_loop_over_queries_and_their_keys(kind, naive):
    layer = kind(6, 2, 10, 0.3).double().eval()
    turns, source = (torch.randn(2, n, 6, dtype=torch.float64) for n in (4, 3))
    usable = torch.rand(2, 4, 3) > 0.4
    usable[1, 2] = False
    expected = [
        naive(layer, turns[b, t], [source[b, k] for k in range(3) if usable[b, t, k]])
        for b in range(2)
        for t in range(4)
    ]
    torch.testing.assert_close(layer(turns, source, usable).flatten(0, 1), torch.stack(expected))


def test_attending_to_itself_it_is_the_layer_of_pytorch():
    layer = PostNormLayer(8, 2, 16, 0.0).eval()
    other = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True).eval()
    attention = layer.attention
    with torch.no_grad():
        for kind in ("weight", "bias"):
            maps = [getattr(part, kind) for part in (attention.query, attention.key_value)]
            getattr(other.self_attn, f"in_proj_{kind}").copy_(torch.cat(maps))
    other.self_attn.out_proj.load_state_dict(attention.output.state_dict())
    other.linear1.load_state_dict(layer.feed_forward[0].state_dict())
    other.linear2.load_state_dict(layer.feed_forward[3].state_dict())
    rows, usable = torch.randn(3, 5, 8), torch.rand(3, 5) < 0.6
    usable[:, 0] = True
    expected = other(rows, src_key_padding_mask=~usable)
    torch.testing.assert_close(layer(rows, rows, usable), expected)


def test_queries_without_keys_keep_their_own_vector():
    layer, queries = PostNormLayer(8, 2, 16, 0.0).eval(), torch.randn(2, 3, 8)
    usable = torch.tensor([[False] * 4, [True] * 4])
    result = layer(queries, torch.randn(2, 4, 8), usable)
    normed = layer.attention_norm(queries[0])
    torch.testing.assert_close(result[0], layer.norm(normed + layer.feed_forward(normed)))


def test_keys_that_are_not_usable_change_nothing():
    layer, queries, keys = (
        PostNormLayer(8, 2, 16, 0.0).eval(),
        torch.randn(1, 3, 8),
        torch.rand(1, 4, 8),
    )
    usable = torch.tensor([[True, True, False, True]])
    expected = layer(queries, keys, usable)
    keys[0, 2] = 1e4
    assert torch.equal(layer(queries, keys, usable), expected)
