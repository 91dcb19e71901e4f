"""The classification head that was fine-tuned with an encoder.

It is one linear map of the vector that the stage `text` writes, so the fine-tuned encoder's own
predictions follow from the feature store without running a network.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from pipeline.base.errors import PipelineError
from pipeline.base.files import METADATA_KEY, replacing

VERSION = "head/1"


@dataclass(frozen=True)
class Head:
    """A linear map to class scores.

    Attributes:
        classes: Names by class number.
        weight: [class, feature].
        bias: [class].
    """

    classes: tuple[str, ...]
    weight: np.ndarray
    bias: np.ndarray


def write_head(path: Path, head: Head | None) -> None:
    """Write a head; None writes a file without one."""
    metadata = {"version": VERSION, "classes": list(head.classes) if head else []}
    tensors = {"weight": head.weight, "bias": head.bias} if head else {}
    with replacing(path) as part:
        save_file(tensors, part, {METADATA_KEY: json.dumps(metadata, sort_keys=True)})


def read_head(path: Path) -> Head | None:
    """Read a head; None if the encoder was not fine-tuned.

    Raises:
        PipelineError: The file is absent, damaged or of another version, or its tensors are not
            those of a head of its classes.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise OSError("it is not a file")
        with safe_open(path, "numpy") as file:
            metadata = dict(json.loads((file.metadata() or {}).get(METADATA_KEY, "{}")))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, TypeError) as error:
        raise PipelineError(
            f"{path} cannot be read as a head: {error}; delete it and run `dvc repro`."
        ) from error
    if metadata.get("version") != VERSION:
        raise PipelineError(
            f"{path} has version {metadata.get('version')!r}, expected {VERSION!r}; run "
            "`dvc repro`."
        )
    return _head(path, metadata.get("classes", ()), tensors) if tensors else None


def _head(path: Path, classes: Any, tensors: Mapping[str, np.ndarray]) -> Head:
    shapes = {name: values.shape for name, values in sorted(tensors.items())}
    count, width = len(classes), shapes.get("weight", ())[-1:]
    finite = all(np.isfinite(values).all() for values in tensors.values())
    if shapes != {"bias": (count,), "weight": (count, *width)} or not finite:
        raise PipelineError(
            f"{path} holds {shapes} for the classes {classes}, expected finite weights [class, "
            "feature] and biases [class]; delete it and run `dvc repro`."
        )
    return Head(tuple(classes), tensors["weight"], tensors["bias"])
