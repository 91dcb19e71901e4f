"""Classifier against eq. 28-31 as loops."""

import pytest
import torch
from torch import nn

from pipeline.systems.mcn_cl import Classifier
from tests.systems.dialogues import randomise


def naive_classifier(classifier: Classifier, vectors: torch.Tensor) -> torch.Tensor:
    """The logits of one utterance, [modality, width] to [class]."""
    linears = [module for module in classifier.modules() if isinstance(module, nn.Linear)]
    fully_connected, first, second, softmax = (linear.double() for linear in linears)
    h_concat = torch.cat([vectors[m] for m in range(len(vectors))])  # eq. 28
    h_fc = fully_connected.weight @ h_concat + fully_connected.bias  # eq. 29
    hidden = (first.weight @ h_fc + first.bias).clamp(min=0)
    h_mlp = (second.weight @ hidden + second.bias).clamp(min=0)  # eq. 30
    return softmax.weight @ h_mlp + softmax.bias  # eq. 31


@pytest.mark.parametrize("modalities", [1, 2, 3])
def test_equals_the_equations(modalities):
    classifier = randomise(Classifier(modalities, width=6, classes=4, dropout=0.5)).double().eval()
    features = torch.randn(modalities, 5, 6, dtype=torch.float64)
    expected = [naive_classifier(classifier, features[:, row]) for row in range(5)]
    torch.testing.assert_close(classifier(features), torch.stack(expected))


def test_gradient():
    classifier = randomise(Classifier(2, width=4, classes=3, dropout=0.0)).double()
    features = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    leaves = (features, *classifier.parameters())
    assert torch.autograd.gradcheck(lambda *_: classifier(features), leaves)
