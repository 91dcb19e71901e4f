"""PSA (eq. 1-5): against a naive loop, by hand, its gradient, what padding and order do to it."""

import math

import numpy as np
import pytest
import torch

from pipeline.model.psa import PSA, masked_mean
from tests.model.batches import array, layer_norm, randomise, sigmoid

MASK = torch.tensor(
    [[1] * 12, [1] * 7 + [0] * 5, [1] + [0] * 11, [1, 1] + [0] * 10], dtype=torch.bool
)


def make_psa(activation: str, channels: int = 8, groups: int = 4, seed: int = 0) -> PSA:
    return randomise(PSA(channels, groups, activation).double(), seed)


def naive_psa(psa: PSA, x: np.ndarray) -> np.ndarray:
    """Eq. 1-5 for one utterance, [frame, channel], without padding."""
    frames, channels = x.shape
    groups = len(psa.convolutions)
    size = channels // groups
    y = np.zeros_like(x)
    for s, conv in enumerate(psa.convolutions):
        weight, bias = array(conv.weight), array(conv.bias)
        assert weight.shape[2] == 2 * (s + 1) + 1  # the kernel of eq. 1
        for t in range(frames):
            for out in range(size):
                total = bias[out]
                for tap in range(2 * (s + 1) + 1):
                    source = t + tap - (s + 1)
                    if 0 <= source < frames:
                        for i in range(size):
                            total += weight[out, i, tap] * x[source, s * size + i]
                y[t, s * size + out] = total
    z = sum(y) / frames
    hidden = np.maximum(array(psa.squeeze.weight) @ z + array(psa.squeeze.bias), 0)
    assert len(hidden) == channels // 4
    w = sigmoid(array(psa.excite.weight) @ hidden + array(psa.excite.bias))
    if psa.norm is None:
        return sum(y[t] * w for t in range(frames)) / frames
    return sum(np.maximum(layer_norm(y[t] * w, psa.norm), 0) for t in range(frames)) / frames


@pytest.mark.parametrize("activation", ["relu", "none"])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_equals_a_naive_loop_whatever_the_padding_holds(activation: str, groups: int):
    psa = make_psa(activation, groups=groups)
    frames = torch.randn(4, 12, 8, dtype=torch.float64)
    garbage = frames.masked_fill(~MASK.unsqueeze(-1), torch.nan)
    found = array(psa(garbage, MASK))
    for row, mask in enumerate(MASK):
        expected = naive_psa(psa, array(frames[row, mask]))
        np.testing.assert_allclose(found[row], expected, rtol=1e-10, atol=1e-12)


def test_by_hand():
    # One branch, kernel 3. Channel 0 has the taps (1, 2, 3), so of the frames (1, 2)
    #   y_0 = 1*0 + 2*1 + 3*2 = 8,  y_1 = 1*1 + 2*2 + 3*0 = 5,  Z_0 = 6.5.
    # Channel 1 has only a bias, 2: Z_1 = 2. Channels 2 and 3 are 0.
    # FC_1: 6.5 + 2 - 4.5 = 4; FC_2: W_0 = sigmoid(0) = 1/2, W_1 = sigmoid(4 * ln(3)/4) = 3/4.
    # Mean of Y * W: 6.5 / 2 = 3.25 and 2 * 3/4 = 1.5.
    psa = blank("none")
    with torch.no_grad():
        psa.convolutions[0].bias[1] = 2
        psa.squeeze.weight[0, :2] = 1
        psa.squeeze.bias[0] = -4.5
        psa.excite.weight[1, 0] = math.log(3) / 4
    frames = torch.zeros(1, 2, 4)
    frames[0, :, 0] = torch.tensor([1.0, 2.0])
    found = psa(frames, torch.ones(1, 2, dtype=torch.bool))
    torch.testing.assert_close(found, torch.tensor([[3.25, 1.5, 0.0, 0.0]]))


