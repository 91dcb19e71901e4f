"""A corpus as dialogues of tensors: the protocol joined with the feature stores, fold by fold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.base.settings import ComputeSettings
from pipeline.features.common.device import refuse_nondeterminism, resolve_device, set_threads
from pipeline.nn.batch import NO_LABEL, DialogueBatch
from pipeline.records.features import Features, of_utterances, read_features
from pipeline.records.protocol import Entry, Protocol, read_protocol
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
        entries: The protocol's entries.
        stores: Feature stores of the modalities in use.
        fold: Which fold.
        split: Which split.

    Raises:
        PipelineError: A store was made from another manifest.
    """
    chosen = [e for e in entries if e.fold == fold and e.split == split]
    rows = {m: of_utterances(s, [e.utterance for e in chosen]) for m, s in stores.items()}
    found, start = [], 0
    for name, group in groupby(chosen, key=lambda e: e.dialogue):
        turns = list(group)
        part = {m: r[start : start + len(turns)] for m, r in rows.items()}
        found.append(_dialogue(name, turns, stores, part))
        start += len(turns)
    return found


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
    seen: dict[str, int] = {}
    return Dialogue(
        name=name,
        utterances=[t.utterance for t in turns],
        features=features,
        frame_mask=frame_mask,
        present={m: torch.from_numpy(stores[m].present[r]) for m, r in rows.items()},
        speakers=torch.tensor([seen.setdefault(t.speaker, len(seen)) for t in turns]),
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
    """Pads dialogues to the longest; nothing that is padded is ever read by the model."""
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
class Task:
    """The data and settings of all runs of one fold.

    Attributes:
        classes: How many classes there are.
        train: Dialogues to learn from.
        valid: Dialogues that choose the epoch.
        test: Dialogues to predict; their labels are not in here.
        model: What is built.
        loss: What is minimised.
        optimisation: How.
        compute: On what; `device` is resolved, never `auto`.
    """

    classes: int
    train: Sequence[Dialogue]
    valid: Sequence[Dialogue]
    test: Sequence[Dialogue]
    model: ModelSettings
    loss: LossSettings
    optimisation: TrainSettings
    compute: ComputeSettings

    @property
    def dimensions(self) -> dict[str, int]:
        """Number of features by modality in use."""
        return {m: v.shape[-1] for m, v in self.train[0].features.items()}

    def load(self, dialogues: Sequence[Dialogue], batch: Sequence[int]) -> DialogueBatch:
        """One padded batch on the device."""
        padded = collate([dialogues[i] for i in batch])
        return padded.to(torch.device(self.compute.device))


@dataclass(frozen=True)
class TrainingSettings:
    """Every section that training reads."""

    model: ModelSettings
    loss: LossSettings
    train: TrainSettings
    compute: ComputeSettings


@dataclass(frozen=True)
class TrainingData:
    """A corpus, read for training.

    Attributes:
        protocol: Without test labels.
        stores: By modality in use.
        settings: Of the corpus; `compute.device` is resolved, never `auto`.
    """

    protocol: Protocol
    stores: Mapping[str, Features]
    settings: TrainingSettings

    def task(self, fold: int) -> Task:
        """What the runs of a fold are given."""
        train, valid, test = (
            dialogues(self.protocol.entries, self.stores, fold, split)
            for split in ("train", "valid", "test")
        )
        return Task(
            classes=len(self.protocol.classes),
            train=train,
            valid=valid,
            test=test,
            model=self.settings.model,
            loss=self.settings.loss,
            optimisation=self.settings.train,
            compute=self.settings.compute,
        )


def read_data(corpus: str, settings: TrainingSettings) -> TrainingData:
    """Reads a corpus, and sets threads and determinism for this process.

    Args:
        corpus: Which.
        settings: As in params.yaml.

    Raises:
        PipelineError: A store is missing or empty; no such device.
    """
    return TrainingData(
        protocol=read_protocol(paths.protocol(corpus), labels_of=("train", "valid")),
        stores=_stores(corpus, settings.model),
        settings=_prepared(settings),
    )


def _stores(corpus: str, model: ModelSettings) -> dict[str, Features]:
    stores: dict[str, Features] = {
        m: read_features(paths.features(corpus, m)) for m in model.modalities
    }
    empty = [m for m, store in stores.items() if not store.present.any()]
    if empty:
        raise PipelineError(
            f"The feature stores of {empty} hold no utterance: take them out of "
            f"{corpus}.model.modalities, or see data/ledgers/{corpus} for what was wrong."
        )
    return stores


def _prepared(settings: TrainingSettings) -> TrainingSettings:
    compute = settings.compute
    set_threads(settings.train.threads)
    if compute.deterministic:
        refuse_nondeterminism()
    device = resolve_device(compute.device)
    real = compute.model_copy(update={"device": device})
    return TrainingSettings(settings.model, settings.loss, settings.train, real)


def mean_and_std(dialogues: Sequence[Dialogue], modality: str) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each feature over the present utterances (or frames).

    Summed in float64, so that columns that never vary come out as such.

    Args:
        dialogues: The train split's.
        modality: Which modality.

    Returns:
        Two [feature] float32 tensors; zeros and ones where no utterance has the modality.
    """
    width = dialogues[0].features[modality].shape[-1]
    count, total, squares = 0, torch.zeros(width).double(), torch.zeros(width).double()
    for rows in (_present(d, modality).double() for d in dialogues):
        count += len(rows)
        total += rows.sum(0)
    if not count:
        return torch.zeros(width), torch.ones(width)
    mean = total / count
    for rows in (_present(d, modality).double() for d in dialogues):
        squares += (rows - mean).square().sum(0)
    return mean.float(), (squares / count).sqrt().float()


def _present(dialogue: Dialogue, modality: str) -> Tensor:
    vectors, present = dialogue.features[modality], dialogue.present[modality]
    if modality == "visual" and dialogue.frame_mask is not None:
        return vectors[dialogue.frame_mask & present[:, None]]
    return vectors[present]
