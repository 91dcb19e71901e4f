"""Any transformers speech encoder that reads samples: wav2vec 2.0, HuBERT, WavLM, data2vec."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoFeatureExtractor

from pipeline.base.errors import MediaError
from pipeline.features.common.pretrained import (
    LAYERS_AVERAGED,
    LOCAL,
    dtype_of,
    load_network,
    no_encoder,
)
from pipeline.features.common.sound import RATE

WHAT = "speech encoder"
# Attention's cost grows with the square of a sound's length; longer ones are read in equal parts.
MOST_SECONDS = 30


class SpeechEncoder:
    """A network in evaluation mode that reads one sound at a time; refuse a folder without one.

    Sounds are not padded to a common length: where a network norms over time (wav2vec 2.0 base,
    HuBERT base) the padding would change the numbers. So a sound's vector depends on it alone.

    A sound is normed as a whole the way the checkpoint's preprocessor_config.json says. One shorter
    than the network's least is filled up with zeros; one over 30 s is read in equal parts of at
    most 30 s, whose frames are pooled together. The vector is the mean over time of `last`: the
    network's output, after its final norm where it has one; or `last4`: the mean of its last four
    blocks, before that norm.
    """

    def __init__(self, *, folder: Path, layers: str, device: str, precision: str) -> None:
        self.layers, self.device = layers, device
        self.dtype = dtype_of(device, precision)
        self.network = load_network(folder, WHAT)
        if getattr(self.network, "main_input_name", None) != "input_values":
            name = type(self.network).__name__
            raise no_encoder(folder, WHAT, f"a {name} does not read the samples of a sound.")
        self.network.to(device, self.dtype)
        self.normed = _normed(folder)
        config = self.network.config
        self.least = _receptive_field(config.conv_kernel, config.conv_stride)

    def encode(self, samples: np.ndarray) -> np.ndarray:
        """Encode [sample] float32, mono, 16 kHz, to [feature] float32, or a MediaError."""
        values = self.normed(samples, sampling_rate=RATE)["input_values"][0]
        values = np.pad(values, (0, max(0, self.least - len(values))))
        parts = np.array_split(values, math.ceil(len(values) / (MOST_SECONDS * RATE)))
        frames = torch.cat([self._forward(part) for part in parts])
        vector: np.ndarray = frames.double().mean(0).float().cpu().numpy()
        if bad := int((~np.isfinite(vector)).sum()):
            detail = f"{bad} of {len(vector)} features of {len(samples) / RATE:.2f} s of sound"
            raise MediaError("not_finite", detail)
        return vector

    @torch.inference_mode()
    def _forward(self, values: np.ndarray) -> Tensor:
        """[frame, feature] of [sample]."""
        inputs = torch.from_numpy(values).to(self.device, self.dtype)[None]
        if self.layers == "last":
            last: Tensor = self.network(inputs).last_hidden_state
            return last[0].float()
        blocks = self.network(inputs, output_hidden_states=True).hidden_states
        return torch.stack(blocks[-LAYERS_AVERAGED:]).float().mean(0)[0]


def _normed(folder: Path) -> Any:
    """Transformers' feature extractor, by the checkpoint's settings."""
    try:
        extractor = AutoFeatureExtractor.from_pretrained(folder, **LOCAL)
    except Exception as error:  # it raises no narrower class
        raise no_encoder(folder, WHAT, error) from error
    wants = f"{extractor.model_input_names[0]} at {extractor.sampling_rate}"
    if wants != (expected := f"input_values at {RATE}"):
        reason = f"its preprocessor_config.json wants {wants} Hz, expected {expected}."
        raise no_encoder(folder, WHAT, reason)
    return extractor


def _receptive_field(kernels: list[int], strides: list[int]) -> int:
    """Samples that the convolutions read for one frame."""
    field, step = 1, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        field += (kernel - 1) * step
        step *= stride
    return field
