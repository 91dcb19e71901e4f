"""Plan conversations: who speaks, with which emotion, and how clearly each modality shows it.

The emotion is a Markov process over the turns: a speaker keeps the own last emotion with
probability `linger`, takes over the previous turn's with probability `contagion`, and draws
afresh otherwise. All three sources have the same marginal distribution, so the shares of the
emotions depend on neither probability.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from pipeline.base.errors import PipelineError
from pipeline.demo.settings import DemoSettings
from pipeline.demo.words import CAST, TOPICS, empty_words, telling_words

# Purposes of random draws, the first key of `generator`.
SPEAKER, CONVERSATION, CLIP, QUIRKS, VOTES, TIMES, STAGE = range(7)
NEAR = 6.0  # factor on the probability of mistaking an emotion for a near one
MOST_DRAWS = 5000
SAME_SPEAKER = 0.1  # probability of two turns in a row


def generator(seed: int, *key: int) -> np.random.Generator:
    """Random generator of one purpose, for example `(CLIP, split, dialogue, position)`.

    Each purpose has its own, so that no draw depends on the order of others.
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


@dataclass(frozen=True)
class Emotions:
    """The emotions of a corpus."""

    shares: Mapping[str, float]  # probability of each, summing to 1
    common: tuple[str, ...]  # those of which every part holds a few
    # Those that the key is often mistaken for.
    near: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def draw(self, rng: np.random.Generator) -> str:
        """Draw an emotion by the shares."""
        return str(rng.choice(list(self.shares), p=list(self.shares.values())))

    def draw_other(self, rng: np.random.Generator, emotion: str) -> str:
        """Draw an emotion other than `emotion`, preferably a near one."""
        near = self.near.get(emotion, ())
        weights = [
            share * (name != emotion) * (NEAR if name in near else 1)
            for name, share in self.shares.items()
        ]
        return str(rng.choice(list(self.shares), p=np.array(weights) / sum(weights)))


# MELD's train shares are 47, 12, 3, 7, 17, 3 and 11 %; the rare ones are raised a little, so
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


@dataclass(frozen=True)
class Cue:
    """What one modality shows: an emotion (not always the true one) and its strength, 0–1."""

    emotion: str
    strength: float


@dataclass(frozen=True)
class Turn:
    """One utterance of a dialogue; `speaker` is an index into the cast."""

    dialogue: int
    position: int
    speaker: int
    emotion: str
    sentiment: str
    text: str
    face: Cue
    voice: Cue
    seconds: float


def by_emotion(turns: list[Turn]) -> Counter[str]:
    """Number of turns of each emotion."""
    return Counter(turn.emotion for turn in turns)


def converse(
    settings: DemoSettings,
    part: int,
    dialogues: int,
    speakers: tuple[int, ...] = (),
    count: Callable[[list[Turn]], Counter[str]] = by_emotion,
) -> list[Turn]:
    """Draw the turns of one part of the corpus, in order of dialogue and position.

    A part, whose number only seeds the draw, is drawn again until each common emotion, as `count`
    counts them, occurs `min_per_class` times. Without `speakers` two to four of the cast talk.

    Raises:
        PipelineError: There are too few dialogues for `min_per_class`.
    """
    common = EMOTIONS[settings.layout].common
    for attempt in range(MOST_DRAWS):
        turns: list[Turn] = []
        for dialogue in range(dialogues):
            rng = generator(settings.seed, CONVERSATION, part, attempt, dialogue)
            turns += _dialogue(rng, settings, dialogue, speakers)
        counts = count(turns)
        if all(counts[emotion] >= settings.min_per_class for emotion in common):
            return turns
    raise PipelineError(
        f"None of {MOST_DRAWS} draws of {dialogues} dialogues had {settings.min_per_class} "
        "utterances of each emotion. Ask for more dialogues or lower demo.min_per_class."
    )


def _dialogue(
    rng: np.random.Generator, settings: DemoSettings, dialogue: int, speakers: tuple[int, ...]
) -> list[Turn]:
    talking = list(speakers) or rng.choice(len(CAST), rng.integers(2, 5), replace=False).tolist()
    topic = int(rng.integers(len(TOPICS)))
    last: dict[int, str] = {}
    turns: list[Turn] = []
    for position in range(rng.integers(settings.min_turns, settings.max_turns + 1)):
        speaker = _next_speaker(rng, talking, turns)
        previous = turns[-1].emotion if turns else None
        emotion = next_emotion(rng, settings, last.get(speaker), previous)
        last[speaker] = emotion
        turns.append(_turn(rng, settings, (dialogue, position, speaker), emotion, topic))
    return turns


def next_emotion(
    rng: np.random.Generator, settings: DemoSettings, own: str | None, previous: str | None
) -> str:
    """Draw a turn's emotion, given the speaker's own last one and the previous turn's."""
    draw = rng.random()
    if own is not None and draw < settings.linger:
        return own
    if previous is not None and draw >= 1 - settings.contagion:
        return previous
    return EMOTIONS[settings.layout].draw(rng)


def _next_speaker(rng: np.random.Generator, speakers: list[int], turns: list[Turn]) -> int:
    if turns and rng.random() < SAME_SPEAKER:
        return turns[-1].speaker
    others = [s for s in speakers if not turns or s != turns[-1].speaker]
    return others[int(rng.integers(len(others)))]


def _turn(
    rng: np.random.Generator,
    settings: DemoSettings,
    place: tuple[int, int, int],
    emotion: str,
    topic: int,
) -> Turn:
    sentiment = _sentiment(rng, emotion)
    seconds = rng.uniform(settings.min_seconds, settings.max_seconds)
    return Turn(
        *place,
        emotion=emotion,
        sentiment=sentiment,
        text=_text(rng, settings, emotion, sentiment, topic),
        face=_cue(rng, settings, emotion, settings.poker_face),
        voice=_cue(rng, settings, emotion, settings.flat_voice),
        # Whole frames, so that sound, picture and the times in the CSV agree.
        seconds=round(seconds * settings.fps) / settings.fps,
    )


def _sentiment(rng: np.random.Generator, emotion: str) -> str:
    if emotion == "surprise":  # goes either way, as in MELD
        return "positive" if rng.random() < 0.5 else "negative"
    if emotion == "neutral":
        return "neutral"
    return "positive" if emotion in POSITIVE else "negative"


def _cue(rng: np.random.Generator, settings: DemoSettings, emotion: str, weak: float) -> Cue:
    draw = rng.random()
    if draw < weak:
        return Cue(emotion, float(rng.uniform(0.0, 0.2)))
    if draw >= 1 - settings.misleading:
        emotion = EMOTIONS[settings.layout].draw_other(rng, emotion)
    return Cue(emotion, float(rng.uniform(0.6, 1.0)))


def _text(
    rng: np.random.Generator, settings: DemoSettings, emotion: str, sentiment: str, topic: int
) -> str:
    draw = rng.random()
    if draw < settings.empty_text:
        return empty_words(rng)
    if draw >= 1 - settings.misleading:
        emotion = EMOTIONS[settings.layout].draw_other(rng, emotion)
        sentiment = _sentiment(rng, emotion)
    return telling_words(rng, emotion, sentiment, topic)
