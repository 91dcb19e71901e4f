"""Checkpoints: weights, statistics and everything needed to rebuild the model, in safetensors.

Nothing that a checkpoint says of itself is believed: it is checked against the tensors, whose
sizes are known before any of them is read, and both are under one digest.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save, save_file
from torch import Tensor

from pipeline.base.errors import PipelineError
from pipeline.base.files import METADATA_KEY, replacing
from pipeline.base.settings import MODALITIES, Modality
from pipeline.systems.base import Shape, System, system

VERSION = "checkpoint/3"
DIGEST = "sha256"  # of the facts and the tensors, beside the facts
UNFITTED = ".bound"  # of `Standardise`: infinite where no train utterance has the modality
LARGEST_DIMENSION = 10**6
LARGEST_SIZE = 10**8
NOT_STATED = {"enabled": True, "workers": 1}  # settings that change no weight
KINDS = {torch.float32: "F32", torch.int64: "I64", torch.bool: "BOOL", torch.uint8: "U8"}
NOT_COMPARED = ("versions", "compute", "batch_size", "tokens_per_batch", "licence")
"""Of a store's provenance: they move the last bits of a feature at most, not what it means."""


def save_checkpoint(path: Path, state: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        path: Where to.
        state: The model's state dict, normalisation included.
        facts: `corpus` (whose settings made the features), `system`, its `settings`, `shape` and
            `sizes`, `classes`, `features` (provenance by modality) and further provenance of the
            weights; JSON can hold it.
    """
    # One JSON string under one key: with several keys safetensors' bytes vary between processes.
    tensors = {name: value.contiguous() for name, value in state.items()}
    stated = {"version": VERSION, **facts}
    text = json.dumps({**stated, DIGEST: _digest(stated, tensors)}, sort_keys=True)
    with replacing(path) as part:
        save_file(tensors, part, {METADATA_KEY: text})


def load_checkpoint(
    path: Path, stores: Mapping[str, Mapping[str, Any]]
) -> tuple[System, dict[str, Any]]:
    """Rebuild a model, in evaluation mode on the CPU, and read the facts it was saved with.

    Args:
        path: Of the checkpoint.
        stores: By modality, the provenance of the features it is to read (`Features.provenance`).

    Raises:
        PipelineError: See `read_facts`; or the features differ from those of its training: every
            difference is named.
    """
    facts, model = _read(path)
    check_features(path, facts, stores)
    return model.eval(), facts


def read_facts(path: Path) -> dict[str, Any]:
    """Read and check a checkpoint for the facts it was saved with.

    Raises:
        PipelineError: The file is absent, damaged, changed since it was written, or not a
            checkpoint of this version; its tensors are not those of the model it states, or not
            finite.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[dict[str, Any], System]:
    with _opened(path) as file:
        facts = _facts(path, (file.metadata() or {}).get(METADATA_KEY))
        model = _stated_system(path, facts)
        empty = model.state_dict()
        _check_shapes(path, empty, file)
        state = {name: file.get_tensor(name) for name in empty}
    if stray := [name for name, value in state.items() if not _usable(name, value)]:
        raise PipelineError(
            f"{path} holds weights that are NaN or infinite ({', '.join(stray[:3])}): it would "
            "predict nothing. Take a copy that is whole, or train again."
        )
    stated, got = facts.pop(DIGEST, None), _digest(facts, state)
    if stated != got:
        raise PipelineError(
            f"{path} was changed since it was written, or is from before checkpoints had a digest: "
            f"got SHA-256 {got}, expected {stated}. Take a copy that is whole, or train again: "
            "`dvc repro train@CORPUS-SYSTEM`."
        )
    model.load_state_dict(state, assign=True)
    return facts, model


def _facts(path: Path, text: str | None) -> dict[str, Any]:
    if text is None:
        raise PipelineError(
            f"{path} is not a checkpoint of this pipeline; run `dvc repro` to train one."
        )
    try:
        facts = json.loads(text)
        version = facts.get("version")
    except (ValueError, RecursionError, AttributeError) as error:
        raise PipelineError(f"{path} cannot be read as a checkpoint: {error}") from error
    if version != VERSION:
        raise PipelineError(
            f"{path} is {version!r}, expected {VERSION!r}; train again: "
            "`dvc repro train@CORPUS-SYSTEM`."
        )
    return dict(facts)


class _Shape(BaseModel):
    features: dict[Modality, Annotated[int, Field(ge=1, le=LARGEST_DIMENSION)]] = Field(
        min_length=1
    )
    classes: int
    speakers: int


class _Features(BaseModel):
    dimension: int


class _Facts(BaseModel):
    """What every checkpoint says of itself."""

    corpus: str
    system: Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]
    settings: dict[str, Any]
    shape: _Shape
    sizes: dict[str, Annotated[int, Field(ge=0, le=LARGEST_SIZE)]]
    classes: list[str]
    features: dict[Modality, _Features]


