"""Random weights under which pictures differ."""

import torch
from torch import nn
from torchvision.models import get_model


def random_network(architecture: str) -> nn.Module:
    """A torchvision network in evaluation mode, from seed 0.

    Batch norms take the statistics of noise, or all pictures would look the same; heads that start
    at zero do not.
    """
    torch.manual_seed(0)
    options = {"init_weights": False} if architecture in ("googlenet", "inception_v3") else {}
    network: nn.Module = get_model(architecture, weights=None, **options)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
        if isinstance(module, nn.Linear):
            module.reset_parameters()
    with torch.no_grad():
        side = 299 if architecture == "inception_v3" else 224  # its auxiliary head needs that
        network.train()(torch.randn(2, 3, side, side))
    return network.eval()
