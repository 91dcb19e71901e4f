"""A conversation to features, by the same steps, settings, encoders and cache as a corpus."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.base.errors import PipelineError
from pipeline.base.params import Params
from pipeline.base.paths import WITH_LEDGER, Places, places
from pipeline.base.settings import Role
from pipeline.features.audio import extract as audio
from pipeline.features.frames import extract as frames
from pipeline.features.text import extract as text
from pipeline.features.visual import extract as visual
from pipeline.records.features import Features, read_features
from pipeline.records.ledger import Problem
from pipeline.weights.folder import RECORD
from pipeline.weights.names import wanted

ROLES: dict[str, tuple[Role, ...]] = {
    "text": ("text",),
    "audio": ("audio",),
    "visual": ("faces", "visual"),
}


def places_of(corpus: str, folder: Path, stores: Path) -> Places:
    """Where the features of a conversation are read from and written to.

    Args:
        corpus: Whose encoders compute them.
        folder: Holds the clips.
        stores: Takes everything that is written.
    """
    return replace(
        places(corpus),
        name="conversation",
        raw=folder,
        manifest=stores / "manifest.parquet",
        frames=stores / "frames.parquet",
        stores={modality: stores / f"{modality}.parquet" for modality in ROLES},
        ledgers={step: stores / f"{step}-ledger.parquet" for step in WITH_LEDGER},
    )


def check_encoders(params: Params, corpus: str, where: Places, modalities: Sequence[str]) -> None:
    """Refuses to start without the encoders of a corpus.

    Raises:
        PipelineError: A folder is not there; the message has the command that makes it.
    """
    lacking = [
        role
        for role in _roles(modalities)
        if wanted(params, corpus, role) and not (where.encoders[role] / RECORD).is_file()
    ]
    if lacking:
        folders = ", ".join(str(where.encoders[role]) for role in lacking)
        targets = " ".join(_target(corpus, role) for role in lacking)
        raise PipelineError(
            f"The encoders that {corpus} was extracted with are not here: {folders}.\n"
            f"  next: dvc repro {targets}"
        )


def _target(corpus: str, role: Role) -> str:
    """The stage of DVC's that writes the folder of an encoder."""
    return f"finetune@{corpus}" if role == "text" else f"weights@{corpus}-{role}"


def _roles(modalities: Sequence[str]) -> Iterator[Role]:
    for modality in modalities:
        yield from ROLES[modality]


def provenance(
    params: Params, corpus: str, where: Places, modalities: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """By modality what its store will say of itself, but for the number of its features."""
    provenance = {}
    for modality in modalities:
        if modality == "visual":
            pictures = frames.provenance_of(params, corpus, where)
            provenance[modality] = visual.provenance_of(params, corpus, where, pictures)
        else:
            step = {"text": text, "audio": audio}[modality]
            provenance[modality] = step.provenance_of(params, corpus, where)
    return provenance


def extracted(
    params: Params, corpus: str, where: Places, modalities: Sequence[str]
) -> tuple[dict[str, Features], list[Problem]]:
    """Runs the feature steps; what the clip cache has is not computed.

    Args:
        params: The checked params.yaml.
        corpus: Whose settings are used.
        where: A manifest is there already.
        modalities: Which.

    Returns:
        The stores by modality, and what went wrong on the way.
    """
    problems: list[Problem] = []
    if "text" in modalities:
        text.extract(params, corpus, where)
    if "audio" in modalities:
        problems += audio.extract(params, corpus, where).problems
    if "visual" in modalities:
        problems += frames.extract(params, corpus, where).problems
        visual.extract(params, corpus, where)
    return {m: read_features(where.stores[m]) for m in modalities}, problems
