"""Sounds, pictures and texts made worse: by hand, in nested steps, the same each time."""

import math
import pickle
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corruption import content
from pipeline.corruption.content import (
    STRETCH,
    blurred,
    drawn,
    noisy_picture,
    noisy_sound,
    silenced,
    thinned,
)
from pipeline.corruption.corruptions import CORRUPTIONS
from pipeline.media.audio import LARGEST
from pipeline.records.manifest import Utterance
from tests.media.make_media import tone
from tests.synthetic import bare_utterance

SOUND = tone(1.05, 16_000, amplitude=0.2)
PICTURE = np.random.default_rng(1).integers(60, 200, (224, 224, 3), np.uint8)
UTTERANCES = [f"test/dia{n // 9}_utt{n % 9}" for n in range(40)]


def saying(text: str, name: str = "d") -> Utterance:
    return replace(bare_utterance(name, 0), text=text)


@pytest.mark.parametrize("ratio", [20.0, 3.0, 0.0])
def test_the_noise_has_the_power_that_the_ratio_says(ratio: float) -> None:
    noise = noisy_sound(SOUND, ratio).astype(np.float64) - SOUND
    # A sine of amplitude a has a mean square of a^2 / 2: here 0.02.
    assert math.isclose((noise**2).mean(), 0.02 / 10 ** (ratio / 10), rel_tol=1e-4)
    assert abs(noise.mean()) < 3 * noise.std() / math.sqrt(len(noise)), "no offset"
    neighbours = (noise[1:] * noise[:-1]).mean() / noise.var()
    assert abs(neighbours) < 4 / math.sqrt(len(noise)), "white"


def test_the_noise_of_all_steps_is_the_same_but_for_its_loudness() -> None:
    quiet, loud = (noisy_sound(SOUND, ratio).astype(np.float64) - SOUND for ratio in (30.0, 10.0))
    assert np.allclose(loud, 10 * quiet, atol=1e-5), "20 dB are a factor of ten"


def test_a_loud_noise_stays_where_opensmile_does_not_wrap_round() -> None:
    found = noisy_sound(tone(1.0, 16_000, amplitude=0.9), -20.0)
    assert found.dtype == np.float32
    assert found.min() == -1 and found.max() == LARGEST < 1


def test_silence_gets_no_noise() -> None:
    silence = np.zeros(1000, np.float32)
    assert noisy_sound(silence, 0.0) is silence


