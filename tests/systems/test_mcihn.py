"""MCIHN by hand and against loops, its ablations, its game, and in the reference's size."""

import math
from dataclasses import replace

import pytest
import torch

from pipeline.base import state
from pipeline.base.state import StateFile
from pipeline.nn.autoencoder import AdversarialAutoencoder
from pipeline.nn.entropy import Entropy
from pipeline.nn.mmd import mmd
from pipeline.systems.base import Shape, parameters, system
from pipeline.training.fit import RunState
from tests.systems.test_every_system import learned, run_of, with_garbage
from tests.systems.zoo import (
    CLASSES,
    DIMENSIONS,
    TRAIN,
    batch_of,
    conversations,
    fold_of,
    in_float64,
    logits,
    make,
    shrunk,
)

NAME = "mcihn"


def terms_of(made, batch):
    torch.manual_seed(0)
    return made.losses(made(batch), batch, Entropy())


def of_discriminators(made):
    return {name for name, _ in made.named_parameters() if ".discriminator." in name}


def softplus(value):
    return math.log1p(math.exp(value))


def naive_turn(made, x, learnt):
    """Codes, what gates read, and logits of a turn from its vectors, None where it lacks one."""
    settings = made.settings
    codes, vectors = [], []
    for number, (name, values) in enumerate(zip(DIMENSIONS, x, strict=True)):
        code, vector = None, learnt[number]
        if values is not None:
            coder = made.autoencoders[number]
            hidden = made.inputs.encoders[name].project(values)
            hidden = (hidden - hidden.mean()) / (hidden.var(correction=0) + 1e-5).sqrt()
            norm = coder.encoder[0]
            code = coder.encoder[3]((hidden * norm.weight + norm.bias).clamp(min=0))
            vector = made.project[number](code)
        codes.append(code)
        vectors.append(vector)
    there = [code is not None for code in codes]
    tokens = [(v, t or not any(there)) for v, t in zip(vectors, there, strict=True)]
    pairs = [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    pairs = [pair for pair in pairs if settings.directed or pair[0] < pair[1]]
    read = vectors if settings.gate_inputs == "projections" else codes
    for gate, (m, n) in zip(made.gates, pairs if settings.cgmm else [], strict=True):
        token = torch.zeros(settings.width, dtype=torch.float64)
        if there[m] and there[n]:
            share = torch.sigmoid(gate.gate(torch.cat((read[m], read[n]))))
            first, second = torch.tanh(gate.first(read[m])), torch.tanh(gate.second(read[n]))
            token = share * first + (1 - share) * second
        tokens.append((token, there[m] and there[n]))
    if settings.ffm == "concat":
        return codes, read, made.head(torch.cat([v if ok else 0 * v for v, ok in tokens]))
    kept = torch.stack(
        [v + kind for (v, ok), kind in zip(tokens, made.attention.kinds, strict=True) if ok]
    )
    layer, heads = made.attention.transformer.layers[0], settings.heads
    query, key, value = (
        kept @ w.T + b
        for w, b in zip(
            layer.self_attn.in_proj_weight.chunk(3),
            layer.self_attn.in_proj_bias.chunk(3),
            strict=True,
        )
    )
    parts, size = [], settings.width // heads
    for head in range(heads):
        q, k, v = (z[:, head * size : (head + 1) * size] for z in (query, key, value))
        parts.append((q @ k.T / size**0.5).softmax(1) @ v)
    kept = layer.norm1(kept + layer.self_attn.out_proj(torch.cat(parts, dim=1)))
    kept = layer.norm2(kept + layer.linear2(layer.linear1(kept).clamp(min=0)))
    pooled = kept.mean(0) if settings.pool == "mean" else kept.max(0).values
    return codes, read, made.head(pooled)


def standardised(batch, row, turn):
    """The vectors of a turn, by modality, None where it lacks one; nothing was fitted."""
    x = {name: batch.features[name][row, turn] for name in DIMENSIONS}
    frames = batch.frame_mask[row, turn]
    x["visual"] = x["visual"][frames].mean(0)
    return [x[name] if batch.available(name)[row, turn] else None for name in DIMENSIONS]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"cgmm": False},
        {"directed": True},
        {"gate_inputs": "codes"},
        {"ffm": "concat"},
        {"pool": "max"},
    ],
    ids=str,
)
def test_it_equals_loops_over_turns_modalities_and_pairs(changes, monkeypatch):
    monkeypatch.setattr(AdversarialAutoencoder, "draw", lambda self, like: torch.ones_like(like))
    made = make(NAME, **changes, unimodal_ce=0.5).double()
    batch = in_float64(batch_of(made, conversations((6, 1, 4), missing=0.5), turns=2))
    x = [standardised(batch, *turn) for turn in batch.turn_mask.nonzero().tolist()]
    assert any(all(v is None for v in turn) for turn in x), "one turn has nothing"
    turns = [naive_turn(made, turn, made.inputs.missing[:, 0, 0]) for turn in x]
    expected = torch.stack([result for _, _, result in turns])
    torch.testing.assert_close(logits(made, batch), expected)

    labels = batch.labels[batch.turn_mask].tolist()
    terms = dict.fromkeys(("reconstruction", "discriminator", "adversarial", "unimodal_ce"), 0.0)
    for m, coder in enumerate(made.autoencoders):
        present = [n for n, (codes, _, _) in enumerate(turns) if codes[m] is not None]
        entropies = []
        for n in present:
            code = turns[n][0][m]
            error = (coder.decoder(code) - x[n][m]).square().mean().item()
            terms["reconstruction"] += error / len(present) / 3
            real = coder.discriminator(torch.ones_like(code)).item()
            fake = coder.discriminator(code).item()
            terms["discriminator"] += (softplus(-real) + softplus(fake)) / len(present)
            terms["adversarial"] += 0.1 * softplus(-fake) / len(present)
            if labels[n] >= 0:
                scores = made.classifiers[m](code)
                entropies.append((scores.logsumexp(0) - scores[labels[n]]).item())
        terms["unimodal_ce"] += 0.5 * sum(entropies) / len(entropies) / 3
    terms["mmd"] = 0.0
    for m, n in ((0, 1), (0, 2), (1, 2)):
        both = [t for t, (codes, _, _) in enumerate(turns) if None not in (codes[m], codes[n])]
        samples = [torch.stack([turns[t][1][k] for t in both]) for k in (m, n)]
        terms["mmd"] += 0.1 * mmd(*samples).item()
    got = {name: value.item() for name, value in terms_of(made, batch).items()}
    entropy = got.pop("cross_entropy")
    assert entropy == pytest.approx(Entropy()(expected, torch.tensor(labels)).item())
    assert got == pytest.approx(terms)


