"""Bottlenecks before a fusion: what passes, what their losses read, and who plays against whom."""

import pytest
import torch
from torch import nn

from pipeline.nn.decoupling import make_decoupling
from pipeline.nn.entropy import Entropy
from pipeline.nn.shared_private import SharedPrivate
from tests.systems.zoo import DIMENSIONS, batch_of, conversations, make

KINDS = ("misa", "mcihn")
NAME = "mcn_cl"


def rows(modalities=3, count=6, width=16, seed=0):
    return torch.randn(modalities, count, width, generator=torch.Generator().manual_seed(seed))


def test_spaces_by_hand():
    spaces = SharedPrivate(2, 1, restores=True)
    for layer, weight in zip([*spaces.private, spaces.shared, *spaces.back], range(5), strict=True):
        nn.init.constant_(layer.weight, weight)
        nn.init.zeros_(layer.bias)
    own = torch.tensor([[[0.0]], [[1.0]]])
    made = spaces(own, torch.ones(2, 1, dtype=torch.bool))
    sigmoid = [1 / (1 + torch.tensor(-x).exp().item()) for x in (0.0, 1.0, 2.0)]
    assert made.private.flatten().tolist() == pytest.approx([sigmoid[0], sigmoid[1]])
    assert made.shared.flatten().tolist() == pytest.approx([sigmoid[0], sigmoid[2]])
    back = [3 * (sigmoid[0] + sigmoid[0]), 4 * (sigmoid[1] + sigmoid[2])]
    assert spaces.restore(made).flatten().tolist() == pytest.approx(back)
    assert spaces.error(made).item() == pytest.approx((back[0] ** 2 + (back[1] - 1) ** 2) / 2)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_without_a_modality_enter_no_loss(kind):
    torch.manual_seed(0)
    made = make_decoupling(kind, 3, 16, dropout=0.0)
    available = torch.rand(3, 6, generator=torch.Generator().manual_seed(1)) > 0.4
    terms = []
    for filler in (rows(seed=0), 7 + rows(seed=2)):
        features = torch.where(available.unsqueeze(-1), rows(), filler)
        torch.manual_seed(3)  # draws of the prior
        terms.append(made.losses(made(features, available)[1], 1.0))
    assert len(terms[0]) >= 3
    assert all(torch.equal(term, terms[1][name]) for name, term in terms[0].items())
    nothing = made.losses(made(rows(), torch.zeros_like(available))[1], 1.0)
    assert all(term.item() == 0 for term in nothing.values())


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_given_back_does_not_come_to_meet_it(kind):
    made = make_decoupling(kind, 2, 16, dropout=0.0)
    features = rows(2).requires_grad_()
    for parameter in made.parameters():
        nn.init.zeros_(parameter)  # all that is made no longer depends on the features
    _, kept = made(features, torch.ones(2, 6, dtype=torch.bool))
    loss = made.losses(kept, 1.0)["reconstruction"]
    (gradient,) = torch.autograd.grad(loss, features, allow_unused=True)
    assert loss > 0
    assert gradient is None or not gradient.any()


@pytest.mark.parametrize(("kind", "players"), [("misa", 1), ("mcihn", 2), ("none", 1)])
def test_mcn_cl_learns_with_its_terms_and_players(kind, players):
    made = make(NAME, decoupling=kind, decoupling_weight=2.0)
    batch = batch_of(made, conversations([5, 3]))
    torch.manual_seed(0)
    once = make(NAME, decoupling=kind, decoupling_weight=1.0)
    once.load_state_dict(made.state_dict())
    terms = []
    for model in (made, once):
        torch.manual_seed(1)
        terms.append(model.losses(model(batch), batch, Entropy()))
    own = {"similarity", "difference", "reconstruction", "discriminator", "adversarial", "mmd"}
    for name in own & set(terms[0]):
        times = 1 if name == "discriminator" else 2  # it judges, whatever its verdict weighs
        torch.testing.assert_close(terms[0][name], times * terms[1][name])
    assert len(made.players()) == players
    assert bool(own & set(terms[0])) == (kind != "none")
    every = [p for player in made.players().values() for p in player.parameters]
    assert sorted(map(id, every)) == sorted(map(id, made.parameters()))


def test_each_loss_of_the_game_moves_its_own_player():
    made = make(NAME, decoupling="mcihn", decoupling_weight=1.0)
    batch = batch_of(made, conversations([5, 3]))
    judging = {id(p) for p in made.players()["discriminators"].parameters}
    for term, own in (("discriminator", True), ("adversarial", False)):
        made.zero_grad(set_to_none=True)
        made.losses(made(batch), batch, Entropy())[term].backward()
        reached = {id(p) for p in made.parameters() if p.grad is not None}
        assert reached & judging == (judging if own else set())
        assert bool(reached - judging) != own


def test_codes_are_half_as_wide_as_what_they_stand_for():
    made = make_decoupling("mcihn", 2, 16, dropout=0.0)
    assert [coder(rows(2)[0]).shape for coder in made.coders] == [(6, 8)] * 2


def test_the_history_shows_the_game():
    made = make(NAME, decoupling="mcihn", decoupling_weight=1.0)
    batch = batch_of(made, conversations([5, 3]))
    figures = made.figures(made(batch), batch)
    for modality in DIMENSIONS:
        assert 0 <= figures[f"discriminator_accuracy_{modality}"] <= 1
        assert figures[f"code_deviation_{modality}"] > 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_of_zero_leaves_the_layers_alone(kind):
    """There is no game then: a player without a gradient could not step in float16."""
    made = make(NAME, decoupling=kind, decoupling_weight=0.0)
    batch = batch_of(made, conversations([5, 3]))
    output = made(batch)
    terms = made.losses(output, batch, Entropy())
    assert terms.keys() == {"cross_entropy", "contrastive"}
    assert list(made.players()) == ["all"] and made.figures(output, batch) == {}
    sum(terms.values()).backward()
    layers = made.decoupling.spaces.private if kind == "misa" else made.decoupling.first
    assert all(layer.weight.grad.any() for layer in layers)