def test_stretches_of_a_tenth_of_a_second_are_silenced() -> None:
    sound = np.ones(10 * STRETCH + 7, np.float32)
    numbers = content.generator_for("silence", sound).random(11)
    chosen = [number < 0.5 for number in numbers]
    assert 0 < sum(chosen) < 11
    expected = [0.0 if chosen[sample // STRETCH] else 1.0 for sample in range(len(sound))]
    assert silenced(sound, 50.0).tolist() == expected
    assert STRETCH == 1600


def test_silence_grows_from_nothing_to_all() -> None:
    assert (silenced(SOUND, 0.0) == SOUND).all()
    assert not silenced(SOUND, 100.0).any()
    gone = [silenced(SOUND, percent) == 0 for percent in (25.0, 50.0, 75.0, 100.0)]
    assert all((less <= more).all() for less, more in pairwise(gone))
    many = np.ones(1000 * STRETCH, np.float32)
    assert abs((silenced(many, 25.0) == 0).mean() - 0.25) < 0.05


def test_no_blur_is_the_identity_and_a_plain_picture_stays_plain() -> None:
    assert (blurred(PICTURE, 0.0) == PICTURE).all()
    plain = np.full((224, 224, 3), 77, np.uint8)
    assert (blurred(plain, 8.0) == plain).all()


def test_a_blur_spreads_an_edge_over_its_gaussian() -> None:
    edge = np.zeros((224, 224, 3), np.uint8)
    edge[:, 112:] = 200
    row = blurred(edge, 4.0)[100, 104:120, 0].astype(float)
    # The Gaussian's share on the bright side, from the middle of each pixel.
    shares = [(1 + math.erf((x - 111.5) / (4 * math.sqrt(2)))) / 2 for x in range(104, 120)]
    assert np.abs(row - 200 * np.array(shares)).max() < 1.5, "its tails are cut"
    levels = [blurred(PICTURE, deviation).std() for deviation in (0.0, 2.0, 4.0, 8.0, 16.0)]
    assert levels == sorted(levels, reverse=True)


def test_the_noise_of_a_picture() -> None:
    weak, strong = (
        noisy_picture(PICTURE, deviation).astype(float) - PICTURE for deviation in (4.0, 12.0)
    )
    assert abs(weak.std() - math.hypot(4, math.sqrt(1 / 12))) < 0.1, "rounding adds a twelfth"
    assert np.abs(strong - 3 * weak).max() <= 2, "the same noise, rounded"
    assert (noisy_picture(PICTURE, 0.0) == PICTURE).all()
    white = noisy_picture(np.full_like(PICTURE, 255), 50.0)
    assert white.max() == 255 and 0.4 < (white == 255).mean() < 0.6, "no value wraps round"


def test_words_are_left_out_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fixed:
        def random(self, count: int) -> np.ndarray:
            return np.array([0.1, 0.6, 0.3, 0.9])[:count]

    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(content, "generator", lambda *facts: asked.append(facts) or Fixed())
    utterance = saying("Oh  my God, no")
    assert thinned(utterance, 5.0) is utterance, "not even its blanks change"
    assert thinned(utterance, 25.0).text == "my God, no"
    assert thinned(utterance, 50.0).text == "my no"
    assert thinned(utterance, 75.0).text == "no"
    assert thinned(utterance, 100.0).text == ""
    assert set(asked) == {("word dropout", "d_0")}


@given(st.lists(st.sampled_from(["a", "b", "No."]), max_size=12), st.integers(0, 50))
def test_words_that_are_left_out_stay_out(text: list[str], number: int) -> None:
    utterance = saying(" ".join(text), f"d{number}")
    steps = [thinned(utterance, p).text.split() for p in (0.0, 25.0, 50.0, 75.0, 100.0)]
    assert steps[0] == text and steps[-1] == []
    for longer, shorter in pairwise(steps):
        rest = iter(longer)
        assert all(word in rest for word in shorter), "in order, and nothing comes back"


def test_one_word_texts_lose_their_word_in_the_right_share() -> None:
    texts = [thinned(saying("Yeah.", f"d{n}"), 25.0).text for n in range(1000)]
    assert 200 < texts.count("") < 300


@pytest.mark.parametrize(("percent", "count"), [(0, 0), (25, 10), (50, 20), (75, 30), (100, 40)])
def test_a_share_of_utterances(percent: float, count: int) -> None:
    assert len(drawn(UTTERANCES, percent, "text")) == count


def test_drawn_utterances_are_nested_and_do_not_depend_on_order() -> None:
    sets = [drawn(UTTERANCES, percent, "text") for percent in range(0, 101, 5)]
    assert all(less < more for less, more in pairwise(sets))
    assert drawn(UTTERANCES[::-1], 25, "text") == sets[5]
    assert drawn(UTTERANCES, 25, "audio") != sets[5]


def test_the_same_content_gets_the_same_corruption_and_other_content_another() -> None:
    for corrupt, clean in ((noisy_sound, SOUND), (silenced, SOUND), (noisy_picture, PICTURE)):
        assert (corrupt(clean, 20.0) == corrupt(clean.copy(), 20.0)).all()
    other = SOUND.copy()
    other[0] = 0.5
    apart = (noisy_sound(SOUND, 20.0) - SOUND) - (noisy_sound(other, 20.0) - other)
    assert np.abs(apart[1:]).max() > 0.01


def test_steps_go_to_other_processes_and_quick_curves_have_four_points() -> None:
    for corruption in CORRUPTIONS:
        assert set(corruption.steps(quick=True)) < set(corruption.steps(quick=False))
        assert len(corruption.steps(quick=True)) == 3, "and the clean one"
        assert corruption.steps(quick=True)[-1] == corruption.levels[-1]
        if corruption.apply is not None:
            step = corruption.at(corruption.levels[0])
            sent = pickle.loads(pickle.dumps(step))
            assert (sent.func, sent.keywords) == (step.func, step.keywords)
    assert len({(c.modality, c.name) for c in CORRUPTIONS}) == len(CORRUPTIONS)
