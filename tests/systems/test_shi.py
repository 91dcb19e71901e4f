"""Shi et al., in our reading: against loops, its losses by hand, and in the reference's size."""

import math

import pytest
import torch

from pipeline.nn.entropy import Entropy
from pipeline.systems.base import system
from pipeline.systems.registry import title
from tests.nn.naive import naive_attention
from tests.systems.zoo import (
    CLASSES,
    batch_of,
    conversations,
    in_float64,
    logits,
    make,
    size_of,
)

NAME = "shi"


def terms_of(made, batch):
    return made.losses(made(batch), batch, Entropy())


def naive_turn(made, tokens, there):
    """Both classifiers' logits and j of one turn, from [modality][width]."""
    joint = list(made.joint)
    keys = [token for token, use in zip(tokens, there, strict=True) if use]
    for layer in made.fusion:
        heard = naive_attention(layer.attention, torch.stack(joint), keys) if keys else joint
        step = []
        for vector, read in zip(joint, heard, strict=True):
            vector = layer.attention_norm(vector + read if keys else vector)
            inner = layer.feed_forward[0](vector).clamp(min=0)
            step.append(layer.norm(vector + layer.feed_forward[3](inner)))
        joint = step
    mean = sum(joint) / len(joint)
    first, second = made.of_modalities, made.of_joint
    return (
        first[3](first[0](torch.cat(list(tokens))).clamp(min=0)),
        second[3](second[0](mean).clamp(min=0)),
        mean,
    )


@pytest.mark.parametrize("modalities", [("text",), ("text", "audio"), ("text", "audio", "visual")])
def test_it_equals_loops_over_turns_and_joint_vectors(modalities):
    made = make(NAME, layers=2, modalities=modalities).double()
    batch = in_float64(batch_of(made, conversations((6, 1, 4)), turns=2))
    turns = made.inputs(batch)[:, batch.turn_mask].unbind(1)
    there = batch.all_available(modalities)[:, batch.turn_mask].T.tolist()
    results = [naive_turn(made, turn, use) for turn, use in zip(turns, there, strict=True)]
    expected = torch.stack([(first + second) / 2 for first, second, _ in results])
    torch.testing.assert_close(logits(made, batch), expected)

    labels, terms = batch.labels[batch.turn_mask].tolist(), terms_of(made, batch)
    labelled = [n for n, label in enumerate(labels) if label >= 0]
    own = sum(
        -results[n][which].log_softmax(0)[labels[n]] for n in labelled for which in (0, 1)
    ) / len(labelled)
    torch.testing.assert_close(terms["classifiers"], 0.5 * own)
    units = {n: made.projection(results[n][2]) for n in labelled}
    losses = []
    for n in labelled:
        others = [k for k in labelled if k != n]
        positives = [k for k in others if labels[k] == labels[n]]
        if positives and len(positives) < len(others):
            total = sum((units[n] @ units[k] / 0.1).exp() for k in others)
            gains = [(units[n] @ units[k] / 0.1).exp() / total for k in positives]
            losses.append(-sum(gain.log() for gain in gains) / len(gains))
    torch.testing.assert_close(terms["contrastive"], 0.1 * sum(losses) / len(losses))


def test_of_one_modality_the_joint_vectors_take_all_of_it():
    made = make(NAME, modalities=("text",), layers=1)
    batch = batch_of(made, conversations([5], missing=0.0))
    output, (layer,) = made(batch), made.fusion
    # All weights are 1: what is read is a linear map of the token, whatever asks for it.
    _, value = layer.attention.key_value(made.inputs(batch)[0, 0]).chunk(2, dim=-1)
    read = layer.attention.output(value).unsqueeze(1)
    vectors = layer.attention_norm(made.joint + read)
    expected = layer.norm(vectors + layer.feed_forward(vectors)).mean(dim=1)
    torch.testing.assert_close(output.extra["joint"], expected)


def test_the_order_of_the_joint_vectors_does_not_matter():
    made = make(NAME, layers=2)
    batch = batch_of(made, conversations([5, 3]))
    before = logits(made, batch)
    with torch.no_grad():
        made.joint.copy_(made.joint[[2, 0, 3, 1]])
    torch.testing.assert_close(logits(made, batch), before)
    with torch.no_grad():
        made.joint[0] += 1
    assert (logits(made, batch) - before).abs().max() > 1e-4


def test_the_logits_are_the_mean_of_two_classifiers_that_learn_alone_too():
    made = make(NAME)
    for classifier, bias in ((made.of_modalities, 0.0), (made.of_joint, math.log(3))):
        torch.nn.init.zeros_(classifier[3].weight)
        classifier[3].bias.data.copy_(torch.tensor([0, 0, bias, 0]))
    batch = batch_of(made, conversations([3], labelled=1.0))
    batch.labels.fill_(2)
    terms = terms_of(made, batch)
    # p: 1/4 and 1/2; of the mean, sqrt(3) to 3.
    root = math.sqrt(3)
    assert terms["cross_entropy"].item() == pytest.approx(-math.log(root / (root + 3)))
    assert terms["classifiers"].item() == pytest.approx((math.log(4) + math.log(2)) / 2)
    assert terms["contrastive"].item() == 0  # of a single class
    assert logits(made, batch).shape == (3, CLASSES)


def test_without_context_no_turn_reads_another():
    for context, reads in (("none", False), ("gru", True), ("dialogue_rnn", True)):
        made = make(NAME, context=context)
        batch = batch_of(made, conversations([6], missing=0.0))
        before = logits(made, batch)
        batch.features["audio"][0, 0] += 1
        assert torch.equal(logits(made, batch)[1:], before[1:]) != reads


def test_labelled_turns_alone_are_contrasted():
    made = make(NAME)
    batch = batch_of(made, conversations([6, 4], labelled=1.0))
    batch.labels[0, 2:] = -1
    before = terms_of(made, batch)["contrastive"]
    batch.features["audio"][0, 2:] += 1
    assert torch.equal(terms_of(made, batch)["contrastive"], before)
    assert before > 0


@pytest.mark.parametrize("term", ["classifiers", "contrastive"])
def test_a_term_without_weight_is_left_out(term):
    batch = batch_of(whole := make(NAME), conversations([5, 3]))
    without = make(NAME, **{term: 0.0})
    assert set(terms_of(whole, batch)) - set(terms_of(without, batch)) == {term}


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"width": 15}, "width 15 is not a multiple of heads 2"),
        ({"width": 15, "heads": 3, "context": "gru"}, "width 15 is not even"),
    ],
)
def test_widths_that_cannot_be_shared_are_refused(sizes, words):
    with pytest.raises(ValueError, match=words):
        make(NAME, **sizes)


def test_it_is_never_shown_as_the_authors_model():
    assert title(NAME) == "Shi et al. (our reading)"
    source = system(NAME).SOURCE
    assert source.fidelity == "our reading"
    assert not source.commit


def test_it_has_as_many_parameters_as_the_reference():
    """1.42 M beside the inputs, of 256 features and for 6 classes."""
    assert size_of(NAME, width=256, layers=2, heads=4, projection=128) == 1_419_660
