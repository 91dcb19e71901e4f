"""TelME by hand, against a loop over turns, by stages, and in the reference's size."""

import math
from dataclasses import replace

import pytest
import torch

from pipeline.base.state import StateFile
from pipeline.nn.entropy import Entropy
from pipeline.systems.base import Output
from pipeline.training.fit import Run, RunState
from pipeline.training.learner import DialogueLearner
from tests.nn.naive import naive_attention
from tests.nn.naive_transformer import naive_norm
from tests.systems.zoo import (
    batch_of,
    conversations,
    fold_of,
    in_float64,
    logits,
    make,
    shrunk,
    size_of,
    terms_of,
    with_garbage,
)

NAME = "telme"
STAGES = ("teacher", "student_audio", "student_visual", "fusion")


def test_without_a_shift_the_teachers_vector_is_classified():
    made = make(NAME)
    torch.nn.init.zeros_(made.fusion.gate.weight)
    torch.nn.init.constant_(made.fusion.gate.bias, -1.0)  # closed by its ReLU
    output = made(batch_of(made, conversations((4, 2))))
    teacher = output.extra["text"][0]
    expected = made.fusion.scores(made.fusion.norms[1](teacher))
    torch.testing.assert_close(output.logits, expected)
    output.logits.sum().backward()  # |H| is 0: its gradient is none, not NaN
    assert all(p.grad is None or p.grad.isfinite().all() for p in made.parameters())


def naive_logits(made, batch, row, turns):
    """The fused logits of a dialogue's turns, one after another."""
    fusion = made.fusion
    there = {m: batch.available(m)[row] for m in made.students}
    encoded = {m: made.inputs[m](batch)[0, row] for m in made.shape.features}
    states = {m: [made.alone[m].states(u) for u in vectors] for m, vectors in encoded.items()}
    zeros = torch.zeros(made.settings.width, dtype=torch.float64)
    joined = [
        torch.cat(
            [states[m][t] if m in there and there[m][t] else zeros for m in ("visual", "audio")]
        )
        for t in range(turns)
    ]
    result = []
    for turn in range(turns):
        others = range(turns) if made.settings.asf_attention == "dialogue" else [turn]
        keys = [t for t in others if any(there[m][t] for m in there)]
        mixed = joined[turn]
        if keys:
            read = naive_attention(fusion.attention, joined[turn][None], [joined[t] for t in keys])
            mixed = mixed + read[0]
        mixed = naive_norm(fusion.norms[0], mixed)
        teacher = states[made.teacher][turn]
        gate = fusion.gate(torch.cat((mixed, teacher))).clamp(min=0)
        moved = gate * fusion.project(mixed)
        length = moved.norm().item() or 1.0
        share = min(1.0, made.settings.shift * teacher.norm().item() / (length + 1e-6))
        result.append(fusion.scores(naive_norm(fusion.norms[1], teacher + share * moved)))
    return result


@pytest.mark.parametrize("attention", ["utterance", "dialogue"])
@pytest.mark.parametrize(
    "modalities",
    [("text", "audio", "visual"), ("text", "audio"), ("audio", "visual")],
    ids="+".join,
)
def test_the_fusion_equals_a_loop_over_turns(attention, modalities):
    lengths = (6, 1, 4)
    made = make(NAME, asf_attention=attention, modalities=modalities, shift=0.4).double()
    batch = in_float64(batch_of(made, conversations(lengths, missing=0.5), turns=2))
    expected = [
        logit
        for row, length in enumerate(lengths)
        for logit in naive_logits(made, batch, row, length)
    ]
    torch.testing.assert_close(logits(made, batch), torch.stack(expected))


def test_what_a_turn_reads_of_its_dialogue_is_a_setting():
    own, whole = make(NAME), make(NAME, asf_attention="dialogue")
    whole.load_state_dict(own.state_dict())
    batch = batch_of(own, conversations((5, 1), missing=0.0))
    before = {made: made(batch).logits for made in (own, whole)}
    assert torch.allclose(before[own][1, 0], before[whole][1, 0]), "one turn is a dialogue"
    batch.features["audio"][0, 3] += 5
    changed = {
        made: (made(batch).logits - before[made])[0].abs().amax(-1) > 1e-6 for made in before
    }
    assert changed[own].tolist() == [False, False, False, True, False]
    assert changed[whole].all()


def gradients(made, term):
    """Parts in which a term leaves a gradient."""
    made.zero_grad()
    term.backward(retain_graph=True)
    return {
        name
        for name, part in made._parts().items()
        if any(p.grad is not None and p.grad.any() for p in part)
    }


