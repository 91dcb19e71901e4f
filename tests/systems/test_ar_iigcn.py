"""AR-IIGCN, our reading: against loops, its game, its contrasts, in the reference's size."""

import math
from dataclasses import replace

import pytest
import torch

from pipeline.base import state
from pipeline.base.state import StateFile
from pipeline.nn.entropy import Entropy
from pipeline.training.fit import RunState
from tests.systems.test_every_system import learned, run_of
from tests.systems.zoo import (
    TRAIN,
    batch_of,
    conversations,
    fold_of,
    in_float64,
    logits,
    make,
    size_of,
)

NAME = "ar_iigcn"


def terms_of(made, batch):
    return made.losses(made(batch), batch, Entropy())


def softplus(value):
    return math.log1p(math.exp(value))


def naive(made, row, turns, speakers):
    """States, nodes and logits of one dialogue from its encoded turns, [modality, turn, width]."""
    settings, states, nodes = made.settings, [], []
    for m, utterances in enumerate(turns):
        first, _, _, last = made.maps[m]
        mapped = last(first(utterances).clamp(min=0))
        e = made.grus[m].rnn(mapped[None])[0][0]
        graph, z = made.graphs[m], []
        for i in range(len(e)):
            total = graph.root(e[i])
            for relation in range(4):
                other, later = divmod(relation, 2)
                senders = [
                    j
                    for j in range(len(e))
                    if j != i
                    and -settings.past <= j - i <= settings.future
                    and (speakers[j] != speakers[i]) == bool(other)
                    and (j > i) == bool(later)
                ]
                for j in senders:
                    total = total + e[j] @ graph.weight[relation] / len(senders)
            z.append(total.clamp(min=0))
        states.append(e)
        nodes.append(torch.stack(z))
    return torch.stack(states), torch.stack(nodes), made.head(torch.cat(nodes, dim=1))


def contrast(anchors, labels, candidates, others, tau, *, own):
    """A supervised contrastive loss by loops; `own`: anchors are candidates, not their own."""
    losses = []
    for i, anchor in enumerate(anchors):
        weights = {
            j: math.exp((anchor @ c).item() / tau)
            for j, c in enumerate(candidates)
            if not (own and j == i)
        }
        positives = [w for j, w in weights.items() if others[j] == labels[i]]
        if 0 < len(positives) < len(weights):
            total = sum(weights.values())
            losses.append(-sum(math.log(w / total) for w in positives) / len(positives))
    return sum(losses) / len(losses)


def test_it_equals_loops_over_turns_relations_and_pairs():
    lengths = (8, 1, 5)
    made = make(NAME, past=2, future=3).double()
    batch = in_float64(batch_of(made, conversations(lengths), turns=2))
    encoded = made.inputs(batch)
    parts = [
        naive(made, row, encoded[:, row, :length], batch.speakers[row, :length])
        for row, length in enumerate(lengths)
    ]
    states, nodes = (torch.cat([part[k] for part in parts], dim=1) for k in (0, 1))
    result = torch.cat([part[2] for part in parts])
    torch.testing.assert_close(logits(made, batch), result)

    labels = batch.labels[batch.turn_mask]
    there = batch.all_available(made.inputs.modalities)[:, batch.turn_mask]
    expected = dict.fromkeys(("discriminator", "adversarial", "contrastive"), 0.0)
    expected["cross_contrastive"] = 0.0
    rows = []
    for m, project in enumerate(made.projections):
        chosen = there[m] & (labels >= 0)
        hidden = project.output(project.hidden(nodes[m][chosen]).clamp(min=0))
        unit = hidden / hidden.square().sum(1, keepdim=True).sqrt()
        rows.append((unit, labels[chosen].tolist()))
    for m, judge in enumerate(made.discriminators):
        real = [softplus(-judge(e).item()) for e in states[m][there[m]]]
        expected["discriminator"] += sum(real) / len(real)
        expected["contrastive"] += 0.1 / 3 * contrast(*rows[m], *rows[m], 0.5, own=True)
        for n in {0, 1, 2} - {m}:
            scores = [judge(e).item() for e in states[n][there[n]]]
            expected["discriminator"] += sum(softplus(s) for s in scores) / len(scores) / 2
            expected["adversarial"] += 0.1 * sum(softplus(-s) for s in scores) / len(scores) / 2
            across = contrast(*rows[m], *rows[n], 0.5, own=False)
            expected["cross_contrastive"] += 0.1 / 6 * across
    got = {name: term.item() for name, term in terms_of(made, batch).items()}
    assert got.pop("cross_entropy") == pytest.approx(Entropy()(result, labels).item())
    assert got == pytest.approx(expected)


def test_of_one_turn_no_relation_is_read():
    made = make(NAME)
    batch = batch_of(made, conversations((1, 1)))
    before = logits(made, batch)
    for graph in made.graphs:
        torch.nn.init.normal_(graph.weight)
    assert torch.equal(logits(made, batch), before)


