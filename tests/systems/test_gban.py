"""GBAN by hand, against a loop over turns, and in the reference's size."""

import math

import pytest
import torch

from pipeline.systems.base import Shape, system
from pipeline.systems.gban import GatedGroup, align
from tests.systems.zoo import (
    DIMENSIONS,
    batch_of,
    conversations,
    each_dialogue,
    in_float64,
    logits,
    make,
    shrunk,
    starting_with,
)

NAME = "gban"


def test_an_alignment_by_hand():
    # Scores of the first place: tanh(ln 2) = 3/5 and 0; of the second 0 and 0; the third turn does
    # not count.
    queries = torch.tensor([[[math.log(2), 0.0], [0, 0]]])
    keys = torch.tensor([[[1.0, 0], [0, 2], [9, 9]]])
    usable = torch.tensor([[True, True, False]])
    share = math.exp(0.6) / (math.exp(0.6) + 1)
    expected = torch.tensor([[[share, 2 * (1 - share)], [0.5, 1]]])
    torch.testing.assert_close(align(queries, keys, usable), expected)
    assert not align(queries, keys, torch.zeros_like(usable)).any()


def test_no_turn_weighs_more_than_e_squared_times_another():
    keys = torch.eye(6).unsqueeze(0)
    weights = align(1e6 * torch.randn(1, 50, 6), keys, torch.ones(1, 6, dtype=torch.bool))
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 50))
    ratios = weights.amax(-1) / weights.amin(-1)
    assert ratios.max() == pytest.approx(math.e**2, rel=1e-4)


def test_a_dialogue_of_one_turn_is_aligned_to_itself():
    made = make(NAME, modalities=("text", "audio"))
    states = torch.randn(2, 3, 1, 32)
    aligned = made._align(states, torch.ones(2, 3, 1, dtype=torch.bool))
    torch.testing.assert_close(aligned, states)


def test_gates_that_are_zero_give_the_mean():
    everywhere = torch.ones(3, 1, 2, dtype=torch.bool)
    for modalities in (2, 3):
        group = GatedGroup(modalities, 4, 5)
        gate = group.gate if modalities == 2 else group.gate.gate
        torch.nn.init.zeros_(gate.weight)
        vectors = torch.randn(modalities, 1, 2, 4)
        mapped = [m(x).tanh() for m, x in zip(group.maps, vectors, strict=True)]
        expected = sum(mapped) / modalities
        torch.testing.assert_close(group(vectors, everywhere[:modalities]), expected)


def test_both_groups_add_up_to_half_of_four_by_zero_gates():
    made = make(NAME, modalities=("text", "audio"))
    batch = batch_of(made, conversations((4, 2), missing=0.0))
    states = torch.stack(
        [r(u, batch.turn_mask) for r, u in zip(made.rnns.values(), made.inputs(batch), strict=True)]
    )
    aligned = made._align(states, batch.all_available(("text", "audio")))
    four = 0
    for group, vectors in ((made.own, states), (made.aligned, aligned)):
        torch.nn.init.zeros_(group.gate.weight)
        four = four + sum(m(x).tanh() for m, x in zip(group.maps, vectors, strict=True))
    torch.testing.assert_close(made(batch).logits, made.head(four / 2))


def naive_gru(rnn, suffix, turns):
    """One direction over one dialogue, by the equations of the gates."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    outer, inner, bias, bias_inner = (getattr(rnn, f"{name}_l0{suffix}") for name in names)
    state, states = torch.zeros(rnn.hidden_size, dtype=torch.float64), []
    for turn in turns:
        reset, update, new = (outer @ turn + bias).chunk(3)
        inner_reset, inner_update, inner_new = (inner @ state + bias_inner).chunk(3)
        keep = torch.sigmoid(update + inner_update)
        fresh = torch.tanh(new + torch.sigmoid(reset + inner_reset) * inner_new)
        state = (1 - keep) * fresh + keep * state
        states.append(state)
    return states


def naive_group(group, vectors, available):
    """One turn's group, from a vector of each modality."""
    mapped = [torch.tanh(m(x)) for m, x in zip(group.maps, vectors, strict=True)]
    if len(vectors) == 1:
        return mapped[0]
    if len(vectors) == 2 and all(available):
        share = torch.sigmoid(group.gate(torch.cat(vectors)))
        return share * mapped[0] + (1 - share) * mapped[1]
    there = [p for p, a in zip(mapped, available, strict=True) if a]
    if len(there) < 2:
        return there[0] if there else torch.zeros_like(mapped[0])
    weights = [group.gate.gate(p).exp() for p in there]
    return sum(w * p for w, p in zip(weights, there, strict=True)) / sum(weights)


