"""Read a file or folder of published features, of whatever layout it is."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.base.folders import names_in
from pipeline.base.settings import Modality
from pipeline.feature_files.by_dialogue import (
    FEATURES,
    SPEAKERS,
    is_dag_erc,
    read_baseline,
    read_dag_erc,
    read_multiemo,
    read_vectors,
)
from pipeline.feature_files.by_utterance import EMOBOX, npy_names, read_emobox, read_mertools
from pipeline.feature_files.classes import named
from pipeline.feature_files.containers import error_for, load
from pipeline.feature_files.contents import Contents
from pipeline.feature_files.known import KNOWN, fingerprints, trained_on
from pipeline.feature_files.mmsa import is_mmsa, read_mmsa
from pipeline.feature_files.naming import speaker_of
from pipeline.feature_files.neutral import (
    is_neutral,
    is_vectors,
    read_neutral,
    read_vectors_by_id,
)
from pipeline.feature_files.refusal import TAKE, UnusableError, described, some
from pipeline.feature_files.tuples import read_tuple

LARGEST_DIMENSION = 65_536


def read(
    path: Path, classes: Sequence[str] | None = None, modality: Modality | None = None
) -> Contents:
    """Read a file, or a folder of files that belong together.

    Args:
        path: Which; no name but those inside some folders matters.
        classes: Names of the emotions by class number, where the user states them.
        modality: Of the vectors of a file that holds one and does not say which.

    Raises:
        PipelineError: It holds anything but data, is damaged, is of no known layout, or its parts
            contradict each other.
    """
    try:
        contents, stated = _contents(path, classes, modality)
        _check(contents)
        contents = named(contents, stated)
    except UnusableError as error:
        raise error_for(path, error) from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # A file may hold anything anywhere; what no check foresaw is no bug of the user's.
        odd = UnusableError(f"its parts are not those of its layout ({type(error).__name__})")
        raise error_for(path, odd) from error
    files = [path] if path.is_file() else [path / name for name in (SPEAKERS, *FEATURES)]
    hashes = {file: fingerprints(file) for file in files if file.is_file()}
    known = [KNOWN[digest] for both in hashes.values() for digest in both if digest in KNOWN]
    return replace(
        contents,
        trained_on=trained_on(contents, known[0] if path.is_file() and known else None),
        known_as=", ".join(file.name for file in known) or None,
        sha256=hashes[path][0] if path in hashes else None,
    )


def _contents(
    path: Path, classes: Sequence[str] | None, modality: Modality | None
) -> tuple[Contents, Sequence[str] | None]:
    """The contents before classes have names, and the order of classes that somebody stated."""
    if not path.is_dir():
        return _of_tree(load(path), path.name, modality), classes
    names = names_in(path)
    if is_neutral(path):
        return read_neutral(path, classes)
    if SPEAKERS in names:
        return read_multiemo(path), classes
    if is_dag_erc(path):
        return read_dag_erc(path), classes
    if any(map(EMOBOX.fullmatch, utterances := npy_names(path))):
        return read_emobox(path), classes
    if utterances or any(npy_names(path / name) for name in names):
        return read_mertools(path, modality), classes
    files = [name for name in names if name.endswith((".pkl", ".p", ".pt", ".npz"))]
    advice = f"name the file in it: {path / files[0]}" if len(files) == 1 else TAKE
    raise UnusableError(
        f"it is a folder of no known layout and holds {some(names) or 'nothing'}", advice
    )


def _of_tree(tree: Any, name: str, modality: Modality | None) -> Contents:
    """The contents of one file."""
    if is_mmsa(tree):
        return read_mmsa(tree)
    if is_vectors(tree):
        return read_vectors_by_id(tree, name, modality)
    if isinstance(tree, dict) and tree:
        return read_vectors(tree, name, modality)
    if isinstance(tree, list | tuple):
        dicts = [isinstance(part, dict) for part in tree]
        if len(dicts) == 3 and all(dicts):
            return read_baseline(tree, name, modality)
        if any(dicts):
            return read_tuple(tree)
    raise UnusableError(
        f"it holds {described(tree)}, which no layout has; where the file is one of several, such "
        "as DAG-ERC's JSON or MELD's labels, name the folder that it lies in"
    )


def _check(contents: Contents) -> None:
    """Refuse what no layout may have: ids that repeat or are others', vectors of several widths."""
    turns = contents.turns
    counts = Counter(turn.utterance for turn in turns if turn.utterance is not None)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise UnusableError(f"it has {len(twice)} utterances more than once: {some(twice)}")
    if odd := [turn.utterance for turn in turns if turn.speaker != speaker_of(turn)]:
        raise UnusableError(f"its speakers are not those of {len(odd)} ids: {some(odd)}")
    for name, rows in contents.vectors.items():
        widths = [0 if row is None or not len(row) else row.shape[1] for row in rows]
        common = max(Counter(filter(None, widths)).items(), key=lambda n: n[1], default=(0, 0))[0]
        if not 0 < common <= LARGEST_DIMENSION:
            raise UnusableError(
                f"its {name} vectors have {common} features, expected 1 to {LARGEST_DIMENSION}"
            )
        pairs = zip(turns, rows, widths, strict=True)
        if odd := [turn.dialogue for turn, row, n in pairs if row is not None and n != common]:
            dialogues = list(dict.fromkeys(odd))
            raise UnusableError(
                f"its {name} vectors have {common} features, but others, or none, in "
                f"{len(dialogues)} dialogues: {some(dialogues)}"
            )
