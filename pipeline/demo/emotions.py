"""The emotions of each layout: how common each is and which ones are taken for each other."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

NEAR = 6.0  # times as likely is a near emotion taken for the true one than its share says


@dataclass(frozen=True)
class Emotions:
    """The emotions of a corpus.

    Attributes:
        shares: Of each emotion, summing to 1.
        common: Those of which every part must hold a few.
        near: Emotions that are often taken for the key.
    """

    shares: Mapping[str, float]
    common: tuple[str, ...]
    near: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def draw(self, rng: np.random.Generator) -> str:
        """An emotion drawn by the shares."""
        return str(rng.choice(list(self.shares), p=list(self.shares.values())))

    def draw_other(self, rng: np.random.Generator, emotion: str) -> str:
        """An emotion drawn by the shares, but never `emotion` and rather a near one."""
        near = self.near.get(emotion, ())
        weights = [
            share * (name != emotion) * (NEAR if name in near else 1)
            for name, share in self.shares.items()
        ]
        return str(rng.choice(list(self.shares), p=np.array(weights) / sum(weights)))


# MELD's train shares are 47, 12, 3, 7, 17, 3 and 11 %; the rare ones are a little raised, so
# that a small corpus holds a few of each.
_MELD = {
    "neutral": 0.46,
    "surprise": 0.12,
    "fear": 0.035,
    "sadness": 0.075,
    "joy": 0.165,
    "disgust": 0.035,
    "anger": 0.11,
}
# IEMOCAP's shares among the turns with a majority are 25, 23, 15, 14, 14, 8, 1.4, 0.5 and 0.03 %;
# happiness and the rare ones are raised.
_IEMOCAP = {
    "frustration": 0.225,
    "neutral": 0.21,
    "anger": 0.14,
    "sadness": 0.14,
    "excited": 0.135,
    "happiness": 0.11,
    "surprise": 0.02,
    "fear": 0.012,
    "disgust": 0.008,
}
EMOTIONS = {
    "meld": Emotions(_MELD, tuple(_MELD)),
    "iemocap": Emotions(
        _IEMOCAP,
        common=tuple(_IEMOCAP)[:6],
        near={
            "happiness": ("excited",),
            "excited": ("happiness",),
            "anger": ("frustration",),
            "frustration": ("anger", "neutral"),
            "sadness": ("neutral", "frustration"),
            "neutral": ("frustration", "sadness"),
        },
    ),
}
POSITIVE = ("joy", "happiness", "excited")


def draw_sentiment(rng: np.random.Generator, emotion: str) -> str:
    """The sentiment of an emotion; surprise goes either way, as in MELD."""
    if emotion == "surprise":
        return "positive" if rng.random() < 0.5 else "negative"
    if emotion == "neutral":
        return "neutral"
    return "positive" if emotion in POSITIVE else "negative"
