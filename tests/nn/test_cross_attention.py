"""Cross-attention network against eq. 6-14 as loops, by hand, and without usable keys."""

import math

import pytest
import torch

from pipeline.nn.batch import Packing
from pipeline.nn.cross_attention import MCN, CrossAttention
from tests.systems.dialogues import randomise


def of_dialogues(mcn: MCN, context, usable, turn_mask=None) -> torch.Tensor:
    """`mcn` on padded dialogues, [modality, batch, turn, width] in and out."""
    packing = Packing(torch.ones_like(usable[0]) if turn_mask is None else turn_mask)
    rows = mcn(packing.pack(context), usable, packing)
    return torch.stack([packing.unpack(r) for r in rows])


def attend(attention: CrossAttention, features, partner, usable) -> torch.Tensor:
    """`attention.attend` on dialogues without padding, [batch, turn, width] in and out."""
    packing = Packing(torch.ones_like(usable))
    read = attention.attend(packing.pack(features), packing.pack(partner), usable, packing)
    return packing.unpack(read)


def naive_attention(attention: CrossAttention, features, partner, usable) -> torch.Tensor:
    """Eq. 6-10 for one dialogue, [turn, width] each."""
    width, size = features.shape[1], features.shape[1] // attention.heads
    weight_key, weight_value = attention.key_value.weight.chunk(2)
    result = torch.zeros_like(features)
    for turn in range(len(features)):
        heads = []
        for h in range(attention.heads):
            rows = slice(h * size, (h + 1) * size)
            query = attention.query.weight[rows] @ features[turn]
            scores, values = [], []
            for other in range(len(partner)):
                if usable[other]:
                    key = weight_key[rows] @ partner[other]
                    scores.append(torch.exp((query * key).sum() / math.sqrt(size)))
                    values.append(weight_value[rows] @ partner[other])
            head = torch.zeros(size, dtype=features.dtype)
            for score, value in zip(scores, values, strict=True):
                head = head + score / sum(scores) * value
            heads.append(head)
        result[turn] = attention.output.weight @ torch.cat(heads).view(width)
    return result


def naive_mcn(mcn: MCN, context, usable) -> list[torch.Tensor]:
    """T layers for one dialogue, [modality, turn, width]; partners as the method names them."""
    partners = {3: [(1, 2), (0, 2), (0, 1)], 2: [(1,), (0,)]}[len(context)]
    features = list(context)
    for layer in mcn.layers:
        updated = []
        for index, branch in enumerate(layer.branches):
            current = features[index]
            for attention, other in zip(branch.attentions, partners[index], strict=True):
                read = naive_attention(attention, current, context[other], usable[other])
                current = attention.norm(current + read)
            first, _, _, second = branch.feed_forward
            hidden = (current @ first.weight.T + first.bias).clamp(min=0)
            updated.append(branch.norm(current + hidden @ second.weight.T + second.bias))
        features = updated
    return features


@pytest.mark.parametrize("modalities", [2, 3])
def test_equals_the_equations(modalities):
    mcn = MCN(modalities, width=8, heads=2, layers=2, dropout=0.1).double().eval()
    context = torch.randn(modalities, 3, 4, 8, dtype=torch.float64)
    turn_mask = torch.arange(4) < torch.tensor([[4], [2], [3]])
    usable = (torch.rand(modalities, 3, 4) > 0.4) & turn_mask
    usable[0, 1] = False  # a dialogue without that modality
    with torch.no_grad():
        result = of_dialogues(mcn, context, usable, turn_mask)
        for row, turns in enumerate(turn_mask.sum(dim=1).tolist()):
            expected = torch.stack(naive_mcn(mcn, context[:, row, :turns], usable[:, row, :turns]))
            torch.testing.assert_close(result[:, row, :turns], expected)
            assert not result[:, row, turns:].any()


def test_attention_by_hand():
    # Width 1 and all weights 1: the scores are products and the values the keys themselves.
    attention = CrossAttention(width=1, heads=1, dropout=0.0)
    for linear in (attention.query, attention.key_value, attention.output):
        torch.nn.init.ones_(linear.weight)
    features = torch.tensor([[[0.0], [math.log(2)], [0.0]]])
    partner = torch.tensor([[[0.0], [1.0], [50.0]]])
    usable = torch.tensor([[True, True, False]])
    # Query 0: scores 0, 0, so (0 + 1) / 2. Query log 2: exp 1 and 2, so (0 * 1 + 1 * 2) / 3.
    expected = torch.tensor([[[1 / 2], [2 / 3], [1 / 2]]])
    torch.testing.assert_close(attend(attention, features, partner, usable), expected)


def test_without_usable_keys_attention_is_exactly_zero():
    attention = CrossAttention(width=8, heads=2, dropout=0.0)
    features = torch.randn(2, 3, 8, requires_grad=True)
    partner = torch.randn(2, 3, 8, requires_grad=True)
    usable = torch.tensor([[True, False, True], [False, False, False]])
    read = attend(attention, features, partner, usable)
    assert torch.equal(read[1], torch.zeros(3, 8))
    read.square().sum().backward()
    assert features.grad.isfinite().all()
    assert torch.equal(features.grad[1], torch.zeros(3, 8))
    assert torch.equal(partner.grad[1], torch.zeros(3, 8))
    assert torch.equal(partner.grad[0, 1], torch.zeros(8))  # a masked key has no influence


@pytest.mark.slow
def test_gradients():
    mcn = randomise(MCN(3, width=4, heads=2, layers=2, dropout=0.0).double())
    turn_mask = torch.tensor([[True, True, True], [True, True, False]])
    usable = turn_mask & (torch.rand(3, 2, 3) > 0.3)
    packing = Packing(turn_mask)
    context = torch.randn(3, len(packing.places), 4, dtype=torch.float64, requires_grad=True)
    names, parameters = zip(*mcn.named_parameters(), strict=True)

    def run(context, *parameters):
        given = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(mcn, given, (context, usable, packing))

    # The default tolerances of the fast mode miss a detached tensor.
    assert torch.autograd.gradcheck(
        run, (context, *parameters), rtol=1e-6, atol=1e-8, fast_mode=True
    )


def test_refusal():
    with pytest.raises(ValueError, match="Bad heads 3"):
        MCN(3, width=8, heads=3, layers=1, dropout=0.0)
