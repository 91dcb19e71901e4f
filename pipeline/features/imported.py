"""Vectors that others published as a feature store, lined up with the manifest."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.base.display import say
from pipeline.base.errors import PipelineError
from pipeline.base.params import Params
from pipeline.base.paths import Places
from pipeline.base.settings import Modality, TrainedOn
from pipeline.corpora.reader import Reader
from pipeline.corpora.registry import KNOWN
from pipeline.corpora.tree import spelled
from pipeline.feature_files.align import aligned
from pipeline.feature_files.contents import TEXT_LAYERS, Contents, Vectors
from pipeline.feature_files.read import read
from pipeline.features.common.settings import ExtractSettings
from pipeline.records.features import FLOATS, write_features
from pipeline.records.manifest import Utterance, read_manifest, read_origin

IMPORTED = "imported"  # the extractor in a store's provenance


def import_features(params: Params, corpus: str, places: Places, modality: Modality) -> None:
    """Write the store of a modality from the file that `extract.imported` names.

    Raises:
        PipelineError: The file cannot be read, is not of this corpus, lacks the modality, or holds
            a value that is not finite.
    """
    settings = params.of(ExtractSettings, corpus)
    reader = KNOWN[read_origin(places.manifest).reader]
    utterances = read_manifest(places.manifest)
    found = find_features(settings, reader, utterances, places.raw, modality)
    provenance = _provenance(found, modality, settings)
    present, dimension = write_features(places.stores[modality], found.rows, provenance)
    say(f"{modality}: {present} utterances, {dimension} features, from {found.path}")
    say("".join(f"  note: {note}\n" for note in found.notes), end="")


@dataclass(frozen=True)
class Found:
    """The vectors of a modality, by utterance."""

    path: Path
    contents: Contents
    rows: Sequence[tuple[str, np.ndarray | None]]
    """[frame, feature] float32 of each utterance, None where it has none."""

    notes: Sequence[str]
    trained_on: TrainedOn


def find_features(
    settings: ExtractSettings,
    reader: Reader,
    utterances: Sequence[Utterance],
    raw: Path,
    modality: Modality,
) -> Found:
    """Read the file of a modality, and line it up with the utterances of a corpus.

    Args:
        settings: Which file, and what is done about zeros and NaN.
        reader: That of the corpus whose utterances these are.
        utterances: Of the manifest.
        raw: The raw folder of the corpus.
        modality: Which.

    Raises:
        PipelineError: As `import_features`.
    """
    path = raw / spelled(raw, settings.imported[modality])
    contents = read(path, modality=modality)
    vectors = _chosen(path, contents, modality, settings)
    places = _aligned(path, contents, utterances, reader)
    cells = [None if place is None else vectors[place] for place in places]
    rows = list(_kept(path, utterances, cells, settings, modality))
    seen = _trained_on(path, contents, modality, settings)
    return Found(path, contents, rows, list(_notes(contents, cells, rows)), seen)


def _trained_on(
    path: Path, contents: Contents, modality: Modality, settings: ExtractSettings
) -> TrainedOn:
    """What is known of the file, or else what the user states."""
    known = contents.trained_on.get(modality, "unknown")
    stated = settings.trained_on.get(modality, known)
    if known not in ("unknown", stated):
        raise PipelineError(
            f"{path}: the encoder of its {modality} has seen the labels of {known}, and "
            f"CORPUS.extract.trained_on.{modality} is {stated!r}: leave it out."
        )
    return stated


def _aligned(
    path: Path, contents: Contents, utterances: Sequence[Utterance], reader: Reader
) -> list[int | None]:
    unlabelled = not any(turn.emotion for turn in contents.turns)
    policies = list(reader.label_policies) if unlabelled else [contents.label_policy]
    for name in policies[:-1]:  # nothing shows which turns were left out: the lengths tell
        with suppress(PipelineError):
            return _aligned_by(name, path, contents, utterances, reader)
    return _aligned_by(policies[-1], path, contents, utterances, reader)


def _aligned_by(
    name_of_policy: str,
    path: Path,
    contents: Contents,
    utterances: Sequence[Utterance],
    reader: Reader,
) -> list[int | None]:
    policy = reader.label_policies.get(name_of_policy)
    name = next(iter(contents.label_sets or reader.label_sets), "")
    label_set = reader.label_sets.get(name)
    if policy is None or label_set is None or label_set.column != "emotion":
        return aligned(path, contents, utterances, [u.emotion for u in utterances], {})
    numbers = [label_set.index(policy.code(u)) for u in utterances]
    classes = [None if n is None else label_set.classes[n] for n in numbers]
    return aligned(path, contents, utterances, classes, label_set.codes)


def _chosen(
    path: Path, contents: Contents, modality: Modality, settings: ExtractSettings
) -> Vectors:
    if modality not in contents.vectors:
        raise PipelineError(
            f"{path} holds {sorted(contents.vectors)} by the layout {contents.layout!r}, and no "
            f"{modality}: take CORPUS.extract.imported.{modality} out, or name another file."
        )
    if modality != "text" or settings.layers == "first":
        return contents.vectors[modality]
    layers = [contents.vectors[name] for name in TEXT_LAYERS if name in contents.vectors]
    if len(layers) != len(TEXT_LAYERS):
        raise PipelineError(
            f"{path} has one layer of text, and CORPUS.extract.layers is {settings.layers!r}: set "
            "it to first."
        )
    return [
        None if any(part is None for part in parts) else _joined(path, parts, settings.layers)
        for parts in zip(*layers, strict=True)
    ]


def _joined(path: Path, parts: Sequence[Any], layers: str) -> np.ndarray:
    if layers == "mean" and len({part.shape for part in parts}) > 1:
        raise PipelineError(f"{path}: its layers of text differ in shape: set layers to first.")
    if layers == "concat":
        return np.concatenate(parts, axis=1)
    mean: np.ndarray = np.stack(parts).mean(axis=0, dtype=np.float64)
    return mean


def _kept(
    path: Path,
    utterances: Sequence[Utterance],
    cells: Sequence[np.ndarray | None],
    settings: ExtractSettings,
    modality: Modality,
) -> Iterator[tuple[str, np.ndarray | None]]:
    """Yield [frame, feature] float32 of each utterance; text and audio have one frame."""
    for u, cell in zip(utterances, cells, strict=True):
        zeros = cell is not None and cell.shape[1] > 1 and not cell.any()
        if cell is None or not len(cell) or (zeros and settings.zeros == "missing"):
            yield u.utterance, None
            continue
        with np.errstate(over="ignore"):
            vectors = cell.astype(FLOATS)
        if not np.isfinite(vectors).all():
            if settings.nonfinite == "refuse":
                raise PipelineError(
                    f"{path}: the {modality} of {u.utterance} holds NaN or infinities (or more "
                    "than float32 can hold); `nonfinite: missing` in CORPUS.extract masks such "
                    "utterances."
                )
            yield u.utterance, None
        elif modality == "visual":
            yield u.utterance, vectors
        else:
            yield u.utterance, vectors.mean(0, dtype=np.float64, keepdims=True).astype(FLOATS)


def _notes(
    contents: Contents,
    cells: Sequence[np.ndarray | None],
    kept: Sequence[tuple[str, np.ndarray | None]],
) -> Iterator[str]:
    absent = sum(cell is None for cell in cells)
    masked = sum(vectors is None for _, vectors in kept) - absent
    turns = contents.turns
    if not any(t.utterance or t.emotion or t.text for t in turns):
        yield "the file has no ids, labels or words: only the lengths of dialogues were compared"
    if absent:
        yield f"{absent} utterances are not in the file; the modality is masked there"
    if masked:
        yield f"{masked} vectors of zeros alone, or that are not finite, are masked"


def _provenance(found: Found, modality: Modality, settings: ExtractSettings) -> dict[str, Any]:
    contents = found.contents
    known = {"known_as": contents.known_as, "sha256": contents.sha256}
    return {
        "extractor": IMPORTED,
        "settings": settings.model_dump(include={"layers", "zeros", "nonfinite"}),
        "file": found.path.name,
        "layout": contents.layout,
        **{name: value for name, value in known.items() if value is not None},
        "trained_on": found.trained_on,
    }