def test_by_hand_with_relu():
    # Taps (1, 2, 3) on the frames (40, -24): y_0 = 80 - 72 = 8, y_1 = 40 - 48 = -8. All W = 1/2.
    # LayerNorm of (4, 0, 0, 0): mean 1, deviations (3, -1, -1, -1), variance 12/4 = 3:
    #   (r, -1/r, -1/r, -1/r) with r = sqrt(3); of (-4, 0, 0, 0) its negative.
    # ReLU, then the mean over two frames: (r/2, 1/(2r), 1/(2r), 1/(2r)).
    psa = blank("relu")
    frames = torch.zeros(1, 2, 4)
    frames[0, :, 0] = torch.tensor([40.0, -24.0])
    found = psa(frames, torch.ones(1, 2, dtype=torch.bool))
    root = math.sqrt(3)
    expected = torch.tensor([[root / 2, 1 / (2 * root), 1 / (2 * root), 1 / (2 * root)]])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def blank(activation: str) -> PSA:
    """All zeros, but for the taps (1, 2, 3) from channel 0 to itself and the norm's ones."""
    psa = PSA(4, 1, activation)
    with torch.no_grad():
        for part in (psa.convolutions[0], psa.squeeze, psa.excite):
            part.weight.zero_()
            part.bias.zero_()
        psa.convolutions[0].weight[0, 0] = torch.tensor([1.0, 2.0, 3.0])
    return psa


@pytest.mark.parametrize("activation", ["relu", "none"])
def test_gradient(activation: str):
    psa = make_psa(activation, channels=4, groups=2)
    frames = torch.randn(2, 5, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    names = [name for name, _ in psa.named_parameters()]

    def call(x: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(psa, dict(zip(names, parameters, strict=True)), (x, mask))

    assert torch.autograd.gradcheck(call, (frames, *psa.parameters()))


@pytest.mark.parametrize(("activation", "blind"), [("none", True), ("relu", False)])
def test_the_order_of_interior_frames(activation: str, blind: bool):
    # The widest kernel is 9: a mean over time misses taps of the first and last 4 frames alone.
    psa = make_psa(activation)
    frames = torch.randn(3, 16, 8, dtype=torch.float64)
    order = torch.cat((torch.arange(4), 4 + torch.randperm(8), torch.arange(12, 16)))
    shuffled = frames[:, order]
    assert not torch.equal(frames, shuffled)
    mask = torch.ones(3, 16, dtype=torch.bool)
    difference = (psa(frames, mask) - psa(shuffled, mask)).abs().max()
    assert difference < 1e-12 if blind else difference > 1e-2


def test_the_order_of_edge_frames_is_seen_even_without_an_activation():
    psa = make_psa("none")
    frames = torch.randn(1, 16, 8, dtype=torch.float64)
    mask = torch.ones(1, 16, dtype=torch.bool)
    swapped = frames[:, [3, 1, 2, 0, *range(4, 16)]]
    assert (psa(frames, mask) - psa(swapped, mask)).abs().max() > 1e-3


@pytest.mark.parametrize("activation", ["relu", "none"])
def test_no_frames_give_zeros_and_finite_gradients(activation: str):
    psa = make_psa(activation)
    frames = torch.full((2, 3, 8), torch.nan, dtype=torch.float64)
    frames[0] = 1.0
    mask = torch.tensor([[True] * 3, [False] * 3])
    frames.requires_grad_()
    found = psa(frames, mask)
    found.sum().backward()
    assert torch.equal(found[1], torch.zeros(8, dtype=torch.float64))
    assert frames.grad is not None
    assert torch.equal(frames.grad[1], torch.zeros(3, 8, dtype=torch.float64))
    assert all(p.grad is not None and p.grad.isfinite().all() for p in psa.parameters())


def test_masked_mean_by_hand():
    frames = torch.tensor([[[1.0], [3.0], [torch.nan]], [[5.0], [torch.nan], [torch.nan]]])
    mask = torch.tensor([[True, True, False], [True, False, False]])
    assert masked_mean(frames, mask).tolist() == [[2.0], [5.0]]  # (1 + 3) / 2, 5 / 1


@pytest.mark.parametrize(("channels", "groups"), [(6, 2), (8, 3), (8, 0), (10, 5)])
def test_refuses_channels_that_do_not_split(channels: int, groups: int):
    with pytest.raises(ValueError, match="Bad channels"):
        PSA(channels, groups)


def test_refuses_an_unknown_activation():
    with pytest.raises(ValueError, match="'gelu'"):
        PSA(8, 4, "gelu")