def stated_system(facts: Mapping[str, Any]) -> System:
    """The system that a checkpoint's facts state, without memory for its weights.

    Raises:
        ValueError: They contradict themselves, or there is no such system or setting.
    """
    stated = _Facts.model_validate(facts)
    features = stated.shape.features  # in the order of JSON's sorted keys
    canonical = {modality: features[modality] for modality in MODALITIES if modality in features}
    shape, classes = Shape(**{**vars(stated.shape), "features": canonical}), stated.classes
    dimensions = {modality: about.dimension for modality, about in stated.features.items()}
    if shape.features != dimensions:
        raise ValueError(f"reads {shape.features}, its features are {dimensions}")
    if shape.classes != len(classes):
        raise ValueError(f"tells {shape.classes} classes apart, names {classes}")
    try:
        kind = system(stated.system)
    except ImportError as error:
        raise ValueError(f"is of the system {stated.system!r}, which is not here") from error
    left_out = {k: v for k, v in NOT_STATED.items() if k in kind.Settings.model_fields}
    settings = kind.Settings(**{**left_out, **stated.settings})
    with torch.device("meta"):
        return kind(settings, shape, **stated.sizes)


def _stated_system(path: Path, facts: Mapping[str, Any]) -> System:
    try:
        return stated_system(facts)
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise _unfit(path, "\n".join(wrong)) from error
    except (ValueError, TypeError, RuntimeError) as error:
        raise _unfit(path, error) from error


def _check_shapes(path: Path, empty: Mapping[str, Tensor], file: Any) -> None:
    """Refuse other tensors than the model's, by the file's header: none is read."""
    got = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
    wanted = {n: f"{KINDS[tensor.dtype]} {list(tensor.shape)}" for n, tensor in empty.items()}
    there = {name: f"{part.get_dtype()} {part.get_shape()}" for name, part in got.items()}
    lines = [
        f"{name}: got {there.get(name, 'nothing')}, expected {wanted.get(name, 'no such tensor')}"
        for name in sorted(wanted.keys() | there.keys())
        if wanted.get(name) != there.get(name)
    ]
    if lines:
        raise _unfit(path, "\n".join(lines[:10]))


def _unfit(path: Path, reason: object) -> PipelineError:
    return PipelineError(
        f"{path} does not fit the model as its code is here; use the code it was trained with, or "
        f"train again.\n{reason}"
    )


def _usable(name: str, value: Tensor) -> bool:
    usable = value > 0 if name.endswith(UNFITTED) else value.isfinite()
    return bool(usable.all())


def _digest(facts: Mapping[str, Any], state: Mapping[str, Tensor]) -> str:
    """Hex SHA-256 of what a checkpoint says of itself and of its tensors."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    digest.update(save(dict(state)))
    return digest.hexdigest()


def check_features(
    path: Path, facts: Mapping[str, Any], stores: Mapping[str, Mapping[str, Any]]
) -> None:
    """Refuse features that differ from those of a checkpoint's training.

    Args:
        path: Of the checkpoint.
        facts: What it was saved with.
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
    """One line per fact in which the provenance of features differs from that of a training.

    Both are by modality; `stores` may have more of them.
    """
    return [line for m, about in trained.items() for line in _compare(m, about, stores)]


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise OSError("it is not a file")
        with safe_open(path, "pt") as file:
            yield file
    except (OSError, SafetensorError) as error:
        raise PipelineError(f"{path} cannot be read as a checkpoint: {error}") from error


def _compare(
    modality: str, trained: Mapping[str, Any], stores: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """One line per fact in which a store differs from the one of the training."""
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
