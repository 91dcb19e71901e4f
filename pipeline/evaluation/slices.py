"""Weighted F1 on parts of the test split: who is right where."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np
import pandas as pd

from pipeline.evaluation.intervals import resample
from pipeline.evaluation.scores import OVERALL
from pipeline.records.features import Features, of_utterances
from pipeline.records.predictions import ModelPredictions, TestSet
from pipeline.records.protocol import Entry

POSITIONS = (1, 2, 4, 7, 11, 21, 41)  # first turns of the slices
LENGTHS = (1, 6, 11, 21, 41)  # fewest turns
SPEAKERS = 12  # that are named; the others share a slice
OTHERS = "other speakers"
SHIFT, CONSTANT, FIRST = "shift", "constant", "first"
# By utterance: which slice of each kind it falls into.
Kinds = Mapping[str, Mapping[str, str]]


def slices(
    test_set: TestSet,
    predictions: ModelPredictions,
    entries: Sequence[Entry],
    stores: Mapping[str, Features],
) -> pd.DataFrame:
    """The figures of every slice.

    Args:
        test_set: The test utterances.
        predictions: The model's.
        entries: The protocol's.
        stores: Feature stores of the modalities in use.

    Returns:
        A row per slice: by, slice, utterances, dialogues, weighted_f1 and accuracy in percent,
        averaged over seeds, the former with its sample standard deviation and 95 % interval by
        dialogue. A slice of one dialogue has no interval.
    """
    turns = _turns(entries)
    kinds: Kinds = {
        "turn position": {u: p for u, (p, _) in turns.items()},
        "dialogue length": {u: n for u, (_, n) in turns.items()},
        "speaker": _speakers(test_set, entries),
        "modalities present": _present(test_set, stores),
        "emotion shift": dict(_shifts(entries)),
    }
    rows = [row for by, places in kinds.items() for row in _rows(by, places, test_set, predictions)]
    return pd.DataFrame(rows).round(2)


def _rows(
    by: str, places: Mapping[str, str], test_set: TestSet, predictions: ModelPredictions
) -> Iterator[dict[str, object]]:
    names = np.array([places[utterance] for utterance in test_set.utterances])
    for name in sorted(dict.fromkeys(names), key=_order(by, names)):
        yield {"by": by, "slice": name, **_figures(names == name, test_set, predictions)}


def _figures(
    chosen: np.ndarray, test_set: TestSet, predictions: ModelPredictions
) -> dict[str, float]:
    _, clusters = np.unique(test_set.clusters[chosen], return_inverse=True)
    dialogues = clusters.max() + 1
    found = resample(
        test_set.actual[chosen], predictions.predicted[:, chosen], clusters, len(test_set.classes)
    )
    weighted = 100 * OVERALL["weighted_f1"](found.whole)
    interval = found.interval(OVERALL["weighted_f1"])
    known = dialogues > 1
    return {
        "utterances": int(chosen.sum()),
        "dialogues": int(dialogues),
        "weighted_f1": float(weighted.mean()),
        "weighted_f1_std": float(weighted.std(ddof=1)) if len(weighted) > 1 else np.nan,
        "weighted_f1_low": interval.low if known else np.nan,
        "weighted_f1_high": interval.high if known else np.nan,
        "accuracy": float(100 * OVERALL["accuracy"](found.whole).mean()),
    }


def _order(by: str, names: np.ndarray) -> Callable[[str], tuple[int, ...] | tuple[bool, int, str]]:
    """Ranges and counts by their number, speakers by their utterances, shifts as they stand."""
    if by == "speaker":
        counts = Counter(names.tolist())
        return lambda name: (name == OTHERS, -counts[name], name)
    if by == "emotion shift":
        return lambda name: ((SHIFT, CONSTANT, FIRST).index(name),)
    return lambda name: (int(name.split("-")[0].rstrip("+")),)


def _turns(entries: Sequence[Entry]) -> dict[str, tuple[str, str]]:
    """Position in its dialogue and the dialogue's length, of each test utterance."""
    found = {}
    for _, group in _test_dialogues(entries):
        length = _range(len(group), LENGTHS)
        for position, entry in enumerate(group, start=1):
            found[entry.utterance] = (_range(position, POSITIONS), length)
    return found


def _test_dialogues(entries: Sequence[Entry]) -> Iterator[tuple[tuple[int, str], list[Entry]]]:
    test = [entry for entry in entries if entry.split == "test"]
    for key, group in groupby(test, key=lambda entry: (entry.fold, entry.dialogue)):
        yield key, list(group)


def _range(number: int, starts: Sequence[int]) -> str:
    """The range that a number falls into, in words: `1`, `2-3`, `41+`."""
    place = int(np.searchsorted(starts, number, side="right")) - 1
    if place == len(starts) - 1:
        return f"{starts[place]}+"
    first, last = starts[place], starts[place + 1] - 1
    return str(first) if first == last else f"{first}-{last}"


def _speakers(test_set: TestSet, entries: Sequence[Entry]) -> dict[str, str]:
    test = set(test_set.utterances)
    speaker = {e.utterance: e.speaker for e in entries if e.utterance in test}
    counts = Counter(speaker[utterance] for utterance in test_set.utterances)
    named = set(sorted(counts, key=lambda name: (-counts[name], name))[:SPEAKERS])
    return {u: name if name in named else OTHERS for u, name in speaker.items()}


def _present(test_set: TestSet, stores: Mapping[str, Features]) -> dict[str, str]:
    rows = [store.present[of_utterances(store, test_set.utterances)] for store in stores.values()]
    counts = np.sum(rows, axis=0)
    return {u: str(number) for u, number in zip(test_set.utterances, counts, strict=True)}


def _shifts(entries: Sequence[Entry]) -> Iterator[tuple[str, str]]:
    """Whether a speaker's emotion differs from that of their labelled turn before."""
    for _, group in _test_dialogues(entries):
        before: dict[str, int] = defaultdict(lambda: -1)
        for entry in group:
            if entry.label is None:
                continue
            last = before[entry.speaker]
            kind = FIRST if last < 0 else CONSTANT if last == entry.label else SHIFT
            before[entry.speaker] = entry.label
            yield entry.utterance, kind
