"""Random dialogues with everything that can be missing, and small models to read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.model.inputs import MODALITIES, DialogueBatch
from pipeline.model.mcn_cl import MCNCL

DIMENSIONS = {"text": 5, "audio": 7, "visual": 6}
CLASSES = 4
FRAMES = 11

Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True)
class Dialogue:
    """One dialogue, unpadded."""

    text: Tensor
    audio: Tensor
    visual: list[Tensor]
    present: dict[str, Tensor]
    speakers: Tensor
    labels: Tensor


def make_dialogue(seed: int, turns: int, *, missing: float = 0.25, speakers: int = 3) -> Dialogue:
    """Random float64 features, of which a share is missing."""
    draw = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, FRAMES + 1, (turns,), generator=draw).tolist()

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    return Dialogue(
        text=normal(turns, DIMENSIONS["text"]),
        audio=normal(turns, DIMENSIONS["audio"]),
        visual=[normal(length, DIMENSIONS["visual"]) for length in lengths],
        present={m: torch.rand(turns, generator=draw) >= missing for m in MODALITIES},
        speakers=torch.randint(speakers, (turns,), generator=draw),
        labels=torch.randint(CLASSES, (turns,), generator=draw),
    )


def make_dialogues(lengths: Sequence[int], seed: int = 0, **options: Any) -> list[Dialogue]:
    return [make_dialogue(1000 * seed + i, n, **options) for i, n in enumerate(lengths)]


def collate(
    dialogues: Sequence[Dialogue],
    *,
    extra_turns: int = 0,
    extra_frames: int = 0,
    filler: float = 0.0,
    index_filler: int = 0,
) -> DialogueBatch:
    """Pads dialogues; whatever is not there holds `filler`, or `index_filler` if an index."""
    batch = len(dialogues)
    turns = max(len(d.labels) for d in dialogues) + extra_turns
    frames = max(len(f) for d in dialogues for f in d.visual) + extra_frames
    wide = {"text": (), "audio": (), "visual": (frames,)}
    features = {
        m: torch.full((batch, turns, *wide[m], DIMENSIONS[m]), filler, dtype=torch.float64)
        for m in MODALITIES
    }
    frame_mask = torch.zeros(batch, turns, frames, dtype=torch.bool)
    turn_mask = torch.zeros(batch, turns, dtype=torch.bool)
    present = {m: torch.zeros(batch, turns, dtype=torch.bool) for m in MODALITIES}
    speakers = torch.full((batch, turns), index_filler)
    labels = torch.full((batch, turns), index_filler)
    for row, dialogue in enumerate(dialogues):
        length = len(dialogue.labels)
        turn_mask[row, :length] = True
        speakers[row, :length] = dialogue.speakers
        labels[row, :length] = dialogue.labels
        for m in MODALITIES:
            present[m][row, :length] = dialogue.present[m]
        for turn in range(length):
            if dialogue.present["text"][turn]:
                features["text"][row, turn] = dialogue.text[turn]
            if dialogue.present["audio"][turn]:
                features["audio"][row, turn] = dialogue.audio[turn]
            if dialogue.present["visual"][turn]:
                real = dialogue.visual[turn]
                features["visual"][row, turn, : len(real)] = real
                frame_mask[row, turn, : len(real)] = True
    return DialogueBatch(features, frame_mask, present, turn_mask, speakers, labels)


def make_model(*modalities: str, seed: int = 0, **options: Any) -> MCNCL:
    """A small model in float64, with every parameter random and dropout off."""
    torch.manual_seed(seed)
    dimensions = {m: DIMENSIONS[m] for m in modalities or MODALITIES}
    settings = {"width": 8, "heads": 2, "layers": 2, "projection": 6, "dropout": 0.0} | options
    model = MCNCL(dimensions=dimensions, classes=CLASSES, **settings).double()
    return randomise(model)


def randomise(module: Module, seed: int = 0) -> Module:
    """Random parameters: a norm's ones and zeros would hide that they are not used."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw) * 0.5)
    return module


def array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def layer_norm(vector: np.ndarray, norm: nn.LayerNorm) -> np.ndarray:
    """LayerNorm of one vector, written out."""
    mean = vector.mean()
    variance = ((vector - mean) ** 2).mean()
    return (vector - mean) / np.sqrt(variance + 1e-5) * array(norm.weight) + array(norm.bias)
