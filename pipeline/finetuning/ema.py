"""An exponential running mean of weights, which often scores better than the last weights."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class RunningMean:
    """Of the parameters of a model.

    The decay rises from 0.1 to its full value, `min(decay, (1 + n) / (10 + n))` at update n, or
    the first weights would weigh on it for long.

    Args:
        parameters: By name; those that learn.
        decay: What the mean keeps of itself at each update; 0: the weights themselves.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        self.decay, self._updates = decay, 0
        self._weights = {name: p for name, p in parameters.items() if decay}
        self._means = {name: p.detach().clone() for name, p in self._weights.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Takes in the weights as they are."""
        if not self._means:
            return
        decay = min(self.decay, (1 + self._updates) / (10 + self._updates))
        weights = [p.detach() for p in self._weights.values()]
        torch._foreach_lerp_(list(self._means.values()), weights, 1 - decay)
        self._updates += 1

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Puts the means in the place of the weights, and the weights back afterwards."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, parameter in self._weights.items():
            parameter.data, self._means[name] = self._means[name], parameter.data

    def state_dict(self) -> dict[str, Tensor | int]:
        """What `load_state_dict` takes."""
        return {"updates": self._updates, **self._means}

    def load_state_dict(self, state: Mapping[str, Tensor | int]) -> None:
        """Goes on from a former state."""
        self._updates = int(state["updates"])
        for name, mean in self._means.items():
            mean.copy_(torch.as_tensor(state[name]))
