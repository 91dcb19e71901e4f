"""A conversation to features, by the same stages, settings, encoders and cache as a corpus."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.base.errors import PipelineError
from pipeline.base.params import Params
from pipeline.base.paths import WITH_LEDGER, Places, places
from pipeline.base.settings import Role
from pipeline.corpora.inspect import inspected
from pipeline.features.audio import extract as audio
from pipeline.features.common.settings import ExtractSettings
from pipeline.features.frames import extract as frames
from pipeline.features.text import extract as text
from pipeline.features.visual import extract as visual
from pipeline.prediction.conversation import NO_CLIP
from pipeline.records.features import FLOATS, Features, read_features
from pipeline.records.ledger import Problem
from pipeline.records.manifest import Utterance
from pipeline.weights.folder import RECORD
from pipeline.weights.names import wanted

ROLES: dict[str, tuple[Role, ...]] = {
    "text": ("text",),
    "audio": ("audio",),
    "visual": ("faces", "visual"),
}


def places_of(corpus: str, folder: Path, stores: Path) -> Places:
    """The encoders of a corpus, a conversation's `folder`, and `stores` for all that is written."""
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
    """Refuse to start without the encoders of a corpus.

    Raises:
        PipelineError: A modality was imported, so that there is no encoder of it; or a folder is
            not there: the message has the command that makes it.
    """
    imported = params.of(ExtractSettings, corpus).imported
    if others := [f"{m} ({imported[m]})" for m in modalities if m in imported]:
        raise PipelineError(
            f"The model reads features of {corpus} that others computed: {', '.join(others)}. "
            "Nothing here can compute such vectors of a new conversation: take a model that was "
            "trained on features that were extracted here."
        )
    lacking = [
        role
        for modality in modalities
        for role in ROLES[modality]
        if wanted(params, corpus, role) and not (where.encoders[role] / RECORD).is_file()
    ]
    if lacking:
        folders = ", ".join(str(where.encoders[role]) for role in lacking)
        targets = (
            f"finetune@{corpus}" if role == "text" else f"weights@{corpus}-{role}"
            for role in lacking
        )
        raise PipelineError(
            f"The encoders that {corpus} was extracted with are not here: {folders}.\n"
            f"  next: dvc repro {' '.join(targets)}"
        )


def provenance(
    params: Params, corpus: str, where: Places, modalities: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Provenance of the stores by modality, as these settings and encoders would make them.

    Without the number of features, which is known once there are some.
    """
    pictures = frames.provenance_of(params, corpus, where) if "visual" in modalities else {}
    made: dict[str, Callable[[Params, str, Places], dict[str, Any]]] = {
        "text": text.provenance_of,
        "audio": audio.provenance_of,
        "visual": partial(visual.provenance_of, frames=pictures),
    }
    return {modality: made[modality](params, corpus, where) for modality in modalities}


def inspect(
    utterances: Sequence[Utterance], folder: Path, max_seconds: float, modalities: Sequence[str]
) -> tuple[list[Utterance], list[Problem]]:
    """Open every clip in a folder once, as the stage `manifest` does.

    Args:
        utterances: As `read_conversation` gives them.
        folder: That clips are relative to.
        max_seconds: Longer segments are cut to this.
        modalities: Those the system reads; problems of others are left out.

    Returns:
        The utterances with digests and ends, and the ledger, in order.
    """
    with_clip = [u for u in utterances if _clip(u)]
    done, problems = inspected(with_clip, folder, max_seconds, "clips conversation", modalities)
    whole = {u.utterance: u for u in done}
    every = [p for u in utterances for p in _lacking(u)] + problems
    place = {u.utterance: number for number, u in enumerate(utterances)}
    read = [problem for problem in every if problem.modality in modalities]
    read.sort(key=lambda problem: place[problem.utterance])
    return [whole.get(u.utterance, u) for u in utterances], read


def _clip(u: Utterance) -> bool:
    return u.video is not None and u.video.missing is None


def _lacking(u: Utterance) -> Iterator[Problem]:
    if not u.text.strip():
        yield Problem(u.utterance, "text", "no_text", "its row has no words")
    if not _clip(u):
        yield Problem(u.utterance, "audio", NO_CLIP, "its row names no clip")
        yield Problem(u.utterance, "visual", NO_CLIP, "its row names no clip")


def extracted(
    params: Params, corpus: str, where: Places, dimensions: Mapping[str, int]
) -> tuple[dict[str, Features], list[Problem]]:
    """Run the feature stages on a manifest; what the clip cache has is not computed.

    Args:
        params: The checked params.yaml.
        corpus: Whose settings are used.
        where: A manifest is there already.
        dimensions: Features by modality: a store in which no utterance has the modality is made as
            wide, as nobody knows how wide an encoder's vectors are that computed none.

    Returns:
        The stores by modality, and what went wrong on the way.
    """
    problems: list[Problem] = []
    if "text" in dimensions:
        text.extract(params, corpus, where)
    if "audio" in dimensions:
        problems += audio.extract(params, corpus, where).problems
    if "visual" in dimensions:
        problems += frames.extract(params, corpus, where).problems
        visual.extract(params, corpus, where)
    stores = {m: _wide(read_features(where.stores[m]), width) for m, width in dimensions.items()}
    return stores, problems


def _wide(store: Features, dimension: int) -> Features:
    if store.present.any():
        return store
    provenance = {**store.provenance, "dimension": dimension}
    return replace(store, values=np.zeros((0, dimension), FLOATS), provenance=provenance)
