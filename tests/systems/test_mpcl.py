"""MPCL, in our reading: by hand, in loops over turns, and in the size of the reference."""

import math

import pytest
import torch
from torch.nn.functional import cosine_similarity

from pipeline.nn.batch import MODALITIES
from pipeline.nn.entropy import Entropy
from pipeline.systems.base import Output, Shape, system
from pipeline.systems.mpcl import Memory, mean
from pipeline.systems.registry import title
from tests.systems.zoo import (
    DIMENSIONS,
    batch_of,
    conversations,
    in_float64,
    logits,
    make,
    shrunk,
    size_of,
    with_garbage,
)

NAME = "mpcl"


def test_what_a_memory_recalls_by_hand():
    # Scores 0 and ln 3 give 1/4 and 3/4; the second memory holds -1 alone.
    memory = Memory(width=1, memories=2, slots=2)
    with torch.no_grad():
        memory.memories[0].copy_(torch.tensor([[0.0], [math.log(3)]]))
        memory.memories[1].fill_(-1)
        memory.mix.weight.copy_(torch.tensor([[2.0, 10]]))
        memory.mix.bias.fill_(0.5)
    expected = 1 + 2 * 0.75 * math.log(3) - 10 + 0.5
    assert memory(torch.ones(1, 1)).item() == pytest.approx(expected)
    assert [len(m) for m in memory.memories] == [2, 4]


def test_a_mixture_of_two_prototypes_by_hand():
    for retrievals, first in ((0, 3 / 4), (1, 0.587480), (2, 0.530893)):
        settings = shrunk(NAME, width=2, temperature=1 / math.log(3), retrievals=retrievals)
        made = system(NAME)(settings, Shape(DIMENSIONS, classes=2, speakers=1))
        with torch.no_grad():
            made.mixed.copy_(torch.eye(2))
        # Cosines 1 and 0 give 3 : 1; of (a, b) come sigmoid(+-(a - b) / sqrt 2).
        mixed = made.mixture(torch.tensor([[5.0, 0]]))
        torch.testing.assert_close(mixed, torch.tensor([[first, 1 - first]]))
    assert 1 / (1 + math.exp(-0.5 / 2**0.5)) == pytest.approx(0.587480, abs=1e-6)


def test_the_mixture_of_a_single_prototype_is_that_one_whatever_is_read():
    made = system(NAME)(shrunk(NAME), Shape(DIMENSIONS, classes=1, speakers=1))
    mixed = made.mixture(torch.randn(5, 16))
    torch.testing.assert_close(mixed, made.mixed.expand(5, 16))


def test_a_turn_takes_the_mean_of_the_modalities_that_it_has():
    vectors = torch.tensor([1.0, 2, 6]).view(3, 1, 1, 1).expand(3, 1, 3, 1)
    there = torch.tensor([[True, True, False], [True, False, False], [True, True, False]])
    result = mean(vectors, there.unsqueeze(1))
    torch.testing.assert_close(result, torch.tensor([[[3.0], [3.5], [3.0]]]))


def terms_of(made, batch, similar):
    """Loss terms for similarities that are given, of modalities that all turns have."""
    output = Output(torch.zeros(*batch.labels.shape, 4), similar)
    return made.losses(output, batch, Entropy())


def test_the_losses_by_hand():
    made = make(NAME, modalities=("text", "audio"), prototypes=0.5, relation=0.2)
    batch = batch_of(made, conversations([2], missing=0.0))
    batch.labels.copy_(torch.tensor([[0, -1]]))
    # p of text (1, 1, 1, 1) / 4, of audio (3, 1, 1, 1) / 6.
    text = torch.zeros(1, 2, 4, requires_grad=True)
    audio = torch.zeros(1, 2, 4)
    audio[..., 0] = math.log(3)
    audio.requires_grad_()
    terms = terms_of(made, batch, {"text": text, "audio": audio})
    assert list(terms) == ["cross_entropy", "prototypes", "relation"]
    assert terms["prototypes"].item() == pytest.approx(0.5 * (math.log(4) + math.log(2)))
    divergence = (3 * math.log(1.5) - math.log(2)) / 4
    assert terms["relation"].item() == pytest.approx(0.2 * divergence)
    terms["relation"].backward()
    assert text.grad is None and audio.grad.any(), "the teacher learns nothing from its pupil"


