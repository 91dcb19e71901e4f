"""GA2MIF against a loop over turns, its two wirings, and in the size that the reference gives."""

import pytest
import torch

from tests.nn.naive import naive_attention, naive_gatv2
from tests.systems.zoo import (
    DIMENSIONS,
    batch_of,
    conversations,
    in_float64,
    logits,
    make,
    shrunk,
    size_of,
)

NAME = "ga2mif"
WIRINGS = ("intended", "released")


def naive_unimodal(unimodal, turns, speakers):
    if unimodal.lstm is None:
        turns = torch.tanh(turns)
    else:
        turns = unimodal.leave(unimodal.lstm.rnn(unimodal.enter(turns).unsqueeze(0))[0][0])
    turns = turns + 1.6 * speakers
    for _ in range(3):
        turns = unimodal.norm(turns + naive_gatv2(unimodal.graph, turns))
    return turns


def naive_logits(made, utterances, speakers):
    """One dialogue from its encoded turns, by modality."""
    text, audio, visual = (
        naive_unimodal(made.unimodal[m], turns, speakers) for m, turns in utterances.items()
    )
    for layer in made.cross_modal:
        updates = []
        for modality, own, others in (
            ("text", text, {"audio": audio, "visual": visual}),
            ("audio", audio, {"text": text, "visual": visual}),
            ("visual", visual, {"text": text, "audio": audio}),
        ):
            branch = layer[modality]
            if made.settings.wiring == "released":
                last = "visual" if modality == "text" else "text"
                others = {last: others[last]}
            answers = [naive_attention(branch.attentions[p], x, own) for p, x in others.items()]
            turns = branch.attended(own + sum(answers))
            first, last = branch.feed_forward[0], branch.feed_forward[3]
            updates.append(branch.norm(turns + last(first(turns).clamp(min=0))))
        text, audio, visual = updates
    join, score = made.head
    return score(join(torch.cat((text, audio, visual), dim=-1)))


@pytest.mark.parametrize("wiring", WIRINGS)
def test_it_equals_a_loop_over_turns(wiring):
    lengths = (6, 1, 4)
    made = make(NAME, wiring=wiring, layers=2, past=2, future=1).double()
    batch = in_float64(batch_of(made, conversations(lengths), turns=2))
    encoded = made.inputs(batch)
    expected = []
    for row, length in enumerate(lengths):
        turns = dict(zip(made.inputs.modalities, encoded[:, row, :length], strict=True))
        speakers = made.speakers.weight[batch.speakers[row, :length]]
        expected.append(naive_logits(made, turns, speakers))
    torch.testing.assert_close(logits(made, batch), torch.cat(expected))


@pytest.mark.parametrize(
    ("modalities", "wiring", "asking"),
    [
        ("tav", "intended", {"text": "av", "audio": "vt", "visual": "at"}),
        ("tav", "released", {"text": "v", "audio": "t", "visual": "t"}),
        ("ta", "released", {"text": "a", "audio": "t"}),
        ("av", "intended", {"audio": "v", "visual": "a"}),
    ],
)
def test_who_asks_whom(modalities, wiring, asking):
    names = tuple(m for m in DIMENSIONS if m[0] in modalities)
    (layer,) = make(NAME, modalities=names, wiring=wiring).cross_modal
    assert {m: "".join(p[0] for p in layer[m].attentions) for m in names} == asking


def streams(made, batch):
    """What is joined for each turn, by modality."""
    joined = []
    handle = made.head[0].register_forward_pre_hook(lambda _, inputs: joined.append(inputs[0]))
    made(batch)
    handle.remove()
    return dict(zip(made.inputs.modalities, joined[0][batch.turn_mask].chunk(3, -1), strict=True))


def with_other_audio(batch):
    batch.features["audio"].add_(1)
    return batch


@pytest.mark.parametrize("wiring", WIRINGS)
def test_as_released_audio_reaches_no_other_modality(wiring):
    made = make(NAME, wiring=wiring, layers=3)
    batch = batch_of(made, conversations((6, 4), missing=0.0))
    before, after = streams(made, batch), streams(made, with_other_audio(batch))
    assert not torch.allclose(before["audio"], after["audio"], atol=1e-4)
    for modality in ("text", "visual"):
        same = torch.equal(before[modality], after[modality])
        assert same == (wiring == "released")


def test_in_a_dialogue_of_one_turn_no_modality_reaches_another():
    made = make(NAME, layers=3)
    batch = batch_of(made, conversations((1, 1), missing=0.0))
    before, after = streams(made, batch), streams(made, with_other_audio(batch))
    assert not torch.allclose(before["audio"], after["audio"], atol=1e-4)
    torch.testing.assert_close(after["text"], before["text"])
    torch.testing.assert_close(after["visual"], before["visual"])


def test_the_window_bounds_what_a_turn_of_a_single_modality_knows():
    # Two rounds of a window of 2 and 1: a turn knows 4 earlier ones and 2 later ones.
    made = make(NAME, modalities=("audio",), past=2, future=1, rounds=2)
    batch = batch_of(made, conversations([12], missing=0.0))
    assert not made.cross_modal
    before = logits(made, batch)
    batch.features["audio"][0, 6] += 1
    changed = (logits(made, batch) - before).abs().amax(dim=1) > 1e-6
    assert changed.nonzero().flatten().tolist() == [4, 5, 6, 7, 8, 9, 10]


def test_who_speaks_matters_and_the_tenth_speaker_counts_as_the_ninth():
    made = make(NAME)
    batch = batch_of(made, conversations((6, 5)))
    before = logits(made, batch)
    batch.speakers.fill_(8)
    ninth = logits(made, batch)
    batch.speakers.fill_(9)
    assert (before - ninth).abs().max() > 1e-4
    assert torch.equal(logits(made, batch), ninth)


@pytest.mark.parametrize(
    ("wiring", "rounds", "expected"),
    [("intended", 3, 14_816_774), ("intended", 1, 14_816_774), ("released", 3, 11_658_758)],
)
def test_it_has_as_many_parameters_as_the_reference(wiring, rounds, expected):
    """14.82 M and 11.66 M beside the inputs, of 256 features and for 6 classes, in any rounds.

    The reference puts linear maps after its inputs of audio and visual; the code has them in the
    inputs' place.
    """
    sizes = {"width": 256, "layers": 4, "heads": 8}
    assert size_of(NAME, **sizes, wiring=wiring, rounds=rounds) + 2 * (256 * 256 + 256) == expected


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="width 16 is not a multiple of heads 3"):
        shrunk(NAME, heads=3)
