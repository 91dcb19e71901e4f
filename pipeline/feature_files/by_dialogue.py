"""Layouts of several files by dialogue: MultiEMO's, DAG-ERC's, and those of MELD's own baseline."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.base.folders import names_in
from pipeline.base.settings import MODALITIES, Modality
from pipeline.feature_files.classes import corpus_with
from pipeline.feature_files.containers import is_array, load
from pipeline.feature_files.contents import Contents, Turn, Vectors
from pipeline.feature_files.naming import IEMOCAP, MELD_ABSENT, modality_of, speakers
from pipeline.feature_files.refusal import UnusableError, described, some
from pipeline.feature_files.tuples import contents_of, kind_of, read_tuple

SPEAKERS = "Speakers.pkl"
FEATURES = {f"{modality.title()}Features.pkl": modality for modality in MODALITIES}
# By the number of features, where the name of a file does not show its modality.
MULTIEMO: dict[int, Modality] = {768: "text", 512: "audio", 1000: "visual"}
BASELINE: dict[int, Modality] = {100: "text", 600: "text", 1611: "audio", 1422: "audio"}
DAG_ERC = re.compile(r"(train|dev|test)_data.*\.json.*")
TURN_KEY = re.compile(r"([0-9]{1,6})(?:_([0-9]{1,6}))?", re.ASCII)
# MELD's dialogues and turns.
MELD = {"train": (1038, 9989), "dev": (114, 1109), "test": (280, 2610)}
AS_FILE = {"train": "train", "dev": "valid", "test": "test"}
ALONE = "It holds vectors alone: labels, speakers and texts must come from elsewhere."


def read_multiemo(folder: Path) -> Contents:
    """Read MultiEMO's folder: speakers, labels and split of a tuple, vectors of a dict by modality.

    Raises:
        UnusableError: The files do not fit each other.
    """
    tree = load(folder / SPEAKERS)
    if not isinstance(tree, list | tuple):
        raise UnusableError(f"{SPEAKERS} holds {described(tree)}, expected a tuple")
    whole = replace(read_tuple(tree), layout="multiemo", vectors={})  # the tuple's are others
    del tree
    vectors: dict[str, Vectors] = {}
    for name, modality in FEATURES.items():
        if (folder / name).is_file():
            other = read_vectors(load(folder / name), name, modality)
            vectors[modality] = _in_order(whole.turns, other, name)
    return replace(whole, vectors=vectors)


def _in_order(turns: Sequence[Turn], other: Contents, name: str) -> Vectors:
    """The vectors of a file in the order of the turns of another."""
    (vectors,) = other.vectors.values()
    rows: dict[str, list[np.ndarray | None]] = {}
    for turn, row in zip(other.turns, vectors, strict=True):
        rows.setdefault(turn.dialogue, []).append(row)
    counts = Counter(turn.dialogue for turn in turns)
    if differing := sorted(d for d in {*rows, *counts} if len(rows.get(d, ())) != counts[d]):
        raise UnusableError(
            f"{len(differing)} dialogues have not as many vectors in {name} as turns: "
            + some(f"{d} ({len(rows.get(d, ()))} for {counts[d]})" for d in differing)
        )
    return [row for dialogue in counts for row in rows[dialogue]]


def read_vectors(tree: Any, name: str, modality: Modality | None = None) -> Contents:
    """Read a dict of vectors by dialogue: one modality without labels, speakers or texts."""
    if kind_of(tree) != "vectors":
        raise UnusableError(f"it holds {described(tree)}, expected vectors by dialogue")
    contents = contents_of("multiemo", {"text": tree})
    (vectors,) = contents.vectors.values()
    known = modality or modality_of(name, vectors, MULTIEMO)
    return replace(contents, vectors={known: vectors}, remarks=[ALONE])


def is_dag_erc(folder: Path) -> bool:
    """Whether a folder is of DAG-ERC's layout."""
    return any(map(DAG_ERC.fullmatch, names_in(folder)))


