"""MISA against loops over turns and features, its losses by hand, and in the reference's size."""

import math
from itertools import combinations

import pytest
import torch

from pipeline.nn.entropy import Entropy
from tests.nn.naive_transformer import naive_post_norm
from tests.systems.zoo import (
    CLASSES,
    batch_of,
    conversations,
    in_float64,
    logits,
    make,
    reordered,
    size_of,
    terms_of,
)

NAME = "misa"


def naive_vectors(made, encoded):
    """Own, private and shared vectors of one turn, [modality][hidden]."""
    own = []
    for layer, u in zip(made.own, encoded, strict=True):
        h = layer[0](u).clamp(min=0)
        own.append(layer[2].weight * (h - h.mean()) / (h.var(correction=0) + 1e-5).sqrt())
    own = [o + layer[2].bias for o, layer in zip(own, made.own, strict=True)]
    private = [
        1 / (1 + (-layer(o)).exp()) for layer, o in zip(made.spaces.private, own, strict=True)
    ]
    shared = [1 / (1 + (-made.spaces.shared(o)).exp()) for o in own]
    return own, private, shared


def naive_logits(made, private, shared, there):
    """One turn; the vectors of absent modalities are read by no other."""
    tokens, layer = private + shared, made.transformer
    keys = [token for token, use in zip(tokens, 2 * there, strict=True) if use]
    mixed = torch.cat([naive_post_norm(layer, token, keys) for token in tokens])
    return made.head[3](made.head[0](mixed).clamp(min=0))


def naive_cmd(x, y):
    total = 0
    for power in range(1, 6):
        gaps = []
        for column in range(len(x[0])):
            moments = []
            for rows in (x, y):
                values = [row[column] for row in rows]
                mean = sum(values) / len(values)
                central = sum((v - mean) ** power for v in values) / len(values)
                moments.append(mean if power == 1 else central)
            gaps.append((moments[0] - moments[1]) ** 2)
        total = total + sum(gaps) ** 0.5
    return total


def naive_orthogonality(x, y):
    rows = []
    for sample in (x, y):
        mean = sum(sample) / len(sample)
        rows.append([(row - mean) / ((row - mean).square().sum().sqrt() + 1e-6) for row in sample])
    products = [
        sum(a[i] * b[j] for a, b in zip(*rows, strict=True)) ** 2
        for i in range(len(x[0]))
        for j in range(len(x[0]))
    ]
    return sum(products) / len(products)


@pytest.mark.parametrize(
    "modalities", [("audio",), ("text", "visual"), ("text", "audio", "visual")]
)
def test_it_equals_loops_over_turns_and_features(modalities):
    made = make(NAME, hidden=4, modalities=modalities).double()
    for norm in [layer[2] for layer in made.own]:
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
    batch = in_float64(batch_of(made, conversations((6, 1, 4)), turns=2))
    turns = made.inputs(batch)[:, batch.turn_mask].unbind(1)
    there = batch.all_available(modalities)[:, batch.turn_mask].T.tolist()
    vectors = [naive_vectors(made, turn) for turn in turns]
    expected = [
        naive_logits(made, private, shared, use)
        for (_, private, shared), use in zip(vectors, there, strict=True)
    ]
    torch.testing.assert_close(logits(made, batch), torch.stack(expected))

    terms, count = terms_of(made, batch), range(len(modalities))

    def rows(kind, m, also=None):
        also = m if also is None else also
        return [v[kind][m] for v, use in zip(vectors, there, strict=True) if use[m] and use[also]]

    pairs = list(combinations(count, 2))
    if pairs:
        gaps = [naive_cmd(rows(2, m), rows(2, n)) for m, n in pairs]
        torch.testing.assert_close(terms["similarity"], sum(gaps) / len(pairs))
    else:
        assert "similarity" not in terms
    apart = [naive_orthogonality(rows(2, m), rows(1, m)) for m in count]
    apart += [naive_orthogonality(rows(1, m, n), rows(1, n, m)) for m, n in pairs]
    torch.testing.assert_close(terms["difference"], 0.3 * sum(apart))
    errors = [
        torch.stack(
            [
                (made.spaces.back[m](p + c) - o).square().mean()
                for o, p, c in zip(*(rows(kind, m) for kind in range(3)), strict=True)
            ]
        ).mean()
        for m in count
    ]
    torch.testing.assert_close(terms["reconstruction"], sum(errors) / len(errors))


def test_vectors_that_are_equal_have_no_distance_and_an_error_by_hand():
    made = make(NAME)
    for parameter in made.parameters():
        torch.nn.init.zeros_(parameter)
    for layer, bias in zip(made.spaces.back, (1.0, 2.0, 3.0), strict=True):
        torch.nn.init.constant_(layer.bias, bias)
    terms = terms_of(made, batch_of(made, conversations([5, 3])))
    # o is 0, p and c are 1/2 throughout: means over the modalities.
    assert terms["cross_entropy"].item() == pytest.approx(math.log(CLASSES))
    assert terms["similarity"].item() == 0
    assert terms["difference"].item() == pytest.approx(0, abs=1e-12)
    assert terms["reconstruction"].item() == pytest.approx((1 + 4 + 9) / 3)


