"""Load networks of transformers from a local folder: safetensors only, and whole."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel
from transformers.utils import logging

from pipeline.base.errors import PipelineError

LOCAL = {"local_files_only": True, "trust_remote_code": False}
LAYERS_AVERAGED = 4
# BERT's kin build a pooling layer that their checkpoints often lack and that nothing here reads.
POOLING_LAYER = {"bert", "roberta", "xlm-roberta", "camembert", "electra"}
# What a forward pass does not read: that layer again, and what stands in for masked sound.
UNREAD = ("pooler.", "masked_spec_embed")


def load_network(folder: Path, what: str) -> Any:
    """Load a network from safetensors, in evaluation mode and float32; refuse one not whole."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(folder, **LOCAL)
        extra = {"add_pooling_layer": False} if config.model_type in POOLING_LAYER else {}
        network, report = AutoModel.from_pretrained(
            folder,
            config=config,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
            **LOCAL,
            **extra,
        )
    except Exception as error:  # it raises no narrower class
        raise no_encoder(folder, what, error) from error
    # Transformers fills what a file lacks with random numbers.
    if missing := sorted(n for n in report["missing_keys"] if not n.startswith(UNREAD)):
        reason = f"model.safetensors lacks {len(missing)} weights, {missing[0]} among them; "
        raise no_encoder(folder, what, reason + "get the file again.")
    return network.eval().requires_grad_(False)


def no_encoder(folder: Path, what: str, reason: object) -> PipelineError:
    """The error for a folder that does not hold what it should."""
    return PipelineError(f"{folder} holds no {what}: {reason}")


def dtype_of(device: str, precision: str) -> torch.dtype:
    """The arithmetic of a network: `precision` on cuda, float32 elsewhere."""
    dtype: torch.dtype = getattr(torch, precision if device == "cuda" else "float32")
    return dtype
