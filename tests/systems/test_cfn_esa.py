"""CFN-ESA against loops, who meets whom, its pairs of turns, and the reference's size."""

import math
from dataclasses import replace

import pytest
import torch

from pipeline.nn.emotion_shift import shifts
from pipeline.nn.entropy import Entropy
from pipeline.systems.base import parameters
from tests.nn.naive import naive_attention
from tests.systems.zoo import (
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

NAME = "cfn_esa"


def naive_feed_forward(network, turns):
    return network[3](network[0](turns).clamp(min=0))


def naive_rume(layer, turns):
    states = layer.gru.rnn(turns.unsqueeze(0))[0][0]
    read = layer.read(turns + layer.project[0](states))
    return layer.norm(turns + read + naive_feed_forward(layer.feed_forward, read))


def naive_read(attention, asking, answering, usable):
    return naive_attention(attention, asking, answering[usable]) if usable.any() else 0 * asking


def naive_acme(layer, f, usable):
    """A layer over one dialogue; `f` and `usable` by modality."""
    hub, *others = f
    h = {}
    for modality, turns in f.items():
        part = layer.within[modality]
        read = naive_read(part.attention, turns, turns, usable[modality])
        h[modality] = part.attended(turns + read)
    c = dict.fromkeys(f, 0)
    if others:
        read = [naive_read(layer.from_others[m], h[hub], h[m], usable[m]) for m in others]
        c[hub] = layer.join(torch.cat(read, dim=1)).clamp(min=0)
    for modality in others:
        c[modality] = naive_read(layer.from_hub[modality], h[modality], h[hub], usable[hub])
    updated = {}
    for modality, turns in f.items():
        part = layer.within[modality]
        k = part.crossed(turns + h[modality] + c[modality])
        updated[modality] = part.norm(turns + k + naive_feed_forward(part.feed_forward, k))
    return updated


def naive_fused(made, utterances, usable):
    """z of one dialogue from its encoded turns by modality."""
    streams = {}
    for modality, turns in utterances.items():
        for layer in made.recurrent:
            turns = naive_rume(layer, turns)
        streams[modality] = turns
    for layer in made.cross_modal:
        streams = naive_acme(layer, streams, usable)
    return made.join[0](torch.cat(list(streams.values()), dim=1)).clamp(min=0)


@pytest.mark.parametrize("modalities", ["tav", "ta", "av", "v"])
def test_it_equals_a_loop_over_turns(modalities):
    made = make(NAME, modalities=starting_with(modalities), layers=2).double()
    batch = in_float64(batch_of(made, conversations((6, 1, 4), missing=0.4), turns=2))
    fused = [naive_fused(made, *read) for *read, _ in each_dialogue(made, batch)]
    torch.testing.assert_close(logits(made, batch), made.head(torch.cat(fused)))
    terms = terms_of(made, batch)
    losses = []
    for row, z in enumerate(fused):
        for i, j in torch.cartesian_prod(torch.arange(len(z)), torch.arange(len(z))).tolist():
            one, other = batch.labels[row, i], batch.labels[row, j]
            if one >= 0 and other >= 0:
                hidden = made.shift.first(z[i]) + made.shift.second(z[j])
                scores = made.shift.scores[2](hidden.clamp(min=0))
                losses.append(-scores.log_softmax(0)[int(one != other)])
    assert len(losses) < 36 + 1 + 16
    torch.testing.assert_close(terms["shift"], 0.9 * torch.stack(losses).mean())


def streams_of(made, batch):
    """What the last layer gives for each real turn, by modality."""
    given = []
    handle = made.cross_modal[-1].register_forward_hook(lambda _, inputs, out: given.append(out))
    made(batch)
    handle.remove()
    return {m: turns[batch.turn_mask] for m, turns in given[0].items()}


@pytest.mark.parametrize(
    ("modalities", "layers", "changed", "reached"),
    [
        ("tav", 1, "audio", {"text", "audio"}),
        ("tav", 1, "visual", {"text", "visual"}),
        ("tav", 1, "text", {"text", "audio", "visual"}),
        ("tav", 2, "audio", {"text", "audio", "visual"}),
        ("av", 1, "visual", {"audio", "visual"}),
    ],
)
def test_audio_and_visual_meet_in_text_alone_one_layer_later(modalities, layers, changed, reached):
    names = starting_with(modalities)
    made = make(NAME, modalities=names, layers=layers)
    batch = batch_of(made, conversations((6, 4), missing=0.0))
    before = streams_of(made, batch)
    batch.features[changed].add_(1)
    after = streams_of(made, batch)
    assert {m for m in names if not torch.equal(before[m], after[m])} == reached


def test_the_recurrent_encoder_is_the_same_for_all_modalities():
    one, three = make(NAME, modalities=("audio",)), make(NAME)
    assert parameters(one.recurrent) == parameters(three.recurrent)
    three.recurrent.load_state_dict(one.recurrent.state_dict())
    seen = []
    for made in (one, three):
        layer = made.recurrent[-1]
        layer.register_forward_hook(lambda _, inputs, out: seen.append((inputs[1], out)))
        made.inputs.encoders["audio"].load_state_dict(one.inputs.encoders["audio"].state_dict())
        made(batch_of(made, conversations((6, 4), missing=0.0)))
    (mask, alone), (_, together) = seen
    torch.testing.assert_close(together.chunk(3)[1][mask], alone[mask])


def test_a_second_pass_is_made_in_training_alone_and_differs_by_dropout():
    made = make(NAME, dropout=0.5)
    batch = batch_of(made, conversations((6, 4)))
    for training in (False, True):
        extra = made.train(training)(batch).extra
        same = torch.equal(extra["first"], extra["second"])
        assert same != training
    off = make(NAME, dropout=0.5, shift=0.0).train()
    output = off(batch)
    assert list(output.extra) == ["first"]
    assert list(off.losses(output, batch, Entropy())) == ["cross_entropy"]


def test_the_predictions_do_not_hang_on_the_task_of_pairs():
    on, off = make(NAME), make(NAME, shift=0.0)
    missing = off.load_state_dict(on.state_dict(), strict=False).unexpected_keys
    assert missing
    assert all(name.startswith("shift.") for name in missing)
    batch = batch_of(on, conversations((6, 4)))
    assert torch.equal(logits(on, batch), logits(off, batch))


def test_the_loss_of_pairs_by_hand():
    # 3 turns with labels 0, 0, 1: 5 pairs do not differ, 4 do; p = (3/4, 1/4) for all.
    made = make(NAME, shift=2.0)
    torch.nn.init.zeros_(made.shift.scores[2].weight)
    with torch.no_grad():
        made.shift.scores[2].bias.copy_(torch.tensor([math.log(3), 0]))
    dialogue = replace(conversation(1, 3), labels=torch.tensor([0, 0, 1]))
    batch = batch_of(made, [dialogue], turns=2)
    same, differ = -math.log(3 / 4), -math.log(1 / 4)

    def term():
        return terms_of(made, batch)["shift"].item()

    assert term() == pytest.approx(2 * (5 * same + 4 * differ) / 9)
    made.prepare([dialogue])
    torch.testing.assert_close(made.shift_weights, torch.tensor([9 / 10, 9 / 8]))
    assert term() == pytest.approx(2 * (same + differ) / 2)  # both kinds weigh alike
    batch.labels.fill_(-1)
    assert term() == 0


def test_pairs_of_other_dialogues_and_of_padding_do_not_count():
    made = make(NAME)
    dialogues = conversations((5, 3))
    together = batch_of(made, dialogues, turns=3)
    pairs = shifts(together.labels)
    expected, known = 0, 0
    for dialogue in dialogues:
        batch = batch_of(made, [dialogue])
        count = (shifts(batch.labels) >= 0).sum()
        expected += count * terms_of(made, batch)["shift"]
        known += count
    assert known == (pairs >= 0).sum()
    loss = terms_of(made, together)["shift"]
    torch.testing.assert_close(loss, expected / known)


@pytest.mark.parametrize(("layers", "expected"), [(3, 10_934_408), (5, 16_468_104)])
def test_it_has_as_many_parameters_as_the_reference(layers, expected):
    """10.9 M and 16.5 M beside the inputs, of 256 features and for 6 classes."""
    assert size_of(NAME, width=256, heads=8, layers=layers) == expected
