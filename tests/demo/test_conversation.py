"""Conversations: shares of the emotions, lingering and contagion, cues and words, without media."""

from collections import Counter

import numpy as np
import pytest

from pipeline.base.errors import PipelineError
from pipeline.demo.conversation import EMOTIONS as BY_LAYOUT
from pipeline.demo.conversation import converse, next_emotion
from pipeline.demo.settings import DemoSettings

SIZES = {"train": 32, "dev": 9, "test": 13}
MELD, IEMOCAP = BY_LAYOUT["meld"], BY_LAYOUT["iemocap"]
EMOTIONS, SHARES = list(MELD.shares), list(MELD.shares.values())


def meld(**changes):
    return DemoSettings(layout="meld", dialogues=SIZES, **changes)


@pytest.fixture(scope="module")
def parts():
    return [converse(meld(), number, size) for number, size in enumerate(SIZES.values())]


@pytest.fixture(scope="module")
def many():
    return converse(meld(), 0, 600)


def test_default_parts_have_every_class_and_the_promised_size(parts):
    for turns, about in zip(parts, (250, 75, 110), strict=True):
        counts = Counter(turn.emotion for turn in turns)
        assert set(counts) == set(EMOTIONS)
        assert min(counts.values()) >= 4
        assert counts.most_common(1)[0][0] == "neutral"
        assert abs(len(turns) - about) <= 0.2 * about


def test_shares_are_the_stationary_ones(many):
    counts = Counter(turn.emotion for turn in many)
    shares = [counts[emotion] / len(many) for emotion in EMOTIONS]
    assert np.abs(np.array(shares) - SHARES).max() < 0.03


def test_emotion_lingers_within_a_speaker():
    # Without contagion a speaker keeps an emotion with probability linger + (1 - linger) * share,
    # for fear 0.5 + 0.5 * 0.035 = 0.5175; over 4000 draws the standard error is 0.008.
    settings = meld(linger=0.5, contagion=0)
    rng = np.random.default_rng(0)
    kept = [next_emotion(rng, settings, "fear", "joy") == "fear" for _ in range(4000)]
    assert abs(np.mean(kept) - 0.5175) < 0.03


def test_emotion_passes_between_speakers():
    settings = meld(linger=0, contagion=0.6)
    rng = np.random.default_rng(0)
    taken = [next_emotion(rng, settings, "fear", "disgust") == "disgust" for _ in range(4000)]
    assert abs(np.mean(taken) - (0.6 + 0.4 * 0.035)) < 0.03


def test_dialogues_have_two_to_four_speakers_and_full_ids(many):
    dialogues = {}
    for turn in many:
        dialogues.setdefault(turn.dialogue, []).append(turn)
    assert list(dialogues) == list(range(600))
    for turns in dialogues.values():
        assert [turn.position for turn in turns] == list(range(len(turns)))
        assert 5 <= len(turns) <= 11
        assert len({turn.speaker for turn in turns}) <= 4


def test_sentiment_follows_the_emotion(many):
    pairs = {(turn.emotion, turn.sentiment) for turn in many}
    assert pairs == {
        ("neutral", "neutral"),
        ("joy", "positive"),
        ("surprise", "positive"),
        ("surprise", "negative"),
        *((emotion, "negative") for emotion in ("fear", "sadness", "disgust", "anger")),
    }


def test_some_cues_are_weak_and_some_mislead(many):
    settings = meld()
    for modality, weak in (("face", settings.poker_face), ("voice", settings.flat_voice)):
        cues = [(turn.emotion, getattr(turn, modality)) for turn in many]
        assert abs(np.mean([cue.strength < 0.3 for _, cue in cues]) - weak) < 0.02
        wrong = np.mean([cue.emotion != emotion for emotion, cue in cues])
        assert abs(wrong - settings.misleading) < 0.02


def test_texts_are_varied_and_look_like_melds(many):
    texts = Counter(turn.text for turn in many)
    assert texts.most_common(1)[0][1] < 0.02 * len(many)
    everything = " ".join(texts)
    assert "'" in everything and everything.isascii()
    assert "," in everything and '"' in everything
    assert "{" not in everything and ":" not in everything


def test_parts_and_seeds_differ_and_repeat():
    settings = meld(min_per_class=0)
    assert converse(settings, 0, 2) == converse(settings, 0, 2)
    assert converse(settings, 0, 2) != converse(settings, 1, 2)
    assert converse(settings, 0, 2) != converse(meld(min_per_class=0, seed=1), 0, 2)


@pytest.mark.slow
def test_too_few_dialogues_for_the_classes_is_an_error():
    with pytest.raises(PipelineError, match=r"min_per_class"):
        converse(meld(min_per_class=5), 0, 2)


@pytest.mark.parametrize("emotions", [MELD, IEMOCAP])
def test_shares_sum_to_one_and_near_ones_exist(emotions):
    assert sum(emotions.shares.values()) == pytest.approx(1)
    named = {*emotions.common, *emotions.near, *(n for ns in emotions.near.values() for n in ns)}
    assert named <= set(emotions.shares)


def test_happiness_is_mostly_taken_for_excitement():
    # Weights: excited 6 * 0.135 = 0.81, all else 1 - 0.11 - 0.135 = 0.755; 0.81 / 1.565 = 0.5176.
    rng = np.random.default_rng(0)
    taken = [IEMOCAP.draw_other(rng, "happiness") for _ in range(4000)]
    assert "happiness" not in taken
    assert abs(np.mean([emotion == "excited" for emotion in taken]) - 0.5176) < 0.03


def test_given_speakers_talk_in_every_dialogue():
    turns = converse(meld(min_per_class=0), 0, 3, (4, 5))
    for dialogue in range(3):
        assert {turn.speaker for turn in turns if turn.dialogue == dialogue} == {4, 5}
