"""Our own layout for vectors that somebody made: `utterances.csv`, and a file by modality."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from pydantic import BaseModel, ValidationError

from pipeline.base.display import short_name
from pipeline.base.folders import names_in, nfc, read_bytes
from pipeline.base.settings import MODALITIES, Modality, TrainedOn
from pipeline.feature_files.containers import is_array, load
from pipeline.feature_files.contents import Contents, Turn, Vectors
from pipeline.feature_files.naming import modality_of
from pipeline.feature_files.refusal import UnusableError, described, some
from pipeline.records.utterance_table import FILE, PARQUET, read_utterance_table

ABOUT = "about.yaml"
LARGEST_ABOUT = 2**16  # bytes
NEEDED = ("utterance", "dialogue", "speaker")
OPTIONAL = ("turn", "text", "emotion", "sentiment", "split", "session")
Rows = dict[str, np.ndarray]  # [frame, feature] by utterance


class Encoded(BaseModel):
    """What about.yaml says of a modality; more than this is welcome there and not read."""

    trained_on: TrainedOn = "unknown"


class About(BaseModel):
    """What about.yaml says of the folder."""

    corpus: Literal["iemocap", "meld", "emorynlp", "dailydialog", "mosi", "sims", "other"] = "other"
    classes: list[str] | None = None
    label_policy: Literal["consensus", "erc7433"] = "consensus"
    modalities: dict[Modality, Encoded] = {}


def is_neutral(folder: Path) -> bool:
    """Whether a folder is of this layout."""
    return any((folder / name).is_file() for name in (FILE, PARQUET))


def read_neutral(
    folder: Path, classes: Sequence[str] | None = None
) -> tuple[Contents, list[str] | None]:
    """Read the folder, and the order of classes that it or the user states.

    Raises:
        PipelineError: The table of utterances is not in its form.
        UnusableError: A file of vectors is not, or does not fit the table.
    """
    about = _about(folder)
    stated = list(classes) if classes else about.classes
    table = read_utterance_table(folder, NEEDED, OPTIONAL)
    rows = [row for rows in table.dialogues(lambda row: row["dialogue"]).values() for row in rows]
    turns = [
        Turn(
            row["dialogue"],
            row["utterance"],
            row["speaker"],
            row["text"] if "text" in table.columns else None,
            emotion=row["emotion"] or None,
            sentiment=row["sentiment"] or None,
            split=row.split,
            session=row["session"] or None,
        )
        for row in rows
    ]
    vectors: dict[str, Vectors] = {}
    for modality in MODALITIES:
        if (found := _rows(folder, modality)) is not None:
            vectors[modality] = _in_order(modality, found, [row["utterance"] for row in rows])
    trained_on = {m: encoded.trained_on for m, encoded in about.modalities.items()}
    contents = Contents("neutral", about.corpus, turns, vectors, trained_on=trained_on)
    return replace(contents, label_policy=about.label_policy), stated


def _about(folder: Path) -> About:
    if not (folder / ABOUT).is_file():
        return About()
    data = read_bytes(folder / ABOUT)
    advice = f"correct {ABOUT}: corpus, classes and modalities: {{text: {{trained_on: none}}}}"
    if len(data) > LARGEST_ABOUT:
        raise UnusableError(
            f"{ABOUT} has {len(data)} bytes, at most {LARGEST_ABOUT} are read", advice
        )
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(data)):
            raise UnusableError(f"{ABOUT} has an alias, `*name`", "write out what it stands for")
        # The loader that makes texts, lists and dicts alone, and resolves no `<<`.
        return About.model_validate(yaml.load(data, yaml.BaseLoader) or {})
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise UnusableError(f"{ABOUT}: {some(wrong)}", advice) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        why = short_name(str(error), 100)
        raise UnusableError(f"{ABOUT} cannot be read as YAML: {why}", advice) from None


def _in_order(
    modality: str, found: Mapping[str, np.ndarray], utterances: Sequence[str]
) -> list[np.ndarray | None]:
    """The vectors of each utterance; a row of nothing but NaN says that there are none."""
    if unknown := sorted(found.keys() - set(utterances)):
        raise UnusableError(
            f"{modality} has vectors of {len(unknown)} utterances that the table lacks: "
            f"{some(unknown)}"
        )
    rows = (found.get(name) for name in utterances)
    return [None if r is None or not len(r) or np.isnan(r).all() else r for r in rows]


def _rows(folder: Path, modality: str) -> Rows | None:
    names = names_in(folder)
    if others := [n for n in names if n.rpartition(".")[0] == modality and n != f"{modality}.npz"]:
        raise UnusableError(
            f"it holds {some(others)}, expected {modality}.npz",
            f"write {modality}.npz: ids and values",
        )
    path = folder / f"{modality}.npz"
    return _from_arrays(load(path), path.name) if path.name in names else None


def _by_id(name: str, ids: Iterable[Any], rows: Iterable[np.ndarray]) -> Rows:
    called = [nfc(str(i)) for i in ids]
    if twice := [i for i, count in Counter(called).items() if count > 1]:
        raise UnusableError(f"{name} has {len(twice)} utterances more than once: {some(twice)}")
    return dict(zip(called, rows, strict=True))


def is_vectors(tree: Any) -> bool:
    """Whether arrays by name are those of one modality, by utterance."""
    needed = {"ids", "values"}
    return isinstance(tree, dict) and needed <= tree.keys() <= {*needed, "offsets"}


def read_vectors_by_id(tree: Any, name: str, modality: Modality | None) -> Contents:
    """Read one modality's file alone, which is lined up with a manifest by its ids.

    Raises:
        UnusableError: It is not in its form, or nothing shows its modality.
    """
    rows = _from_arrays(tree, name)
    turns = [Turn("", utterance) for utterance in rows]
    vectors = list(rows.values())
    return Contents("neutral", "other", turns, {modality or modality_of(name, vectors): vectors})


def _from_arrays(tree: Any, name: str) -> Rows:
    if not is_vectors(tree):
        raise UnusableError(
            f"{name} holds {described(tree)}, expected ids, values and, if wanted, offsets"
        )
    ids, values = tree["ids"], tree["values"]
    if not (is_array(ids, "U", 1) and is_array(values, "f", 2)):
        raise UnusableError(
            f"{name} has ids: {described(ids)}, values: {described(values)}; expected "
            "texts [N] and float32 [N, D], or [F, D] with offsets"
        )
    offsets = tree.get("offsets", np.arange(len(ids) + 1))
    whole = is_array(offsets, "iu", 1) and len(offsets) == len(ids) + 1
    steps = np.diff(offsets.astype(np.int64)) if whole else np.array([-1])
    if not whole or offsets[0] != 0 or (steps < 0).any() or offsets[-1] != len(values):
        raise UnusableError(
            f"{name} has {len(ids)} ids, {len(values)} values and the offsets "
            f"{described(offsets)}; expected one row by id, or N + 1 rising offsets from 0 to F"
        )
    bounds = offsets.tolist()
    return _by_id(name, ids.tolist(), (values[a:b] for a, b in pairwise(bounds)))
