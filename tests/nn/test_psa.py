"""Pyramid squeeze attention against eq. 1-5 as loops, by hand, and for what it can see."""

import pytest
import torch

from pipeline.nn.psa import PSA, masked_mean
from tests.systems.dialogues import randomise


def naive_psa(psa: PSA, frames: torch.Tensor) -> torch.Tensor:
    """Eq. 1-5 for one utterance without padding, [frame, channel] to [channel]."""
    length, channels = frames.shape
    size = channels // len(psa.convolutions)
    multiscale = torch.zeros_like(frames)
    for s, conv in enumerate(psa.convolutions):
        assert conv.kernel_size == (2 * (s + 1) + 1,)
        reach = s + 1
        for t in range(length):
            for out in range(size):
                value = conv.bias[out]
                for offset in range(-reach, reach + 1):
                    if 0 <= t + offset < length:
                        inputs = frames[t + offset, s * size : (s + 1) * size]
                        value = value + (conv.weight[out, :, offset + reach] * inputs).sum()
                multiscale[t, s * size + out] = value
    pooled = sum(multiscale[t] for t in range(length)) / length
    squeezed = (psa.squeeze.weight @ pooled + psa.squeeze.bias).clamp(min=0)
    weights = 1 / (1 + torch.exp(-(psa.excite.weight @ squeezed + psa.excite.bias)))
    weighted = [multiscale[t] * weights for t in range(length)]
    if psa.norm is not None:
        weighted = [normalised_relu(psa.norm, w) for w in weighted]
    return sum(weighted) / length


def normalised_relu(norm: torch.nn.LayerNorm, vector: torch.Tensor) -> torch.Tensor:
    spread = ((vector - vector.mean()) ** 2).mean()
    normal = (vector - vector.mean()) / (spread + norm.eps).sqrt()
    return (normal * norm.weight + norm.bias).clamp(min=0)


@pytest.mark.parametrize("activation", ["relu", "none"])
def test_equals_the_equations(activation):
    psa = randomise(PSA(8, 4, activation)).double()
    frames = torch.randn(3, 11, 8, dtype=torch.float64)
    lengths = [11, 1, 6]
    mask = torch.arange(11) < torch.tensor(lengths).unsqueeze(1)
    frames[~mask] = torch.nan  # padding is not read
    with torch.no_grad():
        expected = [naive_psa(psa, frames[i, :n]) for i, n in enumerate(lengths)]
        torch.testing.assert_close(psa(frames, mask), torch.stack(expected))


def by_hand(activation: str) -> PSA:
    """Two branches of two channels: the first sums 3 frames, the second keeps the middle of 5."""
    psa = PSA(4, 2, activation)
    with torch.no_grad():
        for parameter in psa.parameters():
            parameter.zero_()
        for channel in range(2):
            psa.convolutions[0].weight[channel, channel] = 1.0
            psa.convolutions[1].weight[channel, channel, 2] = 1.0
        if psa.norm is not None:
            psa.norm.weight.fill_(1.0)
    return psa


def test_by_hand():
    # Channels a, b (sum of three neighbours) and c, d (as they are); frames 1, 2, 3.
    frames = torch.tensor([[[1.0, 0, 2, 4], [2, 0, 2, 4], [3, 0, 2, 4]]])
    # Y_a = 0+1+2, 1+2+3, 2+3+0 = 3, 6, 5; Y_b = 0; Y_c = 2; Y_d = 4. All W = sigmoid(0) = 1/2.
    # Mean of Y/2: a (14/3)/2 = 7/3, b 0, c 1, d 2.
    mask = torch.ones(1, 3, dtype=torch.bool)
    expected = torch.tensor([[7 / 3, 0.0, 1.0, 2.0]])
    torch.testing.assert_close(by_hand("none")(frames, mask), expected)
    # Only the first frame: Y = 1, 0, 2, 4, halved 0.5, 0, 1, 2: mean 0.875, variance 0.546875,
    # deviation 0.739510; normalised -0.507, -1.183, 0.169, 1.521; ReLU keeps the last two.
    first = torch.tensor([[True, False, False]])
    expected = torch.tensor([[0.0, 0.0, 0.125 / 0.739510, 1.125 / 0.739510]])
    torch.testing.assert_close(by_hand("relu")(frames, first), expected, rtol=1e-4, atol=1e-6)


def test_only_relu_sees_the_order_of_interior_frames():
    order = torch.arange(16)
    order[4:12] = torch.tensor([11, 4, 9, 6, 5, 10, 7, 8])  # 4 frames from the edges: kernel 9
    frames = torch.randn(1, 16, 8, dtype=torch.float64)
    padding, mask = torch.full((1, 3, 8), torch.nan), torch.arange(19).expand(1, 19) < 16
    for activation, blind in (("none", True), ("relu", False)):
        psa = randomise(PSA(8, 4, activation)).double()
        seen, shuffled = (psa(torch.cat((f, padding), 1), mask) for f in (frames, frames[:, order]))
        change = (seen - shuffled).abs().max()
        assert change < 1e-12 if blind else change > 1e-3


@pytest.mark.parametrize("activation", ["relu", "none"])
def test_no_frames_give_zeros_and_finite_gradients(activation):
    psa = PSA(8, 4, activation)
    frames = torch.randn(2, 5, 8, requires_grad=True)
    mask = torch.tensor([[True] * 5, [False] * 5])
    vectors = psa(frames, mask)
    assert torch.equal(vectors[1], torch.zeros(8))
    vectors.square().sum().backward()
    assert all(p.grad.isfinite().all() for p in psa.parameters())
    assert torch.equal(frames.grad[1], torch.zeros(5, 8))


@pytest.mark.parametrize("activation", ["relu", "none"])
def test_gradient(activation):
    psa = randomise(PSA(4, 2, activation)).double()
    frames = torch.randn(2, 4, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, True], [True, True, False, False]])
    assert torch.autograd.gradcheck(
        lambda *inputs: psa(inputs[0], mask), (frames, *psa.parameters())
    )


def test_masked_mean_by_hand():
    frames = torch.tensor([[[1.0], [5.0], [99.0]]])
    assert masked_mean(frames, torch.tensor([[True, True, False]])).item() == 3.0


def test_refusals():
    with pytest.raises(ValueError, match="Bad channels 10"):
        PSA(10, 4)
    with pytest.raises(ValueError, match="Bad activation 'gelu'"):
        PSA(8, 4, "gelu")
