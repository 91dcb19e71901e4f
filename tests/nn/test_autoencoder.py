"""Adversarial autoencoders by hand: whom a loss moves, what a prior is, what is watched."""

import math

import pytest
import torch

from pipeline.nn.autoencoder import AdversarialAutoencoder, AutoencoderSettings

PLAIN = {
    "adversarial": 0.1,
    "game": "simultaneous",
    "discriminator_rate": 1.0,
    "discriminator_betas": (0.5, 0.999),
    "discriminator_decay": 0.0,
    "code": 2,
    "coders": "mlp",
    "stochastic": False,
    "prior": "normal",
    "reconstruction": 1.0,
    "discriminator": (4, 3),
}


def autoencoder(size=3, width=5, **changes):
    return AdversarialAutoencoder(AutoencoderSettings(**PLAIN | changes), size, width, 0.0)


def test_the_error_is_a_mean_over_features_so_that_wide_modalities_weigh_no_more():
    for size in (1, 1000):
        made = autoencoder(size)
        torch.nn.init.zeros_(made.decoder[-1].weight)
        torch.nn.init.zeros_(made.decoder[-1].bias)
        assert made.error(torch.randn(4, 2), torch.full((4, size), 3.0)).item() == 9


def test_the_two_losses_of_discriminators_that_cannot_tell():
    made = autoencoder()
    for parameter in made.discriminator.parameters():
        torch.nn.init.zeros_(parameter)
    losses = [loss.item() for loss in made.game(torch.randn(4, 2))]
    assert losses == pytest.approx([2 * math.log(2), math.log(2)])


def test_parts_without_a_weight_are_not_there_and_no_loss_is_nan_without_rows():
    bare = autoencoder(reconstruction=0, adversarial=0)
    assert {name.split(".")[0] for name, _ in bare.named_parameters()} == {"encoder"}
    for made in (bare, autoencoder()):
        none = torch.zeros(0, 2, requires_grad=True)
        losses = [made.error(none, torch.zeros(0, 3)), *made.game(none)]
        torch.stack(losses).sum().backward()
        assert [loss.item() for loss in losses] == [0, 0, 0]
        assert all(value.isnan() for value in made.figures(none.detach()).values())
        lower = none.bfloat16()
        assert made.error(lower, none).dtype == torch.float32


def test_linear_coders_are_two_maps():
    made = autoencoder(coders="linear")
    rows = torch.randn(4, 5)
    codes = rows @ made.encoder[0].weight.T + made.encoder[0].bias
    torch.testing.assert_close(made(rows), codes)
    x = codes @ made.decoder[0].weight.T + made.decoder[0].bias
    assert made.error(codes, x).item() == pytest.approx(0, abs=1e-12)


def test_a_code_is_drawn_in_training_alone():
    made = autoencoder(stochastic=True, code=1)
    torch.nn.init.zeros_(made.encoder[-1].weight)
    # Mean 3; a deviation of softplus(log(e^2 - 1)) = 2.
    made.encoder[-1].bias.data = torch.tensor([3.0, math.log(math.e**2 - 1)])
    codes = made(torch.zeros(20_000, 5))
    assert codes.mean().item() == pytest.approx(3, abs=0.05)
    assert codes.std().item() == pytest.approx(2, abs=0.05)
    assert torch.equal(made.eval()(torch.zeros(4, 5)), torch.full((4, 1), 3.0))


@pytest.mark.parametrize(
    ("prior", "deviation", "largest"), [("normal", 1, 6), ("uniform", 1 / math.sqrt(3), 1)]
)
def test_the_prior_that_codes_shall_follow(prior, deviation, largest):
    drawn = autoencoder(prior=prior).draw(torch.empty(10_000, 2))
    assert drawn.mean().item() == pytest.approx(0, abs=0.03)
    assert drawn.std().item() == pytest.approx(deviation, abs=0.03)
    assert 0.9 < drawn.abs().max() <= largest


def test_what_is_watched_by_hand_and_without_a_trace():
    made, before = autoencoder(code=1, discriminator=()), torch.get_rng_state()
    with torch.no_grad():
        made.discriminator[0].weight.fill_(1.0)
        made.discriminator[0].bias.fill_(9.0)  # whatever is above -9 is taken for a draw
        codes = torch.tensor([[-12.0], [-10.0], [-6.0], [-4.0]])
        figures = made.figures(codes)
    assert figures["code_mean"].item() == -8
    assert figures["code_deviation"].item() == pytest.approx(math.sqrt(10))
    assert figures["discriminator_accuracy"].item() == 0.75, "four draws and two codes"
    assert torch.equal(torch.get_rng_state(), before)
