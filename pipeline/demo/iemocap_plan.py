"""Plan the dialogues of a demo corpus in IEMOCAP's layout, before anything is rendered.

A session is a woman and a man who talk in all of its dialogues. They often speak at once, now
and then one begins before the turn that is transcribed first, and nobody overlaps with
themselves. All times are multiples of 1/2000 s, so they are whole samples at 16 kHz and exact in
four decimals.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle

import numpy as np

from pipeline.demo.conversation import POSITIVE, QUIRKS, TIMES, VOTES, Turn, converse, generator
from pipeline.demo.iemocap_annotation import (
    EMOTION_OF,
    NO_MAJORITY,
    AnnotatedTurn,
    Annotation,
    Rating,
    consensus,
    draw_raters,
    mean_numbers,
    rate,
    split_happiness,
)
from pipeline.demo.settings import PARTS, DemoSettings

TICKS = 2000  # per second
# Probabilities: a turn begins before the last one, or before the last one's end.
ASIDE, OVERLAP = 0.06, 0.6
DOUBLE_SPACE, LAUGHTER, BREATHING = 0.3, 0.12, 0.04  # probabilities
SPLIT_VOTES = (1, 5)  # sessions with a turn that is happiness only if the self-report counts
IMPROVISED = tuple(f"impro{number:02}" for number in range(1, 8))
SCRIPTED = tuple(f"script{act}" for act in ("01_1", "01_2", "01_3", "02_1", "02_2", "03_1", "03_2"))
HALVED = {"Ses03M_impro05": "Ses03M_impro05a"}  # recorded in two halves
# In session 5 one name begins with another's, however small the corpus.
FIRST = {5: ("Ses05M_script01_1", "Ses05M_script01_1b", "Ses05F_impro01")}
Times = list[tuple[float, float]]


@dataclass(frozen=True)
class Dialogue:
    """A dialogue's annotation, and what is rendered of it."""

    session: int  # 1 to 5
    number: int  # in its session, from 0
    annotation: Annotation
    turns: tuple[Turn, ...]  # in the order of the annotation's
    seconds: float
    absent: tuple[str, ...] = ()  # utterances without a sentence wav
    empty: tuple[str, ...] = ()  # utterances whose sentence wav has no bytes


def plan(settings: DemoSettings) -> list[Dialogue]:
    """Every dialogue of the corpus, in order."""
    dialogues: list[Dialogue] = []
    for session, part in enumerate(PARTS["iemocap"], start=1):
        dialogues += _session(settings, session, settings.dialogues[part])
    return _without_two_wavs(dialogues, generator(settings.seed, QUIRKS))


def dialogue_names(session: int, count: int) -> list[str]:
    """The first `count` dialogue names of a session, at most 28.

    A name is the session, the actor who wears the markers, and the scene. Early on, both actors
    and improvised and scripted scenes alternate.
    """
    scenes = [scene for pair in zip(IMPROVISED, SCRIPTED, strict=True) for scene in pair]
    names = [
        f"Ses{session:02}{letter}_{scene}"
        for letters in ("FMMF", "MFFM")
        for scene, letter in zip(scenes, cycle(letters), strict=False)
    ]
    names = [*FIRST.get(session, ()), *(HALVED.get(name, name) for name in names)]
    return list(dict.fromkeys(names))[:count]


def letter(speaker: int) -> str:
    """`F` or `M`: a session's woman has an even number, its man the next odd one."""
    return "FM"[speaker % 2]


def _session(settings: DemoSettings, session: int, dialogues: int) -> list[Dialogue]:
    def count(turns: list[Turn]) -> Counter[str]:
        codes = (consensus(ratings) for ratings in _ratings(settings.seed, session, turns))
        return Counter(EMOTION_OF.get(code, code) for code in codes)

    people = (2 * session - 2, 2 * session - 1)
    turns = converse(settings, session, dialogues, people, count)
    pairs = list(zip(turns, _ratings(settings.seed, session, turns), strict=True))
    return [
        _dialogue(settings, session, name, [pair for pair in pairs if pair[0].dialogue == number])
        for number, name in enumerate(dialogue_names(session, dialogues))
    ]


