"""Random dialogues in which anything can be missing, changes to them, and small models.

Dialogues are made unpadded and then collated. Padded and missing values are NaN, or an index out of
range, unless a test says otherwise: a test that passes has not read them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from pipeline.base.params import read_params
from pipeline.nn.batch import MODALITIES, NO_LABEL, DialogueBatch
from pipeline.nn.entropy import Entropy
from pipeline.systems.base import Output, Shape, System
from pipeline.systems.mcn_cl import McnCl, McnClSettings
from tests.conftest import PARAMS

DIMENSIONS = {"text": 5, "audio": 7, "visual": 6}
CLASSES = 4
FRAMES = 11
SUBSETS = [subset for n in (1, 2, 3) for subset in combinations(MODALITIES, n)]

Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True)
class Dialogue:
    """One dialogue, unpadded."""

    features: dict[str, list[Tensor]]
    """One tensor per turn: text and audio [feature], visual [frame, feature]."""

    present: dict[str, Tensor]
    speakers: Tensor
    labels: Tensor


def make_dialogue(seed: int, turns: int, *, missing: float = 0.25, speakers: int = 3) -> Dialogue:
    """Random float64 features, of which a share is missing."""
    draw = torch.Generator().manual_seed(seed)

    def vectors(modality: str) -> Tensor:
        frames = torch.randint(1, FRAMES + 1, (1,), generator=draw).tolist()
        shape = (*(frames if modality == "visual" else ()), DIMENSIONS[modality])
        return torch.randn(shape, generator=draw, dtype=torch.float64)

    return Dialogue(
        features={m: [vectors(m) for _ in range(turns)] for m in MODALITIES},
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
    filler: float = torch.nan,
    index_filler: int = 17,
) -> DialogueBatch:
    """Pad dialogues with `filler`, speakers with `index_filler`, labels with none."""
    batch = len(dialogues)
    turns = max(len(d.labels) for d in dialogues) + extra_turns
    frames = max(len(f) for d in dialogues for f in d.features["visual"]) + extra_frames
    wide = {"text": (), "audio": (), "visual": (frames,)}
    features = {
        m: torch.full((batch, turns, *wide[m], DIMENSIONS[m]), filler, dtype=torch.float64)
        for m in MODALITIES
    }
    frame_mask = torch.zeros(batch, turns, frames, dtype=torch.bool)
    turn_mask = torch.zeros(batch, turns, dtype=torch.bool)
    present = {m: torch.zeros(batch, turns, dtype=torch.bool) for m in MODALITIES}
    speakers = torch.full((batch, turns), index_filler)
    labels = torch.full((batch, turns), NO_LABEL)
    for row, dialogue in enumerate(dialogues):
        length = len(dialogue.labels)
        turn_mask[row, :length] = True
        speakers[row, :length] = dialogue.speakers
        labels[row, :length] = dialogue.labels
        for modality, there in dialogue.present.items():
            present[modality][row, :length] = there
            for turn in there.nonzero().flatten().tolist():
                real = dialogue.features[modality][turn]
                if modality == "visual":
                    features[modality][row, turn, : len(real)] = real
                    frame_mask[row, turn, : len(real)] = True
                else:
                    features[modality][row, turn] = real
    return DialogueBatch(features, frame_mask, present, turn_mask, speakers, labels)


def map_turns(batch: DialogueBatch, change: Callable[[Tensor], Tensor]) -> DialogueBatch:
    """Apply `change` to every tensor of a batch; all start with [batch, turn]."""
    assert batch.frame_mask is not None
    return DialogueBatch(
        features={m: change(x) for m, x in batch.features.items()},
        frame_mask=change(batch.frame_mask),
        present={m: change(x) for m, x in batch.present.items()},
        turn_mask=change(batch.turn_mask),
        speakers=change(batch.speakers),
        labels=change(batch.labels),
    )


def without(batch: DialogueBatch, modality: str, where: Tensor) -> DialogueBatch:
    """Remove a modality where `where` [batch, turn] is True; its features become NaN."""
    features = batch.features[modality]
    gone = where.view(*where.shape, *[1] * (features.ndim - 2))
    return replace(
        batch,
        features=batch.features | {modality: features.masked_fill(gone, torch.nan)},
        present=batch.present | {modality: batch.present[modality] & ~where},
    )


def in_float32(batch: DialogueBatch) -> DialogueBatch:
    return replace(batch, features={m: f.float() for m, f in batch.features.items()})


PLAIN = Entropy()
SMALL = {
    "width": 16,
    "heads": 2,
    "projection": 6,
    "limit": 10.0,
    "standardise": "corpus",
    "residual": False,
    "dropout": 0.1,
    "temperature": 0.8,
}


def settings_of(**options: Any) -> McnClSettings:
    """Those of a small MCN-CL."""
    known: McnClSettings = read_params(PARAMS).system("meld", "mcn_cl")
    return McnClSettings(**{**known.model_dump(), **SMALL, **options})


def fresh_model(
    *modalities: str,
    seed: int = 0,
    dimensions: Mapping[str, int] | None = None,
    classes: int = CLASSES,
    **options: Any,
) -> McnCl:
    """A small, newly initialised model in float32."""
    torch.manual_seed(seed)
    features = dict(dimensions or {m: DIMENSIONS[m] for m in modalities or MODALITIES})
    return McnCl(settings_of(**options), Shape(features, classes, speakers=3))


def make_model(*modalities: str, **options: Any) -> McnCl:
    """A small model in float64 and eval mode, with every parameter random."""
    return randomise(fresh_model(*modalities, **options)).double().eval()


def loss_of(model: System, batch: DialogueBatch, entropy: Entropy = PLAIN) -> Tensor:
    """What is minimised."""
    return total_of(model, model(batch), batch, entropy)


def total_of(
    model: System, output: Output, batch: DialogueBatch, entropy: Entropy = PLAIN
) -> Tensor:
    """The sum of all terms."""
    return torch.stack([*model.losses(output, batch, entropy).values()]).sum()


def randomise(module: Module, seed: int = 0) -> Module:
    """Add noise to every parameter: a norm's ones and zeros would hide that they are unused."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=draw), alpha=0.5)
    return module
