"""MMSA's layout: a dict of splits of clips, which are padded to one length and rated."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.feature_files.containers import is_array
from pipeline.feature_files.contents import Contents, Turn
from pipeline.feature_files.refusal import UnusableError, described, some

SPLITS = {"train": "train", "valid": "dev", "test": "test"}
MODALITIES = {"text": "text", "audio": "audio", "visual": "vision"}
RATINGS = "regression_labels"
SIMS_WIDTHS = {("audio", 33), ("vision", 709)}
MOSEI_WIDTHS = {("audio", 74), ("vision", 35)}


def is_mmsa(tree: Any) -> bool:
    """Whether a tree has the form of the layout."""
    return (
        isinstance(tree, dict)
        and any(split in tree for split in SPLITS)
        and all(isinstance(tree.get(split, {}), dict) for split in SPLITS)
        and any(m in tree[s] for s in SPLITS if s in tree for m in MODALITIES.values())
    )


def read_mmsa(tree: Mapping[str, Any]) -> Contents:
    """Read the dict of splits; each clip is a dialogue of its own.

    Raises:
        UnusableError: A field is missing or of another length or rank.
    """
    turns: list[Turn] = []
    vectors: dict[str, list[np.ndarray | None]] = {m: [] for m in MODALITIES}
    as_file: dict[str, str] = {}
    sims = False
    widths = set()
    for split, official in SPLITS.items():
        fields = tree.get(split) or {}
        ids, ratings, texts = _clips(split, fields) if fields else ([], [], [])
        sims |= f"{RATINGS}_T" in fields
        for clip, rating, text in zip(ids, ratings, texts, strict=True):
            speaker = clip.partition("$_$")[0]  # its video: there somebody speaks alone
            turns.append(Turn(clip, clip, speaker, text, valence=rating, split=official))
            as_file[clip] = split
        for modality, field in MODALITIES.items():
            rows = (
                _unpadded(split, fields, field, len(ids)) if field in fields else [None] * len(ids)
            )
            vectors[modality] += rows
            widths |= {(field, row.shape[1]) for row in rows[:1] if row is not None}
    if not turns:
        raise UnusableError("it holds no clip")
    sims |= widths >= SIMS_WIDTHS
    remarks = ["Every clip is a dialogue of its own, and every video stands for a speaker."]
    if widths >= MOSEI_WIDTHS:
        remarks.append("Its vectors have CMU-MOSEI's numbers of features; it is read as mosi.")
    held = {m: rows for m, rows in vectors.items() if any(row is not None for row in rows)}
    corpus = "sims" if sims else "mosi"
    return Contents("mmsa", corpus, turns, held, remarks=remarks, as_file=as_file)


def _clips(
    split: str, fields: Mapping[str, Any]
) -> tuple[list[str], list[float], list[str | None]]:
    """Ids, ratings and texts of the clips of a split."""
    lacking = [name for name in ("id", RATINGS) if name not in fields]
    if lacking:
        raise UnusableError(f"{split} lacks {lacking}; it has {some(fields)}")
    ids = [str(clip) for clip in _column(split, fields, "id")]
    ratings = np.asarray(_column(split, fields, RATINGS), np.float64)
    texts = _column(split, fields, "raw_text") if "raw_text" in fields else [None] * len(ids)
    if not len(ids) == len(ratings) == len(texts):
        raise UnusableError(
            f"{split} has {len(ids)} ids, {len(ratings)} {RATINGS} and {len(texts)} texts"
        )
    if wrong := [clip for clip, r in zip(ids, ratings, strict=True) if not np.isfinite(r)]:
        raise UnusableError(
            f"{split} has ratings that are not numbers of {len(wrong)}: {some(wrong)}"
        )
    return ids, ratings.tolist(), [None if text is None else str(text) for text in texts]


def _column(split: str, fields: Mapping[str, Any], name: str) -> list[Any]:
    value = fields[name]
    if isinstance(value, np.ndarray) and value.ndim and value.size == len(value):
        value = value.ravel().tolist()
    scalars = isinstance(value, list | tuple) and all(
        isinstance(v, str | int | float) for v in value
    )
    if not scalars or (name not in ("id", "raw_text") and any(isinstance(v, str) for v in value)):
        raise UnusableError(f"{split} has the {name} {described(value)}, expected one of each clip")
    return list(value)


def _unpadded(
    split: str, fields: Mapping[str, Any], field: str, count: int
) -> list[np.ndarray | None]:
    """[frame, feature] of each clip without the padding; views where that is at one end."""
    values = fields[field]
    never_padded = isinstance(values, list) and all(is_array(v, "iuf", 2) for v in values)
    if not (never_padded or is_array(values, "iuf", 2, 3)) or len(values) != count:
        raise UnusableError(
            f"{split} has the {field} {described(values)}, expected [clip, frame, feature] of "
            f"{count} clips"
        )
    if never_padded or values.ndim == 2:
        return list(values if never_padded else values[:, None])
    if field == "text" and "text_bert" in fields:
        mask = fields["text_bert"]
        if not is_array(mask, "iufb", 3) or mask.shape != (count, 3, values.shape[1]):
            raise UnusableError(
                f"{split} has the text_bert {described(mask)}, expected [clip, 3, token]"
            )
        lengths = (mask[:, 1] > 0).sum(axis=1).tolist()
        return [rows[:n] if n else None for rows, n in zip(values, lengths, strict=True)]
    if (name := f"{field}_lengths") in fields:
        lengths = _column(split, fields, name)
        if len(lengths) != count or not all(0 <= n <= values.shape[1] for n in lengths):
            raise UnusableError(
                f"{split} has {name} that do not fit its {field} {described(values)}"
            )
        return [_of_length(rows, int(n)) for rows, n in zip(values, lengths, strict=True)]
    return [_of_length(rows, 0) for rows in values]


def _of_length(rows: np.ndarray, length: int) -> np.ndarray:
    """The frames of a clip that has so many; padding stands behind them, or before them.

    Where the length is not known, or wrong, frames that are not zeros tell.
    """
    there = np.flatnonzero(rows.any(axis=1))
    if not len(there):
        return rows[: max(length, 1)]
    first, end = int(there[0]), int(there[-1]) + 1
    if end <= length:
        return rows[:length]
    return rows[min(first, end - length) if length else first : end]
