"""What is done to test utterances, and in which steps."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from pipeline.base.settings import Modality
from pipeline.corruption import content

SHARES = (25.0, 50.0, 75.0, 100.0)
DROPPED = ("% of utterances", SHARES)
QUICK = (0, 1, 3)  # without the last step but one: with the clean test split these are four points


@dataclass(frozen=True)
class Corruption:
    """One way in which one modality is made worse."""

    modality: Modality
    name: str
    about: str
    unit: str
    """Of the levels."""

    levels: tuple[float, ...]
    """From the mildest on; the clean test split is no level."""

    apply: Callable[..., Any] | None = None
    """What is done to an utterance's sound, to each of its stored pictures, or to the utterance
    with its text, at a `level`; None: the modality is absent."""

    def steps(self, quick: bool) -> tuple[float, ...]:
        """The levels that are measured."""
        return tuple(self.levels[place] for place in QUICK) if quick else self.levels

    def at(self, level: float) -> Callable[[Any], Any]:
        """The corruption at one level; it can be pickled.

        Raises:
            ValueError: The modality is dropped, which changes no content.
        """
        if self.apply is None:
            raise ValueError(f"{self.title}: nothing is changed, all is absent")
        return partial(self.apply, level=level)

    @property
    def title(self) -> str:
        """Modality and corruption, in words."""
        return f"{self.modality} {self.name}"

    def step(self, level: float) -> str:
        """A level with its unit."""
        return f"{level:g} {self.unit}"


CORRUPTIONS = (
    Corruption("text", "drop", "the text of a share of the test utterances is absent", *DROPPED),
    Corruption(
        "text",
        "word dropout",
        "each word is left out with this probability; where none is left, the text is absent",
        "% of words",
        SHARES,
        content.thinned,
    ),
    Corruption("audio", "drop", "the sound of a share of the test utterances is absent", *DROPPED),
    Corruption(
        "audio",
        "noise",
        "white Gaussian noise at this signal-to-noise ratio over the utterance",
        "dB",
        (40.0, 20.0, 10.0, 0.0),
        content.noisy_sound,
    ),
    Corruption(
        "audio",
        "silence",
        "each stretch of 0.1 s is set to zero with this probability",
        "% of the sound",
        SHARES,
        content.silenced,
    ),
    Corruption(
        "visual", "drop", "the pictures of a share of the test utterances are absent", *DROPPED
    ),
    Corruption(
        "visual",
        "blur",
        "a Gaussian blur of this standard deviation on the stored 224 x 224 pictures",
        "pixels",
        (2.0, 4.0, 8.0, 16.0),
        content.blurred,
    ),
    Corruption(
        "visual",
        "noise",
        "Gaussian noise of this standard deviation on their pixels (0 to 255)",
        "grey levels",
        (16.0, 32.0, 64.0, 128.0),
        content.noisy_picture,
    ),
)
