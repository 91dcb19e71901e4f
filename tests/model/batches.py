"""Random dialogues for the tests of the model, and the operations that must not change a result."""

from dataclasses import replace

import torch
from torch import Tensor

from pipeline.model.inputs import MODALITIES, DialogueBatch
from pipeline.model.mcn_cl import MCNCL

DIMENSIONS = {"text": 5, "audio": 7, "visual": 6}
CLASSES = 4


def small_model(**changes: object) -> MCNCL:
    """A model of width 16 in eval mode, the same for the same arguments."""
    torch.manual_seed(0)
    settings = {"dimensions": DIMENSIONS, "classes": CLASSES, "width": 16, "heads": 2}
    return MCNCL(**{**settings, "projection": 8, **changes}).eval()


def random_batch(lengths: tuple[int, ...] = (5, 3, 1, 4), frames: int = 6, seed: int = 1):
    """Dialogues of these lengths; utterances have 1 to `frames` frames, all modalities present."""
    torch.manual_seed(seed)
    batch, turns = len(lengths), max(lengths)
    turn_mask = torch.arange(turns) < torch.tensor(lengths).unsqueeze(1)
    counts = torch.randint(1, frames + 1, (batch, turns, 1))
    return DialogueBatch(
        features={
            "text": torch.randn(batch, turns, DIMENSIONS["text"]),
            "audio": torch.randn(batch, turns, DIMENSIONS["audio"]),
            "visual": torch.randn(batch, turns, frames, DIMENSIONS["visual"]),
        },
        frame_mask=(torch.arange(frames) < counts) & turn_mask.unsqueeze(-1),
        present={modality: turn_mask.clone() for modality in MODALITIES},
        turn_mask=turn_mask,
        speakers=torch.randint(0, 3, (batch, turns)),
        labels=torch.where(turn_mask, torch.randint(0, CLASSES, (batch, turns)), -1),
    )


def map_turns(batch: DialogueBatch, change) -> DialogueBatch:
    """The batch with `change` applied to every tensor, all of which start [batch, turn]."""
    return DialogueBatch(
        features={m: change(x) for m, x in batch.features.items()},
        frame_mask=change(batch.frame_mask),
        present={m: change(x) for m, x in batch.present.items()},
        turn_mask=change(batch.turn_mask),
        speakers=change(batch.speakers),
        labels=change(batch.labels),
    )


def without(batch: DialogueBatch, modality: str, where: Tensor) -> DialogueBatch:
    """The batch with a modality missing where `where` [batch, turn] says, its features NaN."""
    features = dict(batch.features)
    spread = where.view(*where.shape, *[1] * (features[modality].ndim - 2))
    features[modality] = features[modality].masked_fill(spread, torch.nan)
    present = {**batch.present, modality: batch.present[modality] & ~where}
    return replace(batch, features=features, present=present)
