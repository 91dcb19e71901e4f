"""Any transformers encoder as an encoder of texts."""

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoTokenizer
from transformers.utils import logging

from pipeline.chunks import chunked
from pipeline.errors import PipelineError

LENGTH_STEP = 8
LAYERS_AVERAGED = 4
# BERT's kin build a pooling layer that their checkpoints often lack and that nothing here reads.
POOLING_LAYER = {"bert", "roberta", "xlm-roberta", "camembert", "electra"}


class TextEncoder:
    """A network in evaluation mode, fed in batches whose shape depends on each text alone.

    A text is padded to its own number of tokens rounded up to a multiple of 8, and batches are
    filled up; so on a CPU its vector does not depend on the texts it is run with.

    Args:
        folder: config.json, tokenizer files and model.safetensors.
        pooling: `cls`: first token of the last layer; `mean`: all its tokens; `last4_mean`: all
            tokens of the mean of the last four layers.
        max_tokens: Longer texts are cut at the end, special tokens included.
        device: `cpu`, `cuda` or `mps`.
        precision: `float32`; on cuda also `bfloat16` or `float16`. A CPU always uses float32.
        batch_size: Texts per forward pass.

    Raises:
        PipelineError: The folder holds no encoder that transformers can read.
    """

    def __init__(
        self,
        *,
        folder: Path,
        pooling: str,
        max_tokens: int,
        device: str,
        precision: str,
        batch_size: int,
    ) -> None:
        self.pooling, self.device, self.batch_size = pooling, device, batch_size
        low = device == "cuda" and precision != "float32"
        self.tokenizer, self.network = _load(folder)
        self.network.to(device, getattr(torch, precision) if low else torch.float32)
        self.dimension = int(self.network.config.hidden_size)
        self.max_tokens = min(max_tokens, _longest(self.network))

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of texts, in order: [text, feature] float32."""
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        if not len(texts):
            return vectors
        encoded = self.tokenizer(
            list(texts), truncation=True, max_length=self.max_tokens, padding=False
        )["input_ids"]
        lengths: dict[int, list[int]] = defaultdict(list)
        for number, tokens in enumerate(encoded):
            lengths[_padded_length(len(tokens), self.max_tokens)].append(number)
        for length in sorted(lengths):
            for chunk in chunked(lengths[length], self.batch_size):
                vectors[chunk] = self._forward([encoded[n] for n in chunk], length)[: len(chunk)]
        return vectors

    @torch.inference_mode()
    def _forward(self, rows: Sequence[Sequence[int]], length: int) -> np.ndarray:
        """Token ids to [batch_size, feature]; rows to fill up repeat the first."""
        filled = [*rows, *[rows[0]] * (self.batch_size - len(rows))]
        ids = torch.full((self.batch_size, length), self.tokenizer.pad_token_id)
        mask = torch.zeros(self.batch_size, length, dtype=torch.long)
        for row, tokens in enumerate(filled):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            mask[row, : len(tokens)] = 1
        mask = mask.to(self.device)
        output = self.network(
            input_ids=ids.to(self.device), attention_mask=mask, output_hidden_states=True
        )
        return self._pooled(output, mask).float().cpu().numpy()

    def _pooled(self, output: Any, mask: Tensor) -> Tensor:
        """[text, feature] of a network's output."""
        last: Tensor = output.last_hidden_state
        if self.pooling == "cls":
            return last[:, 0]
        if self.pooling == "last4_mean":
            last = torch.stack(output.hidden_states[-LAYERS_AVERAGED:]).mean(0)
        weights = mask.unsqueeze(-1).to(last.dtype)
        return (last * weights).sum(1) / weights.sum(1)


def _load(folder: Path) -> tuple[Any, Any]:
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(folder, **local)
        extra = {"add_pooling_layer": False} if config.model_type in POOLING_LAYER else {}
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
        network, found = AutoModel.from_pretrained(
            folder,
            config=config,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
            **local,
            **extra,
        )
    except Exception as error:  # tokenizers raises no narrower class
        raise PipelineError(f"{folder} holds no text encoder: {error}") from error
    # Without its files transformers makes a tokenizer that knows no words.
    if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
        raise PipelineError(
            f"{folder} holds no text encoder: its tokenizer knows no words; get tokenizer.json."
        )
    # transformers fills what a file lacks with random numbers.
    missing = sorted(name for name in found["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise PipelineError(
            f"{folder} holds no text encoder: model.safetensors lacks {len(missing)} weights, "
            f"{missing[0]} among them; get the file again."
        )
    return tokenizer, network.eval().requires_grad_(False)


def _longest(network: Any) -> int:
    # The positions of RoBERTa and its kin (CamemBERT, MPNet) begin after a padding index, so two
    # of them are never used.
    positions = [m for name, m in network.named_modules() if name.endswith("position_embeddings")]
    unused = max((p.padding_idx + 1 for p in positions if _padded(p)), default=0)
    return int(network.config.max_position_embeddings) - unused


def _padded(positions: Any) -> bool:
    return getattr(positions, "padding_idx", None) is not None


def _padded_length(tokens: int, longest: int) -> int:
    return min(longest, max(1, math.ceil(tokens / LENGTH_STEP)) * LENGTH_STEP)
