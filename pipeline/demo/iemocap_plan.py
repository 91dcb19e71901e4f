"""What the demo corpus in IEMOCAP's layout holds, before anything is rendered.

Two people, a woman and a man, make up a session and talk in all of its dialogues. They often
speak at once, now and then one begins before the turn that is written down first, and nobody
overlaps with themself. All times are multiples of 1/2000 s, so they are whole samples at 16 kHz
and exact in four decimals.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.demo.conversation import Turn, converse
from pipeline.demo.emotions import POSITIVE
from pipeline.demo.iemocap_names import dialogue_names
from pipeline.demo.iemocap_text import NO_MAJORITY, Rating, Recorded, Spoken
from pipeline.demo.raters import (
    EMOTION_OF,
    consensus,
    draw_raters,
    mean_numbers,
    rate,
    split_happiness,
)
from pipeline.demo.seeds import QUIRKS, TIMES, VOTES, generator
from pipeline.demo.settings import PARTS, DemoSettings

TICKS = 2000  # per second
ASIDE, OVERLAP = 0.06, 0.6  # probabilities: begins before the last turn, or before its end
DOUBLE_SPACE, LAUGHTER, BREATHING = 0.3, 0.12, 0.04  # probabilities
SPLIT_VOTES = (1, 5)  # sessions with a turn that is happiness only if the self-report counts
Times = list[tuple[float, float]]


@dataclass(frozen=True)
class Staged:
    """A dialogue as annotated, and what is rendered of it.

    Attributes:
        session: 1–5.
        number: Of the dialogue in its session, from 0.
        recorded: The annotation.
        turns: What is shown and said, in the order of `recorded.turns`.
        seconds: Length of the recording.
        absent: Utterances without a sentence wav.
        empty: Utterances whose sentence wav has no byte.
    """

    session: int
    number: int
    recorded: Recorded
    turns: tuple[Turn, ...]
    seconds: float
    absent: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()


def plan(settings: DemoSettings) -> list[Staged]:
    """Every dialogue of the corpus, in order; the same settings give the same plan."""
    staged: list[Staged] = []
    for session, part in enumerate(PARTS["iemocap"], start=1):
        staged += _session(settings, session, settings.dialogues[part])
    return _without_two_wavs(staged, generator(settings.seed, QUIRKS))


def letter(speaker: int) -> str:
    """`F` or `M`: a session's woman has an even number, its man the next odd one."""
    return "FM"[speaker % 2]


def _session(settings: DemoSettings, session: int, dialogues: int) -> list[Staged]:
    def count(turns: list[Turn]) -> Counter[str]:
        codes = (consensus(ratings) for ratings in _rated(settings.seed, session, turns))
        return Counter(EMOTION_OF.get(code, code) for code in codes)

    people = (2 * session - 2, 2 * session - 1)
    turns = converse(settings, session, dialogues, people, count)
    pairs = list(zip(turns, _rated(settings.seed, session, turns), strict=True))
    return [
        _staged(settings, session, name, [pair for pair in pairs if pair[0].dialogue == number])
        for number, name in enumerate(dialogue_names(session, dialogues))
    ]


def _rated(seed: int, session: int, turns: Sequence[Turn]) -> list[tuple[Rating, ...]]:
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


def _staged(
    settings: DemoSettings,
    session: int,
    name: str,
    pairs: Sequence[tuple[Turn, tuple[Rating, ...]]],
) -> Staged:
    """One dialogue from its turns and their ratings."""
    turns = tuple(turn for turn, _ in pairs)
    rng = generator(settings.seed, TIMES, session, turns[0].dialogue)
    times, said = speaking_times(turns, rng), Counter[str]()
    spoken = []
    for (turn, ratings), (start, end) in zip(pairs, times, strict=True):
        who = letter(turn.speaker)
        utterance, text = f"{name}_{who}{said[who]:03}", _transcribed(turn, rng)
        said[who] += 1
        means = mean_numbers(ratings)
        spoken.append(Spoken(utterance, text, start, end, consensus(ratings), *means, ratings))
    seconds = max(end for _, end in times) + 0.5
    return Staged(session, turns[0].dialogue, Recorded(name, tuple(spoken)), turns, seconds)


def speaking_times(turns: Sequence[Turn], rng: np.random.Generator) -> Times:
    """Start and end of each turn in seconds."""
    times: Times = []
    free: dict[int, float] = {}  # from when on a speaker may speak again
    for turn in turns:
        start = max(_wished_start(times, rng), free.get(turn.speaker, 0.0))
        first, length = round(start * TICKS), round(turn.seconds * TICKS)
        times.append((first / TICKS, (first + length) / TICKS))
        free[turn.speaker] = times[-1][1] + rng.uniform(0.05, 0.3)
    return times


def _wished_start(times: Times, rng: np.random.Generator) -> float:
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


def _without_two_wavs(staged: Sequence[Staged], rng: np.random.Generator) -> list[Staged]:
    """The plan with one sentence wav absent and one empty, of the commonest class.

    Session 5, where the field tests, stays whole.
    """
    spoken = [t for s in staged if s.session < 5 for t in s.recorded.turns]
    codes = Counter(turn.code for turn in spoken if turn.code != NO_MAJORITY)
    commonest = codes.most_common(1)[0][0] if codes else NO_MAJORITY
    # A very small corpus may have less than two of them.
    of_class = sorted((t for t in spoken if t.code == commonest), key=lambda t: t.utterance)
    chosen = (of_class if len(of_class) > 1 else spoken).copy()
    absent, empty = (chosen[i].utterance for i in rng.choice(len(chosen), 2, replace=False))
    return [_marked(one, absent, empty) for one in staged]


def _marked(staged: Staged, absent: str, empty: str) -> Staged:
    names = {turn.utterance for turn in staged.recorded.turns}
    return replace(staged, absent=tuple({absent} & names), empty=tuple({empty} & names))
