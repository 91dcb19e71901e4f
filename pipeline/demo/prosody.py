"""How a voice carries an emotion: what it does to pitch, loudness, rate and voice quality."""

from dataclasses import astuple, dataclass

import numpy as np

from pipeline.demo.conversation import Cue


@dataclass(frozen=True)
class Prosody:
    """Differences from a speaker's neutral way of speaking."""

    pitch: float  # semitones
    swing: float  # of the pitch from syllable to syllable, semitones
    slope: float  # pitch at the end minus at the start, semitones
    rate: float  # syllables per second
    gain: float  # decibels
    tilt: float  # of the source spectrum, decibels per octave; higher is brighter
    roughness: float  # of the pitch period, per cent
    tremor: float  # at 6 Hz, semitones
    breath: float  # noise relative to the voice, per cent


NEUTRAL = Prosody(0, 1.2, -2.0, 4.6, 0, 0, 0.6, 0, 3)
SHIFTS: dict[str, Prosody] = {
    "neutral": Prosody(0, 0, 0, 0, 0, 0, 0, 0, 0),
    "surprise": Prosody(5, 1.5, 9.0, 0.3, 3, 1.0, 0, 0, 4),
    "fear": Prosody(7, 0.3, 1.0, 2.0, -2, -1.5, 1.2, 1.5, 10),
    "sadness": Prosody(-2, -0.8, -2.0, -1.6, -7, -4.0, 0.5, 0.5, 8),
    "joy": Prosody(6, 2.8, 0.0, 1.2, 4, 2.0, 0, 0, 1),
    "happiness": Prosody(4, 1.8, 0.0, 0.5, 2, 1.0, 0, 0, 1),
    "excited": Prosody(7, 3.0, 1.0, 1.8, 6, 2.5, 0.3, 0, 1),
    "frustration": Prosody(-0.5, 0.5, -3.5, -0.4, 4, 2.5, 1.5, 0, 3),
    "disgust": Prosody(-4, 0.2, -4.0, -1.6, -2, 1.0, 3.5, 0, 3),
    "anger": Prosody(2, 0.8, -3.0, 1.2, 9, 4.5, 1.8, 0, -1),
}
# Spread of each quantity between utterances of one speaker and emotion.
SPREAD = Prosody(1.2, 0.3, 1.3, 0.4, 1.2, 0.6, 0.25, 0.1, 1.2)
LEAST = Prosody(-12, 0.2, -9, 2.5, -9, -5, 0.2, 0, 1)


def draw_prosody(cue: Cue, rng: np.random.Generator) -> Prosody:
    """How one utterance is spoken, given what the voice shows."""
    base, shift = np.array(astuple(NEUTRAL)), np.array(astuple(SHIFTS[cue.emotion]))
    spread = rng.normal(0, 1, len(base)) * np.array(astuple(SPREAD))
    values = np.maximum(base + cue.strength * shift + spread, np.array(astuple(LEAST)))
    return Prosody(*values.tolist())