def test_gates_of_zeros_take_half_of_each():
    made = make(NAME, ffm="concat")
    for gate in made.gates:
        torch.nn.init.zeros_(gate.gate.weight)
        torch.nn.init.zeros_(gate.gate.bias)
    batch, read = batch_of(made, conversations((5, 2), missing=0.0)), []
    made.head[0].register_forward_pre_hook(lambda _, arguments: read.append(arguments[0]))
    vectors = made(batch).extra["gate_inputs"]
    halves = [
        (gate.first(vectors[m]).tanh() + gate.second(vectors[n]).tanh()) / 2
        for gate, (m, n) in zip(made.gates, [(0, 1), (0, 2), (1, 2)], strict=True)
    ]
    torch.testing.assert_close(read[0], torch.cat([*vectors, *halves], dim=1))


def exchanged(name, value):
    """A parameter of audio as visual, and the other way round."""
    swaps = (("encoders.audio", "encoders.visual"), ("autoencoders.1", "autoencoders.2"))
    for one, other in (*swaps, ("project.1", "project.2"), ("gates.0", "gates.1")):
        if one in name or other in name:
            return (name.replace(one, other) if one in name else name.replace(other, one)), value
    if name.startswith("gates.2.gate"):  # the shares of the two change places
        return name, -torch.cat(value.chunk(2, dim=1)[::-1], dim=1) if value.dim() > 1 else -value
    if name.startswith("gates.2"):
        parts = {"first": "second", "second": "first"}
        return ".".join(parts.get(part, part) for part in name.split(".")), value
    if name == "inputs.missing":
        return name, value[[0, 2, 1]]
    return name, value[[0, 2, 1, 4, 3, 5]] if name == "attention.kinds" else value


