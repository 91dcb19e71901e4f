"""Input encoders: standardise and project the features of a modality to a vector per utterance.

Only real utterances and frames are computed: rows are gathered by mask and scattered back, so
padding costs no time and reaches no result. Statistics are buffers, saved with the weights.
"""

import math
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.nn.batch import DialogueBatch, unpack
from pipeline.nn.psa import PSA

CONSTANT = 1e-6
"""A feature varies if its std exceeds this share of its mean: float32 noise is about 1e-7."""

CACHED = 2**18  # numbers that fit into a cache of 2 MB, and leave room


class Standardise(nn.Module):
    """Centre and scale each feature, then clamp it to `limit` standard deviations.

    openSMILE functionals have heavy tails: unclamped, one clip would outweigh a whole dialogue.
    The identity until `fit` is called.
    """

    mean: Tensor
    scale: Tensor
    bound: Tensor

    def __init__(self, dimension: int, limit: float = 10.0) -> None:
        super().__init__()
        if not limit > 0:
            raise ValueError(f"Bad limit {limit}, expected a positive number")
        self.limit = limit
        self.register_buffer("mean", torch.zeros(dimension))
        self.register_buffer("scale", torch.ones(dimension))
        self.register_buffer("bound", torch.tensor(math.inf))

    def fit(self, mean: Tensor, std: Tensor) -> None:
        """Set the statistics, both [feature]; a model's come from the train split alone.

        A constant feature is centred but not scaled, which would give NaN or magnify rounding
        noise.
        """
        expected = self.mean.shape
        if mean.shape != expected or std.shape != expected:
            raise ValueError(
                f"Bad statistics of shapes {tuple(mean.shape)} and {tuple(std.shape)}, "
                f"expected {tuple(expected)} for both"
            )
        if not (mean.isfinite().all() and std.isfinite().all()):
            raise ValueError(
                "Bad statistics: got NaN or infinite values; drop the broken utterances first"
            )
        varies = std > (CONSTANT * mean.abs()).clamp(min=torch.finfo(torch.float32).tiny)
        self.mean.copy_(mean)
        self.scale.copy_(torch.where(varies, 1 / std, 1.0))
        self.bound.fill_(self.limit)

    def forward(self, features: Tensor) -> Tensor:
        """Standardise [..., feature]."""
        return self.in_place(features.clone())

    def in_place(self, features: Tensor) -> Tensor:
        """Likewise, overwriting the features."""
        # The frames of a batch fill 80 MB: parts of them stay in the CPU's cache between steps.
        bound = float(self.bound)
        step = max(1, CACHED // len(self.mean))
        for start in range(0, len(features), step):
            part = features[start : start + step]
            part.sub_(self.mean).mul_(self.scale).clamp_(-bound, bound)
        return features


class Encoder(nn.Module):
    """Standardise and project one vector per utterance: text and audio (paper, section 3.2).

    Args:
        dimension: Size of the stored feature vector.
        width: Size of the encoded vector.
        limit: Clamp of the standardised features, in standard deviations.
    """

    def __init__(self, dimension: int, width: int, limit: float) -> None:
        super().__init__()
        self.standardise = Standardise(dimension, limit)
        self.project = nn.Linear(dimension, width)

    def forward(self, features: Tensor, available: Tensor, frame_mask: Tensor | None) -> Tensor:
        """Encode the available utterances, zeros for the rest.

        Args:
            features: [batch, turn, feature].
            available: True where the modality is available, [batch, turn].
            frame_mask: Unused; there are no frames.

        Returns:
            [batch, turn, width].
        """
        projected = self.project(self.standardise.in_place(features[available]))
        return unpack(projected, available)

    def tokens(
        self, features: Tensor, available: Tensor, frame_mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Encode the parts of the available utterances: text and audio have one, the whole.

        Args:
            features: As of `forward`, as is what follows.
            available: True where the modality is available.
            frame_mask: True where a frame is real; None if all are.

        Returns:
            [batch, turn, token, width], and True where a token is real, [batch, turn, token].
        """
        return self(features, available, frame_mask).unsqueeze(2), available.unsqueeze(2)

    def vectors(self, features: Tensor, available: Tensor, frame_mask: Tensor | None) -> Tensor:
        """Standardise the available utterances, a mean of their frames, [utterance, feature].

        Axes of what is given as in `forward`.
        """
        return self.standardise.in_place(features[available])


class FrameEncoder(Encoder):
    """Standardise and project each frame, then pool an utterance's frames: visual.

    Args:
        dimension: Size of a frame's stored feature vector.
        width: Size of the encoded vector.
        limit: Clamp of the standardised features, in standard deviations.
        psa: Pools the frames; None for their masked mean (ablation "w/o PSA").
    """

    def __init__(self, dimension: int, width: int, limit: float, psa: PSA | None) -> None:
        super().__init__(dimension, width, limit)
        self.psa = psa

    def forward(self, features: Tensor, available: Tensor, frame_mask: Tensor | None) -> Tensor:
        """Encode the available utterances, zeros for the rest.

        Args:
            features: [batch, turn, frame, feature].
            available: True where an utterance has frames, [batch, turn].
            frame_mask: True where a frame is real, [batch, turn, frame]; None if all are.

        Returns:
            [batch, turn, width].
        """
        if frame_mask is None:
            frame_mask = torch.ones_like(features[..., 0], dtype=torch.bool)
        mask = frame_mask[available]  # [utterance, frame]
        rows = self.standardise.in_place(features[frame_mask & available.unsqueeze(-1)])
        if self.psa is None:  # the mean of projections is the projection of the mean
            vectors: Tensor = self.project(_mean(rows, mask))
        else:
            vectors = self.psa(unpack(self.project(rows), mask), mask)
        return unpack(vectors, available)

    def tokens(
        self, features: Tensor, available: Tensor, frame_mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Encode each frame; see `Encoder.tokens`."""
        rows, real = self._frames(features, available, frame_mask)
        return unpack(self.project(rows), real), real

    def vectors(self, features: Tensor, available: Tensor, frame_mask: Tensor | None) -> Tensor:
        """Standardise each frame and average those of an utterance; see `Encoder.vectors`."""
        rows, real = self._frames(features, available, frame_mask)
        return _mean(rows, real[available])

    def _frames(
        self, features: Tensor, available: Tensor, frame_mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Standardise real frames, [frame, feature]; True where one is, [batch, turn, frame]."""
        real = available.unsqueeze(-1).expand(features.shape[:3])
        if frame_mask is not None:
            real = real & frame_mask
        return self.standardise.in_place(features[real]), real


def _mean(rows: Tensor, mask: Tensor) -> Tensor:
    """Average the frames of each utterance, [utterance, feature].

    Args:
        rows: One per True of the mask, in its order, [row, feature].
        mask: True where a frame is real, [utterance, frame].
    """
    totals = rows.new_zeros(len(mask), rows.shape[-1])
    totals = totals.index_add(0, mask.nonzero()[:, 0], rows)
    return totals / mask.sum(dim=1, keepdim=True).clamp(min=1)


class Inputs(nn.Module):
    """A vector per modality and turn, common to systems, which so differ in what comes after it.

    Standardises, projects to `width` and, where a turn lacks the modality, takes a learned vector.

    Args:
        features: Size of the stored vectors by modality, in canonical order.
        width: Size of the vectors that come out.
        limit: Clamp of the standardised features, in standard deviations.
        psa: Makes what pools visual frames; None, or if it gives none, their masked mean.
    """

    def __init__(
        self,
        features: Mapping[str, int],
        width: int,
        limit: float,
        psa: Callable[[], PSA | None] | None = None,
    ) -> None:
        super().__init__()
        self.modalities = tuple(features)
        self.encoders = nn.ModuleDict()
        for modality, dimension in features.items():
            if modality == "visual":
                pool = None if psa is None else psa()
                self.encoders[modality] = FrameEncoder(dimension, width, limit, pool)
            else:
                self.encoders[modality] = Encoder(dimension, width, limit)
        self.missing = nn.Parameter(torch.randn(len(features), 1, 1, width) / width**0.5)

    def forward(self, batch: DialogueBatch) -> Tensor:
        """Map a batch to [modality, batch, turn, width]."""
        available = batch.all_available(self.modalities)
        encoded = [
            self.encoders[m](batch.features[m], mask, batch.frame_mask)
            for m, mask in zip(self.modalities, available.unbind(), strict=True)
        ]
        return torch.where(available.unsqueeze(-1), torch.stack(encoded), self.missing)

    def joined(self, batch: DialogueBatch) -> Tensor:
        """Map a batch to the modalities side by side, [batch, turn, modality * width]."""
        stacked: Tensor = self(batch)
        return stacked.movedim(0, 2).flatten(2)

    def tokens(self, batch: DialogueBatch) -> Iterator[tuple[Tensor, Tensor]]:
        """Map the real turns to their tokens: visual frames, or the one vector of text or audio.

        A turn that lacks the modality has the learned vector as its only token.

        Yields:
            For each modality [row, token, width], and True where a token is real, [row, token].
        """
        available = batch.all_available(self.modalities)
        for number, modality in enumerate(self.modalities):
            there, encoder = available[number], self.encoders[modality]
            assert isinstance(encoder, Encoder)
            vectors, real = encoder.tokens(batch.features[modality], there, batch.frame_mask)
            if not real.shape[-1]:  # a batch without any frame
                vectors, real = functional.pad(vectors, (0, 0, 0, 1)), ~there.unsqueeze(-1)
            place = torch.arange(real.shape[-1], device=real.device)
            learned = ~there.unsqueeze(-1) & (place == 0)
            vectors = torch.where(learned.unsqueeze(-1), self.missing[number, 0], vectors)
            yield vectors[batch.turn_mask], (real | learned)[batch.turn_mask]

    def standardised(self) -> Iterator[tuple[str, Standardise]]:
        """What takes the train split's statistics, by modality."""
        for modality, encoder in self.encoders.items():
            assert isinstance(encoder, Encoder)
            yield modality, encoder.standardise

    def vectors(self, batch: DialogueBatch) -> Iterator[Tensor]:
        """Standardised vectors that nothing learnt has touched, of the turns with each modality.

        Yields:
            For each modality [utterance, feature], in the order of `batch.available`.
        """
        for modality, encoder in self.encoders.items():
            assert isinstance(encoder, Encoder)
            there = batch.available(modality)
            yield encoder.vectors(batch.features[modality], there, batch.frame_mask)