def test_no_part_learns_from_the_loss_of_a_later_one():
    made = make(NAME)
    batch = batch_of(made, conversations((6, 9)))
    terms = terms_of(made, batch)
    assert {name: gradients(made, term) for name, term in terms.items()} == {
        "cross_entropy": {"fusion"},
        "cross_entropy_text": {"teacher"},
        "cross_entropy_visual": {"student_visual"},
        "cross_entropy_audio": {"student_audio"},
        "correlation_visual": {"student_visual"},
        "relations_visual": {"student_visual"},
        "correlation_audio": {"student_audio"},
        "relations_audio": {"student_audio"},
    }
    players = made.players()
    assert list(players) == ["teacher", "student_audio", "student_visual", "fusion"]
    owned = [p for player in players.values() for p in player.parameters]
    assert len(owned) == len(set(owned)) == len(list(made.parameters()))


def test_distillation_by_hand_over_the_turns_that_have_both():
    # Opposite logits of two classes: 4 * tau ** 2; vectors swapped: (e - 1) / (e + 1).
    made = make(NAME, modalities=("text", "audio"), correlation=0.5, relations=3.0, temperature=1.0)
    batch = batch_of(made, conversations([3], missing=0.0))
    batch.present["audio"][0, 1] = False
    taught, answers = torch.eye(3)[:, :2], torch.tensor([[1.0, -1], [7, 7], [-2, 2]])
    taught[2], taught[1] = torch.tensor([0.0, 1]), torch.tensor([5.0, 5])
    extra = {"text": (taught[None], answers[None]), "audio": (taught.flip(0)[None], -answers[None])}
    made.enter("student_audio")
    terms = made.losses(
        Output(answers[None], extra), replace(batch, labels=batch.labels * 0), Entropy()
    )
    assert list(terms) == ["cross_entropy", "correlation_audio", "relations_audio"]
    assert terms["correlation_audio"].item() == pytest.approx(0.5 * 4, abs=1e-5)
    expected = (math.e - 1) / (math.e + 1)
    assert terms["relations_audio"].item() == pytest.approx(3 * expected, abs=1e-6)


@pytest.mark.parametrize("stage", ["", "student_audio"])
def test_a_student_learns_from_the_labels_of_turns_that_have_its_modality(stage):
    made = make(NAME)
    made.enter(stage)
    batch = batch_of(made, conversations((6, 9), missing=0.5, labelled=1.0))
    there = batch.available("audio")
    assert 0 < there.sum() < batch.turn_mask.sum()
    output = made(batch)
    term = made.losses(output, batch, Entropy())["cross_entropy" + "_audio" * (stage == "")]
    expected = Entropy()(output.extra["audio"][1][there], batch.labels[there])
    torch.testing.assert_close(term, expected)
    made.zero_grad()
    term.backward()
    assert not made.inputs["audio"].missing.grad.any()


def test_a_weight_of_zero_leaves_a_term_out():
    made = make(NAME, correlation=0.0, relations=0.0)
    batch = batch_of(made, conversations((3, 2)))
    terms = terms_of(made, batch)
    assert [name for name in terms if not name.startswith("cross_entropy")] == []


def test_where_no_turn_has_both_there_is_nothing_to_distil():
    made = make(NAME)
    batch = batch_of(made, conversations((3, 2), missing=0.0))
    batch.present["audio"].zero_()
    terms = terms_of(made, batch)
    assert terms["correlation_audio"] == terms["relations_audio"] == 0
    sum(terms.values()).backward()
    assert all(p.grad.isfinite().all() for p in made.parameters())


@pytest.mark.parametrize("training", ["joint", "staged"])
def test_alone_a_modality_is_a_linear_map(training):
    made = make(NAME, training=training, modalities=("text",))
    batch = batch_of(made, conversations((3, 2)))
    expected = made.alone["text"].scores(made.alone["text"].states(made.inputs["text"](batch)[0]))
    assert torch.equal(made(batch).logits, expected)
    assert list(terms_of(made, batch)) == ["cross_entropy"]
    assert made.stages(made.settings) == (("teacher",) if training == "staged" else ("",))


