"""Networks turn by turn, as their papers write them, with the weights of those that run here."""

import torch
from torch import nn

from pipeline.nn.attention import MultiHeadAttention
from pipeline.nn.dialogue_rnn import DialogueRNN
from pipeline.nn.graph_attention import GATv2
from pipeline.nn.recurrence import ChainedGRU


def gru_cell(gru: ChainedGRU, chain: int, extra: torch.Tensor | None = None) -> nn.GRUCell:
    """nn.GRUCell with one chain's weights; `extra` are more rows of the input weights."""
    weight = gru.weight_input[chain]
    if extra is not None:
        weight = torch.cat((weight, extra[chain]))
    cell = nn.GRUCell(weight.shape[0], gru.weight_hidden.shape[1]).double()
    with torch.no_grad():
        cell.weight_ih.copy_(weight.T)
        cell.weight_hh.copy_(gru.weight_hidden[chain].T)
        cell.bias_ih.copy_(gru.bias_input[chain, 0])
        cell.bias_hh.copy_(gru.bias_hidden[chain, 0])
    return cell


def naive_dialogue_rnn(model: DialogueRNN, chain: int, turns, speakers) -> list[torch.Tensor]:
    """One direction of one modality over one dialogue, as Majumder et al. write it."""
    chains, _, hidden = model.attention.shape
    global_cell = gru_cell(model.cells, chain, model.recurrent)
    party_cell = gru_cell(model.cells, chains + chain, model.recurrent)
    emotion_cell = gru_cell(model.emotion, chain)
    zeros = torch.zeros(1, hidden, dtype=torch.float64)
    past, parties, emotions = [], dict.fromkeys(speakers, zeros), []
    shared, emotion = zeros, torch.zeros(1, emotion_cell.hidden_size, dtype=torch.float64)
    for turn, speaker in zip(turns, speakers, strict=True):
        party, summary = parties[speaker], zeros
        if past:
            attention = model.attention[chain]
            scores = torch.stack(
                [(g * (turn @ attention if model.general else attention)).sum() for g in past]
            )
            shares = scores.exp() / scores.exp().sum()
            summary = sum(a * g for a, g in zip(shares, past, strict=True))
        shared = global_cell(torch.cat((turn[None], party), dim=1), shared)
        new = party_cell(torch.cat((turn[None], summary), dim=1), party)
        if model.listener is not None:
            listener_cell = gru_cell(model.listener, chain, model.listener.recurrent)
            heard = torch.cat((turn[None], new), dim=1)
            parties = {name: listener_cell(heard, state) for name, state in parties.items()}
        parties[speaker] = new
        past.append(shared)
        emotion = emotion_cell(new, emotion)
        emotions.append(emotion[0])
    return emotions


def naive_gatv2(layer: GATv2, turns) -> torch.Tensor:
    """Graph attention over the edges of one dialogue, [turn, width]."""
    rows = []
    for i, receiver in enumerate(turns):
        first = 0 if layer.past < 0 else max(i - layer.past, 0)
        near = turns[first:] if layer.future < 0 else turns[first : i + layer.future + 1]
        asked = layer.receiver(receiver).chunk(layer.heads)
        heads = []
        for head, attention in enumerate(layer.attention):
            sent = [layer.sender(sender).chunk(layer.heads)[head] for sender in near]
            hidden = [s + asked[head] for s in sent]
            scores = [attention @ torch.where(h > 0, h, 0.2 * h) for h in hidden]
            shares = torch.stack(scores).softmax(0)
            heads.append(sum(a * s for a, s in zip(shares, sent, strict=True)))
        rows.append(sum(heads) / layer.heads + layer.bias)
    return torch.stack(rows)


def naive_head(query, keys, values) -> torch.Tensor:
    """Scaled dot-product attention of one query to some vectors."""
    shares = [(query @ key / len(query) ** 0.5).exp() for key in keys]
    return sum(s * v for s, v in zip(shares, values, strict=True)) / sum(shares)


def naive_attention(layer: MultiHeadAttention, queries, keys) -> torch.Tensor:
    """Multi-head attention of one dialogue, [query, width]."""
    rows, heads = [], range(layer.heads)
    maps = [layer.key_value(turn).chunk(2) for turn in keys]
    pairs = [[part.chunk(layer.heads) for part in both] for both in maps]
    for query in layer.query(queries):
        asked = query.chunk(layer.heads)
        mixed = [
            naive_head(asked[h], [k[h] for k, _ in pairs], [v[h] for _, v in pairs]) for h in heads
        ]
        rows.append(layer.output(torch.cat(mixed)))
    return torch.stack(rows)
