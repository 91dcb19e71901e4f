"""MultiEMO against loops, its losses by hand, what is left without partners, and its size."""

import math
from dataclasses import replace

import pytest
import torch

from pipeline.nn.entropy import Entropy
from pipeline.nn.focal_contrastive import focal_contrastive_loss
from pipeline.nn.soft_hgr import soft_hgr
from pipeline.systems.base import parameters
from tests.nn.naive import naive_attention, naive_dialogue_rnn
from tests.systems.zoo import (
    CLASSES,
    batch_of,
    conversation,
    conversations,
    each_dialogue,
    in_float64,
    logits,
    make,
    size_of,
    starting_with,
    terms_of,
)

NAME = "multiemo"


def naive_context(made, number, reduce, turns, speakers):
    """C of one modality of one dialogue; `number` is its place among those with a context."""
    forwards = naive_dialogue_rnn(made.context, 2 * number, turns, speakers)
    backwards = naive_dialogue_rnn(made.context, 2 * number + 1, turns.flip(0), speakers[::-1])
    states = [torch.cat(both) for both in zip(forwards, backwards[::-1], strict=True)]
    return torch.stack([reduce(state).clamp(min=0) for state in states])


def naive_layer(layer, features, partners):
    for attention, norm, (context, usable) in zip(
        layer.attentions, layer.attended, partners, strict=True
    ):
        read = naive_attention(attention, features, context[usable]) if usable.any() else 0
        features = norm(features + read)
    first, _, last = layer.feed_forward
    return layer.norm(features + last(first(features).clamp(min=0)))


def naive_logits(made, utterances, available, speakers):
    """One dialogue from its encoded turns and where they are available, by modality."""
    contexts = dict(utterances)
    for number, (modality, reduce) in enumerate(made.reduce.items()):
        contexts[modality] = naive_context(made, number, reduce, utterances[modality], speakers)
    order = {
        "text": ("audio", "visual"),
        "audio": ("text", "visual"),
        "visual": ("text", "audio"),
    }
    streams = []
    for modality, features in contexts.items():
        partners = [(contexts[p], available[p]) for p in order[modality] if p in contexts]
        for layer in made.fusion[modality]:
            features = naive_layer(layer, features, partners)
        streams.append(features)
    joined = made.join(torch.cat(streams, dim=1))
    first, _, _, last = made.head
    return last(first(joined).clamp(min=0))


@pytest.mark.parametrize("text_context", [True, False])
@pytest.mark.parametrize("modalities", ["tav", "ta", "av", "t"])
def test_it_equals_a_loop_over_turns(modalities, text_context):
    options = {"modalities": starting_with(modalities), "text_context": text_context}
    made = make(NAME, **options, layers=2).double()
    batch = in_float64(batch_of(made, conversations((6, 1, 4)), turns=2))
    expected = [naive_logits(made, *read) for read in each_dialogue(made, batch)]
    torch.testing.assert_close(logits(made, batch), torch.cat(expected))


def test_without_context_a_text_depends_on_no_other():
    for text_context in (True, False):
        made = make(NAME, modalities=("text",), text_context=text_context)
        batch = batch_of(made, [conversation(1, 4, missing=0.0)])
        before = logits(made, batch)
        batch.features["text"][0, 1] += 1
        changed = (logits(made, batch) != before).any(dim=1).tolist()
        assert changed == [text_context, True, text_context, text_context]


def test_classes_weigh_in_the_contrast_by_how_rare_they_are():
    made = make(NAME, rarity=2.0)
    train = [conversation(1, 4), conversation(2, 3)]
    labels = torch.tensor([0, 0, 1, -1]), torch.tensor([0, 3, 3])
    made.prepare([replace(d, labels=y) for d, y in zip(train, labels, strict=True)])
    # Of 6, 3, 1, 0 and 2 are of the classes: squares of 2, 6 and 3.
    torch.testing.assert_close(made.class_weights, torch.tensor([4, 36, 0, 9]) / 49)


def test_the_loss_is_weighted_and_reads_labelled_turns_and_those_with_both_modalities():
    weights = {"cross_entropy": 0.5, "contrastive": 2.0, "soft_hgr": 3.0}
    made = make(NAME, **weights, temperature=0.7, contrastive_focal=1.5)
    made.class_weights.copy_(torch.tensor([0.1, 0.2, 0.3, 0.4]))
    batch = batch_of(made, conversations((6, 5), missing=0.4, labelled=0.6))
    output = made(batch)
    terms = made.losses(output, batch, Entropy())
    assert list(terms) == list(weights)
    known = batch.labels != -1
    contrast = focal_contrastive_loss(
        output.extra["joined"][known],
        batch.labels[known],
        made.class_weights,
        temperature=0.7,
        gamma=1.5,
    )
    torch.testing.assert_close(terms["contrastive"], 2 * contrast)
    correlation = 0
    for one, other in (("text", "audio"), ("text", "visual"), ("audio", "visual")):
        both = batch.available(one) & batch.available(other)
        assert 2 < both.sum() < batch.turn_mask.sum()
        correlation += soft_hgr(output.extra[one][both], output.extra[other][both])
    torch.testing.assert_close(terms["soft_hgr"], 3 * correlation)
    plain = Entropy()(output.logits, batch.labels)
    torch.testing.assert_close(terms["cross_entropy"], plain / 2)


def test_a_fresh_classifier_of_zeros_has_an_entropy_of_ln_of_the_classes():
    made = make(NAME, cross_entropy=0.4, contrastive=0.0, soft_hgr=0.0)
    for parameter in made.head[3].parameters():
        torch.nn.init.zeros_(parameter)
    batch = batch_of(made, conversations((6, 5)))
    terms = terms_of(made, batch)
    assert {name: term.item() for name, term in terms.items()} == {
        "cross_entropy": pytest.approx(0.4 * math.log(CLASSES))
    }


def test_a_single_modality_has_neither_attention_nor_correlation():
    made = make(NAME, modalities=("audio",))
    batch = batch_of(made, conversations((6, 5)))
    assert list(terms_of(made, batch)) == ["cross_entropy", "contrastive"]
    assert parameters(made.fusion) == 0


def test_losses_without_enough_rows_are_zero_with_a_graph():
    made = make(NAME)
    batch = batch_of(made, [conversation(1, 1)])
    terms = terms_of(made, batch)
    assert terms["contrastive"].item() == terms["soft_hgr"].item() == 0
    sum(terms.values()).backward()
    assert all(p.grad.isfinite().all() for p in made.parameters() if p.grad is not None)


@pytest.mark.parametrize(
    ("layers", "text_context", "expected"), [(2, False, 8_627_974), (6, True, 22_257_158)]
)
def test_it_has_as_many_parameters_as_the_reference(layers, text_context, expected):
    """8.63 M and 22.3 M beside the inputs, of 256 features and for 6 classes.

    The reference has states of 128 features, which side by side are a modality's 256; here, as in
    the code on IEMOCAP, a linear map is behind them.
    """
    sizes = {"width": 256, "states": 128, "heads": 4, "feedforward": 1024, "classifier": 512}
    maps = (3 if text_context else 2) * (256 * 256 + 256)
    assert size_of(NAME, **sizes, layers=layers, text_context=text_context) == expected + maps
