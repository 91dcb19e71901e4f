"""The old name of `pipeline.nn.transformer_layers`, until AIMDiT imports from there."""

from pipeline.nn.transformer_layers import PreNormLayer

__all__ = ["PreNormLayer"]