def read_dag_erc(folder: Path) -> Contents:
    """Read DAG-ERC's folder: a JSON list of dialogues for each split, labels are names.

    Raises:
        UnusableError: A file is not in this form.
    """
    found = [match for match in map(DAG_ERC.fullmatch, names_in(folder)) if match]
    files = {match[1]: folder / match[0] for match in found}
    if len(files) < len(found):
        raise UnusableError(
            f"it holds {some(m[0] for m in found)}: two of a split", "move one away"
        )
    lists = {split: _dialogue_list(files[split]) for split in MELD if split in files}
    rows = [row for listed in lists.values() for dialogue in listed for row in dialogue]
    corpus = corpus_with({row["label"] for row in rows if row.get("label")})
    by_speakers = all(IEMOCAP.fullmatch(row["speaker"].rpartition("_")[0]) for row in rows)
    if by_speakers or corpus == "iemocap":
        corpus = "iemocap" if by_speakers else "other"
    turns: list[Turn] = []
    as_file = {}
    for split, listed in lists.items():
        for number, dialogue in enumerate(listed):
            whole_meld = corpus == "meld" and len(listed) == MELD[split][0]
            gap = whole_meld and split == "train" and number >= MELD_ABSENT
            name = f"{split}/dia{number + gap}" if whole_meld else f"{split}/{number}"
            made = list(_dag_erc_turns(corpus, name, split, dialogue))
            as_file[made[0].dialogue] = AS_FILE[split]
            turns += made
    vectors = [row["cls"][None] if "cls" in row else None for row in rows]
    remarks = [] if corpus == "iemocap" else [
        "Its dialogues have no ids: they are called by their place in the file"
        + (f", as MELD's without the absent {MELD_ABSENT}." if corpus == "meld" else ".")
    ]  # fmt: skip
    held = {"text": vectors} if any(row is not None for row in vectors) else {}
    return Contents("dag_erc", corpus, turns, held, remarks=remarks, as_file=as_file)


def _dialogue_list(path: Path) -> list[list[dict[str, Any]]]:
    tree = load(path)
    rows = [dialogue if isinstance(dialogue, list) else [] for dialogue in tree or ()]
    if not isinstance(tree, list) or not all(row and all(map(_is_row, row)) for row in rows):
        raise UnusableError(
            f"{path.name} holds {described(tree)}, expected a list of dialogues, each a list of "
            "{text, speaker, label, cls}, cls a list of numbers"
        )
    return rows


def _is_row(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and isinstance(row.get("text"), str)
        and isinstance(row.get("speaker"), str)
        and isinstance(row.get("label"), str | None)
        and isinstance(row.get("cls", np.zeros(1)), np.ndarray)
    )


def _dag_erc_turns(
    corpus: str, name: str, split: str, dialogue: Sequence[Mapping[str, Any]]
) -> Iterator[Turn]:
    given, session = [row["speaker"] for row in dialogue], None
    if corpus == "iemocap":  # `Ses01F_impro01_F`
        name, *others = dict.fromkeys(voice.rpartition("_")[0] for voice in given)
        if others:
            raise UnusableError(f"a dialogue has speakers of {name} and {some(others)}")
        given, session = [voice[-1] for voice in given], name[4]
    for row, voice in zip(dialogue, speakers(corpus, name, given), strict=True):
        official = None if session else split
        yield Turn(
            name, None, voice, row["text"], row.get("label"), split=official, session=session
        )


def read_baseline(tree: Sequence[Any], name: str, modality: Modality | None = None) -> Contents:
    """Read a file of MELD's own baseline: dicts of train, dev and test.

    The keys are of turns (`0_3`), each with a vector, or of dialogues (`0`), each with the vectors
    of 33 turns, zeros behind the last.

    Raises:
        UnusableError: Its keys or vectors are others.
    """
    rows: dict[tuple[str, int, int], np.ndarray] = {}
    padded = False
    for split, by_key in zip(MELD, tree, strict=True):
        for key, value in by_key.items():
            match = TURN_KEY.fullmatch(str(key))
            if match and match[2] and is_array(value, "f", 1):
                rows[split, int(match[1]), int(match[2])] = value[None]
            elif match and not match[2] and is_array(value, "f", 2):
                padded = True
                last = max(np.flatnonzero(value.any(axis=1)), default=0)
                rows |= {(split, int(match[1]), n): value[n : n + 1] for n in range(last + 1)}
            else:
                raise UnusableError(f"its key {some([key])} of {split} holds {described(value)}")
    order = sorted(rows, key=lambda place: ([*MELD].index(place[0]), *place[1:]))
    turns = [
        Turn(f"{split}/dia{n}", None if padded else f"{split}/dia{n}_utt{place}", split=split)
        for split, n, place in order
    ]
    vectors = [rows[place] for place in order]
    remarks = [ALONE]
    if padded:
        remarks.append(
            "Its vectors are those of a network that has read the whole dialogue. Rows of zeros "
            f"behind the last turn were taken off: {len(turns)} turns are left (published "
            f"{sum(count for _, count in MELD.values())})."
        )
    known = modality or modality_of(name, vectors, BASELINE)
    return Contents("meld_baseline", "meld", turns, {known: vectors}, remarks=remarks)
