"""What a system reads: dialogues, and padded batches of them with masks for the padding."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

MODALITIES = ("text", "audio", "visual")
"""The modalities in canonical order: the order of every stack, concatenation and partner list."""

NO_LABEL = -1


@dataclass(frozen=True)
class DialogueBatch:
    """A batch of dialogues, padded at the end to the same number of turns.

    Values in padded turns, padded frames and missing utterances are never read; they may be NaN.
    """

    features: dict[str, Tensor]
    """Per modality: `text`, `audio` [batch, turn, feature], `visual` [batch, turn, frame, feature].
    """

    frame_mask: Tensor | None
    """True where a frame is real, [batch, turn, frame]; None if every visual frame is."""

    present: dict[str, Tensor]
    """Per modality, True where the utterance has it, [batch, turn]."""

    turn_mask: Tensor
    """True where a turn is real, [batch, turn]."""

    speakers: Tensor
    """Index of the speaker within the dialogue, by first appearance, [batch, turn]."""

    labels: Tensor
    """Class index, -1 if unlabelled, [batch, turn]; read by the loss, never by the model."""

    texts: list[list[str]] = field(default_factory=list)
    """[batch][turn], without padding; empty where nobody gave them."""

    def available(self, modality: str) -> Tensor:
        """True where a real turn has the modality (for `visual`, a frame), [batch, turn]."""
        available = self.present[modality] & self.turn_mask
        if modality == "visual" and self.frame_mask is not None:
            available = available & self.frame_mask.any(dim=-1)
        return available

    def all_available(self, modalities: Sequence[str]) -> Tensor:
        """`available` of several modalities, [modality, batch, turn]."""
        return torch.stack([self.available(m) for m in modalities])

    def to(self, device: torch.device | str) -> "DialogueBatch":
        """Copy the batch to a device."""

        def move(tensor: Tensor) -> Tensor:
            # Copies from pinned memory overlap with computation; from other memory they block.
            return tensor.to(device, non_blocking=True)

        return DialogueBatch(
            features={modality: move(values) for modality, values in self.features.items()},
            frame_mask=None if self.frame_mask is None else move(self.frame_mask),
            present={modality: move(mask) for modality, mask in self.present.items()},
            turn_mask=move(self.turn_mask),
            speakers=move(self.speakers),
            labels=move(self.labels),
            texts=self.texts,
        )


@dataclass(frozen=True)
class Dialogue:
    """One dialogue of one split; zeros where a modality is missing."""

    name: str
    utterances: list[str]
    """Ids in the order of the turns."""

    features: dict[str, Tensor]
    """Per modality: `text`, `audio` [turn, feature], `visual` [turn, frame, feature]."""

    frame_mask: Tensor | None
    """[turn, frame] bool, only if visual is in use."""

    present: dict[str, Tensor]
    """Per modality, [turn] bool."""

    speakers: Tensor
    """Index of the speaker within the dialogue, by first appearance, [turn]."""

    labels: Tensor
    """[turn] class number, -1 for none."""

    texts: list[str] = field(default_factory=list)
    """[turn], for systems that read words themselves."""

    names: list[str] = field(default_factory=list)
    """Who speaks, [turn]; the same in other dialogues where the corpus tells people apart."""

    def __len__(self) -> int:
        return len(self.utterances)


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
        texts=[d.texts for d in batch],
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


def available_or_all(available: Tensor) -> Tensor:
    """Count a turn that has no modality as having all, [modality, ...]."""
    return available | ~available.any(dim=0)


class Packing:
    """Gather real turns into rows and scatter them back, so that padding is not computed.

    Args:
        turn_mask: True where a turn is real, [batch, turn].
    """

    def __init__(self, turn_mask: Tensor) -> None:
        self.shape = turn_mask.shape
        self.places = turn_mask.flatten().nonzero().squeeze(1)

    def pack(self, padded: Tensor) -> Tensor:
        """Map [..., batch, turn, feature] to [..., row, feature], one row per real turn."""
        return padded.flatten(-3, -2).index_select(-2, self.places)

    def unpack(self, rows: Tensor) -> Tensor:
        """Map [row, feature] to [batch, turn, feature], zeros in padded turns."""
        padded = rows.new_zeros(self.shape.numel(), rows.shape[-1])
        return padded.index_copy_(0, self.places, rows).view(*self.shape, -1)


def unpack(rows: Tensor, mask: Tensor) -> Tensor:
    """Scatter rows to where a mask is True, zeros elsewhere: the inverse of `padded[mask]`.

    Args:
        rows: One row per True of the mask, [row, feature].
        mask: Boolean, [...].

    Returns:
        [..., feature].
    """
    if len(rows) == mask.numel():
        return rows.view(*mask.shape, rows.shape[-1])
    return rows.new_zeros(*mask.shape, rows.shape[-1]).index_put_((mask,), rows)
