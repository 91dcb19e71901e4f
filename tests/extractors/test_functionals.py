"""openSMILE functionals: finite for any sound, equal from every thread, no int16 wrap."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pipeline.errors import PipelineError
from pipeline.extractors.audio import Functionals
from tests.media.make_media import tone

RATE = 16000
LARGEST = np.float32(32767 / 32768)


@pytest.fixture(scope="module")
def compare() -> Functionals:
    return Functionals("ComParE_2016")


@pytest.fixture(scope="module")
def egemaps() -> Functionals:
    return Functionals("eGeMAPSv02")


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    sound = np.random.default_rng(seed).normal(0, 0.2, round(seconds * RATE))
    return np.clip(sound, -1, LARGEST).astype(np.float32)


@pytest.mark.parametrize(
    "sound",
    [tone(1, RATE), noise(1), np.zeros(RATE, np.float32), noise(0.01), noise(1 / RATE)],
    ids=["tone", "noise", "silence", "160_samples", "one_sample"],
)
def test_compare_gives_6373_finite_numbers(compare: Functionals, sound: np.ndarray) -> None:
    vector = compare.extract(sound, RATE)
    assert vector.shape == (6373,) == (compare.dimension,) == (len(compare.names),)
    assert vector.dtype == np.float32
    assert np.isfinite(vector).all()


def test_sounds_are_told_apart(egemaps: Functionals) -> None:
    assert (egemaps.extract(tone(1, RATE), RATE) != egemaps.extract(noise(1), RATE)).any()


def test_threads_and_history_do_not_matter(egemaps: Functionals) -> None:
    sounds = [noise(0.3 + 0.1 * seed, seed) for seed in range(8)]
    alone = [Functionals("eGeMAPSv02").extract(sound, RATE).tobytes() for sound in sounds]
    with ThreadPoolExecutor(4) as pool:
        together = pool.map(lambda sound: egemaps.extract(sound, RATE).tobytes(), sounds)
        assert list(together) == alone
    again = [egemaps.extract(sound, RATE).tobytes() for sound in reversed(sounds)]
    assert again[::-1] == alone


def test_full_scale_does_not_wrap(egemaps: Functionals) -> None:
    """A sine at full scale sounds like one at 0.99; the same with +1.0 in it would not."""
    full = np.clip(tone(1, RATE, 1000, 1.0), -1, LARGEST)
    near = egemaps.extract(tone(1, RATE, 1000, 0.99), RATE)

    def moved(sound: np.ndarray) -> int:
        vector = egemaps.extract(sound, RATE)
        return int((np.abs(vector - near) > 0.1 * np.maximum(np.abs(near), 0.01)).sum())

    wrapped = full.copy()
    wrapped[full == LARGEST] = 1.0
    assert (full == LARGEST).sum() > 100
    assert moved(full) + 10 < moved(wrapped)


def test_unknown_set_names_the_known_ones() -> None:
    with pytest.raises(PipelineError, match=r"got 'ComParE'.*'ComParE_2016'.*'eGeMAPSv02'"):
        Functionals("ComParE")
