"""The classification head that was fine-tuned with an encoder, and what it says of features.

The head is one linear map of the vector that the stage `text` writes, so what the fine-tuned
encoder itself predicts follows from the feature store, without a network.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from scipy.special import softmax

from pipeline.base.errors import PipelineError
from pipeline.base.files import METADATA_KEY, replacing
from pipeline.records.features import Features, of_utterances

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

    def probabilities(self, vectors: np.ndarray) -> np.ndarray:
        """[utterance, feature] to [utterance, class]."""
        found: np.ndarray = softmax(vectors @ self.weight.T + self.bias, axis=1)
        return found


def write_head(path: Path, head: Head | None) -> None:
    """Writes a head, or that there is none."""
    facts = {"version": VERSION, "classes": list(head.classes) if head else []}
    tensors = {"weight": head.weight, "bias": head.bias} if head else {}
    with replacing(path) as part:
        save_file(tensors, part, {METADATA_KEY: json.dumps(facts, sort_keys=True)})


def read_head(path: Path) -> Head | None:
    """Reads a head; None where the encoder was not fine-tuned.

    Raises:
        PipelineError: The file is absent, damaged or of another version.
    """
    try:
        with safe_open(path, "numpy") as file:
            facts = json.loads((file.metadata() or {}).get(METADATA_KEY, "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise PipelineError(
            f"{path} cannot be read as a head: {error}; delete it and run `dvc repro`."
        ) from error
    if facts.get("version") != VERSION:
        raise PipelineError(
            f"{path} is {facts.get('version')!r}, expected {VERSION!r}; run `dvc repro`."
        )
    return Head(tuple(facts["classes"]), **tensors) if tensors else None


def head_says(head: Head, store: Features, utterances: Sequence[str]) -> np.ndarray:
    """What the fine-tuned encoder itself says: [utterance, class] probabilities.

    Args:
        head: Of the encoder that made the store.
        store: The text features.
        utterances: Of the store. Those without text have the vector 0, which leaves the biases.

    Raises:
        PipelineError: The store lacks one.
    """
    rows = of_utterances(store, utterances)
    vectors = np.zeros((len(rows), store.dimension), np.float32)
    there = store.present[rows]
    vectors[there] = store.values[store.offsets[rows[there]]]
    return head.probabilities(vectors)
