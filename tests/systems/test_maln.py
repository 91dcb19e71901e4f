"""MALN, in our reading: against loops, its adversaries by hand, and in the reference's size."""

import math

import pytest
import torch

from pipeline.systems.base import system
from pipeline.systems.maln import SpeakerContext
from pipeline.systems.registry import title
from tests.nn.naive import gru_cell
from tests.systems.zoo import (
    TRAIN,
    batch_of,
    conversations,
    each_dialogue,
    in_float64,
    logits,
    make,
    size_of,
    terms_of,
)

NAME = "maln"


def naive_bigru(gru, modality, turns):
    """Both directions of one modality over a row of turns."""
    directions = []
    for chain, order in ((2 * modality, turns), (2 * modality + 1, turns[::-1])):
        cell, states = gru_cell(gru.gru, chain), []
        state = torch.zeros(1, cell.hidden_size, dtype=torch.float64)
        for turn in order:
            state = cell(turn[None], state)
            states.append(state[0])
        directions.append(states)
    return [torch.cat(pair) for pair in zip(directions[0], directions[1][::-1], strict=True)]


def naive_logits(made, encoded, there, speakers):
    """One dialogue from its turns by modality, where they are available, and who speaks."""
    turns, levels = range(len(speakers)), []
    for m, modality in enumerate(encoded.values()):
        heard = naive_bigru(made.context, m, list(modality))
        own, mean = {}, {}
        for speaker in set(speakers):
            said = [t for t in turns if speakers[t] == speaker]
            states = naive_bigru(made.speaker.gru, m, [modality[t] for t in said])
            own |= dict(zip(said, states, strict=True))
            mean |= dict.fromkeys(said, sum(states) / len(states))
        levels.append(
            [made.join[m](torch.cat((heard[t], own[t], mean[t]))).clamp(min=0) for t in turns]
        )
    results = []
    for t in turns:
        vectors = [made.common(level[t]).clamp(min=0) for level in levels]
        vectors += [
            layer(level[t]).clamp(min=0) for layer, level in zip(made.own, levels, strict=True)
        ]
        scores, usable = made.gate(torch.cat(vectors)).exp(), [m[t] for m in there.values()] * 2
        total = sum(score for score, use in zip(scores, usable, strict=True) if use)
        fused = torch.zeros_like(vectors[0])
        for score, vector, use in zip(scores, vectors, usable, strict=True):
            fused = fused + score / total * vector if use else fused
        results.append(made.head[3](made.head[0](fused).clamp(min=0)))
    return results


@pytest.mark.parametrize(
    "modalities", [("text",), ("audio", "visual"), ("text", "audio", "visual")]
)
def test_it_equals_loops_over_speakers_and_turns(modalities):
    made = make(NAME, modalities=modalities).double()
    batch = in_float64(batch_of(made, conversations((7, 1, 4)), turns=2))
    expected = [logit for read in each_dialogue(made, batch) for logit in naive_logits(made, *read)]
    torch.testing.assert_close(logits(made, batch), torch.stack(expected))


def test_of_a_monologue_the_speaker_is_the_dialogue():
    made = make(NAME)
    made.speaker.gru.load_state_dict(made.context.state_dict())
    for speakers, equal in ((1, True), (3, False)):
        batch = batch_of(made, conversations([7, 4], speakers=speakers))
        arguments = made.inputs(batch), batch.turn_mask, batch.speakers
        own = made.speaker(*arguments)[..., :16]
        assert torch.allclose(own, made.context(*arguments), atol=1e-6) == equal


def test_a_speaker_has_one_character_throughout():
    speakers, mask = torch.tensor([[0, 1, 0, 0]]), torch.tensor([[True, True, True, False]])
    read = SpeakerContext(1, 4)(torch.randn(1, 1, 4, 4), mask, speakers)[0, 0]
    torch.testing.assert_close(read[0, 4:], (read[0, :4] + read[2, :4]) / 2)
    torch.testing.assert_close(read[2, 4:], read[0, 4:])
    torch.testing.assert_close(read[1, 4:], read[1, :4])  # spoke once
    assert not read[3].any()


