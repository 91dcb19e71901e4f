"""Folders with a file of vectors for each utterance: MERTools' and MERBench's, and EmoBox's."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from pipeline.base.folders import names_in
from pipeline.base.settings import MODALITIES, Modality
from pipeline.feature_files.containers import is_array, load
from pipeline.feature_files.contents import Contents, Turn
from pipeline.feature_files.naming import IEMOCAP_TURN, MELD_ID, modality_of
from pipeline.feature_files.refusal import UnusableError, described, some

NPY = ".npy"
EMOBOX = re.compile(r"(?:iemocap|meld)-.+")
FOLDER = re.compile(rf".+-(?:UTT|FRA)|.*(?:{'|'.join(MODALITIES)}).*")
CORPORA = {
    "whole_corpus": None, "train_corpus": "train", "val_corpus": "valid", "test_corpus": "test"
}  # fmt: skip
UNRATED = -10
ORDERED = "The order of turns in a dialogue is that of their names, as the folder has no other."


def npy_names(folder: Path) -> list[str]:
    """Names of the utterances that a folder has a file, or a folder of files, of."""
    names = names_in(folder)
    files = [name.removesuffix(NPY) for name in names if name.endswith(NPY)]
    return files or [name for name in names if _frames(folder / name)]


def _frames(folder: Path) -> list[Path]:
    names = names_in(folder) if folder.is_dir() else ()
    return [folder / name for name in names if name.endswith(NPY)]


def read_arrays(folder: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """[frame, feature] by name: of `NAME.npy`, or of all files in `NAME/` in the order of names.

    Raises:
        UnusableError: Together they do not fit into memory, or a file holds something else.
    """
    paths = {n: [p] if (p := folder / f"{n}{NPY}").exists() else _frames(folder / n) for n in names}
    size = sum(path.stat().st_size for files in paths.values() for path in files)
    if size > (there := psutil.virtual_memory().available):
        raise UnusableError(
            f"its files hold {size} bytes, and {there} are available",
            "use a machine with more memory",
        )
    rows = {name: [_vectors(path) for path in files] for name, files in paths.items()}
    if odd := [name for name, r in rows.items() if len({a.shape[1] for a in r}) != 1]:
        raise UnusableError(f"the frames of {some(odd)} are not of one width")
    return {name: r[0] if len(r) == 1 else np.concatenate(r) for name, r in rows.items()}


def _vectors(path: Path) -> np.ndarray:
    """[frame, feature]; MERTools squeezes what it reads, so that [T, 1] is one vector of T."""
    array: np.ndarray = load(path)
    if not is_array(array, "iuf", 1, 2):
        raise UnusableError(
            f"{path.name} holds {described(array)}, expected [feature] or [frame, feature]"
        )
    return array.reshape(1, -1) if array.ndim == 1 or array.shape[1] == 1 else array


def read_emobox(folder: Path) -> Contents:
    """Read EmoBox's folder: sound by key, labels from the JSON lines beside it."""
    names, found = npy_names(folder), dict[str, Any]()
    for place in (folder, folder.parent):
        for path in (place / name for name in names_in(place) if name.endswith(".jsonl")):
            tree = load(path)
            lines = tree if isinstance(tree, list) else [tree]
            found |= {str(r.get("key")): r.get("emo") for r in lines if isinstance(r, dict)}
    # In the order of the lines, which is that of the dialogues.
    there = set(names)
    labels = {key: label for key, label in found.items() if key in there} | {
        name: None for name in names if name not in found
    }
    labelled = any(labels.values())
    if odd := [name for name, label in labels.items() if labelled and not isinstance(label, str)]:
        raise UnusableError(f"{len(odd)} files have no label in its JSON lines: {some(odd)}")
    arrays = {_bare(name): rows for name, rows in read_arrays(folder, labels).items()}
    bare = {_bare(name): {"emo": label} for name, label in labels.items()}
    contents = _contents("emobox", bare, {"audio": arrays}, {})
    apart = ("four", "four_no_exc") if contents.corpus == "iemocap" and labelled else None
    return replace(contents, label_sets=apart)


def _bare(key: str) -> str:
    return key.partition("-")[2] if EMOBOX.fullmatch(key) else key


