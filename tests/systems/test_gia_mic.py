"""GIA-MIC, in our reading: against loops, its constraint by hand, and in the reference's size."""

from itertools import combinations

import pytest
import torch
from torch.nn.functional import cosine_similarity

from pipeline.nn.entropy import Entropy
from pipeline.systems.base import system
from pipeline.systems.gia_mic import GatedInteraction, disagreement
from pipeline.systems.registry import title
from tests.nn.naive import naive_attention
from tests.systems.zoo import (
    batch_of,
    conversations,
    in_float64,
    logits,
    make,
    size_of,
)

NAME = "gia_mic"


def terms_of(made, batch):
    return made.losses(made(batch), batch, Entropy())


def naive_dialogue(made, encoded, there):
    """Logits and invariant vectors of one dialogue from its turns, [modality][turn]."""
    turns, modalities, levels = range(len(encoded[0])), range(len(encoded)), []
    for m in modalities:
        partners = [n for n in modalities if n != m]
        level = []
        for t in turns:
            total = encoded[m][t]
            for layer, n in zip(made.branches[m].interactions, partners, strict=True):
                near = turns if made.settings.context == "dialogue" else [t]
                keys = [encoded[n][j] for j in near if there[n][j]]
                if keys:
                    heard = naive_attention(layer.attention, encoded[m][t][None], keys)[0]
                    gate = layer.gate(torch.cat((encoded[m][t], heard)))
                    total = total + heard / (1 + (-gate).exp())
            level.append(made.branches[m].norm(total))
        levels.append(level)

    def mlp(layers, vector):
        return layers[3](layers[0](vector).clamp(min=0))

    alike = [[mlp(made.generator, h) for h in level] for level in levels]
    means = [sum(i[t] for i in alike) / len(alike) for t in turns]
    joined = [torch.cat((*(level[t] for level in levels), means[t])) for t in turns]
    return [mlp(made.head, vector) for vector in joined], alike


@pytest.mark.parametrize("context", ["dialogue", "none"])
@pytest.mark.parametrize(
    "modalities", [("text",), ("audio", "visual"), ("text", "audio", "visual")]
)
def test_it_equals_loops_over_turns_and_partners(modalities, context):
    lengths = (6, 1, 4)
    made = make(NAME, modalities=modalities, context=context).double()
    batch = in_float64(batch_of(made, conversations(lengths), turns=2))
    encoded, there = made.inputs(batch), batch.all_available(modalities)
    expected, alike = [], [[] for _ in modalities]
    for row, length in enumerate(lengths):
        results = naive_dialogue(made, encoded[:, row, :length], there[:, row].tolist())
        expected += results[0]
        alike = [rows + more for rows, more in zip(alike, results[1], strict=True)]
    torch.testing.assert_close(logits(made, batch), torch.stack(expected))

    terms = terms_of(made, batch)
    assert ("invariance" in terms) == (len(modalities) > 1)
    if len(modalities) == 1:
        return
    has, gaps = there[:, batch.turn_mask].tolist(), []
    for m, n in combinations(range(len(modalities)), 2):
        rows = [t for t in range(sum(lengths)) if has[m][t] and has[n][t]]
        gap = sum(1 - cosine_similarity(alike[m][t], alike[n][t], dim=0) for t in rows) / len(rows)
        squares = [
            (
                cosine_similarity(alike[m][s], alike[m][t], dim=0)
                - cosine_similarity(alike[n][s], alike[n][t], dim=0)
            )
            ** 2
            for s in rows
            for t in rows
            if s != t
        ]
        gaps.append(gap + sum(squares) / len(squares))
    torch.testing.assert_close(terms["invariance"], 0.1 * sum(gaps) / len(gaps))


def test_the_constraint_by_hand():
    x = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    y = torch.tensor([[1.0, 0.0], [4.0, 0.0]])
    # 1 - cos: 0 and 1. Cosines of the two rows: 0 in x, 1 in y.
    assert disagreement(x, y).item() == pytest.approx(1 / 2 + 1)
    assert disagreement(x, x).item() == pytest.approx(0, abs=1e-6)
    # Swapped, rows resemble each other as before: the first part alone.
    assert disagreement(x, x.flip(0)).item() == pytest.approx(1)
    assert disagreement(x[:1], x[1:]).item() == pytest.approx(1)


def test_without_rows_the_constraint_is_zero_and_has_a_graph():
    rows = torch.randn(0, 3, requires_grad=True)
    value = disagreement(rows, rows)
    value.backward()
    assert value.item() == 0


def test_vectors_that_are_equal_meet_the_constraint():
    made = make(NAME)
    torch.nn.init.zeros_(made.generator[3].weight)
    terms = terms_of(made, batch_of(made, conversations([5, 3])))
    assert terms["invariance"].item() == pytest.approx(0, abs=1e-6)


def test_shut_gates_leave_every_modality_alone():
    made = make(NAME)
    for branch in made.branches:
        for layer in branch.interactions:
            torch.nn.init.zeros_(layer.gate.weight)
            torch.nn.init.constant_(layer.gate.bias, -200.0)
    batch = batch_of(made, conversations([5, 3]))
    utterances = made.inputs(batch)
    levels = [b.norm(u) for b, u in zip(made.branches, utterances, strict=True)]
    alike = [made.generator(level) for level in levels]
    expected = made.head(torch.cat((*levels, sum(alike) / 3), dim=-1))
    torch.testing.assert_close(logits(made, batch), expected[batch.turn_mask])


def test_a_gate_of_zeros_is_open_by_half():
    layer = GatedInteraction(4, 2, 0.0)
    torch.nn.init.zeros_(layer.gate.weight)
    torch.nn.init.zeros_(layer.gate.bias)
    own, partner = torch.randn(2, 1, 3, 4)
    usable = torch.ones(1, 3, dtype=torch.bool)
    heard = layer.attention(own, partner, usable)
    torch.testing.assert_close(layer(own, partner, usable), heard / 2)


def test_without_context_no_turn_reads_another():
    alone, together = make(NAME, context="none"), make(NAME)
    together.load_state_dict(alone.state_dict())
    batch = batch_of(alone, conversations([6], missing=0.0))
    before = [logits(made, batch) for made in (alone, together)]
    batch.features["audio"][0, 0] += 1
    after = [logits(made, batch) for made in (alone, together)]
    assert torch.equal(after[0][1:], before[0][1:])
    assert (after[1][1:] - before[1][1:]).abs().max() > 1e-5
    single = batch_of(alone, conversations([1]))
    torch.testing.assert_close(logits(alone, single), logits(together, single))


def test_without_weight_the_constraint_is_left_out():
    made = make(NAME, invariance=0.0)
    assert list(terms_of(made, batch_of(made, conversations([5, 3])))) == ["cross_entropy"]


def test_features_that_no_head_can_share_are_refused():
    with pytest.raises(ValueError, match="width 15 is not a multiple of heads 2"):
        make(NAME, width=15)


def test_it_is_never_shown_as_the_authors_model():
    assert title(NAME) == "GIA-MIC (our reading)"
    source = system(NAME).SOURCE
    assert source.fidelity == "our reading"
    assert not source.commit


def test_it_has_as_many_parameters_as_the_reference():
    """2.76 M beside the inputs, of 256 features and for 6 classes."""
    assert size_of(NAME, width=256, heads=4) == 2_764_038
