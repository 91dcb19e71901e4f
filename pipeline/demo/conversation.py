"""Who speaks, which emotion each turn has, and how clearly each modality shows it.

The emotion is a Markov process over the turns: a speaker keeps the own last emotion with
probability `linger`, takes over the previous turn's with probability `contagion`, and draws
afresh otherwise. Since both sources have the same marginal as the fresh draw, the classes keep
their shares whatever these two are.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.base.errors import PipelineError
from pipeline.demo.emotions import EMOTIONS, Emotions, draw_sentiment
from pipeline.demo.phrases import TOPICS
from pipeline.demo.seeds import CONVERSATION, generator
from pipeline.demo.settings import DemoSettings
from pipeline.demo.words import empty_words, telling_words

CAST = ("Nora", "Ben", "Tess", "Omar", "Ida", "Hugo", "Lena", "Raj", "Mina", "Karl", "Zoe", "Theo")
MOST_DRAWS = 5000


@dataclass(frozen=True)
class Cue:
    """What one modality shows: an emotion (not always the true one) and how strongly, 0–1."""

    emotion: str
    strength: float


@dataclass(frozen=True)
class Turn:
    """One utterance of a dialogue; `speaker` numbers the cast, `seconds` is its length."""

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
    """How many turns each emotion has."""
    return Counter(turn.emotion for turn in turns)


def converse(
    settings: DemoSettings,
    part: int,
    dialogues: int,
    speakers: tuple[int, ...] = (),
    count: Callable[[list[Turn]], Counter[str]] = by_emotion,
) -> list[Turn]:
    """The turns of one part of the corpus, in order of dialogue and position.

    Parts are drawn anew until each common emotion occurs `min_per_class` times.

    Args:
        settings: The corpus's settings.
        part: Number of the part (a split, a session); it only seeds the draw.
        dialogues: How many dialogues the part has.
        speakers: Who speaks in each dialogue; empty draws two to four of the cast.
        count: Counts the emotions as the corpus will label them.
    """
    common = EMOTIONS[settings.layout].common
    for attempt in range(MOST_DRAWS):
        turns: list[Turn] = []
        for dialogue in range(dialogues):
            rng = generator(settings.seed, CONVERSATION, part, attempt, dialogue)
            turns += draw_dialogue(rng, settings, dialogue, speakers)
        counts = count(turns)
        if all(counts[emotion] >= settings.min_per_class for emotion in common):
            return turns
    raise PipelineError(
        f"In {MOST_DRAWS} draws of {dialogues} dialogues no one had {settings.min_per_class} "
        "utterances of each emotion. Ask for more dialogues or lower demo.min_per_class."
    )


def draw_dialogue(
    rng: np.random.Generator, settings: DemoSettings, dialogue: int, speakers: tuple[int, ...]
) -> list[Turn]:
    """The turns of one dialogue on one topic, between `speakers` or two to four of the cast."""
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
    """The emotion of a turn, given the speaker's own last one and the previous turn's."""
    draw = rng.random()
    if own is not None and draw < settings.linger:
        return own
    if previous is not None and draw >= 1 - settings.contagion:
        return previous
    return EMOTIONS[settings.layout].draw(rng)


def _next_speaker(rng: np.random.Generator, speakers: list[int], turns: list[Turn]) -> int:
    """Mostly someone else than who spoke last."""
    if turns and rng.random() < 0.1:
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
    dialogue, position, speaker = place
    emotions, sentiment = EMOTIONS[settings.layout], draw_sentiment(rng, emotion)
    seconds = rng.uniform(settings.min_seconds, settings.max_seconds)
    return Turn(
        dialogue=dialogue,
        position=position,
        speaker=speaker,
        emotion=emotion,
        sentiment=sentiment,
        text=_text(rng, settings, emotion, sentiment, topic),
        face=_cue(rng, emotions, emotion, settings.poker_face, settings.misleading),
        voice=_cue(rng, emotions, emotion, settings.flat_voice, settings.misleading),
        # Whole frames, so that sound, picture and the times in the CSV agree.
        seconds=round(seconds * settings.fps) / settings.fps,
    )


def _cue(
    rng: np.random.Generator, emotions: Emotions, emotion: str, weak: float, misleading: float
) -> Cue:
    draw = rng.random()
    if draw < weak:
        return Cue(emotion, float(rng.uniform(0.0, 0.2)))
    shown = emotions.draw_other(rng, emotion) if draw >= 1 - misleading else emotion
    return Cue(shown, float(rng.uniform(0.6, 1.0)))


def _text(
    rng: np.random.Generator, settings: DemoSettings, emotion: str, sentiment: str, topic: int
) -> str:
    draw = rng.random()
    if draw < settings.empty_text:
        return empty_words(rng, CAST)
    if draw >= 1 - settings.misleading:
        emotion = EMOTIONS[settings.layout].draw_other(rng, emotion)
        sentiment = draw_sentiment(rng, emotion)
    return telling_words(rng, emotion, sentiment, topic, CAST)
