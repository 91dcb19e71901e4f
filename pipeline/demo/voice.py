"""A synthetic voice: glottal pulses through formants, in syllables, with noise consonants.

Source and filter are multiplied in the frequency domain: the pulse train is the sum of a
fundamental's harmonics in phase, and each harmonic is weighted by the source's tilt and the
formants' gain at its frequency. This is exact for slowly moving formants and needs no filter.
"""

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pipeline.demo.conversation import Cue

RATE = 16000  # hertz
STEP = 80  # samples between two values of a control curve (5 ms)
PEAK = 0.6  # leaves room for what AAC adds: its decoded peaks lie up to a quarter higher
HIGHEST = 5500.0  # of the harmonics, hertz
VOWELS = (  # first four formants of an adult male, hertz (after Peterson and Barney, 1952)
    (270, 2290, 3010, 3500),
    (530, 1840, 2480, 3400),
    (660, 1720, 2410, 3400),
    (730, 1090, 2440, 3300),
    (570, 840, 2410, 3300),
    (300, 870, 2240, 3300),
)
BANDWIDTHS = (70.0, 100.0, 140.0, 220.0)  # hertz


class Prosody(NamedTuple):
    """How an utterance is spoken, relative to the speaker's pitch and spectrum."""

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
SHIFTS = {  # from neutral
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
# Standard deviations between utterances of one speaker and emotion.
SPREAD = Prosody(1.2, 0.3, 1.3, 0.4, 1.2, 0.6, 0.25, 0.1, 1.2)
LEAST = Prosody(-12, 0.2, -9, 2.5, -9, -5, 0.2, 0, 1)


@dataclass(frozen=True)
class Voice:
    """A speaker's voice."""

    pitch: float  # hertz
    formants: float  # factor on `VOWELS`: the shorter the vocal tract, the higher
    tilt: float  # of the source spectrum, decibels per octave


@dataclass(frozen=True)
class Syllables:
    """Control curves of one utterance, one value per `STEP` samples."""

    loudness: np.ndarray  # (steps,), 0 to 1, of the vowels
    hiss: np.ndarray  # (steps,), 0 to 1, of the consonants
    accent: np.ndarray  # (steps,), pitch relative to the contour, in units of `Prosody.swing`
    formants: np.ndarray  # (steps, 4), hertz


def draw_voice(rng: np.random.Generator, high: bool | None = None) -> Voice:
    """Draw a speaker's voice; it is high or low by chance if `high` is None."""
    drawn = bool(rng.random() < 0.5)
    high = drawn if high is None else high
    pitch = rng.uniform(165, 200) if high else rng.uniform(105, 130)
    formants = rng.uniform(1.1, 1.2) if high else rng.uniform(0.95, 1.05)
    return Voice(float(pitch), float(formants), float(rng.uniform(-11.5, -9.5)))


def draw_prosody(cue: Cue, rng: np.random.Generator) -> Prosody:
    """Draw how one utterance is spoken."""
    shift = cue.strength * np.array(SHIFTS[cue.emotion])
    spread = rng.normal(0, 1, len(SPREAD)) * np.array(SPREAD)
    return Prosody(*np.maximum(np.array(NEUTRAL) + shift + spread, LEAST).tolist())


def speak(voice: Voice, cue: Cue, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Say one utterance, (samples,), float32, at `RATE` hertz, with a peak of about `PEAK`."""
    prosody = draw_prosody(cue, rng)
    samples = round(seconds * RATE)
    curves = _syllables(voice, prosody, samples // STEP + 2, rng)
    pitch = _pitch(voice, prosody, curves, rng)
    sound = _harmonics(voice, prosody, curves, pitch, samples)
    noise = np.diff(rng.normal(0, 1, samples + 1))  # brighter than white, like [s] and breath
    voiced = _stretch(curves.loudness, samples)
    sound += noise * (0.25 * _stretch(curves.hiss, samples) + prosody.breath / 100 * voiced)
    loud = 0.22 * 10 ** (prosody.gain / 20) / (np.sqrt(np.mean(sound**2)) + 1e-9) * 0.4
    room = rng.normal(0, 0.0008, samples)
    # A soft limit: loud samples are compressed and none reaches full scale.
    return np.asarray(PEAK * np.tanh(sound * loud / PEAK) + room, np.float32)


def loudness_per_frame(sound: np.ndarray, frames: int) -> np.ndarray:
    """Loudness over each video frame, (frames,), relative to the utterance's loudest frame."""
    edges = np.linspace(0, len(sound), frames + 1).astype(int)
    power = np.add.reduceat(sound.astype(np.float64) ** 2, edges[:-1]) / np.diff(edges)
    return np.asarray(np.sqrt(power / (power.max() + 1e-12)))


def _syllables(voice: Voice, prosody: Prosody, steps: int, rng: np.random.Generator) -> Syllables:
    count = max(2, round(prosody.rate * steps * STEP / RATE))
    lengths = rng.uniform(0.7, 1.3, count)
    edges = 0.05 * steps + np.concatenate([[0], np.cumsum(lengths)]) / lengths.sum() * 0.9 * steps
    time = np.arange(steps)
    loudness, hiss, accent = np.zeros(steps), np.zeros(steps), np.zeros(steps)
    formants = np.zeros((steps, 4))
    for start, end in itertools.pairwise(edges.tolist()):
        onset = rng.uniform(0.15, 0.35) if rng.random() < 0.7 else 0.03
        place = (time - start) / (end - start)
        inside = (place >= 0) & (place < 1)
        vowel = np.clip((place - onset) / (1 - onset), 0, 1)
        loudness += inside * np.sin(np.pi * vowel) ** 0.6 * rng.uniform(0.7, 1.0)
        hiss += inside * np.sin(np.pi * np.clip(place / onset, 0, 1)) * rng.uniform(0.1, 0.5)
        accent += inside * rng.normal()
        target = np.array(VOWELS[int(rng.integers(len(VOWELS)))]) * voice.formants
        formants[time >= start] = target
    formants[formants[:, 0] == 0] = np.array(VOWELS[1]) * voice.formants
    return Syllables(loudness, hiss, _smooth(accent), _smooth(formants))


def _smooth(curve: np.ndarray, width: int = 9) -> np.ndarray:
    """Moving mean over `width` steps along the first axis."""
    # scipy.ndimage.uniform_filter1d rounds otherwise, which changes bytes of the demo corpora.
    padded = np.pad(curve, [(width // 2, width // 2)] + [(0, 0)] * (curve.ndim - 1), mode="edge")
    total = np.cumsum(padded, axis=0)
    first = total[width - 1 : width]
    return np.asarray(np.concatenate([first, total[width:] - total[:-width]]) / width)


def _pitch(
    voice: Voice, prosody: Prosody, curves: Syllables, rng: np.random.Generator
) -> np.ndarray:
    """Fundamental frequency, (steps,), hertz."""
    steps = len(curves.loudness)
    place = np.linspace(0, 1, steps)
    seconds = np.arange(steps) * STEP / RATE
    semitones = prosody.pitch + prosody.slope * (place - 0.5) + prosody.swing * curves.accent
    semitones += prosody.tremor * np.sin(2 * np.pi * (6 * seconds + rng.random()))
    semitones += 12 * prosody.roughness / 100 * 2.5 * rng.normal(0, 1, steps)
    return np.clip(voice.pitch * 2 ** (semitones / 12), 60, 600)


def _harmonics(
    voice: Voice, prosody: Prosody, curves: Syllables, pitch: np.ndarray, samples: int
) -> np.ndarray:
    """The voiced sound, (samples,)."""
    phase = 2 * np.pi * np.cumsum(_stretch(pitch, samples)) / RATE
    sound = np.zeros(samples)
    # cos kφ = 2 cos φ cos (k-1)φ - cos (k-2)φ spares a cosine per sample and harmonic.
    twice, before, now = 2 * np.cos(phase), np.ones(samples), np.cos(phase)
    for harmonic in range(1, int(HIGHEST / pitch.min()) + 1):
        hertz = harmonic * pitch
        slope = (voice.tilt + prosody.tilt) * np.log2(harmonic) / 20
        weight = curves.loudness * 10**slope * _formant_gain(hertz, curves.formants)
        sound += _stretch(weight * (hertz < HIGHEST), samples) * now
        before, now = now, twice * now - before
    return sound


def _formant_gain(hertz: np.ndarray, formants: np.ndarray) -> np.ndarray:
    """Gain of the four resonances in cascade, (steps,), 1 at 0 Hz."""
    gain = np.ones(len(hertz))
    for number, width in enumerate(BANDWIDTHS):
        centre = formants[:, number]
        gain *= centre**2 / np.sqrt((centre**2 - hertz**2) ** 2 + (width * hertz) ** 2)
    return gain


def _stretch(curve: np.ndarray, samples: int) -> np.ndarray:
    """Interpolate a control curve linearly to every sample, (samples,)."""
    return np.asarray(np.interp(np.arange(samples) / STEP, np.arange(len(curve)), curve))