def test_only_turns_that_have_a_modality_count_in_its_losses():
    made = make(NAME, modalities=("text", "audio"))
    batch = batch_of(made, conversations([3], missing=0.0, labelled=1.0))
    batch.present["audio"][0, 1:] = False
    similar = {m: torch.randn(1, 3, 4) for m in ("text", "audio")}
    before = terms_of(made, batch, similar)
    similar["audio"][0, 1:] = 99
    assert terms_of(made, batch, similar) == before
    batch.present["audio"].zero_()
    batch.present["text"].zero_()
    similar = {m: v.requires_grad_() for m, v in similar.items()}
    terms = terms_of(made, batch, similar)
    assert terms["prototypes"].item() == terms["relation"].item() == 0
    assert terms["prototypes"].requires_grad and terms["relation"].requires_grad


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({"prototypes": 0.0, "relation": 0.0}, []),
        ({"relation": 0.0}, ["prototypes"]),
        ({"modalities": ("text",)}, ["prototypes"]),
        ({"modalities": ("audio", "visual")}, ["prototypes"]),
        ({}, ["prototypes", "relation"]),
    ],
    ids=str,
)
def test_terms_without_weight_or_teacher_are_left_out(options, left):
    made = make(NAME, **options)
    batch = batch_of(made, conversations([3]))
    assert list(made.losses(made(batch), batch, Entropy())) == ["cross_entropy", *left]


def test_prototypes_are_made_where_they_learn_and_nothing_is_learnt_from_others():
    assert not len(make(NAME, prototypes=0.0, relation=0.0).prototypes)
    assert set(make(NAME, relation=0.0).prototypes) == set(MODALITIES)
    with pytest.raises(ValueError, match="which learn only by `prototypes`"):
        make(NAME, prototypes=0.0)


def naive_recall(vector, memory):
    weights = [(vector @ slot / len(slot) ** 0.5).exp() for slot in memory]
    return sum(w * slot for w, slot in zip(weights, memory, strict=True)) / sum(weights)


def naive_turn(made, encoded, available):
    """Logits of one turn from its encoded modalities, and its similarities by modality."""
    vectors = []
    for vector in encoded:
        recalled = [naive_recall(vector, memory) for memory in made.memory.memories]
        vectors.append(vector + made.memory.mix.weight @ torch.cat(recalled) + made.memory.mix.bias)
    there = [v for v, a in zip(vectors, available, strict=True) if a] or vectors
    middle = sum(there) / len(there)
    weights = [(cosine_similarity(middle, p, dim=0) / 0.1).exp() for p in made.mixed]
    mixed = sum(w * p for w, p in zip(weights, made.mixed, strict=True)) / sum(weights)
    for _ in range(made.settings.retrievals):
        mixed = naive_recall(mixed, made.mixed)
    hidden = torch.cat((*vectors, mixed))
    for layer in (made.head[0], made.head[3]):
        hidden = (layer.weight @ hidden + layer.bias).clamp(min=0)
    banks = [(v, made.prototypes[m]) for m, v in zip(made.shape.features, vectors, strict=True)]
    similar = [torch.stack([cosine_similarity(v, p, dim=0) / 0.1 for p in ps]) for v, ps in banks]
    return made.head[6].weight @ hidden + made.head[6].bias, similar


@pytest.mark.parametrize("modalities", [MODALITIES, MODALITIES[1:], MODALITIES[:1]], ids=len)
def test_it_equals_a_loop_over_turns(modalities):
    lengths = (6, 1, 4)
    made = make(NAME, modalities=modalities).double()
    for memory in made.memory.memories:
        torch.nn.init.normal_(memory)
    batch = in_float64(batch_of(made, conversations(lengths, missing=0.4), turns=2))
    encoded, available = made.inputs(batch), batch.all_available(modalities)
    expected = [
        naive_turn(made, encoded[:, row, turn], available[:, row, turn])
        for row, length in enumerate(lengths)
        for turn in range(length)
    ]
    output = made(batch)
    scores, similar = zip(*expected, strict=True)
    torch.testing.assert_close(output.logits[batch.turn_mask], torch.stack(scores))
    for number, modality in enumerate(modalities):
        own = torch.stack([turn[number] for turn in similar])
        torch.testing.assert_close(output.extra[modality][batch.turn_mask], own)


def test_no_auxiliary_loss_reads_padding_gaps_or_the_number_of_padded_turns():
    made = make(NAME)
    clean = batch_of(made, conversations((6, 1, 4)), turns=2)
    wider = batch_of(made, conversations((6, 1, 4)), turns=7)
    results = []
    for batch in (clean, with_garbage(clean, torch.nan, 17), wider):
        results.append(made.losses(made(batch), batch, Entropy()))
    assert results[0] == results[1]
    for name, term in results[0].items():
        torch.testing.assert_close(results[2][name], term)


def test_it_is_called_our_reading():
    assert "our reading" in title(NAME)
    assert system(NAME).SOURCE.fidelity == "our reading"


def test_it_has_as_many_parameters_as_the_reference():
    """0.56 M beside the inputs, of 256 features: 562,695 for 7 classes.

    A class less saves four prototypes and a row of the last layer.
    """
    assert size_of(NAME, width=256) == 562_695 - (4 * 256 + 257)


def test_a_turn_is_classified_by_itself():
    made = make(NAME)
    batch = batch_of(made, conversations([5], missing=0.0))
    before = logits(made, batch)
    batch.features["audio"][0, 2] += 1
    changed = (logits(made, batch) != before).any(1).tolist()
    assert changed == [False, False, True, False, False]
