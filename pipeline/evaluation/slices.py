"""Scores on slices of the test split."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np
import pandas as pd

from pipeline.base.errors import PipelineError
from pipeline.evaluation.intervals import resample
from pipeline.evaluation.scores import OVERALL
from pipeline.records.predictions import SystemPredictions, TestSet
from pipeline.records.protocol import Entry

POSITIONS = (1, 2, 4, 7, 11, 21, 41)  # first turn of each slice
LENGTHS = (1, 6, 11, 21, 41)  # fewest turns of each slice
SPEAKERS = 12  # with a slice of their own; the others share one
OTHERS = "other speakers"
SHIFT, CONSTANT, FIRST = "shift", "constant", "first"
# By kind of slice and utterance: the slice's name.
Kinds = Mapping[str, Mapping[str, str]]
Presence = Mapping[str, bool]  # of a modality, by utterance


def slices(
    test_set: TestSet,
    predictions: SystemPredictions,
    entries: Sequence[Entry],
    present: Mapping[str, Presence],
) -> pd.DataFrame:
    """Score every slice.

    Args:
        test_set: The labelled test utterances.
        predictions: A system's predictions.
        entries: The protocol's entries.
        present: Which utterances have it, by modality that the system reads.

    Returns:
        A row per slice: by, slice, utterances, dialogues, and weighted_f1 and accuracy in percent,
        averaged over seeds; weighted_f1 also has a sample standard deviation and a 95 % interval
        by dialogue. A slice of one dialogue has no interval.
    """
    turns = _turns(entries)
    kinds: Kinds = {
        "turn position": {u: p for u, (p, _) in turns.items()},
        "dialogue length": {u: n for u, (_, n) in turns.items()},
        "speaker": _speakers(test_set, entries),
        "modalities present": _present(test_set, present),
        "emotion shift": dict(_shifts(entries)),
    }
    rows = [row for by, names in kinds.items() for row in _rows(by, names, test_set, predictions)]
    return pd.DataFrame(rows).round(2)


def _rows(
    by: str, slice_of: Mapping[str, str], test_set: TestSet, predictions: SystemPredictions
) -> Iterator[dict[str, object]]:
    names = np.array([slice_of[utterance] for utterance in test_set.utterances])
    for name in sorted(dict.fromkeys(names), key=_order(by, names)):
        yield {"by": by, "slice": name, **_figures(names == name, test_set, predictions)}


def _figures(
    mask: np.ndarray, test_set: TestSet, predictions: SystemPredictions
) -> dict[str, float]:
    _, clusters = np.unique(test_set.clusters[mask], return_inverse=True)
    dialogues = clusters.max() + 1
    draws = resample(
        test_set.actual[mask], predictions.predicted[:, mask], clusters, len(test_set.classes)
    )
    weighted = 100 * OVERALL["weighted_f1"](draws.whole)
    interval = draws.interval(OVERALL["weighted_f1"])
    several = dialogues > 1
    return {
        "utterances": int(mask.sum()),
        "dialogues": int(dialogues),
        "weighted_f1": float(weighted.mean()),
        "weighted_f1_std": float(weighted.std(ddof=1)) if len(weighted) > 1 else np.nan,
        "weighted_f1_low": interval.low if several else np.nan,
        "weighted_f1_high": interval.high if several else np.nan,
        "accuracy": float(100 * OVERALL["accuracy"](draws.whole).mean()),
    }


def _order(by: str, names: np.ndarray) -> Callable[[str], tuple[int, ...] | tuple[bool, int, str]]:
    """Sort key: ranges and counts by number, speakers by utterances, shifts in a fixed order."""
    if by == "speaker":
        counts = Counter(names.tolist())
        return lambda name: (name == OTHERS, -counts[name], name)
    if by == "emotion shift":
        return lambda name: ((SHIFT, CONSTANT, FIRST).index(name),)
    return lambda name: (int(name.split("-")[0].rstrip("+")),)


def _turns(entries: Sequence[Entry]) -> dict[str, tuple[str, str]]:
    """Position in its dialogue and the dialogue's length, by test utterance."""
    turns = {}
    for dialogue in _test_dialogues(entries):
        length = _range(len(dialogue), LENGTHS)
        for position, entry in enumerate(dialogue, start=1):
            turns[entry.utterance] = (_range(position, POSITIONS), length)
    return turns


def _test_dialogues(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    test = [entry for entry in entries if entry.split == "test"]
    for _, dialogue in groupby(test, key=lambda entry: (entry.fold, entry.dialogue)):
        yield list(dialogue)


def _range(number: int, starts: Sequence[int]) -> str:
    """Name the range that holds a number: `1`, `2-3`, `41+`."""
    index = int(np.searchsorted(starts, number, side="right")) - 1
    if index == len(starts) - 1:
        return f"{starts[index]}+"
    first, last = starts[index], starts[index + 1] - 1
    return str(first) if first == last else f"{first}-{last}"


def _speakers(test_set: TestSet, entries: Sequence[Entry]) -> dict[str, str]:
    test = set(test_set.utterances)
    speaker = {e.utterance: e.speaker for e in entries if e.utterance in test}
    counts = Counter(speaker[utterance] for utterance in test_set.utterances)
    named = set(sorted(counts, key=lambda name: (-counts[name], name))[:SPEAKERS])
    return {u: name if name in named else OTHERS for u, name in speaker.items()}


def _present(test_set: TestSet, present: Mapping[str, Presence]) -> dict[str, str]:
    for modality, there in present.items():
        if lacking := [u for u in test_set.utterances if u not in there]:
            raise PipelineError(
                f"The {modality} store lacks {len(lacking)} utterances, such as {lacking[0]}; it "
                "was made from another manifest: run `dvc repro`."
            )
    return {u: str(sum(there[u] for there in present.values())) for u in test_set.utterances}


def _shifts(entries: Sequence[Entry]) -> Iterator[tuple[str, str]]:
    """Whether a speaker's label differs from that of their previous labelled turn."""
    for dialogue in _test_dialogues(entries):
        labels: dict[str, int] = defaultdict(lambda: -1)
        for entry in dialogue:
            if entry.label is None:
                continue
            previous = labels[entry.speaker]
            kind = FIRST if previous < 0 else CONSTANT if previous == entry.label else SHIFT
            labels[entry.speaker] = entry.label
            yield entry.utterance, kind