def test_audio_and_visual_may_change_places_with_their_modules():
    settings = shrunk(NAME)
    made = system(NAME)(settings, Shape(DIMENSIONS, CLASSES, 3)).eval()
    sizes = {"text": 5, "audio": DIMENSIONS["visual"], "visual": DIMENSIONS["audio"]}
    other = system(NAME)(settings, Shape(sizes, CLASSES, 3)).eval()
    other.load_state_dict(dict(exchanged(*item) for item in made.state_dict().items()))
    batch = batch_of(made, conversations((6, 3)))
    audio, visual = batch.features["audio"], batch.features["visual"][:, :, :1]
    there = {**batch.present, "visual": batch.available("visual")}
    frame_mask = there["visual"].unsqueeze(-1)
    batch = replace(batch, features={**batch.features, "visual": visual}, frame_mask=frame_mask)
    swapped = replace(
        batch,
        features={**batch.features, "audio": visual.squeeze(2), "visual": audio.unsqueeze(2)},
        present={**there, "audio": there["visual"], "visual": there["audio"]},
        frame_mask=there["audio"].unsqueeze(-1),
    )
    torch.testing.assert_close(logits(other, swapped), logits(made, batch))


def test_a_token_that_is_not_there_is_not_read():
    made = make(NAME)
    batch = batch_of(made, conversations((6, 9), missing=0.5))
    some = batch.all_available(made.inputs.modalities).any(0)[batch.turn_mask]
    before = logits(made, batch)
    torch.nn.init.normal_(made.inputs.missing)
    after = logits(made, batch)
    assert torch.equal(after[some], before[some]) and not some.all()
    assert (after[~some] != before[~some]).any(1).all()


every_context = pytest.mark.parametrize("context", ["gru", "dialogue_rnn"])


@every_context
def test_the_residual_adds_exactly_p(context):
    """What gates read is P, the context, or both."""
    lone, both = make(NAME), make(NAME, context=context)
    heard = make(NAME, context=context, residual=False)
    lone.load_state_dict(both.state_dict(), strict=False)
    heard.load_state_dict(both.state_dict())
    batch = batch_of(both, conversations((6, 1, 4)), turns=2)
    p, added, alone = (made(batch).extra["gate_inputs"] for made in (lone, both, heard))
    assert torch.equal(added, p + alone)
    padded = p.new_zeros(3, *batch.turn_mask.shape, 16)
    padded[:, batch.turn_mask] = p
    context_of_p = both.context(padded, batch.turn_mask, batch.speakers)[:, batch.turn_mask]
    torch.testing.assert_close(alone, context_of_p)
    assert alone.abs().max() > 0.01


@every_context
@pytest.mark.parametrize("residual", [True, False])
def test_a_context_reads_its_dialogue_and_no_padding(context, residual):
    made = make(NAME, context=context, residual=residual)
    clean = batch_of(made, conversations((6, 1, 4)), turns=2)
    results = []
    for batch in (clean, with_garbage(clean, torch.nan, 17)):
        made.zero_grad()
        result = logits(made, batch)
        result.square().sum().backward()
        results.append([result, *(p.grad for p in made.parameters() if p.grad is not None)])
    assert all(map(torch.equal, *results))
    alone = [logits(made, batch_of(made, [d])) for d in conversations((6, 1, 4))]
    torch.testing.assert_close(torch.cat(alone), results[0][0])
    batch = batch_of(made, conversations([5], missing=0.0))
    before = logits(made, batch)
    batch.features["text"][0, 2] += 1
    assert (logits(made, batch) != before).any(1).all(), "each turn hears of the third"


