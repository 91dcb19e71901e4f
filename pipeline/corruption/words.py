"""Texts made worse: words left out."""

from dataclasses import replace

from pipeline.corruption.draws import generator
from pipeline.records.manifest import Utterance


def thinned(utterance: Utterance, percent: float) -> Utterance:
    """An utterance without a share of its words, down to the empty text.

    Each word is drawn on its own, so that texts of one word lose it as often as others lose theirs.

    Args:
        utterance: Its id seeds the draw.
        percent: How likely a word is left out; where none is, the text stays as it is.
    """
    words = utterance.text.split()
    numbers = generator("word dropout", utterance.utterance).random(len(words))
    kept = [word for word, number in zip(words, numbers, strict=True) if number >= percent / 100]
    return utterance if len(kept) == len(words) else replace(utterance, text=" ".join(kept))
