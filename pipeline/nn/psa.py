"""Pyramid squeeze attention over the frames of an utterance (paper, section 2.2, eq. 1-5).

The paper's eq. 5 still has a time axis, while the text and audio vectors beside it have none. Its
plain mean over time is linear in the frames and depends only on the mean frame and the frames at
the edges: it cannot see the order of an expression. With the activation `relu`, the mean is taken
of `ReLU(LayerNorm(Y * W))`, which can.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

ACTIVATIONS = ("relu", "none")


class PSA(nn.Module):
    """Convolutions over time at several scales with channel attention (eq. 1-5).

    Args:
        channels: C in the paper, divisible by `groups` and by 4.
        groups: S in the paper: branch s convolves its C/S channels with kernel 2(s+1)+1.
        activation: `relu`: mean over time of ReLU(LayerNorm(Y * W)); `none`: mean of Y * W.
    """

    def __init__(self, channels: int = 256, groups: int = 4, activation: str = "relu") -> None:
        super().__init__()
        if groups < 1 or channels % groups or channels % 4:
            raise ValueError(
                f"Bad channels {channels}, expected a multiple of 4 and of the {groups} groups"
            )
        if activation not in ACTIVATIONS:
            raise ValueError(f"Bad activation '{activation}', expected one of {ACTIVATIONS}")
        size = channels // groups
        self.convolutions = nn.ModuleList(
            nn.Conv1d(size, size, kernel_size=2 * (s + 1) + 1, padding="same")
            for s in range(groups)
        )
        self.squeeze = nn.Linear(channels, channels // 4)
        self.excite = nn.Linear(channels // 4, channels)
        self.norm = nn.LayerNorm(channels) if activation == "relu" else None

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Pool each utterance's frames into one vector, zeros for an utterance without frames.

        Args:
            frames: X, [utterance, frame, channel].
            mask: True where a frame is real, [utterance, frame].

        Returns:
            [utterance, channel].
        """
        if not frames.shape[1]:  # Conv1d raises on an empty axis
            return frames.new_zeros(len(frames), frames.shape[2])
        multiscale = self._convolve(_zeroed(frames, mask))
        pooled = masked_mean(multiscale, mask)  # Z, eq. 3
        weights = self._weigh(pooled)
        if self.norm is None:
            return pooled * weights  # the mean of eq. 5: W does not depend on time
        weighted = multiscale * weights.unsqueeze(1)
        return masked_mean(functional.relu(self.norm(weighted)), mask)

    def _convolve(self, frames: Tensor) -> Tensor:
        """Eq. 1 and 2: [utterance, frame, channel] to Y of the same shape."""
        groups = frames.transpose(1, 2).chunk(len(self.convolutions), dim=1)
        branches = [_convolved(g, c) for g, c in zip(groups, self.convolutions, strict=True)]
        return torch.cat(branches, dim=1).squeeze(2).transpose(1, 2)

    def _weigh(self, pooled: Tensor) -> Tensor:
        """Eq. 4: Z [utterance, channel] to W of the same shape."""
        return torch.sigmoid(self.excite(functional.relu(self.squeeze(pooled))))


def masked_mean(frames: Tensor, mask: Tensor) -> Tensor:
    """Average the real frames, zeros if there are none.

    Args:
        frames: [utterance, frame, channel].
        mask: [utterance, frame].

    Returns:
        [utterance, channel].
    """
    return _zeroed(frames, mask).sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=1)


def _zeroed(frames: Tensor, mask: Tensor) -> Tensor:
    """Zero what the mask excludes; the frames themselves, not a copy, if that is none."""
    return frames if mask.all() else torch.where(mask.unsqueeze(-1), frames, 0.0)


def _convolved(frames: Tensor, convolution: nn.Module) -> Tensor:
    """Map [utterance, channel, frame] to [utterance, channel, 1, frame].

    In two dimensions, because `conv1d` first copies frames whose channels lie side by side.
    """
    assert isinstance(convolution, nn.Conv1d)
    weight, (size,) = convolution.weight.unsqueeze(2), convolution.kernel_size
    return functional.conv2d(frames.unsqueeze(2), weight, convolution.bias, padding=(0, size // 2))