@pytest.mark.parametrize("attention", ["utterance", "dialogue"])
@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_reads_padding_or_gaps(stage, attention):
    made = make(NAME, training="staged", asf_attention=attention)
    made.enter(stage)
    clean = batch_of(made, conversations((6, 1, 4)), turns=2)
    results = []
    for batch in (clean, with_garbage(clean, torch.nan, 17)):
        made.zero_grad()
        output = made(batch)
        sum(made.losses(output, batch, Entropy()).values()).backward()
        learnt = [p.grad for p in made.parameters() if p.requires_grad]
        results.append([output.logits[batch.turn_mask], *learnt])
    assert all(map(torch.equal, *results))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_predicts_and_learns_by_its_own_part(stage):
    made = make(NAME, training="staged")
    assert made.stage == "fusion", "what is read from a checkpoint"
    assert made.stages(made.settings) == STAGES
    made.enter(stage)
    batch = batch_of(made, conversations((6, 4), missing=0.0))
    output = made(batch)
    reads = {"teacher": "text", "student_audio": "audio", "student_visual": "visual"}
    if stage in reads:
        assert output.logits is output.extra[reads[stage]][1]
    sum(made.losses(output, batch, Entropy()).values()).backward()
    learnt = {name for name, part in made._parts().items() if all(p.grad is not None for p in part)}
    assert learnt == set(made.players()) == {stage}
    for modality in made.shape.features:
        changed = replace(batch, features=dict(batch.features))
        changed.features[modality] = batch.features[modality] + 1
        same = torch.equal(made(changed).logits, output.logits)
        assert same == (stage != "fusion" and modality != reads[stage])


@pytest.fixture
def every_epoch_is_kept(monkeypatch):
    monkeypatch.setattr("pipeline.base.state.SECONDS_BETWEEN_SAVES", 0.0)
    monkeypatch.setattr("pipeline.base.state.LARGEST_SHARE", 1e9)


def staged_fold():
    return fold_of(NAME, training="staged", epochs=2, patience=2, learning_rate=0.01, dropout=0.3)


def kept(file):
    """What a run has come to, without the times it took."""
    state = file.read()
    return (
        state.history,
        state.best_epoch,
        [tensor.numpy().tobytes() for tensor in (*state.valid, *state.test, *state.best.values())],
    )


def test_a_run_killed_within_and_between_its_stages_ends_in_the_same_bytes(
    tmp_path, every_epoch_is_kept
):
    whole, killed = (StateFile(tmp_path / file, RunState) for file in ("whole.pt", "killed.pt"))
    for _ in Run(DialogueLearner(staged_fold(), seed=1)).go(whole):
        pass
    for done in range(1, 2 * len(STAGES) + 1):
        run = Run(DialogueLearner(staged_fold(), seed=1)).go(killed)
        assert len(next(run).history) == done
        run.close()
    assert kept(killed) == kept(whole)


def test_every_stage_begins_with_the_best_of_those_before_and_leaves_it_as_it_is(tmp_path):
    learner = DialogueLearner(staged_fold(), seed=1)
    before = {name: w.clone() for name, w in learner.model.state_dict().items()}
    file = StateFile(tmp_path / "run.pt", RunState)
    states = [
        (state.stage, state.best_epoch, dict(state.best), list(state.scores))
        for state in Run(learner).go(file)
    ]
    assert [stage for stage, *_ in states] == [0, 0, 1, 1, 2, 2, 3, 3]
    parts = {
        "teacher": ("inputs.text.", "alone.text."),
        "student_audio": ("inputs.audio.", "alone.audio."),
        "student_visual": ("inputs.visual.", "alone.visual."),
        "fusion": ("fusion.",),
    }
    for number, stage in enumerate(STAGES):
        _, best_epoch, best, scores = states[2 * number + 1]
        assert best_epoch == 2 * number + 1 + scores.index(max(scores))
        changed = {name for name in best if not torch.equal(best[name], before[name])}
        own = {name for name in best if name.startswith(parts[stage])}
        assert changed
        assert changed <= own
        before = best


def test_all_losses_of_the_stages_are_columns_of_the_history(tmp_path):
    file = StateFile(tmp_path / "run.pt", RunState)
    *_, state = Run(DialogueLearner(staged_fold(), seed=1)).go(file)
    terms = [{key for key in row if key.startswith("train_")} for row in state.history[::2]]
    always = {"train_total", "train_cross_entropy", "train_weighted_f1"}
    assert terms[0] == terms[3] == always
    assert terms[1] == always | {"train_correlation_audio", "train_relations_audio"}
    assert terms[2] == always | {"train_correlation_visual", "train_relations_visual"}


def test_heads_that_do_not_divide_twice_the_width_are_refused():
    with pytest.raises(ValueError, match="twice the width 16 is not a multiple of heads 5"):
        shrunk(NAME, heads=5)


def test_it_has_as_many_parameters_as_the_reference():
    """1.72 M beside the inputs, of 256 features; the reference counts 7 classes in four heads."""
    assert size_of(NAME, width=256, heads=4) + 4 * 257 == 1_716_508
