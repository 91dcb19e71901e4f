"""Batches: availability of modalities, moving between devices, packing."""

from dataclasses import replace

import torch

from pipeline.nn.batch import Packing, unpack
from tests.systems.dialogues import collate, make_dialogues


def test_available_by_hand():
    batch = collate(make_dialogues([3, 1], missing=0.0))
    present = torch.tensor([[True, False, True], [True, True, True]])
    frames = torch.zeros_like(batch.frame_mask)
    frames[0, 0, 1] = frames[0, 1, 0] = True
    batch = replace(batch, present=dict.fromkeys(batch.present, present), frame_mask=frames)
    # Present, and no padding; visual needs a frame too.
    assert batch.available("text").tolist() == [[True, False, True], [True, False, False]]
    assert batch.available("visual").tolist() == [[True, False, False], [False, False, False]]
    whole = replace(batch, frame_mask=None)
    assert whole.available("visual").equal(batch.available("text"))


def test_to_moves_every_tensor():
    batch = collate(make_dialogues([2]))
    moved = batch.to("meta")
    tensors = [*moved.features.values(), *moved.present.values(), moved.frame_mask]
    tensors += [moved.turn_mask, moved.speakers, moved.labels]
    assert {t.device.type for t in tensors} == {"meta"}
    assert replace(batch, frame_mask=None).to("cpu").frame_mask is None


def test_unpack_undoes_taking_rows_out():
    values, mask = torch.randn(2, 3, 4), torch.tensor([[True, False, True], [False, True, False]])
    assert torch.equal(unpack(values[mask], mask), values * mask.unsqueeze(-1))


def test_packing_drops_padded_turns():
    mask = torch.tensor([[True, True, False], [True, False, False]])
    packing = Packing(mask)
    padded = torch.arange(6.0).view(2, 3, 1)
    assert packing.pack(padded).flatten().tolist() == [0, 1, 3]
    stacked = torch.stack((padded, 10 * padded))  # with a modality axis in front
    assert packing.pack(stacked).squeeze(-1).tolist() == [[0, 1, 3], [0, 10, 30]]
    rows = torch.tensor([[7.0], [8.0], [9.0]])
    assert packing.unpack(rows).squeeze(-1).tolist() == [[7, 8, 0], [9, 0, 0]]
