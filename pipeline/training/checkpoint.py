"""Checkpoints: weights, statistics and everything needed to rebuild the model, in safetensors."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pipeline.errors import PipelineError
from pipeline.files import replacing
from pipeline.model.mcn_cl import MCNCL

VERSION = "checkpoint/1"
KEY = "erc"


def save_checkpoint(path: Path, state: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Writes a checkpoint, whole or not at all.

    Args:
        path: Where to.
        state: The model's state dict, normalisation included.
        facts: `model` (arguments of MCNCL), `classes`, `features` (provenance by modality) and
            whatever else tells where the weights come from; JSON can hold it.
    """
    # One JSON string under one key: with several keys safetensors' bytes vary between processes.
    text = json.dumps({"version": VERSION, **facts}, sort_keys=True)
    with replacing(path) as part:
        save_file({k: v.contiguous() for k, v in state.items()}, part, {KEY: text})


def load_checkpoint(path: Path) -> tuple[MCNCL, dict[str, Any]]:
    """Rebuilds a model, ready to predict.

    Returns:
        The model in evaluation mode on the CPU, and the facts it was saved with.

    Raises:
        PipelineError: The file is absent, damaged, or no checkpoint of this version.
    """
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads((file.metadata() or {}).get(KEY, "{}"))
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise PipelineError(f"{path} cannot be read as a checkpoint: {error}") from error
    if facts.get("version") != VERSION:
        raise PipelineError(f"{path} is {facts.get('version')!r}, expected {VERSION!r}; retrain.")
    model = MCNCL(**facts["model"])
    model.load_state_dict(state)
    return model.eval(), facts
