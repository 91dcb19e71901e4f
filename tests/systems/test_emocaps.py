"""EmoCaps by hand, against a loop over tokens, and in the size that the reference gives."""

import math

import pytest
import torch

from pipeline.systems.emocaps import Emoformer
from tests.systems.zoo import (
    batch_of,
    conversations,
    in_float64,
    logits,
    make,
    shrunk,
    size_of,
)

NAME = "emocaps"


def test_an_emotion_vector_by_hand():
    # Attention and both MLPs give 0, so the layer normalises each token: (3, 1) to (1, -1) and
    # (0, 4) to (-1, 1). The last map reads 2 h_0 + 0.5.
    emoformer = Emoformer(shrunk(NAME, width=2, heads=1, emotions=1)).eval()
    with torch.no_grad():
        for name, parameter in emoformer.named_parameters():
            parameter.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
        emoformer.emotion.weight[0, 0], emoformer.emotion.bias[0] = 2, 0.5
    tokens = torch.tensor([[[3.0, 1], [0, 4]], [[3, 1], [0, 4]], [[0, 4], [9, 9]]])
    real = torch.tensor([[True, True], [True, False], [True, False]])
    expected = torch.tensor([[0.5], [2.5], [-1.5]])
    torch.testing.assert_close(emoformer(tokens, real), expected, rtol=0, atol=1e-4)


def naive_emotion(emoformer, tokens):
    """The emotion vector of one turn from its real tokens, [token, width]."""
    attention = emoformer.layer.self_attn
    names = zip(attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3), strict=True)
    queries, keys, values = ([w @ token + b for token in tokens] for w, b in names)
    size = attention.head_dim
    after = []
    for token, query in zip(tokens, queries, strict=True):
        parts = []
        for start in range(0, len(token), size):
            head = slice(start, start + size)
            scores = [(query[head] @ key[head] / math.sqrt(size)).exp() for key in keys]
            mixed = sum(s * value[head] for s, value in zip(scores, values, strict=True))
            parts.append(mixed / sum(scores))
        attended = attention.out_proj.weight @ torch.cat(parts) + attention.out_proj.bias
        middle = normalised(emoformer.layer.norm1, token + attended)
        wide = (emoformer.layer.linear1.weight @ middle + emoformer.layer.linear1.bias).clamp(min=0)
        narrow = emoformer.layer.linear2.weight @ wide + emoformer.layer.linear2.bias
        after.append(normalised(emoformer.layer.norm2, middle + narrow))
    pooled = mapped = sum(after) / len(after)
    for number in (0, 2, 4):
        layer = emoformer.mapping[number]
        mapped = layer.weight @ mapped + layer.bias
        mapped = mapped if number == 4 else mapped.clamp(min=0)
    return emoformer.emotion.weight @ (pooled + mapped) + emoformer.emotion.bias


def normalised(norm, vector):
    centred = vector - vector.mean()
    return norm.weight * centred / (centred.square().mean() + norm.eps).sqrt() + norm.bias


@pytest.mark.parametrize("modalities", [("text", "audio", "visual"), ("visual",)], ids="+".join)
def test_capsules_equal_a_loop_over_turns_and_their_tokens(modalities):
    made = make(NAME, modalities=modalities).double()
    batch = in_float64(batch_of(made, conversations((6, 1, 4)), turns=2))
    capsules = made(batch).extra["capsules"]
    assert not capsules[~batch.turn_mask].any()
    for row, turn in batch.turn_mask.nonzero().tolist():
        first, emotions = None, []
        for number, modality in enumerate(modalities):
            encoder, vectors = made.inputs.encoders[modality], batch.features[modality][row, turn]
            if not batch.available(modality)[row, turn]:
                tokens = made.inputs.missing[number, 0]
            elif modality == "visual":
                tokens = encoder.project(encoder.standardise(vectors[batch.frame_mask[row, turn]]))
            else:
                tokens = encoder.project(encoder.standardise(vectors[None]))
            first = tokens.mean(dim=0) if first is None else first
            emotions.append(naive_emotion(made.emoformers[modality], list(tokens)))
        torch.testing.assert_close(capsules[row, turn], torch.cat([first, *emotions]))


def test_without_emotions_it_is_a_bc_lstm_on_text():
    made, plain = make(NAME, layers=2), make("bc_lstm", layers=2, modalities=("text",))
    with torch.no_grad():
        for emoformer in made.emoformers.values():
            emoformer.emotion.weight.zero_()
            emoformer.emotion.bias.zero_()
    state = made.state_dict()
    for suffix in ("", "_reverse"):
        name = f"lstm.rnn.weight_ih_l0{suffix}"
        state[name] = state[name][:, : made.settings.width]
    state["inputs.missing"] = state["inputs.missing"][:1]
    plain.load_state_dict({name: state[name] for name in plain.state_dict()})
    dialogues = conversations((6, 1, 4))
    expected = logits(plain, batch_of(plain, dialogues))
    torch.testing.assert_close(logits(made, batch_of(made, dialogues)), expected)


def test_no_capsule_reads_another_turn():
    made = make(NAME)
    batch = batch_of(made, conversations((5, 3), missing=0.0))
    before = made(batch)
    for vectors in batch.features.values():
        vectors[0, 2] += 1
    after = made(batch)
    changed = (before.extra["capsules"] != after.extra["capsules"]).any(dim=-1)
    assert changed.nonzero().tolist() == [[0, 2]]
    assert (after.logits[0, 0] - before.logits[0, 0]).abs().max() > 1e-6


def test_frames_count_beyond_their_mean():
    made = make(NAME)
    batch = batch_of(made, conversations([3], missing=0.0))
    batch.frame_mask.fill_(True)
    batch.features["visual"][0, 1] = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    before = made(batch).extra["capsules"]
    batch.features["visual"][0, 1] = batch.features["visual"][0, 1].mean(dim=0)
    assert (made(batch).extra["capsules"] - before)[0, 1, -16:].abs().max() > 1e-3


def test_heads_divide_the_width_or_are_refused():
    with pytest.raises(ValueError, match="width 16 is not a multiple of heads 3"):
        shrunk(NAME, width=16, heads=3)


def test_it_has_as_many_parameters_as_the_reference():
    """3.64 M beside the inputs, of 256 features and for 6 classes."""
    assert size_of(NAME, width=256, heads=4, emotions=64, hidden=128, layers=2) == 3_637_574
