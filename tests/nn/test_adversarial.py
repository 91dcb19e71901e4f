"""Adversarial losses by hand, and whose parameters each of them reaches."""

import math

import pytest
import torch
from torch import nn

from pipeline.nn.adversarial import (
    RampedReversal,
    accuracy,
    adversarial_losses,
    recognised,
    recognition_loss,
    reversal_weight,
    reverse_gradient,
    spread,
)


def zeroed(module: nn.Module) -> nn.Module:
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


def test_a_discriminator_that_cannot_tell():
    rows = torch.randn(4, 3), torch.randn(6, 3)
    discrimination, generation = adversarial_losses(zeroed(nn.Linear(3, 1)), *rows)
    assert discrimination.item() == pytest.approx(2 * math.log(2))
    assert generation.item() == pytest.approx(math.log(2))


def test_each_loss_moves_its_own_player():
    generator, discriminator = nn.Linear(2, 3), nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
    real, noise = torch.randn(4, 3), torch.randn(6, 2)

    def gradients(number: int) -> list[list[torch.Tensor | None]]:
        modules = (generator, discriminator)
        for module in modules:
            module.zero_grad(set_to_none=True)
        adversarial_losses(discriminator, real, generator(noise))[number].backward()
        return [[p.grad for p in module.parameters()] for module in modules]

    of_generator, of_discriminator = gradients(0)
    assert all(g is None for g in of_generator)
    assert all(g.abs().sum() > 0 for g in of_discriminator)
    of_generator, of_discriminator = gradients(1)
    assert all(g.abs().sum() > 0 for g in of_generator)
    assert all(g is None for g in of_discriminator)


def test_without_rows_the_losses_are_zero_and_have_a_graph():
    rows = torch.randn(0, 3, requires_grad=True)
    for loss in adversarial_losses(nn.Linear(3, 1), rows, rows):
        loss.backward()
        assert loss.item() == 0
    lower = adversarial_losses(nn.Linear(3, 1).bfloat16(), *(rows.bfloat16(),) * 2)
    assert all(loss.dtype == torch.float32 for loss in lower)
    assert recognition_loss(nn.Linear(3, 2), [rows, rows]).item() == 0


def test_a_discriminator_is_as_often_right_as_its_two_shares_are_on_average():
    identity = nn.Linear(1, 1)
    identity.weight.data.fill_(1.0)
    identity.bias.data.zero_()
    real, fake = torch.tensor([[1.0], [-1.0]]), torch.tensor([[-1.0], [0.0], [-3.0], [2.0]])
    assert accuracy(identity, real, fake).item() == (1 / 2 + 3 / 4) / 2
    assert accuracy(identity, real[:0], fake).isnan(), "nothing was measured"


def test_the_spread_of_codes_by_hand():
    figures = spread(torch.tensor([[1.0, 5.0], [1.0, 5.0]]), "code")
    assert {name: value.item() for name, value in figures.items()} == {
        "code_mean": 3,
        "code_deviation": 2,
    }
    assert all(value.isnan() for value in spread(torch.zeros(0, 2), "code").values())


def test_groups_count_alike_whatever_their_rows():
    discriminator = zeroed(nn.Linear(2, 3))
    loss = recognition_loss(
        discriminator, [torch.randn(5, 2), torch.randn(1, 2), torch.randn(2, 2)]
    )
    assert loss.item() == pytest.approx(math.log(3))
    discriminator.bias.data.copy_(torch.tensor([math.log(2), 0.0, 0.0]))
    # Chances 1/2, 1/4, 1/4; the last group has no rows.
    loss = recognition_loss(
        discriminator, [torch.randn(9, 2), torch.randn(1, 2), torch.randn(0, 2)]
    )
    assert loss.item() == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_gradient_reversal():
    values = torch.tensor([2.0, -1.0], requires_grad=True)
    result = reverse_gradient(values, 0.8)
    assert torch.equal(result, values)
    (result * torch.tensor([1.0, 3.0])).sum().backward()
    torch.testing.assert_close(values.grad, torch.tensor([-0.8, -2.4]))


def test_the_ramp_of_the_reversal():
    assert reversal_weight(0.0) == 0
    assert reversal_weight(0.1) == pytest.approx(0.462117, abs=1e-6)
    assert reversal_weight(1.0) == pytest.approx(1.0, abs=1e-3)


def test_groups_that_are_recognised_count_alike():
    discriminator = nn.Linear(2, 2, bias=False)
    discriminator.weight.data.copy_(torch.eye(2))
    first, second = torch.tensor([[2.0, 1.0]]), torch.tensor([[2.0, 1.0], [0.0, 1.0]])
    assert recognised(discriminator, [first, second]).item() == pytest.approx((1 + 1 / 2) / 2)
    lower = [first.bfloat16(), second.bfloat16()]  # of autocast, which has ended
    assert recognised(discriminator, lower).item() == pytest.approx((1 + 1 / 2) / 2)
    assert recognised(discriminator, [first[:0], second]).item() == pytest.approx(1 / 2)
    assert recognised(discriminator, [first[:0], second[:0]]).item() == 0


def test_what_is_recognised_hangs_on_no_dropout_and_leaves_the_mode_as_it_was():
    discriminator = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Dropout(0.9))
    discriminator[0].weight.data.copy_(torch.eye(2))
    rows = [torch.tensor([[2.0, 1.0]] * 50), torch.tensor([[0.0, 1.0]] * 50)]
    for training in (True, False):
        discriminator.train(training)
        assert recognised(discriminator, rows).item() == 1
        assert all(part.training == training for part in discriminator.modules())


def test_the_reversal_follows_the_share_of_dialogues_that_were_read():
    reversal, values = RampedReversal(), torch.tensor([1.0], requires_grad=True)
    reversal.plan(40)
    weights = []
    for dialogues in (0, 4, 36):
        reversal.count(dialogues)
        values.grad = None
        reversal(values).sum().backward()
        weights.append(-values.grad.item())
    expected = [reversal_weight(progress) for progress in (0.0, 0.1, 1.0)]
    assert weights == pytest.approx(expected)
    assert expected[1] == pytest.approx(0.462117, abs=1e-5)


def test_how_far_the_reversal_is_stands_in_its_state():
    reversal, resumed = RampedReversal(), RampedReversal()
    reversal.plan(40)
    reversal.count(12)
    resumed.load_state_dict(reversal.state_dict())
    assert (resumed.seen.item(), resumed.planned.item()) == (12, 40)
