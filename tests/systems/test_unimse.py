"""UniMSE's fusion by hand, against a loop over turns, and in the reference's size."""

import math

import pytest
import torch

from pipeline.nn.entropy import Entropy
from pipeline.systems.base import Output
from pipeline.systems.unimse import Adapter
from tests.nn.naive_transformer import naive_pre_norm
from tests.systems.zoo import (
    batch_of,
    conversations,
    each_dialogue,
    in_float64,
    logits,
    make,
    shrunk,
    size_of,
    starting_with,
    terms_of,
)

NAME = "unimse"


@pytest.mark.parametrize(("residual", "expected"), [(False, 9.5), (True, 11.5)])
def test_an_adapter_by_hand(residual, expected):
    # F = (2, 3, 4); sigmoid(0) = 1/2 goes up as (0.5, 0, 0): (2.5, 3, 4), whose sum is 9.5.
    sizes = {"width": 1, "heads": 1, "hidden": 1, "bottleneck": 1}
    adapter = Adapter(shrunk(NAME, **sizes, residual=residual), others=2)
    with torch.no_grad():
        for layer in (adapter.down, adapter.up):
            layer.weight.zero_()
        adapter.up.weight[0, 0] = 1
        adapter.output.weight.fill_(1)
        adapter.output.bias.zero_()
    got = adapter(torch.tensor([2.0]), [torch.tensor([3.0]), torch.tensor([4.0])])
    assert got.item() == pytest.approx(expected)


def test_at_first_the_text_is_classified_as_if_alone():
    made, alone = make(NAME, layers=3), make(NAME, layers=3, modalities=("text",))
    weights = made.state_dict()
    kept = {
        name: weights[name]
        for name, value in alone.state_dict().items()
        if weights[name].shape == value.shape
    }
    alone.load_state_dict(kept, strict=False)
    alone.inputs.missing.data.copy_(made.inputs.missing.data[:1])
    dialogues = conversations((6, 1, 4))
    expected = logits(alone, batch_of(alone, dialogues))
    torch.testing.assert_close(logits(made, batch_of(made, dialogues)), expected)
    torch.nn.init.normal_(made.adapters[1].output.weight)
    assert not torch.allclose(logits(made, batch_of(made, dialogues)), expected, atol=1e-2)


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("modalities", ["tav", "av", "t"])
def test_it_equals_a_loop_over_turns(modalities, residual):
    names = starting_with(modalities)
    made = make(NAME, modalities=names, layers=2, residual=residual).double()
    for adapter in made.adapters:
        for parameter in adapter.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    batch = in_float64(batch_of(made, conversations((5, 1, 3), missing=0.5), turns=2))
    expected = []
    for encoded, there, _ in each_dialogue(made, batch):
        stream = list(encoded[names[0]])
        others = {m: encoded[m] for m in ("visual", "audio") if m in names[1:]}
        for layer, adapter in zip(made.layers, made.adapters, strict=True):
            keys = [h for h, usable in zip(stream, there[names[0]], strict=True) if usable]
            updated = [naive_pre_norm(layer, h, keys) for h in stream]
            stream = []
            for turn, h in enumerate(updated):
                joined = torch.cat([h, *(made.narrow[m](u[turn]) for m, u in others.items())])
                inner = 1 / (1 + torch.exp(-adapter.down(joined)))
                mixed = adapter.output(joined + adapter.up(inner))
                stream.append(h + mixed if residual else mixed)
        expected += [made.head(h) for h in stream]
    torch.testing.assert_close(logits(made, batch), torch.stack(expected))


def test_the_contrast_by_hand_over_the_turns_that_have_both():
    # The two orthogonal rows that have both: ln(1 + e^-10) at tau 0.1; swapped 10 more.
    made = make(NAME, contrastive=0.5, temperature=0.1)
    batch = batch_of(made, conversations([3], missing=0.0))
    batch.present["audio"][0, 1] = batch.present["visual"][0, 1] = False
    rows = torch.tensor([[[1.0, 0], [7, 7], [0, 1]]])
    extra = {"text": rows, "visual": rows.flip(1), "audio": rows}
    terms = made.losses(Output(torch.zeros(1, 3, 4), extra), batch, Entropy())
    assert list(terms) == ["cross_entropy", "contrastive_visual", "contrastive_audio"]
    least = math.log(1 + math.exp(-10))
    assert terms["contrastive_audio"].item() == pytest.approx(least / 2, abs=1e-7)
    assert terms["contrastive_visual"].item() == pytest.approx(5 + least / 2)


def test_what_is_contrasted_is_the_text_that_enters_the_last_layer():
    made = make(NAME, layers=2)
    torch.nn.init.normal_(made.adapters[0].output.weight)
    batch = batch_of(made, conversations((4, 2), missing=0.0))
    text, audio, visual = made.inputs(batch)
    others = [made.narrow["visual"](visual), made.narrow["audio"](audio)]
    entering = made.adapters[0](made.layers[0](text, text, batch.turn_mask), others)
    expected = made.projections["text"](entering)
    torch.testing.assert_close(made(batch).extra["text"], expected)


@pytest.mark.parametrize("options", [{"contrastive": 0.0}, {"modalities": ("audio",)}], ids=str)
def test_without_a_contrast_nothing_is_projected(options):
    made = make(NAME, **options)
    batch = batch_of(made, conversations((4, 2)))
    assert not made.projections
    assert list(terms_of(made, batch)) == ["cross_entropy"]


def test_where_no_turn_has_both_there_is_no_contrast():
    made = make(NAME)
    batch = batch_of(made, conversations((4, 2), missing=0.0))
    batch.present["visual"].zero_()
    terms = terms_of(made, batch)
    assert terms["contrastive_visual"] == 0 < terms["contrastive_audio"]
    sum(terms.values()).backward()
    assert all(p.grad.isfinite().all() for p in made.parameters())


def test_it_has_as_many_parameters_as_the_reference():
    """2.77 M beside the inputs, of 256 features and for 7 classes.

    The reference's three projections have a bias; the code's, and these, have none.
    """
    sizes = {"width": 256, "feedforward": 1024, "layers": 3, "hidden": 32, "projection": 30}
    assert size_of(NAME, **sizes) + 257 + 3 * 30 == 2_767_777
