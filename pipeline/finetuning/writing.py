"""Outputs of fine-tuning: encoder files, their record, and scores in percent (never on test)."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save_file
from sklearn.metrics import accuracy_score, f1_score

from pipeline.finetuning.network import TunedEncoder
from pipeline.weights.folder import (
    Encoder,
    FinetunedRecord,
    read_record,
    record_of,
    write_record,
)

WEIGHTS = "model.safetensors"


def write_encoder(folder: Path, encoder: TunedEncoder, pretrained: Encoder) -> None:
    """Write an encoder's files into a folder.

    Args:
        folder: Created if needed.
        encoder: After `restore`, so that LoRA is merged.
        pretrained: The encoder it came from; configuration and tokenizer are copied.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in pretrained.files:
        if ".safetensors" not in name:  # weights, shards or their index
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(pretrained.folder / name, target)
    state = encoder.model.text.network.state_dict()
    tensors = {name: value.contiguous().cpu() for name, value in state.items()}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def write_finetuned_record(folder: Path, pretrained: Path, finetuned: FinetunedRecord) -> None:
    """Write the record of all files in the folder of an encoder fine-tuned from `pretrained`."""
    base = read_record(pretrained)
    provenance = base.model_copy(
        update={
            "revision": f"{base.revision}, fine-tuned on {finetuned.corpus}",
            "description": f"{base.description} Fine-tuned on the train split of "
            f"{finetuned.corpus}.",
        }
    )
    write_record(folder, record_of(folder, provenance, finetuned))


def figures(actual: Sequence[int], probabilities: np.ndarray, classes: Sequence[str]) -> Any:
    """Weighted F1, macro F1, accuracy and F1 by class, in percent.

    Args:
        actual: [utterance] class numbers.
        probabilities: [utterance, class].
        classes: Names by class number.
    """
    predicted, numbers = probabilities.argmax(1), range(len(classes))

    def f1(average: str | None) -> Any:
        return 100 * f1_score(actual, predicted, labels=numbers, average=average, zero_division=0)

    return {
        "weighted_f1": round(f1("weighted"), 2),
        "macro_f1": round(f1("macro"), 2),
        "accuracy": round(100 * accuracy_score(actual, predicted), 2),
        "f1": {name: round(value, 2) for name, value in zip(classes, f1(None), strict=True)},
    }
