"""SDT against loops, its gates and losses by hand, and in the size that the reference gives."""

import math

import pytest
import torch

from pipeline.systems.sdt import UnimodalGate
from tests.nn.naive import naive_attention
from tests.systems.zoo import (
    DIMENSIONS,
    batch_of,
    conversations,
    each_dialogue,
    in_float64,
    logits,
    make,
    size_of,
    starting_with,
    terms_of,
)

NAME = "sdt"


def naive_reading(reader, asking, answering, usable):
    """What one modality reads of another in one dialogue, [turn, width]."""
    read = naive_attention(reader.attention, asking, answering[usable]) if usable.any() else 0
    mixed = asking + read
    norm, first, _, _, last, _ = reader.feed_forward
    inner = first(norm(mixed))
    inner = 0.5 * inner * (1 + torch.tanh((2 / math.pi) ** 0.5 * (inner + 0.044715 * inner**3)))
    out = mixed + last(inner)
    gated = out if isinstance(reader.gate, torch.nn.SiLU) else out @ reader.gate.gate.weight.T
    return out / (1 + torch.exp(-gated))


def naive_logits(made, utterances, available, speakers):
    """Logits of one dialogue and of its modalities alone, from its encoded turns by modality."""
    width = made.settings.width
    vectors = {}
    for modality, turns in utterances.items():
        places = torch.zeros_like(turns)
        for turn in range(len(turns)):
            for feature in range(width):
                angle = turn / 10000 ** (feature // 2 * 2 / width)
                places[turn, feature] = math.cos(angle) if feature % 2 else math.sin(angle)
        vectors[modality] = turns + places + made.speakers.weight[speakers]
    streams = {}
    for modality, stream in made.streams.items():
        readings = [
            naive_reading(stream.readers[m], vectors[modality], vectors[m], available[m])
            for m in vectors
        ]
        streams[modality] = stream.reduce(torch.cat(readings, dim=1))
    fused = []
    for turn in range(len(speakers)):
        counted = [m for m in streams if available[m][turn]] or list(streams)
        weights = [(made.gate.gate.weight @ streams[m][turn]).exp() for m in counted]
        weighed = [w * streams[m][turn] for w, m in zip(weights, counted, strict=True)]
        fused.append(sum(weighed) / sum(weights))
    alone = {m: made.heads[m][2](f.clamp(min=0)) for m, f in streams.items()}
    return made.head(torch.stack(fused)), alone


@pytest.mark.parametrize(
    ("modalities", "gate"),
    [("tav", "learned"), ("tav", "identity"), ("av", "learned"), ("t", "learned")],
)
def test_it_equals_a_loop_over_turns(modalities, gate):
    made = make(NAME, modalities=starting_with(modalities), gate=gate).double()
    batch = in_float64(batch_of(made, conversations((6, 1, 4), missing=0.4), turns=2))
    output = made(batch)
    for row, read in enumerate(each_dialogue(made, batch)):
        expected, alone = naive_logits(made, *read)
        length = len(expected)
        # The sinusoids are float32.
        torch.testing.assert_close(output.logits[row, :length], expected, rtol=1e-5, atol=1e-6)
        for modality, own in alone.items():
            got = output.extra[modality][row, :length]
            torch.testing.assert_close(got, own, rtol=1e-5, atol=1e-6)


def test_each_reading_draws_its_dropout_anew_and_one_of_itself_draws_one():
    made = make(NAME, dropout=0.5).train()
    seen = []
    for stream in made.streams.values():
        for reader in stream.readers.values():
            reader.attention.register_forward_hook(lambda _, inputs, out: seen.append(inputs[:2]))
    made(batch_of(made, conversations((6, 4), missing=0.0)))
    assert [query is key for query, key in seen] == [number % 4 == 0 for number in range(9)]
    drawn = {id(vectors): vectors == 0 for pair in seen for vectors in pair}
    assert len({mask.numpy().tobytes() for mask in drawn.values()}) == len(drawn) == 15


def test_a_gate_of_zeros_halves():
    gate, vectors = UnimodalGate(4), torch.randn(3, 4)
    torch.nn.init.zeros_(gate.gate.weight)
    torch.testing.assert_close(gate(vectors), vectors / 2)


def test_a_learned_gate_that_is_the_identity_gives_what_the_fixed_one_gives():
    learned, fixed = make(NAME, gate="learned"), make(NAME, gate="identity")
    learned.load_state_dict(fixed.state_dict(), strict=False)
    for stream in learned.streams.values():
        for reader in stream.readers.values():
            torch.nn.init.eye_(reader.gate.gate.weight)
    batch = batch_of(learned, conversations((6, 1, 4)))
    torch.testing.assert_close(logits(learned, batch), logits(fixed, batch))


def test_a_gate_of_zeros_between_modalities_gives_the_mean_of_their_streams():
    made = make(NAME)
    torch.nn.init.zeros_(made.gate.gate.weight)
    streams, batch = [], batch_of(made, conversations((6, 4), missing=0.0))
    for stream in made.streams.values():
        stream.register_forward_hook(lambda _, inputs, result: streams.append(result))
    result = made(batch).logits
    torch.testing.assert_close(result, made.head(torch.stack(streams).mean(dim=0)))


def test_speakers_and_places_are_told_apart():
    made = make(NAME, modalities=("text",))
    batch = batch_of(made, conversations((4,), missing=0.0))
    batch.features["text"][:] = batch.features["text"][:, :1]
    batch.speakers.zero_()
    places = logits(made, batch)
    assert not torch.allclose(places[0], places[1], atol=1e-4)
    batch.speakers[0, 1] = 1
    assert not torch.allclose(logits(made, batch)[1], places[1], atol=1e-4)


def test_losses_by_hand():
    # Scores are biases: p = (3, 1, 1, 1) / 6 of the whole, 1/4 each of either modality.
    made = make(NAME, modalities=("text", "audio"), unimodal=2.0, distillation=3.0, temperature=1.0)
    for part in (made.head, *(head[2] for head in made.heads.values())):
        torch.nn.init.zeros_(part.weight)
        torch.nn.init.zeros_(part.bias)
    with torch.no_grad():
        made.head.bias[0] = math.log(3)
    batch = batch_of(made, conversations((3, 2), labelled=1.0), turns=4)
    terms = terms_of(made, batch)
    assert list(terms) == ["cross_entropy", "unimodal", "distillation"]
    assert terms["unimodal"].item() == pytest.approx(2 * 2 * math.log(4))
    divergence = math.log(2) / 2 + math.log(2 / 3) / 2  # in (3, 1, 1, 1) / 6 from 1/4
    assert terms["distillation"].item() == pytest.approx(3 * 2 * divergence)
    with torch.no_grad():
        for head in made.heads.values():
            head[2].bias[0] = math.log(3)
    assert terms_of(made, batch)["distillation"].item() == pytest.approx(0, abs=1e-6)


def test_a_high_temperature_leaves_nothing_to_distil():
    made = make(NAME, temperature=1e4)
    batch = batch_of(made, conversations((6, 4)))
    assert terms_of(made, batch)["distillation"].item() == pytest.approx(0, abs=1e-6)


def test_the_teacher_learns_nothing_from_its_students():
    made = make(NAME)
    batch = batch_of(made, conversations((6, 4)))
    terms_of(made, batch)["distillation"].backward()
    assert made.head.weight.grad is None
    assert made.gate.gate.weight.grad is None
    assert all(head[2].weight.grad.any() for head in made.heads.values())


def test_unlabelled_turns_are_distilled_and_padded_ones_are_not():
    made = make(NAME)
    dialogues = conversations((6, 4), labelled=0.0)
    short, long = (batch_of(made, dialogues, turns=turns) for turns in (0, 5))
    terms = terms_of(made, short)
    assert terms["cross_entropy"].item() == terms["unimodal"].item() == 0
    assert terms["distillation"].item() > 0
    torch.testing.assert_close(terms_of(made, long)["distillation"], terms["distillation"])


def test_without_their_losses_modalities_have_no_classifiers():
    full, none = make(NAME), make(NAME, unimodal=0.0, distillation=0.0)
    gone = dict(full.named_parameters()).keys() - dict(none.named_parameters()).keys()
    assert gone == {f"heads.{m}.2.{part}" for m in DIMENSIONS for part in ("weight", "bias")}
    batch = batch_of(none, conversations((6, 4)))
    assert list(terms_of(none, batch)) == ["cross_entropy"]


def test_it_has_as_many_parameters_as_the_reference():
    """4.81 M beside the inputs, of 256 features and for 6 classes.

    The reference has a vector more of speakers, for padding; its unimodal gates are learned.
    """
    assert size_of(NAME, width=256, heads=8, gate="learned") == 4_812_056 - 256
    assert size_of(NAME, width=256, heads=8) == 4_812_056 - 256 - 9 * 256**2
