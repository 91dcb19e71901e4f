"""The model's input: a padded batch of dialogues with a mask for each kind of padding."""

from dataclasses import dataclass

import torch
from torch import Tensor

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

    def available(self, modality: str) -> Tensor:
        """True where a real turn has the modality (for `visual`, a frame), [batch, turn]."""
        available = self.present[modality] & self.turn_mask
        if modality == "visual" and self.frame_mask is not None:
            available = available & self.frame_mask.any(dim=-1)
        return available

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
        )


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
        return padded.index_copy(0, self.places, rows).view(*self.shape, -1)


def unpack(rows: Tensor, mask: Tensor) -> Tensor:
    """Scatter rows to where a mask is True, zeros elsewhere: the inverse of `padded[mask]`.

    Args:
        rows: One row per True of the mask, [row, feature].
        mask: Boolean, [...].

    Returns:
        [..., feature].
    """
    return rows.new_zeros(*mask.shape, rows.shape[-1]).index_put((mask,), rows)