def read_mertools(folder: Path, modality: Modality | None = None) -> Contents:
    """Read a folder of MERTools: vectors of one modality, or a folder of each; labels as npz.

    Raises:
        UnusableError: A folder does not show its modality, or its files are others.
    """
    apart = [n for n in names_in(folder) if FOLDER.fullmatch(n) and npy_names(folder / n)]
    by_modality: dict[str, dict[str, np.ndarray]] = {}
    for home in [folder / name for name in apart] or [folder]:
        known = modality if modality and not apart else modality_of(home.name)
        if known in by_modality:
            raise UnusableError(f"{home.name} is its second folder of {known}", "move one away")
        by_modality[known] = read_arrays(home, npy_names(home))
    there = {name: None for arrays in by_modality.values() for name in arrays}
    # MERBench has label files of four and of six classes: the smallest that knows all utterances.
    every = sorted(_labels(folder), key=lambda pair: len(pair[0]))
    labels, as_file = next((pair for pair in every if there.keys() <= pair[0].keys()), ({}, {}))
    if every and not labels:
        unknown = [name for name in there if name not in every[-1][0]]
        raise UnusableError(f"{len(unknown)} files are in none of its labels: {some(unknown)}")
    return _contents("mertools", labels or {name: {} for name in there}, by_modality, as_file)


def _labels(folder: Path) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    """Yield the labels of each of MERBench's npz in the folder or beside it, and their splits."""
    places = [place / name for place in (folder, folder.parent) for name in names_in(place)]
    for path in (p for p in places if p.suffix == ".npz" and "label" in p.name.lower()):
        tree = load(path)
        if not CORPORA.keys() & tree.keys():
            continue
        labels: dict[str, Any] = {}
        as_file: dict[str, str] = {}
        for corpus, split in CORPORA.items():
            found = tree.get(corpus, {})
            if not isinstance(found, dict) or not all(isinstance(v, dict) for v in found.values()):
                raise UnusableError(f"{path.name} holds as {corpus} {described(found)}")
            if twice := labels.keys() & found.keys():
                raise UnusableError(f"{path.name} has names in two corpora: {some(sorted(twice))}")
            labels |= {str(name): label for name, label in found.items()}
            as_file |= {str(name): split for name in found if split}
        yield labels, as_file


def _contents(
    layout: str,
    labels: Mapping[str, Mapping[str, Any]],
    by_modality: Mapping[str, Mapping[str, np.ndarray]],
    as_file: Mapping[str, str],
) -> Contents:
    """Turns of the names, dialogue by dialogue, in order of the labels or else of names."""
    iemocap = all(map(IEMOCAP_TURN.fullmatch, labels))
    corpus = "iemocap" if iemocap else "meld" if all(map(MELD_ID.fullmatch, labels)) else "other"
    turns = {name: _turn(corpus, name, label) for name, label in labels.items()}
    order, remarks = sorted(turns), [ORDERED]
    if corpus == "meld":
        order, remarks = sorted(turns, key=_meld_place), []
    elif any(label.get("emo") is not None for label in labels.values()):
        firsts = {turn.dialogue: n for n, turn in enumerate(reversed(turns.values()))}
        order, remarks = sorted(turns, key=lambda name: -firsts[turns[name].dialogue]), []
    return Contents(
        layout,
        corpus,
        [turns[name] for name in order],
        {m: [arrays.get(name) for name in order] for m, arrays in by_modality.items()},
        remarks=remarks,
        as_file={turns[name].dialogue: split for name, split in as_file.items()},
    )


def _meld_place(name: str) -> tuple[int, int, int]:
    split, dialogue, utterance, behind = MELD_ID.fullmatch(name).groups()  # type: ignore[union-attr]
    before = ("train", "dev", "val", "test", None).index(split or behind)
    return before, int(dialogue), int(utterance)


def _turn(corpus: str, name: str, label: Mapping[str, Any]) -> Turn:
    emotion, valence = label.get("emo"), label.get("val")
    turn = Turn(
        name,
        name,
        emotion=None if emotion is None else str(emotion),
        valence=valence if isinstance(valence, int | float) and valence != UNRATED else None,
    )
    if corpus == "iemocap" and (match := IEMOCAP_TURN.fullmatch(name)):
        speaker = f"Ses0{name[4]}{match[2]}"
        return replace(turn, dialogue=match[1], speaker=speaker, session=name[4])
    if corpus == "meld" and (match := MELD_ID.fullmatch(name)):
        split = (match[1] or match[4] or "").replace("val", "dev")
        dialogue = f"{split}/dia{int(match[2])}" if split else f"dia{int(match[2])}"
        called = f"{dialogue}_utt{int(match[3])}"
        return replace(turn, dialogue=dialogue, utterance=called, split=split or None)
    return turn
