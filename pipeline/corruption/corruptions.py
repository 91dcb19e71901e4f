"""What is done to test utterances, and in which steps."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.base.settings import Modality
from pipeline.corruption import picture, sound, words

SHARES = (25.0, 50.0, 75.0, 100.0)
# A quick curve leaves out the last step but one: with the clean test split it has four points.
QUICK = (0, 1, 3)


@dataclass(frozen=True)
class Step:
    """A corruption at one level; it can be pickled.

    Attributes:
        apply: Takes what is corrupted and the level.
        level: See `Corruption.levels`.
    """

    apply: Callable[[Any, float], Any]
    level: float

    def __call__(self, content: Any) -> Any:
        """The corrupted content; a new one, or the same where nothing is changed."""
        return self.apply(content, self.level)


@dataclass(frozen=True)
class Corruption:
    """One way in which one modality is made worse.

    Attributes:
        modality: Which.
        name: Of the corruption, within its modality.
        about: What is done, in words.
        unit: Of the levels.
        levels: From the mildest on; the clean test split is no level.
        apply: What is done to an utterance's sound, to each of its stored pictures, or to the
            utterance with its text; None: the modality is absent.
    """

    modality: Modality
    name: str
    about: str
    unit: str
    levels: tuple[float, ...]
    apply: Callable[[Any, float], Any] | None = None

    def steps(self, quick: bool) -> tuple[float, ...]:
        """The levels that are measured."""
        return tuple(self.levels[place] for place in QUICK) if quick else self.levels

    def at(self, level: float) -> Step:
        """The corruption at one level.

        Raises:
            ValueError: The modality is dropped, which changes no content.
        """
        if self.apply is None:
            raise ValueError(f"{self.modality}, {self.name}: nothing is changed, all is absent")
        return Step(self.apply, level)

    def called(self, level: float) -> str:
        """A level with its unit."""
        return f"{level:g} {self.unit}"

    def title(self, level: float) -> str:
        """Modality, corruption and level, in words."""
        return f"{self.modality} {self.name} {self.called(level)}"


CORRUPTIONS = (
    Corruption(
        modality="text",
        name="drop",
        about="the text of a share of the test utterances is absent",
        unit="% of utterances",
        levels=SHARES,
    ),
    Corruption(
        modality="text",
        name="word dropout",
        about="each word is left out with this probability; where none is left, the text is absent",
        unit="% of words",
        levels=SHARES,
        apply=words.thinned,
    ),
    Corruption(
        modality="audio",
        name="drop",
        about="the sound of a share of the test utterances is absent",
        unit="% of utterances",
        levels=SHARES,
    ),
    Corruption(
        modality="audio",
        name="noise",
        about="white Gaussian noise at this signal-to-noise ratio over the utterance",
        unit="dB",
        levels=(40.0, 20.0, 10.0, 0.0),
        apply=sound.noisy,
    ),
    Corruption(
        modality="audio",
        name="silence",
        about="each stretch of 0.1 s is set to zero with this probability",
        unit="% of the sound",
        levels=SHARES,
        apply=sound.silenced,
    ),
    Corruption(
        modality="visual",
        name="drop",
        about="the pictures of a share of the test utterances are absent",
        unit="% of utterances",
        levels=SHARES,
    ),
    Corruption(
        modality="visual",
        name="blur",
        about="a Gaussian blur of this standard deviation on the stored 224 x 224 pictures",
        unit="pixels",
        levels=(2.0, 4.0, 8.0, 16.0),
        apply=picture.blurred,
    ),
    Corruption(
        modality="visual",
        name="noise",
        about="Gaussian noise of this standard deviation on their pixels (0 to 255)",
        unit="grey levels",
        levels=(16.0, 32.0, 64.0, 128.0),
        apply=picture.noisy,
    ),
)
