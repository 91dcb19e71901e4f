"""openSMILE: finite for any sound, equal in every process, no int16 wrap; descriptors pooled."""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import opensmile
import pytest

from pipeline.base.errors import MediaError
from pipeline.base.workers import isolated
from pipeline.features.audio import smile as module
from pipeline.features.audio.settings import FeatureSet
from pipeline.features.audio.smile import Smile, pooled
from pipeline.media.audio import load_mono
from tests.media.make_media import tone

RATE = 16000
LARGEST = np.float32(32767 / 32768)


@dataclass(frozen=True)
class Extract:
    """Features of a sound, as bytes."""

    smile: Smile

    def __call__(self, sound: np.ndarray) -> bytes:
        return self.smile.extract(sound, RATE).tobytes()


@pytest.fixture(scope="module")
def compare() -> Smile:
    return Smile("ComParE_2016", "functionals")


@pytest.fixture(scope="module")
def egemaps() -> Smile:
    return Smile("eGeMAPSv02", "functionals")


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    sound = np.random.default_rng(seed).normal(0, 0.2, round(seconds * RATE))
    return np.clip(sound, -1, LARGEST).astype(np.float32)


@pytest.mark.parametrize(
    "sound",
    [tone(1, RATE), noise(1), np.zeros(RATE, np.float32), noise(0.01), noise(1 / RATE)],
    ids=["tone", "noise", "silence", "160_samples", "one_sample"],
)
def test_compare_gives_6373_finite_numbers(compare: Smile, sound: np.ndarray) -> None:
    vector = compare.extract(sound, RATE)
    assert vector.shape == (6373,)
    assert vector.dtype == np.float32
    assert np.isfinite(vector).all()


def test_copies_and_history_do_not_matter(egemaps: Smile) -> None:
    sounds = [noise(0.3 + 0.1 * seed, seed) for seed in range(4)]
    alone = [egemaps.extract(sound, RATE).tobytes() for sound in sounds]
    assert len(set(alone)) == 4, "they are told apart"
    copy = pickle.loads(pickle.dumps(egemaps))
    again = [copy.extract(sound, RATE).tobytes() for sound in reversed(sounds)]
    assert again[::-1] == alone


@pytest.mark.slow
def test_another_process_computes_the_same(egemaps: Smile) -> None:
    sounds = [noise(0.3, seed) for seed in range(3)]
    found = isolated(Extract(egemaps), enumerate(sounds))
    assert [vector for _, vector in found] == [
        egemaps.extract(sound, RATE).tobytes() for sound in sounds
    ]


def test_full_scale_does_not_wrap(egemaps: Smile) -> None:
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


def test_descriptors_are_pooled_by_hand() -> None:
    nan = np.nan
    values = np.array([[1, 2, 3, 6], [nan, 4, np.inf, 8], [5, 5, 5, 5]], np.float32)
    # Of 1, 2, 3, 6: mean 3, squares 4, 1, 0, 9, so the deviation is sqrt(14 / 4).
    expected = [3, 6, 5, np.sqrt(3.5), 2, 0]
    assert pooled(values) == pytest.approx(expected)
    assert np.isnan(pooled(np.array([[nan, nan]]))).all()


@pytest.mark.parametrize(("feature_set", "count"), [("eGeMAPSv02", 25), ("ComParE_2016", 65)])
def test_pooled_descriptors_agree_with_opensmiles_frames(feature_set: str, count: int) -> None:
    smile = Smile(feature_set, "lld_pooled")
    sound = noise(1)
    plain = opensmile.Smile(
        opensmile.FeatureSet[feature_set], opensmile.FeatureLevel.LowLevelDescriptors
    )
    frames = plain.process_signal(sound, RATE)
    vector = smile.extract(sound, RATE)
    assert vector.shape == (2 * count,)
    expected = np.concatenate([frames.mean(), frames.std(ddof=0)])
    assert vector == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_pooled_descriptors_of_almost_nothing_are_finite() -> None:
    smile = Smile("emobase", "lld_pooled")
    for sound in (np.zeros(RATE, np.float32), noise(1 / RATE)):
        assert np.isfinite(smile.extract(sound, RATE)).all()


def test_the_settings_know_every_set_of_opensmile() -> None:
    known = sorted(name for name in vars(opensmile.FeatureSet) if name[0].isalpha())
    assert sorted(get_args(FeatureSet)) == known


def test_a_level_without_a_number_is_told(monkeypatch: pytest.MonkeyPatch, egemaps: Smile) -> None:
    nothing = np.full((1, 88, 1), np.nan)
    monkeypatch.setattr(module, "_opensmile", lambda *_: lambda samples, rate: nothing)
    with pytest.raises(MediaError, match=r"not_finite: 88 of 88 features of 1\.00 s"):
        egemaps.extract(noise(1), RATE)


def test_functionals_of_talking_clips_are_finite(shared: Path) -> None:
    clips = sorted((shared / "talking_clips").glob("*.mpg"))
    if not clips:
        pytest.skip("needs talking clips, of which there are none")
    functionals = Smile("ComParE_2016", "functionals")
    vectors = [functionals.extract(load_mono(clip, max_seconds=60), RATE) for clip in clips]
    assert np.isfinite(vectors).all()
    assert np.ptp(vectors, axis=0).astype(bool).mean() > 0.9
