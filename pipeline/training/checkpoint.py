"""Checkpoints: weights, statistics and everything needed to rebuild the model, in safetensors."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pipeline.base.errors import PipelineError
from pipeline.base.files import METADATA_KEY, replacing
from pipeline.systems.mcn_cl import MCNCL

VERSION = "checkpoint/2"
NOT_COMPARED = ("versions", "compute", "batch_size", "tokens_per_batch", "licence")
"""Of a store's provenance: they move the last bits of a feature at most, not what it means."""


def save_checkpoint(path: Path, state: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Writes a checkpoint, whole or not at all.

    Args:
        path: Where to.
        state: The model's state dict, normalisation included.
        facts: `corpus` (whose settings made the features), `model` (arguments of MCNCL),
            `classes`, `features` (provenance by modality) and whatever else tells where the
            weights come from; JSON can hold it.
    """
    # One JSON string under one key: with several keys safetensors' bytes vary between processes.
    text = json.dumps({"version": VERSION, **facts}, sort_keys=True)
    with replacing(path) as part:
        save_file({k: v.contiguous() for k, v in state.items()}, part, {METADATA_KEY: text})


def load_checkpoint(
    path: Path, stores: Mapping[str, Mapping[str, Any]]
) -> tuple[MCNCL, dict[str, Any]]:
    """Rebuilds a model, ready to predict.

    Args:
        path: Of the checkpoint.
        stores: By modality, the provenance of the features it is to read (`Features.provenance`).

    Returns:
        The model in evaluation mode on the CPU, and the facts it was saved with.

    Raises:
        PipelineError: The file is absent, damaged, or no checkpoint of this version; or the stores
            are not made as those it was trained on: every difference is named.
    """
    facts = read_facts(path)
    check_features(path, facts, stores)
    with _opened(path) as file:
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    try:
        model = MCNCL(**facts["model"])
        model.load_state_dict(state)
    except (TypeError, RuntimeError) as error:
        raise PipelineError(
            f"{path} does not fit the model as its code is here; take the code it was trained "
            f"with, or train again.\n{error}"
        ) from error
    return model.eval(), facts


def read_facts(path: Path) -> dict[str, Any]:
    """The facts a checkpoint was saved with, without its weights.

    Raises:
        PipelineError: The file is absent, damaged, or no checkpoint of this version.
    """
    with _opened(path) as file:
        text = (file.metadata() or {}).get(METADATA_KEY)
    if text is None:
        raise PipelineError(f"{path} is no checkpoint of this pipeline; `dvc repro` trains some.")
    facts: dict[str, Any] = json.loads(text)
    if facts.get("version") != VERSION:
        raise PipelineError(
            f"{path} is {facts.get('version')!r}, expected {VERSION!r}; train again: "
            "`dvc repro train@CORPUS`."
        )
    return facts


def check_features(
    path: Path, facts: Mapping[str, Any], stores: Mapping[str, Mapping[str, Any]]
) -> None:
    """Refuses features that are not made as those a checkpoint was trained on.

    Args:
        path: Of the checkpoint.
        facts: It was saved with.
        stores: By modality, the provenance of the features it is to read (`Features.provenance`).

    Raises:
        PipelineError: Every difference is named.
    """
    if different := differences(facts["features"], stores):
        raise PipelineError(
            f"{path} was trained on other features:\n"
            + "\n".join(f"  {line}" for line in different)
            + "\nGive params.yaml the settings it was trained with and run `dvc repro` for the "
            "encoders, or train again."
        )


def differences(
    trained: Mapping[str, Mapping[str, Any]], stores: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """A line for each fact in which features differ from those of a training.

    Args:
        trained: By modality, the provenance of the features of the training.
        stores: Likewise of others; there may be further modalities.
    """
    return [line for m, about in trained.items() for line in _compare(m, about, stores)]


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, "pt") as file:
            yield file
    except (OSError, SafetensorError) as error:
        raise PipelineError(f"{path} cannot be read as a checkpoint: {error}") from error


def _compare(
    modality: str, trained: Mapping[str, Any], stores: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """A line for each fact in which a store differs from the one of the training."""
    if modality not in stores:
        yield f"{modality}: there is no such store"
        return
    before, now = (dict(_flat(modality, facts)) for facts in (trained, stores[modality]))
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            yield f"{name}: trained on {before.get(name)!r}, got {now.get(name)!r}"


def _flat(name: str, facts: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Nested facts as dotted names and values, without those that do not matter."""
    for key, value in facts.items():
        if key in NOT_COMPARED:
            continue
        if isinstance(value, Mapping):
            yield from _flat(f"{name}.{key}", value)
        else:
            yield f"{name}.{key}", value
