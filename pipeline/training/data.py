"""A corpus as dialogues of tensors: the protocol joined with the feature stores, fold by fold."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.base.errors import PipelineError
from pipeline.base.settings import ComputeSettings
from pipeline.nn.batch import NO_LABEL, Dialogue
from pipeline.nn.inputs import Standardise
from pipeline.nn.outliers import robust
from pipeline.records.features import Features, of_utterances
from pipeline.records.protocol import Entry
from pipeline.systems.base import Shape, System, system

FEW = 8  # utterances: the deviation of as many is off by a quarter


def dialogues(
    entries: Sequence[Entry],
    stores: Mapping[str, Features],
    texts: Mapping[str, str],
    fold: int,
    split: str,
) -> list[Dialogue]:
    """The dialogues of one split of one fold, in protocol order.

    Args:
        entries: Of all folds of the protocol.
        stores: By modality in use.
        texts: By utterance.
        fold: Which fold.
        split: Which split.

    Raises:
        PipelineError: A store was made from another manifest, or stands in another order.
    """
    chosen = [e for e in entries if e.fold == fold and e.split == split]
    rows = {m: of_utterances(s, [e.utterance for e in chosen]) for m, s in stores.items()}
    for modality, places in rows.items():
        if (np.diff(places) <= 0).any():
            raise PipelineError(
                f"The {modality} features stand in another order than the utterances of the "
                "protocol, so they are not theirs: run `dvc repro`."
            )
    joined, start = [], 0
    for name, group in groupby(chosen, key=lambda e: e.dialogue):
        turns = list(group)
        part = {m: r[start : start + len(turns)] for m, r in rows.items()}
        joined.append(_dialogue(name, turns, stores, texts, part))
        start += len(turns)
    return joined


def _dialogue(
    name: str,
    turns: list[Entry],
    stores: Mapping[str, Features],
    texts: Mapping[str, str],
    rows: Mapping[str, np.ndarray],
) -> Dialogue:
    features, frame_mask = {}, None
    for modality, store in stores.items():
        vectors, mask = _frames(store, rows[modality])
        if modality == "visual":
            features[modality], frame_mask = vectors, mask
        else:
            features[modality] = vectors[:, 0]
    numbers: dict[str, int] = {}
    return Dialogue(
        name=name,
        utterances=[t.utterance for t in turns],
        features=features,
        frame_mask=frame_mask,
        present={m: torch.from_numpy(stores[m].present[r]) for m, r in rows.items()},
        speakers=torch.tensor([numbers.setdefault(t.speaker, len(numbers)) for t in turns]),
        labels=torch.tensor([NO_LABEL if t.label is None else t.label for t in turns]),
        texts=[texts[t.utterance] for t in turns],
        names=[t.speaker for t in turns],
    )


def _frames(store: Features, rows: np.ndarray) -> tuple[Tensor, Tensor]:
    starts, ends = store.offsets[rows], store.offsets[rows + 1]
    longest = max(1, int((ends - starts).max()))
    vectors = torch.zeros(len(rows), longest, store.dimension)
    for turn, (start, end) in enumerate(zip(starts, ends, strict=True)):
        vectors[turn, : end - start] = torch.from_numpy(store.values[start:end].copy())
    return vectors, torch.arange(longest) < torch.from_numpy(ends - starts)[:, None]


@dataclass(frozen=True)
class Fold:
    """The data of one fold, and the system that learns from it."""

    corpus: str
    name: str
    """Of the system."""

    settings: Any
    """Of the system, of its class `Settings`."""

    compute: ComputeSettings
    """`device` is resolved, never `auto`."""

    shape: Shape
    train: Sequence[Dialogue]
    valid: Sequence[Dialogue]
    test: Sequence[Dialogue]
    """Dialogues to predict; their labels are not in here."""

    @property
    def system(self) -> type[System]:
        """The system's class."""
        return system(self.name)


def mean_and_std(dialogues: Sequence[Dialogue], modality: str) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each feature over the present utterances (or frames).

    Summed in float64, so that columns that never vary come out as such; of absurd values, see
    `outliers`, none is counted.

    Args:
        dialogues: The train split's; or by speaker, see `as_read`, those of one.
        modality: Which modality.

    Returns:
        Two [feature] float32 tensors; zeros and ones where no utterance has the modality.
    """
    width = dialogues[0].features[modality].shape[-1]
    count, total = 0, torch.zeros(width).double()
    squares, absolute = torch.zeros(width).double(), torch.zeros(width).double()
    for rows in (_present(d, modality).double() for d in dialogues):
        count += len(rows)
        total += rows.sum(0)
    if not count:
        return torch.zeros(width), torch.ones(width)
    mean = total / count
    for rows in (_present(d, modality).double() for d in dialogues):
        squares += (rows - mean).square().sum(0)
        absolute += (rows - mean).abs().sum(0)
    # NumPy rounds a root correctly; MKL, behind torch's, does not on every CPU.
    std = np.sqrt((squares / count).numpy())

    def columns(some: np.ndarray) -> np.ndarray:
        return torch.cat([_present(d, modality)[:, some] for d in dialogues]).numpy()

    robust_mean, robust_std = robust(count, mean.numpy(), std, (absolute / count).numpy(), columns)
    return torch.from_numpy(robust_mean).float(), torch.from_numpy(robust_std).float()


def as_read(split: Sequence[Dialogue], settings: Any) -> Sequence[Dialogue]:
    """A split's dialogues as a system reads them, by its setting `standardise`."""
    if getattr(settings, "standardise", "corpus") == "corpus":
        return split
    for modality in split[0].features if split else ():
        split = _by_speaker(split, modality)
    return split


def _by_speaker(split: Sequence[Dialogue], modality: str) -> list[Dialogue]:
    """Centre and scale the vectors of each speaker by their own mean and standard deviation.

    Those with fewer than `FEW` utterances in the split are taken together. No label is read, and no
    other split: of a conversation that is predicted there is none.
    """
    there = [d.present[modality] for d in split]
    counts: Counter[str] = Counter()
    for dialogue, mask in zip(split, there, strict=True):
        counts.update(name for name, has in zip(dialogue.names, mask.tolist(), strict=True) if has)
    groups = [[n if counts[n] >= FEW else None for n in dialogue.names] for dialogue in split]
    vectors = [dialogue.features[modality].clone() for dialogue in split]
    for group in dict.fromkeys(g for names in groups for g in names):
        own = [
            torch.tensor([g == group for g in names]) & mask
            for names, mask in zip(groups, there, strict=True)
        ]
        heard = [
            replace(dialogue, present={modality: mask})
            for dialogue, mask in zip(split, own, strict=True)
            if mask.any()
        ]
        if heard:
            standardise = Standardise(vectors[0].shape[-1], limit=math.inf)
            standardise.fit(*mean_and_std(heard, modality))
            for values, mask in zip(vectors, own, strict=True):
                values[mask] = standardise(values[mask])
    return [
        replace(dialogue, features={**dialogue.features, modality: values})
        for dialogue, values in zip(split, vectors, strict=True)
    ]


def _present(dialogue: Dialogue, modality: str) -> Tensor:
    vectors, present = dialogue.features[modality], dialogue.present[modality]
    if modality == "visual" and dialogue.frame_mask is not None:
        return vectors[dialogue.frame_mask & present[:, None]]
    return vectors[present]
