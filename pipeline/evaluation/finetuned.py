"""What the fine-tuned text encoder says by itself, beside what MCN-CL makes of its features."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline.evaluation.labelled import labelled
from pipeline.finetuning.head import head_says, read_head
from pipeline.records.features import Features
from pipeline.records.predictions import BASELINE_SEED, ModelPredictions
from pipeline.records.protocol import Protocol

NAME = "finetuned_head"


def finetuned_head(
    path: Path, protocol: Protocol, stores: Mapping[str, Features]
) -> dict[str, ModelPredictions]:
    """What its head says of the test utterances.

    Args:
        path: Of the head.
        protocol: With all labels.
        stores: Feature stores of the modalities in use.

    Returns:
        One entry; none where nothing was fine-tuned, or text is not in use.

    Raises:
        PipelineError: The file is absent or damaged.
    """
    head = read_head(path)
    if head is None or "text" not in stores:
        return {}
    utterances = [
        name for fold in protocol.folds for name in labelled(protocol, fold).utterances["test"]
    ]
    found = head_says(head, stores["text"], utterances).astype(np.float32)
    return {NAME: ModelPredictions((BASELINE_SEED,), found.argmax(1)[None], found[None])}
