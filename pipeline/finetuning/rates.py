"""Learning rates: layer-wise decay, linear warm-up, linear decay to 0."""

import math
import re
from collections.abc import Iterator
from typing import Any

from torch import nn

from pipeline.finetuning.network import Classifier
from pipeline.finetuning.settings import FinetuneSettings

# `encoder.layer.3.` of BERT-like networks, `transformer.layer.3.`, `layers.3.`, `h.3.`.
LAYER = re.compile(r"\.(?:layers?|h|blocks?)\.(\d+)\.")


def parameter_groups(model: Classifier, settings: FinetuneSettings) -> list[dict[str, Any]]:
    """Group parameters for an optimiser; each group's `rate` is its peak learning rate.

    Embeddings count as the layer below the first. Vectors (biases, norms) get no weight decay.
    """
    network = dict(_trainable(model.text))
    depths = {name: _depth(name) for name in network}
    layers = max((d for d in depths.values() if d is not None), default=0)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in _trainable(model):
        inner = name.removeprefix("text.")
        if inner in network:
            depth = depths[inner]
            below = 0 if depth is None else layers - depth
            rate = settings.learning_rate * settings.layer_decay**below
        else:
            rate = settings.head_learning_rate
        decay = settings.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    return [
        {"params": parameters, "rate": rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]


def _trainable(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    return ((name, p) for name, p in module.named_parameters() if p.requires_grad)


def _depth(name: str) -> int | None:
    """0 for embeddings, from 1 for layers, None for parameters above all layers."""
    if match := LAYER.search(name):
        return int(match[1]) + 1
    return 0 if "embeddings" in name else None


def rate_factor(step: int, steps: int, warmup: float) -> float:
    """Factor of the peak learning rate: a linear rise, then a linear fall.

    Args:
        step: From 0.
        steps: Number of steps of all epochs.
        warmup: Share of the steps in which it rises.
    """
    rising = math.ceil(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    return (steps - step) / max(1, steps - rising)
