"""The old name of `pipeline.nn.transformer_layers`, until Shi et al. imports from there."""

from pipeline.nn.transformer_layers import PostNormLayer

__all__ = ["PostNormLayer"]
