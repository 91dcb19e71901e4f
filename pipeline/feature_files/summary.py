"""What a file of features holds, in figures: what `inspect` prints of it."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.base.settings import MODALITIES
from pipeline.feature_files.classes import COLUMNS, counts_by_group, published_counts
from pipeline.feature_files.contents import Contents, Vectors


def facts(contents: Contents) -> list[tuple[str, str]]:
    """Names and figures, in the order in which they are shown.

    Vectors are looked at one by one and never copied. Reading a file and summing it up takes about
    1.2 times its size and 200 MB of memory; pickles of Python 2, and of protocol 2, take twice the
    size, as their bytes are texts until they are arrays, and vectors that are lists of Python's
    numbers four times.
    """
    turns = contents.turns
    rows = [
        ("layout", contents.layout),
        ("corpus", contents.corpus),
        ("known as", contents.known_as or "not known by its bytes"),
        ("SHA-256", contents.sha256 or "a folder"),
        ("dialogues", f"{len({turn.dialogue for turn in turns}):,}"),
        ("turns", f"{len(turns):,}"),
        ("turns by split", _by_split([turn.split or "none" for turn in turns])),
        ("dialogues as the file splits them", _by_split(list(contents.as_file.values()))),
        ("ids", _held([turn.utterance for turn in turns])),
        ("speakers", _held([turn.speaker for turn in turns])),
        ("texts", _held([turn.text for turn in turns])),
    ]
    for column in COLUMNS:
        rows += _labels(contents, column)
    if rated := [turn.valence for turn in turns if turn.valence is not None]:
        rows.append(("valence", f"{len(rated):,} turns, {min(rated):g} to {max(rated):g}"))
    for name, vectors in contents.vectors.items():
        rows += _vectors(contents, name, vectors)
    for modality in MODALITIES:
        if modality in contents.trained_on:
            rows.append((f"{modality}: trained on", contents.trained_on[modality]))
    return [*rows, *(("remark", remark) for remark in contents.remarks)]


def _by_split(splits: Sequence[str]) -> str:
    return ", ".join(f"{split} {count:,}" for split, count in Counter(splits).items()) or "none"


def _held(values: Sequence[str | None]) -> str:
    there = [value for value in values if value is not None]
    lacking = f", {len(values) - len(there):,} turns have none" if len(there) < len(values) else ""
    return f"{len(set(there)):,} different{lacking}" if there else "none"


def _labels(contents: Contents, column: str) -> Iterator[tuple[str, str]]:
    """Turns of each class by split, the published number in brackets where it is another."""
    published = published_counts(contents, column)
    for group, counts in counts_by_group(contents, column).items():
        expected = published.get(group, {}) if counts.keys() & published.get(group, {}) else {}
        cells = [
            f"{code} {counts[code]:,}"
            + (f" ({expected[code]:,})" if expected.get(code, counts[code]) != counts[code] else "")
            for code in dict.fromkeys([*expected, *sorted(counts)])
        ]
        same = bool(expected) and all(counts[code] == n for code, n in expected.items())
        yield f"{column}, {group}", ", ".join(cells) + (": as published" if same else "")


def _vectors(contents: Contents, name: str, vectors: Vectors) -> Iterator[tuple[str, str]]:
    there = [(t, row) for t, row in zip(contents.turns, vectors, strict=True) if row is not None]
    if not there:
        return
    kinds = sorted({str(row.dtype) for _, row in there})
    frames = [len(row) for _, row in there]
    many = f", {min(frames)} to {max(frames)} frames a turn" if max(frames) > 1 else ""
    yield f"{name}: features", f"{there[0][1].shape[1]}, {', '.join(kinds)}{many}"
    yield f"{name}: turns with a vector", f"{len(there):,} of {len(vectors):,}"
    zero, constant, broken = Counter[str](), 0, 0
    for turn, row in there:
        finite = bool(np.isfinite(row).all())
        broken += not finite
        if finite and row.shape[1] > 1 and row.min() == row.max():
            if row.flat[0] == 0:
                zero[turn.split or contents.as_file.get(turn.dialogue, "none")] += 1
            else:
                constant += 1
    yield f"{name}: zero in all features", _by_split(list(zero.elements())) if zero else "0 turns"
    yield f"{name}: one value in all features", f"{constant:,} turns"
    yield f"{name}: NaN or infinite", f"{broken:,} turns"