def test_losses_are_means_over_the_modalities_that_a_batch_has():
    made = make(NAME, unimodal_ce=1.0)
    batch = batch_of(made, conversations((5, 3), missing=0.0))
    for modality in ("audio", "visual"):
        batch.present[modality].zero_()
    terms = terms_of(made, batch)
    codes, labels = made(batch).extra["codes"][0], batch.labels[batch.turn_mask]
    own = Entropy()(made.classifiers[0](codes), labels)
    torch.testing.assert_close(terms["unimodal_ce"], own)
    error = made.coders[0].error(codes, next(made.inputs.vectors(batch)))
    torch.testing.assert_close(terms["reconstruction"], error)


# What changes: loss terms, prefixes of parameters that are gone or new, and whether logits do.
ABLATIONS = {
    "reconstruction": ({"reconstruction": 0.0}, {"reconstruction"}, "decoder", False),
    "adversarial": (
        {"adversarial": 0.0},
        {"adversarial", "discriminator"},
        "discriminator",
        False,
    ),
    "mmd": ({"mmd": 0.0}, {"mmd"}, None, False),
    "unimodal_ce": ({"unimodal_ce": 1.0}, {"unimodal_ce"}, "classifiers", False),
    "gates": ({"cgmm": False}, set(), "gates", True),
    "directed": ({"directed": True}, set(), "gates", True),
    "gate_inputs": ({"gate_inputs": "codes"}, set(), None, True),
    "pool": ({"pool": "max"}, set(), None, True),
    "fusion": ({"ffm": "concat"}, set(), "attention", True),
    "context": ({"context": "gru"}, set(), "context", True),
    "party": ({"context": "dialogue_rnn"}, set(), "context", True),
}


@pytest.mark.parametrize(("changes", "terms", "part", "matters"), ABLATIONS.values(), ids=ABLATIONS)
def test_a_switch_changes_its_part_and_nothing_else(changes, terms, part, matters):
    # Codes as wide as tokens: what a gate has learnt fits either of them.
    full, made = make(NAME, code=16), make(NAME, code=16, **changes)
    ours, theirs = full.state_dict(), made.state_dict()
    other_names = ours.keys() ^ theirs.keys()
    assert all(part is not None and part in name for name in other_names)
    assert bool(other_names) == (part is not None)
    # Where there are more tokens or fewer, what joins them has another shape.
    same = {n: v for n, v in ours.items() if n in theirs and v.shape == theirs[n].shape}
    assert (ours.keys() & theirs.keys()) - same.keys() <= {
        "attention.kinds",
        "head.0.weight",
    }
    made.load_state_dict(same, strict=False)
    batch = batch_of(full, conversations((6, 9)))
    assert torch.equal(logits(full, batch), logits(made, batch)) != matters
    before, after = terms_of(full, batch), terms_of(made, batch)
    assert before.keys() ^ after.keys() == terms
    for name in before.keys() & after.keys() - {"cross_entropy"}:
        reaches = changes.keys() & {"context", "gate_inputs"} and name == "mmd"
        assert torch.equal(before[name], after[name]) != bool(reaches), name


def test_each_loss_of_the_game_moves_its_own_player():
    made = make(NAME)
    batch, judging = batch_of(made, TRAIN), of_discriminators(make(NAME))
    for term, own in (("discriminator", True), ("adversarial", False)):
        made.zero_grad(set_to_none=True)
        terms_of(made, batch)[term].backward()
        reached = {name for name, p in made.named_parameters() if p.grad is not None}
        assert reached & judging == (judging if own else set())
        assert bool(reached - judging) != own
    encoders = {f"autoencoders.{m}.encoder.3.weight" for m in range(3)}
    assert encoders <= reached


def test_the_game_by_hand_where_no_discriminator_can_tell():
    made = make(NAME)
    for name, parameter in made.named_parameters():
        if name in of_discriminators(made):
            torch.nn.init.zeros_(parameter)
    terms = terms_of(made, batch_of(made, TRAIN))
    assert terms["discriminator"].item() == pytest.approx(3 * 2 * math.log(2))
    assert terms["adversarial"].item() == pytest.approx(0.1 * 3 * math.log(2))