def naive_logits(made, utterances, available):
    """Logits of one dialogue, from its turns by modality and where they are available."""
    there, states = torch.stack([*available.values()]), []
    for rnn, turns in zip(made.rnns.values(), utterances.values(), strict=True):
        forwards = naive_gru(rnn.rnn, "", turns)
        backwards = naive_gru(rnn.rnn, "_reverse", turns.flip(0))[::-1]
        states.append([torch.cat(pair) for pair in zip(forwards, backwards, strict=True)])
    count, result = len(states), []
    for turn in range(there.shape[1]):
        own = [states[m][turn] for m in range(count)]
        fused = naive_group(made.own, own, there[:, turn])
        if count > 1:
            aligned = []
            for m in range(count):
                total = torch.zeros_like(own[m])
                for n in set(range(count)) - {m}:
                    keys = [k for k, a in zip(states[m], there[m], strict=True) if a]
                    shares = [torch.tanh(states[n][turn] @ k).exp() for k in keys]
                    total += sum((w * k for w, k in zip(shares, keys, strict=True)), 0) / sum(
                        shares, 1e-300
                    )
                aligned.append(total / (count - 1))
            fused = fused + naive_group(made.aligned, aligned, there.any(1))
        result.append(made.head[3](made.head[0](fused).clamp(min=0)))
    return result


@pytest.mark.parametrize("modalities", ["tav", "ta", "av", "v"])
def test_it_equals_a_loop_over_turns(modalities):
    made = make(NAME, modalities=starting_with(modalities)).double()
    batch = in_float64(batch_of(made, conversations((5, 1, 3), missing=0.5), turns=2))
    expected = [
        logit for *read, _ in each_dialogue(made, batch) for logit in naive_logits(made, *read)
    ]
    torch.testing.assert_close(logits(made, batch), torch.stack(expected))


@pytest.mark.parametrize("modalities", [("text", "audio"), ("text", "audio", "visual")])
def test_the_learned_vector_of_a_missing_modality_changes_nothing(modalities):
    """In dialogues of one turn, whose GRUs read no other."""
    made = make(NAME, modalities=modalities)
    batch = batch_of(made, conversations((1,) * 9, missing=0.5))
    assert len(batch.all_available(modalities)[:, :, 0].unique(dim=1).T) > 2
    before = logits(made, batch)
    with torch.no_grad():
        made.inputs.missing.add_(3)
    assert torch.equal(logits(made, batch), before)


def test_alone_a_modality_has_no_alignment():
    assert make(NAME, modalities=("audio",)).aligned is None


def test_it_has_as_many_parameters_as_the_reference():
    """0.87 M beside the inputs, of text and audio with 256 features, for 7 classes.

    A third modality adds its GRU and maps, and its gates are one map of 128 x 128 each.
    """
    sizes = shrunk(NAME, width=256, hidden=128)
    both, three = (
        sum(p.numel() for name, p in made.named_parameters() if not name.startswith("inputs."))
        for made in (
            system(NAME)(sizes, Shape(dict.fromkeys(modalities, 5), 7, 2))
            for modalities in (("text", "audio"), DIMENSIONS)
        )
    )
    assert both == 872_455
    gates, gru, maps = 2 * (128 * 128 - 512 * 128), 2 * 3 * 128 * (256 + 128 + 2), 2 * 256 * 128
    assert three == both + gru + maps + gates