def test_two_speakers_who_change_names_change_nothing_but_one_speaker_does():
    made = make(NAME)
    batch = batch_of(made, conversations((6, 5), speakers=2))
    before = logits(made, batch)
    renamed = replace(batch, speakers=1 - batch.speakers)
    assert torch.equal(logits(made, renamed), before)
    alone = replace(batch, speakers=torch.zeros_like(batch.speakers))
    assert not torch.equal(logits(made, alone), before)


def test_each_loss_of_the_game_moves_its_own_player():
    made = make(NAME)
    batch = batch_of(made, TRAIN)
    judging = {name for name, _ in made.named_parameters() if name.startswith("discriminators")}
    assert len(judging) == 3 * 6  # SMALL has two hidden layers
    for term, own in (("discriminator", True), ("adversarial", False)):
        made.zero_grad(set_to_none=True)
        terms_of(made, batch)[term].backward()
        reached = {name for name, p in made.named_parameters() if p.grad is not None}
        assert reached & judging == (judging if own else set())
        assert bool(reached - judging) != own
    assert {f"maps.{m}.0.weight" for m in range(3)} <= reached


def test_the_game_by_hand_where_no_discriminator_can_tell():
    made = make(NAME)
    for parameter in made.discriminators.parameters():
        torch.nn.init.zeros_(parameter)
    terms = terms_of(made, batch_of(made, TRAIN))
    assert terms["discriminator"].item() == pytest.approx(3 * 2 * math.log(2))
    assert terms["adversarial"].item() == pytest.approx(0.1 * 3 * math.log(2))


def test_turns_of_one_class_have_nothing_to_contrast():
    made = make(NAME)
    batch = batch_of(made, TRAIN)
    terms = terms_of(made, replace(batch, labels=batch.labels.clamp(max=0)))
    assert terms["contrastive"].item() == terms["cross_contrastive"].item() == 0
    assert terms["contrastive"].requires_grad


@pytest.mark.parametrize(
    ("weights", "without"),
    [
        (["adversarial"], ["discriminator", "adversarial"]),
        (["contrastive"], ["contrastive"]),
        (["cross_contrastive"], ["cross_contrastive"]),
        (["contrastive", "cross_contrastive"], ["contrastive", "cross_contrastive"]),
    ],
    ids=str,
)
def test_a_term_without_weight_is_left_out_and_the_rest_stays(weights, without):
    full, made = make(NAME), make(NAME, **dict.fromkeys(weights, 0.0))
    made.load_state_dict(full.state_dict(), strict=False)
    batch = batch_of(full, TRAIN)
    assert torch.equal(logits(full, batch), logits(made, batch))
    before, after = terms_of(full, batch), terms_of(made, batch)
    assert before.keys() - after.keys() == {*without}
    assert all(torch.equal(before[name], term) for name, term in after.items())
    gone = {name.split(".")[0] for name in full.state_dict().keys() - made.state_dict().keys()}
    parts = {"adversarial": {"discriminators"}, "contrastive": set(), "cross_contrastive": set()}
    assert gone == ({"projections"} if len(weights) > 1 else parts[weights[0]])


@pytest.mark.slow
@pytest.mark.parametrize("game", ["simultaneous", "alternate"])
def test_a_game_that_is_killed_goes_on_to_the_same_bytes(game, tmp_path, monkeypatch):
    monkeypatch.setattr(state, "SECONDS_BETWEEN_SAVES", 0.0)
    monkeypatch.setattr(state, "LARGEST_SHARE", 1e9)
    fold = fold_of(NAME, game=game, dropout=0.3)
    whole, killed = (StateFile(tmp_path / file, RunState) for file in ("whole.pt", "killed.pt"))
    *_, ended = run_of(fold, whole)
    for _ in range(fold.settings.epochs):
        run = run_of(fold, killed)
        next(run)
        run.close()
    assert learned(killed) == learned(whole)
    for row in ended.history:
        assert all(0 <= row[f"discriminator_accuracy_{m}"] <= 1 for m in ("text", "audio"))
        assert row["gradient_norm_rest"] > 0 and row["gradient_norm_discriminators"] > 0


def test_one_modality_has_no_game_and_nothing_across():
    made = make(NAME, modalities=("text",), game="alternate")
    terms = terms_of(made, batch_of(made, TRAIN))
    assert terms.keys() == {"cross_entropy", "contrastive"}
    assert made.ROUNDS == () and list(made.players()) == ["rest"]


def test_it_has_as_many_parameters_as_the_reference():
    """2.86 M for 7 classes; here 6, and the graphs' own maps have biases."""
    sizes = {"width": 256, "projection": 128, "discriminator": (128,)}
    assert size_of(NAME, **sizes) == 2_860_938 - (256 + 1) + 3 * 256