def test_cross_entropy_alone_moves_no_map_of_the_reconstruction():
    made = make(NAME)
    terms = terms_of(made, batch_of(made, conversations([5, 3])))
    terms["cross_entropy"].backward(retain_graph=True)
    assert all(p.grad is None for p in made.spaces.back.parameters())
    terms["reconstruction"].backward()
    assert all(p.grad.any() for p in made.spaces.back.parameters())


def test_what_is_reconstructed_does_not_come_to_meet_it():
    made = make(NAME)
    output = made(batch := batch_of(made, conversations([5, 3])))
    loss = made.losses(output, batch, Entropy())["reconstruction"]
    (gradient,) = torch.autograd.grad(loss, output.extra["spaces"].own)
    with torch.no_grad():  # of private and shared vectors that no longer depend on it
        for layer in (*made.spaces.private, made.spaces.shared):
            layer.weight.zero_()
    output = made(batch)
    loss = made.losses(output, batch, Entropy())["reconstruction"]
    (without,) = torch.autograd.grad(loss, output.extra["spaces"].own)
    assert gradient.any()
    assert not without.any()


def test_a_discriminator_that_cannot_tell_modalities():
    made = make(NAME, similarity_by="adversarial")
    for parameter in made.discriminator.parameters():
        torch.nn.init.zeros_(parameter)
    batch = batch_of(made, conversations([5, 3]))
    assert terms_of(made, batch)["similarity"].item() == pytest.approx(math.log(3))
    # It then takes all for text.
    output = made(batch)
    figures = made.figures(output, batch)
    assert figures["discriminator_accuracy"].item() == pytest.approx(1 / 3)
    spaces = output.extra["spaces"]
    shared = spaces.shared[spaces.available]
    assert figures["shared_mean"].item() == pytest.approx(shared.mean().item())
    assert figures["shared_deviation"].item() == pytest.approx(shared.std(correction=0).item())


def test_what_the_discriminator_learns_the_encoder_unlearns():
    made = make(NAME, similarity_by="adversarial")
    batch = batch_of(made, conversations([9, 7], missing=0.0))

    def after(parameters):
        """The loss after a step of some parameters, which are put back."""
        made.zero_grad()
        loss = terms_of(made, batch)["similarity"]
        loss.backward()
        before = [p.detach().clone() for p in parameters]
        with torch.no_grad():
            for parameter in parameters:
                parameter.sub_(parameter.grad, alpha=1e-2)
            moved = terms_of(made, batch)["similarity"]
            for parameter, old in zip(parameters, before, strict=True):
                parameter.copy_(old)
        return (moved - loss).item()

    assert after(list(made.discriminator.parameters())) < 0
    assert after([*made.spaces.shared.parameters(), *made.own.parameters()]) > 0


def test_likeness_reads_no_turn_that_lacks_the_modality():
    made = make(NAME, similarity_by="cmd")
    batch = batch_of(made, conversations([6, 4]))
    before = terms_of(made, batch)
    with torch.no_grad():
        made.inputs.missing.add_(3)
    after = terms_of(made, batch)
    for term in ("similarity", "difference", "reconstruction"):
        assert torch.equal(before[term], after[term])
    assert before["cross_entropy"] != after["cross_entropy"]


def test_other_turns_change_nothing():
    made = make(NAME)
    batch = batch_of(made, conversations([6]))
    reversed_turns = reordered(batch, range(5, -1, -1))
    torch.testing.assert_close(logits(made, reversed_turns), logits(made, batch).flip(0))


def test_a_batch_without_a_modality_has_losses_of_the_others():
    made = make(NAME)
    batch = batch_of(made, conversations([5, 3], missing=0.0))
    batch.present["audio"].fill_(False)
    terms = terms_of(made, batch)
    sum(terms.values()).backward()
    assert all(term.isfinite() and term != 0 for term in terms.values())
    assert all(p.grad.isfinite().all() for p in made.parameters() if p.grad is not None)


def test_features_that_no_head_can_share_are_refused():
    with pytest.raises(ValueError, match="hidden 15 is not a multiple of heads 2"):
        make(NAME, hidden=15)


@pytest.mark.parametrize(
    ("by", "expected"), [("adversarial", 1_122_569), ("cmd", 1_122_569 - 16_899)]
)
def test_it_has_as_many_parameters_as_the_reference(by, expected):
    """1.12 M beside the inputs, of 256 features and for 6 classes, with the discriminator."""
    sizes = {"width": 256, "hidden": 128, "heads": 2, "feedforward": 2048}
    assert size_of(NAME, **sizes, similarity_by=by) == expected