def test_discriminators_that_cannot_tell():
    made = make(NAME)
    for discriminator in (made.common_discriminator, made.own_discriminator):
        for parameter in discriminator.parameters():
            torch.nn.init.zeros_(parameter)
    batch = batch_of(made, conversations([5, 3]))
    terms = terms_of(made, batch)
    assert terms["commonality"].item() == pytest.approx(0.1 * math.log(3))
    assert terms["diversity"].item() == pytest.approx(0.1 * math.log(3))
    output = made(batch)
    figures = made.figures(output, batch)
    for kind in ("common", "own"):
        assert figures[f"{kind}_discriminator_accuracy"].item() == pytest.approx(1 / 3)  # all: text
        rows = torch.cat(output.extra[kind])
        assert figures[f"{kind}_mean"].item() == pytest.approx(rows.mean().item())
        assert figures[f"{kind}_deviation"].item() == pytest.approx(rows.std(correction=0).item())


def test_vectors_unlearn_their_modality_only_as_the_ramp_rises():
    made = make(NAME)
    batch = batch_of(made, conversations([9, 7], missing=0.0))
    made.prepare([*TRAIN])
    made.reversal.plan(20)
    gradients = []
    for _ in range(2):
        made.zero_grad()
        terms_of(made, batch)["commonality"].backward()
        gradients.append([made.common.weight.grad, made.common_discriminator[0].weight.grad])
        for _ in range(5):
            made.after_step(made(batch), batch)
    (encoder, discriminator), (later, same) = gradients
    assert not encoder.any()
    assert later.any()
    assert discriminator.any()
    assert torch.equal(discriminator, same)
    # After ten of twenty dialogues p is a half.
    made.reversal.plan(1)
    made.zero_grad()
    terms_of(made, batch)["commonality"].backward()
    weight = 2 / (1 + math.exp(-5)) - 1
    torch.testing.assert_close(later, weight * made.common.weight.grad, rtol=1e-3, atol=1e-9)


def test_the_ramp_ends_with_the_epochs():
    made = make(NAME, epochs=7)
    made.prepare(TRAIN)
    assert made.reversal.planned.item() == 7 * len(TRAIN)


def test_the_discriminators_take_opposite_sides():
    made = make(NAME)
    made.reversal.plan(1)
    made.reversal.count(1)
    batch = batch_of(made, conversations([9, 7], missing=0.0))
    rises = []
    for term, layers in (("commonality", [made.common]), ("diversity", made.own)):
        made.zero_grad()
        before = terms_of(made, batch)[term]
        before.backward()
        with torch.no_grad():
            for parameter in (p for layer in layers for p in layer.parameters()):
                parameter.sub_(parameter.grad, alpha=1e-2)
            rises.append((terms_of(made, batch)[term] > before).item())
    assert rises == [True, False]


def test_one_modality_has_nothing_to_be_told_from():
    made = make(NAME, modalities=("text",))
    batch = batch_of(made, conversations([5, 3]))
    assert list(terms_of(made, batch)) == ["cross_entropy", "orthogonality"]
    assert made.figures(made(batch), batch) == {}


def test_terms_read_no_turn_that_lacks_the_modality():
    made = make(NAME)
    batch = batch_of(made, conversations([1, 1, 1, 1]))
    assert not batch.all_available(made.inputs.modalities).all()
    before = terms_of(made, batch)
    with torch.no_grad():
        made.inputs.missing.add_(3)
    after = terms_of(made, batch)
    for term in ("commonality", "diversity", "orthogonality"):
        assert torch.equal(before[term], after[term])


def test_it_is_never_shown_as_the_authors_model():
    assert title(NAME) == "MALN (our reading)"
    source = system(NAME).SOURCE
    assert source.fidelity == "our reading"
    assert not source.commit


def test_it_has_as_many_parameters_as_the_reference():
    """2.84 M beside the inputs, of 256 features and for 6 classes."""
    assert size_of(NAME, width=256) == 2_842_130