def _ratings(seed: int, session: int, turns: Sequence[Turn]) -> list[tuple[Rating, ...]]:
    """The ratings of each turn of a session."""
    happy = next((turn for turn in turns if turn.emotion == "happiness"), turns[0])
    ratings = []
    for turn in turns:
        raters = draw_raters(generator(seed, VOTES, session, turn.dialogue))
        rng = generator(seed, VOTES, session, turn.dialogue, turn.position)
        if turn is happy and session in SPLIT_VOTES:
            ratings.append(split_happiness(rng, raters, letter(turn.speaker)))
        else:
            ratings.append(rate(rng, turn.emotion, raters, letter(turn.speaker)))
    return ratings


def _dialogue(
    settings: DemoSettings,
    session: int,
    name: str,
    pairs: Sequence[tuple[Turn, tuple[Rating, ...]]],
) -> Dialogue:
    turns = tuple(turn for turn, _ in pairs)
    rng = generator(settings.seed, TIMES, session, turns[0].dialogue)
    times, counts = _times(turns, rng), Counter[str]()
    annotated = []
    for (turn, ratings), (start, end) in zip(pairs, times, strict=True):
        who = letter(turn.speaker)
        utterance, text = f"{name}_{who}{counts[who]:03}", _transcribed(turn, rng)
        counts[who] += 1
        code, means = consensus(ratings), mean_numbers(ratings)
        annotated.append(AnnotatedTurn(utterance, text, start, end, code, *means, ratings))
    seconds = max(end for _, end in times) + 0.5
    return Dialogue(session, turns[0].dialogue, Annotation(name, tuple(annotated)), turns, seconds)


def _times(turns: Sequence[Turn], rng: np.random.Generator) -> Times:
    """Start and end of each turn in seconds."""
    times: Times = []
    free: dict[int, float] = {}  # from when on a speaker may speak again
    for turn in turns:
        start = max(_intended_start(times, rng), free.get(turn.speaker, 0.0))
        first, length = round(start * TICKS), round(turn.seconds * TICKS)
        times.append((first / TICKS, (first + length) / TICKS))
        free[turn.speaker] = times[-1][1] + rng.uniform(0.05, 0.3)
    return times


def _intended_start(times: Times, rng: np.random.Generator) -> float:
    draw = rng.random()
    if not times:
        return float(rng.uniform(0.8, 1.6))
    start, end = times[-1]
    if draw < ASIDE:
        return start - float(rng.uniform(0.05, 0.4))
    if draw < ASIDE + OVERLAP:
        return end - float(rng.uniform(0.1, 0.8)) * (end - start) / 2
    return end + float(rng.uniform(0.05, 0.6))


def _transcribed(turn: Turn, rng: np.random.Generator) -> str:
    """The words as IEMOCAP writes them: often two spaces after a sentence, sounds in brackets."""
    double, sound = rng.random(2).tolist()
    text = turn.text
    if double < DOUBLE_SPACE:
        for stop in ".!?":
            text = text.replace(f"{stop} ", f"{stop}  ")
    laughter = LAUGHTER if turn.emotion in POSITIVE else LAUGHTER / 10
    if sound < laughter:
        return f"[LAUGHTER] {text}"
    return f"{text} [BREATHING]" if sound > 1 - BREATHING else text


def _without_two_wavs(dialogues: Sequence[Dialogue], rng: np.random.Generator) -> list[Dialogue]:
    """The plan with one sentence wav absent and one empty, of the commonest class.

    Session 5, the usual test split, stays whole.
    """
    turns = [turn for one in dialogues if one.session < 5 for turn in one.annotation.turns]
    codes = Counter(turn.code for turn in turns if turn.code != NO_MAJORITY)
    commonest = codes.most_common(1)[0][0] if codes else NO_MAJORITY
    of_class = sorted(t.utterance for t in turns if t.code == commonest)
    # A very small corpus may have fewer than two of them.
    names = of_class if len(of_class) > 1 else [turn.utterance for turn in turns]
    absent, empty = (names[i] for i in rng.choice(len(names), 2, replace=False))
    return [
        replace(
            one,
            absent=tuple(t.utterance for t in one.annotation.turns if t.utterance == absent),
            empty=tuple(t.utterance for t in one.annotation.turns if t.utterance == empty),
        )
        for one in dialogues
    ]
