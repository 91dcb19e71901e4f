"""Attention among tokens: against the transformer of those that are usable, and its pools."""

import pytest
import torch

from pipeline.nn.token_attention import TokenAttention


def attention(pool="mean"):
    return TokenAttention(4, 6, heads=2, feedforward=8, layers=2, dropout=0.0, pool=pool).double()


@pytest.mark.parametrize("pool", ["mean", "max"])
def test_tokens_that_are_not_usable_might_as_well_not_be_there(pool):
    made, tokens = attention(pool), torch.randn(3, 4, 6, dtype=torch.float64)
    usable = torch.tensor([[True] * 4, [False, True, False, True], [False, False, True, False]])
    result = made(tokens, usable)
    for row, mask, vector in zip(tokens, usable, result, strict=True):
        read = made.transformer((row + made.kinds)[mask][None])[0]
        pooled = read.mean(0) if pool == "mean" else read.max(0).values
        torch.testing.assert_close(vector, pooled)


def test_tokens_are_told_apart_by_their_kinds_alone():
    made, tokens = attention(), torch.randn(2, 4, 6, dtype=torch.float64)
    usable, order = torch.ones(2, 4, dtype=torch.bool), [2, 0, 3, 1]
    before = made(tokens, usable)
    assert (made(tokens[:, order], usable) - before).abs().max() > 1e-3
    made.kinds.data = made.kinds.data[order]
    torch.testing.assert_close(made(tokens[:, order], usable), before)
