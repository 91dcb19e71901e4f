"""Random weights under which pictures differ, where no trained ones are at hand."""

from pathlib import Path

import torch
from torch import nn
from torchvision.models import get_model


def random_network(architecture: str) -> nn.Module:
    """A torchvision network in evaluation mode, from seed 0.

    Batch norms take the statistics of drawn pictures, or all pictures would look the same; heads
    that start at zero do not.
    """
    torch.manual_seed(0)
    options = {"init_weights": False} if architecture in ("googlenet", "inception_v3") else {}
    network: nn.Module = get_model(architecture, weights=None, **options).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train().momentum = 1.0
        if isinstance(module, nn.Linear):
            module.reset_parameters()
    with torch.no_grad():
        # Large patches and grain, as pictures have: on grain alone some channels hardly vary, and
        # pictures would blow them up, with their rounding.
        patches = torch.randn(4, 3, 2, 2).repeat_interleave(112, 2).repeat_interleave(112, 3)
        network(patches + 0.7 * torch.randn(4, 3, 224, 224))
    return network.eval()


def random_weights(architecture: str, folder: Path) -> Path:
    """Saves random weights as torchvision's own files are."""
    path = folder / f"{architecture}.pth"
    torch.save(random_network(architecture).state_dict(), path)
    return path
