"""What is said: talk about a topic, now and then with a phrase that hints at the emotion."""

import numpy as np

from pipeline.demo.phrases import CLAUSES, DAYS, EMPTY, HINTS, TOPICS

UNHINTED = 0.1  # share of the talk without any hint


def empty_words(rng: np.random.Generator, cast: tuple[str, ...]) -> str:
    """Words that say nothing of the emotion: one or two short phrases, sometimes with a name."""
    words = " ".join(_pick(rng, EMPTY) for _ in range(rng.integers(1, 3)))
    return f"{_pick(rng, cast)}? {words}" if rng.random() < 0.25 else words


def telling_words(
    rng: np.random.Generator, emotion: str, sentiment: str, topic: int, cast: tuple[str, ...]
) -> str:
    """Talk about the topic, mostly with a phrase that hints at the emotion."""
    thing, other = (TOPICS[topic][i] for i in rng.permutation(len(TOPICS[topic]))[:2])
    names = {"thing": thing, "other": other, "who": _pick(rng, cast), "day": _pick(rng, DAYS)}
    talk = _sentence(_pick(rng, CLAUSES).format(**names))
    hint = _hint(rng, emotion, sentiment)
    if rng.random() < UNHINTED:
        return talk
    return f"{hint} {talk}" if rng.random() < 0.5 else f"{talk} {hint}"


def _hint(rng: np.random.Generator, emotion: str, sentiment: str) -> str:
    signed = "surprise+" if sentiment == "positive" else "surprise-"
    groups = HINTS[signed if emotion == "surprise" else emotion]
    frames, words = groups[int(rng.integers(len(groups)))]
    word = _pick(rng, words)
    return _sentence(_pick(rng, frames).replace("{}", word))


def _pick(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[int(rng.integers(len(options)))]


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]
