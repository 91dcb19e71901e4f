"""A corpus as dialogues of tensors: the protocol joined with the feature stores, fold by fold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from pipeline.base.errors import PipelineError
from pipeline.base.settings import ComputeSettings
from pipeline.nn.batch import NO_LABEL, DialogueBatch
from pipeline.nn.outliers import robust
from pipeline.records.features import Features, of_utterances
from pipeline.records.protocol import Entry
from pipeline.systems.settings import LossSettings, ModelSettings
from pipeline.training.settings import TrainSettings


@dataclass(frozen=True)
class Dialogue:
    """One dialogue of one split.

    Attributes:
        name: The dialogue's id.
        utterances: Ids in the order of the turns.
        features: By modality: text and audio [turn, feature], visual [turn, frame, feature];
            zeros where missing.
        frame_mask: [turn, frame] bool, only if visual is in use.
        present: By modality, [turn] bool.
        speakers: [turn] number of the speaker, by first appearance in this dialogue.
        labels: [turn] class number, -1 for none.
    """

    name: str
    utterances: list[str]
    features: dict[str, Tensor]
    frame_mask: Tensor | None
    present: dict[str, Tensor]
    speakers: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.utterances)


def dialogues(
    entries: Sequence[Entry], stores: Mapping[str, Features], fold: int, split: str
) -> list[Dialogue]:
    """The dialogues of one split of one fold, in protocol order.

    Args:
        entries: Of all folds of the protocol.
        stores: By modality in use.
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
        joined.append(_dialogue(name, turns, stores, part))
        start += len(turns)
    return joined


def _dialogue(
    name: str, turns: list[Entry], stores: Mapping[str, Features], rows: Mapping[str, np.ndarray]
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
    )


def _frames(store: Features, rows: np.ndarray) -> tuple[Tensor, Tensor]:
    starts, ends = store.offsets[rows], store.offsets[rows + 1]
    longest = max(1, int((ends - starts).max()))
    vectors = torch.zeros(len(rows), longest, store.dimension)
    for turn, (start, end) in enumerate(zip(starts, ends, strict=True)):
        vectors[turn, : end - start] = torch.from_numpy(store.values[start:end].copy())
    return vectors, torch.arange(longest) < torch.from_numpy(ends - starts)[:, None]


def collate(batch: Sequence[Dialogue]) -> DialogueBatch:
    """Pad dialogues to the longest; the model never reads what is padded."""
    first = batch[0]
    turns = [torch.ones(len(d), dtype=torch.bool) for d in batch]
    return DialogueBatch(
        features={m: _padded([d.features[m] for d in batch]) for m in first.features},
        frame_mask=None
        if first.frame_mask is None
        else _padded([d.frame_mask for d in batch if d.frame_mask is not None]),
        present={m: _padded([d.present[m] for d in batch]) for m in first.present},
        turn_mask=_padded(turns),
        speakers=_padded([d.speakers for d in batch]),
        labels=pad_sequence([d.labels for d in batch], batch_first=True, padding_value=NO_LABEL),
    )


def _padded(parts: list[Tensor]) -> Tensor:
    """[turn, ...] tensors as [dialogue, turn, ...]; a frame axis is padded first."""
    if parts[0].dim() > 1 and len({p.shape[1] for p in parts}) > 1:
        longest = max(p.shape[1] for p in parts)
        parts = [_with_frames(p, longest) for p in parts]
    return pad_sequence(parts, batch_first=True)


def _with_frames(part: Tensor, longest: int) -> Tensor:
    wide = part.new_zeros(part.shape[0], longest, *part.shape[2:])
    wide[:, : part.shape[1]] = part
    return wide


@dataclass(frozen=True)
class TrainingSettings:
    """Every section that training reads."""

    model: ModelSettings
    loss: LossSettings
    train: TrainSettings
    compute: ComputeSettings


@dataclass(frozen=True)
class Fold:
    """The data of one fold and the settings of its runs.

    Attributes:
        classes: How many classes there are.
        train: Dialogues to learn from.
        valid: Dialogues that choose the epoch.
        test: Dialogues to predict; their labels are not in here.
        settings: `compute.device` is resolved, never `auto`.
    """

    classes: int
    train: Sequence[Dialogue]
    valid: Sequence[Dialogue]
    test: Sequence[Dialogue]
    settings: TrainingSettings

    @property
    def dimensions(self) -> dict[str, int]:
        """Number of features by modality in use."""
        return {m: v.shape[-1] for m, v in self.train[0].features.items()}

    def batch(self, places: Sequence[int]) -> DialogueBatch:
        """Train dialogues as one padded batch on the device."""
        padded = collate([self.train[place] for place in places])
        return padded.to(torch.device(self.settings.compute.device))


def mean_and_std(dialogues: Sequence[Dialogue], modality: str) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each feature over the present utterances (or frames).

    Summed in float64, so that columns that never vary come out as such; of absurd values, see
    `outliers`, none is counted.

    Args:
        dialogues: The train split's.
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


def _present(dialogue: Dialogue, modality: str) -> Tensor:
    vectors, present = dialogue.features[modality], dialogue.present[modality]
    if modality == "visual" and dialogue.frame_mask is not None:
        return vectors[dialogue.frame_mask & present[:, None]]
    return vectors[present]
