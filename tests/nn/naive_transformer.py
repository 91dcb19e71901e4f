"""A transformer encoder and attention by loops, with the weights of those that run here."""

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm


def naive_attention(query: Tensor, keys: list[Tensor], values: list[Tensor]) -> Tensor:
    """Scaled dot-product attention of one query."""
    shares = [(query @ key / len(query) ** 0.5).exp() for key in keys]
    return sum(s * v for s, v in zip(shares, values, strict=True)) / sum(shares)


def naive_transformer(encoder: nn.TransformerEncoder, turns: list[Tensor]) -> list[Tensor]:
    """Turns of one dialogue, normalised after each part."""
    for layer in encoder.layers:
        attention, width = layer.self_attn, layer.self_attn.embed_dim
        size = width // attention.num_heads
        maps = [attention.in_proj_weight @ turn + attention.in_proj_bias for turn in turns]
        parts = [[part.split(size) for part in mapped.split(width)] for mapped in maps]
        mixed = []
        for query, _, _ in parts:
            heads = [
                naive_attention(query[h], [k[h] for _, k, _ in parts], [v[h] for _, _, v in parts])
                for h in range(attention.num_heads)
            ]
            mixed.append(attention.out_proj(torch.cat(heads)))
        turns = [naive_norm(layer.norm1, t + m) for t, m in zip(turns, mixed, strict=True)]
        inner = [layer.linear2(layer.linear1(turn).clamp(min=0)) for turn in turns]
        turns = [naive_norm(layer.norm2, t + i) for t, i in zip(turns, inner, strict=True)]
    return turns


def naive_norm(norm: nn.LayerNorm, vector: Tensor) -> Tensor:
    """LayerNorm of a single vector."""
    return layer_norm(vector, vector.shape, norm.weight, norm.bias, norm.eps)
