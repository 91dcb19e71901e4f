"""Writing a fine-tuned encoder: its weights beside the files it came with, and the record."""

import shutil
from pathlib import Path

from safetensors.torch import save_file

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
    """Writes an encoder's files into a folder.

    Args:
        folder: Where to; made if need be.
        encoder: Restored, so that its network is a plain one.
        pretrained: What it came from: configuration and tokenizer are copied.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in pretrained.files:
        if ".safetensors" not in name:  # whole, in shards, or the shards' index
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(pretrained.folder / name, target)
    state = encoder.model.text.network.state_dict()
    tensors = {name: value.contiguous().cpu() for name, value in state.items()}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def write_finetuned_record(folder: Path, pretrained: Path, finetuned: FinetunedRecord) -> None:
    """Writes the record of all files that lie in a folder.

    Args:
        folder: With the files of a fine-tuned encoder and of its parts.
        pretrained: The encoder folder it came from.
        finetuned: How it was made.
    """
    base = read_record(pretrained)
    provenance = base.model_copy(
        update={
            "revision": f"{base.revision}, fine-tuned on {finetuned.corpus}",
            "description": f"{base.description} Fine-tuned on the train split of "
            f"{finetuned.corpus}.",
        }
    )
    write_record(folder, record_of(folder, provenance, finetuned))
