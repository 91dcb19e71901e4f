"""Transformer layers by loops, with the weights of those that run here."""

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from pipeline.nn.transformer_layers import PostNormLayer, PreNormLayer
from tests.nn.naive import naive_attention, naive_head


def naive_transformer(encoder: nn.TransformerEncoder, turns: list[Tensor]) -> list[Tensor]:
    """Turns of one dialogue, normalised after each part."""
    for layer in encoder.layers:
        turns = naive_encoder_layer(layer, turns)
    return turns


def naive_encoder_layer(layer: nn.TransformerEncoderLayer, turns: list[Tensor]) -> list[Tensor]:
    """A layer of PyTorch, of vectors that attend to each other."""
    attention, width = layer.self_attn, layer.self_attn.embed_dim
    size = width // attention.num_heads
    maps = [attention.in_proj_weight @ turn + attention.in_proj_bias for turn in turns]
    parts = [[part.split(size) for part in mapped.split(width)] for mapped in maps]
    mixed = []
    for query, _, _ in parts:
        heads = [
            naive_head(query[h], [k[h] for _, k, _ in parts], [v[h] for _, _, v in parts])
            for h in range(attention.num_heads)
        ]
        mixed.append(attention.out_proj(torch.cat(heads)))
    turns = [naive_norm(layer.norm1, t + m) for t, m in zip(turns, mixed, strict=True)]
    inner = [layer.linear2(layer.linear1(turn).clamp(min=0)) for turn in turns]
    return [naive_norm(layer.norm2, t + i) for t, i in zip(turns, inner, strict=True)]


def naive_read(layer: PostNormLayer | PreNormLayer, turn: Tensor, keys: list[Tensor]) -> Tensor:
    """What one vector reads of others, nothing without any."""
    if not len(keys):
        return torch.zeros_like(turn)
    return naive_attention(layer.attention, turn.unsqueeze(0), keys)[0]


def naive_post_norm(layer: PostNormLayer, turn: Tensor, keys: list[Tensor]) -> Tensor:
    """One vector of a layer, which attends to these."""
    turn = naive_norm(layer.attention_norm, turn + naive_read(layer, turn, keys))
    inner = layer.feed_forward[0](turn).clamp(min=0)
    return naive_norm(layer.norm, turn + layer.feed_forward[3](inner))


def naive_pre_norm(layer: PreNormLayer, turn: Tensor, keys: list[Tensor]) -> Tensor:
    """One vector of a layer, which attends to these."""
    first, second = layer.norms
    own = naive_norm(first, turn)
    turn = turn + naive_read(layer, own, [naive_norm(first, k) for k in keys])
    inner = layer.feedforward[0](naive_norm(second, turn)).clamp(min=0)
    return turn + layer.feedforward[3](inner)


def naive_norm(norm: nn.LayerNorm, vector: Tensor) -> Tensor:
    """LayerNorm of a single vector."""
    return layer_norm(vector, vector.shape, norm.weight, norm.bias, norm.eps)