def test_linear_maps_learn_to_give_back_a_fixed_batch():
    alone = {"adversarial": 0.0, "mmd": 0.0, "cgmm": False, "ffm": "concat"}
    made = make(NAME, coders="linear", code=8, **alone)  # more than any modality has features
    batch = batch_of(made, TRAIN)
    before = [rows.clone() for rows in made.inputs.vectors(batch)]
    optimiser = torch.optim.Adam(made.parameters(), 0.02)
    for _ in range(400):
        optimiser.zero_grad()
        error = terms_of(made, batch)["reconstruction"]
        error.backward()
        optimiser.step()
    assert error < 1e-4
    for target, rows in zip(before, made.inputs.vectors(batch), strict=True):
        assert torch.equal(target, rows), "what is learnt does not move what it is to give back"
        assert target.square().mean() > 0.5


@pytest.mark.parametrize("game", ["simultaneous", "alternate"])
def test_a_game_that_is_killed_goes_on_to_the_same_bytes(game, tmp_path, monkeypatch):
    """Both players' optimisers are kept: their moments enter every later step."""
    monkeypatch.setattr(state, "SECONDS_BETWEEN_SAVES", 0.0)
    monkeypatch.setattr(state, "LARGEST_SHARE", 1e9)
    fold = fold_of(NAME, game=game, dropout=0.3, stochastic=True, unimodal_ce=0.1)
    whole, killed = (StateFile(tmp_path / file, RunState) for file in ("whole.pt", "killed.pt"))
    *_, ended = run_of(fold, whole)
    for _ in range(fold.settings.epochs):
        run = run_of(fold, killed)
        next(run)
        run.close()
    assert learned(killed) == learned(whole)
    for row in ended.history:
        for modality in DIMENSIONS:
            assert 0 <= row[f"discriminator_accuracy_{modality}"] <= 1
            assert row[f"code_deviation_{modality}"] > 0
            assert abs(row[f"code_mean_{modality}"]) < 10
        assert row["gradient_norm_rest"] > 0 and row["gradient_norm_discriminators"] > 0


def test_players_have_rates_momenta_and_decays_of_their_own():
    own = {"discriminator_rate": 0.5, "discriminator_betas": (0.4, 0.99)}
    made = make(NAME, **own, discriminator_decay=0.02, game="alternate")
    players = made.players()
    assert made.ROUNDS == (("discriminators",), ("rest",))
    judge = players["discriminators"]
    assert (judge.learning_rate, judge.betas, judge.weight_decay) == (0.5, (0.4, 0.99), 0.02)
    names = {id(p): name for name, p in made.named_parameters()}
    assert {names[id(p)] for p in judge.parameters} == of_discriminators(made)
    assert len(judge.parameters) + len(players["rest"].parameters) == len(names)
    alone = make(NAME, adversarial=0.0, game="alternate")
    assert alone.ROUNDS == () and list(alone.players()) == ["rest"]


def test_in_turns_each_player_answers_what_the_other_has_learnt(tmp_path):
    """One step of a batch: the discriminators move first, so the rest answers another judge."""
    results = {}
    for game in ("simultaneous", "alternate"):
        changes = {"adversarial": 1.0, "epochs": 1, "batch_size": len(TRAIN)}
        run = run_of(fold_of(NAME, game=game, **changes), StateFile(tmp_path / game, RunState))
        *_, ended = run
        results[game] = ended.best
    judging = of_discriminators(make(NAME))
    first = {
        n for n, v in results["alternate"].items() if torch.equal(v, results["simultaneous"][n])
    }
    assert judging <= first
    assert "autoencoders.0.encoder.3.weight" not in first


def test_it_has_as_many_parameters_as_the_reference():
    """5.93 M with input and output maps; and three learned vectors for what is missing."""
    settings = shrunk(NAME, width=256, code=128, discriminator=(128, 64), heads=4, feedforward=512)
    shape = Shape({"text": 768, "audio": 6373, "visual": 1000}, 7, speakers=2)
    assert parameters(system(NAME)(settings, shape)) == 5_934_935 + 3 * 256
