"""The cross-entropy of labelled turns: its value, its weights, and batches without labels."""

import math

import pytest
import torch
from torch.nn import functional

from pipeline.nn.entropy import Entropy

CLASSES = 4
LABELS = torch.tensor([[2, -1, 0, 3], [1, 1, -1, -1]])


def random_logits():
    """Logits that are NaN where there is no label."""
    logits = torch.randn(*LABELS.shape, CLASSES, dtype=torch.float64)
    logits[LABELS < 0] = torch.nan
    return logits.requires_grad_()


def test_by_hand():
    # p = 3/4 and 1/4 for the true class: -ln p is 0.287682 and 1.386294.
    logits = torch.tensor([[math.log(3), 0.0], [math.log(3), 0.0], [9.0, 9.0]])
    labels = torch.tensor([0, 1, -1])
    assert Entropy()(logits, labels).item() == pytest.approx(0.836988, abs=1e-6)
    focal = (0.25**2 * 0.287682 + 0.75**2 * 1.386294) / 2
    assert Entropy(focal=2.0)(logits, labels).item() == pytest.approx(focal, abs=1e-6)
    weighted = (1 * 0.287682 + 3 * 1.386294) / 4
    loss = Entropy(class_weights=torch.tensor([1.0, 3.0]))(logits, labels)
    assert loss.item() == pytest.approx(weighted, abs=1e-6)


@pytest.mark.parametrize("focal", [0.0, 0.5, 2.0])
def test_it_is_the_mean_over_labelled_turns(focal):
    logits = random_logits()
    places = LABELS.ge(0).nonzero().tolist()
    chances = [logits[row, turn].softmax(0)[LABELS[row, turn]] for row, turn in places]
    expected = [-((1 - p) ** focal) * p.log() for p in chances]
    loss = Entropy(focal=focal)(logits, LABELS)
    torch.testing.assert_close(loss, sum(expected) / len(expected))
    loss.backward()
    assert (logits.grad[LABELS < 0] == 0).all()


def test_class_weights_and_smoothing_are_pytorchs():
    weights, logits = torch.tensor([1.0, 2.0, 0.5, 4.0], dtype=torch.float64), random_logits()
    labelled = LABELS >= 0
    expected = functional.cross_entropy(
        logits[labelled], LABELS[labelled], weights, label_smoothing=0.1
    )
    loss = Entropy(class_weights=weights, label_smoothing=0.1)(logits, LABELS)
    torch.testing.assert_close(loss, expected)


def test_focal_loss_of_a_certain_turn_has_a_gradient():
    certain = 200.0 * functional.one_hot(LABELS.clamp(min=0), CLASSES)
    certain.requires_grad_()
    Entropy(focal=0.5)(certain, LABELS).backward()
    assert certain.grad.isfinite().all()


@pytest.mark.parametrize(
    "entropy", [Entropy(), Entropy(class_weights=torch.ones(CLASSES)), Entropy(focal=2.0)], ids=str
)
def test_without_labels_it_is_zero_and_has_a_graph(entropy):
    logits = random_logits()
    loss = entropy(logits, torch.full_like(LABELS, -1))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.count_nonzero() == 0


def test_bfloat16_logits_are_read_in_float32():
    rounded = random_logits().detach().bfloat16()
    loss = Entropy()(rounded, LABELS)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, Entropy()(rounded.float(), LABELS))
