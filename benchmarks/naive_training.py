"""The naive peer: MCN-CL and its loss as this field's public code has them, with our weights.

After the public MultiEMO (its DialogueRNN, MultiAttn and contrastive loss), and no slower: where
that code loops over batch entries or heads, or copies all utterances for every anchor, this one
does not. What makes it slow is how it is put together, not a clumsy line.
"""

import copy
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from pipeline.nn.batch import NO_LABEL, DialogueBatch
from pipeline.nn.contrastive import TIE
from pipeline.nn.cross_attention import CrossAttention, MCNBranch
from pipeline.nn.dialogue_rnn import DialogueRNN, one_hot_speakers
from pipeline.nn.entropy import Entropy
from pipeline.systems.base import Output
from pipeline.systems.mcn_cl import McnCl


class NaiveDialogueRNN(nn.Module):
    """One direction of one modality: three cells per turn, attention over a growing history."""

    def __init__(self, ours: DialogueRNN, chain: int) -> None:
        super().__init__()
        chains, _, hidden = ours.attention.shape
        weights = torch.cat((ours.cells.weight_input, ours.recurrent), dim=1)
        self.hidden = hidden
        self.shared = _cell(weights, ours.cells, chain)
        self.party = _cell(weights, ours.cells, chains + chain)
        self.emotion = _cell(ours.emotion.weight_input, ours.emotion, chain)
        self.attention = nn.Linear(hidden, 1, bias=False)
        self.attention.weight.data.copy_(ours.attention[chain])

    def forward(self, utterances: Tensor, roles: Tensor) -> Tensor:
        """Utterances [turn, batch, width] to emotion states, [turn, batch, hidden]."""
        batch, speakers = roles.shape[1:]
        shared = emotion = summary = utterances.new_zeros(batch, self.hidden)
        parties = utterances.new_zeros(batch, speakers, self.hidden)
        past, emotions = utterances.new_zeros(0, batch, self.hidden), []
        for turn, role in zip(utterances, roles.to(utterances).unsqueeze(-1), strict=True):
            if len(past):
                summary = self._attend(past)
            own = (parties * role).sum(dim=1)
            shared = self.shared(torch.cat((turn, own), dim=1), shared)
            past = torch.cat((past, shared.unsqueeze(0)))
            # Everybody's state is computed, and the speaker's kept.
            heard = torch.cat((turn, summary), dim=1).unsqueeze(1).expand(-1, speakers, -1)
            new = self.party(heard.flatten(0, 1), parties.flatten(0, 1)).view_as(parties)
            parties = parties * (1 - role) + new * role
            emotion = self.emotion((parties * role).sum(dim=1), emotion)
            emotions.append(emotion)
        return torch.stack(emotions)

    def _attend(self, past: Tensor) -> Tensor:
        """Weighted mean of the global states so far, [turn, batch, hidden] to [batch, hidden]."""
        shares = functional.softmax(self.attention(past), dim=0).permute(1, 2, 0)
        return torch.bmm(shares, past.transpose(0, 1)).squeeze(1)


class NaiveAttention(nn.Module):
    """Cross-attention between two modalities step by step, then Add & Norm."""

    def __init__(self, ours: CrossAttention) -> None:
        super().__init__()
        self.heads, self.dropout = ours.heads, nn.Dropout(ours.dropout)
        key, value = ours.key_value.weight.chunk(2)
        weights = (ours.query.weight, key, value, ours.output.weight)
        self.query, self.key, self.value, self.output = (_linear(weight) for weight in weights)
        self.norm = copy.deepcopy(ours.norm)

    def forward(self, features: Tensor, partner: Tensor, usable: Tensor) -> Tensor:
        """As `CrossAttention.forward`: [batch, turn, width], usable [batch, turn]."""
        query, key, value = (
            map_(rows).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for map_, rows in ((self.query, features), (self.key, partner), (self.value, partner))
        )
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        scores = scores.masked_fill(~usable[:, None, None, :], -1e9)
        read = self.dropout(functional.softmax(scores, dim=-1)) @ value
        read = read * usable.any(dim=1)[:, None, None, None]
        updated: Tensor = self.norm(features + self.output(read.transpose(1, 2).flatten(2)))
        return updated


class NaiveBranch(nn.Module):
    """One layer for one modality, as `MCNBranch`."""

    def __init__(self, ours: MCNBranch) -> None:
        super().__init__()
        self.attentions = nn.ModuleList(NaiveAttention(a) for a in ours.attentions)
        self.feed_forward, self.norm = copy.deepcopy((ours.feed_forward, ours.norm))

    def forward(self, features: Tensor, partners: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        """[batch, turn, width], given each partner's context features and usable turns."""
        for attention, (partner, usable) in zip(self.attentions, partners, strict=True):
            features = attention(features, partner, usable)
        updated: Tensor = self.norm(features + self.feed_forward(features))
        return updated


class NaiveMCNCL(nn.Module):
    """The whole model on padded batches; encoders, heads and classifier are copies of ours.

    All parts of our model must be switched on.

    Args:
        ours: Whose weights and settings it has.
        contrastive: `naive_contrastive`, or ours.
    """

    def __init__(self, ours: McnCl, contrastive: Callable[..., Tensor]) -> None:
        super().__init__()
        self.settings, self.contrastive = ours.settings, contrastive
        assert isinstance(ours.context, DialogueRNN)
        assert ours.mcn is not None
        context, self.modalities = ours.context, ours.inputs.modalities
        self.encoders, self.missing = copy.deepcopy((ours.inputs.encoders, ours.inputs.missing))
        self.dropout, self.heads = copy.deepcopy((ours.dropout, ours.heads))
        self.classifier = copy.deepcopy(ours.classifier)
        chains = range(len(context.attention))
        self.context = nn.ModuleList(NaiveDialogueRNN(context, chain) for chain in chains)
        self.layers = nn.ModuleList(
            nn.ModuleList(NaiveBranch(branch) for branch in layer.branches)
            for layer in ours.mcn.layers
        )

    def forward(self, batch: DialogueBatch) -> Output:
        """Logits [utterance, class] and projections of every labelled turn."""
        usable = [batch.available(m) for m in self.modalities]
        context = [self._context(n, self._encode(n, batch), batch) for n in range(len(usable))]
        sources = list(zip(context, usable, strict=True))
        features = context
        for layer in self.layers:
            features = [
                branch(features[own], sources[:own] + sources[own + 1 :])
                for own, branch in enumerate(layer)
            ]
        labelled = batch.labels != NO_LABEL
        rows = torch.stack([f[labelled] for f in features])
        named = zip(self.modalities, rows, strict=True)
        return Output(self.classifier(rows), {m: self.heads[m](f) for m, f in named})

    def losses(self, output: Output, batch: DialogueBatch, entropy: Entropy) -> dict[str, Tensor]:
        """The terms of `McnCl` from the rows of the labelled turns."""
        labelled, settings = batch.labels != NO_LABEL, self.settings
        labels = batch.labels[labelled]
        contrastive = torch.zeros(())
        for modality, rows in output.extra.items():
            sampled = batch.available(modality)[labelled]
            term = self.contrastive(
                rows[sampled],
                labels[sampled],
                temperature=settings.temperature,
                hard_ratio=settings.hard_ratio,
            )
            contrastive = contrastive + settings.modality_weights[modality] * term
        return {
            "cross_entropy": functional.cross_entropy(output.logits, labels),
            "contrastive": settings.contrastive * contrastive,
        }

    def _encode(self, number: int, batch: DialogueBatch) -> Tensor:
        """One modality's utterances, padding included, [batch, turn, width]."""
        modality = self.modalities[number]
        encoder, available = self.encoders[modality], batch.available(modality)
        encoded = encoder.project(encoder.standardise(batch.features[modality]))
        if modality == "visual":
            assert batch.frame_mask is not None
            pooled = encoder.psa(encoded.flatten(0, 1), batch.frame_mask.flatten(0, 1))
            encoded = pooled.unflatten(0, available.shape)
        return self.dropout(torch.where(available.unsqueeze(-1), encoded, self.missing[number]))

    def _context(self, number: int, utterances: Tensor, batch: DialogueBatch) -> Tensor:
        """Both directions of one modality, [batch, turn, width] before and after."""
        lengths = batch.turn_mask.sum(dim=1).tolist()
        roles = one_hot_speakers(batch.speakers, batch.turn_mask)
        forward, backward = self.context[2 * number], self.context[2 * number + 1]
        ahead = forward(utterances.transpose(0, 1), roles.transpose(0, 1))
        behind = backward(_mirrored(utterances, lengths), _mirrored(roles, lengths))
        behind = _mirrored(behind.transpose(0, 1), lengths)
        return torch.cat((ahead, behind), dim=-1).transpose(0, 1)


def _mirrored(sequence: Tensor, lengths: Sequence[int]) -> Tensor:
    """Each dialogue backwards, [batch, turn, ...] to [turn, batch, ...]."""
    return pad_sequence([row[:n].flip(0) for row, n in zip(sequence, lengths, strict=True)])


def _cell(weight_input: Tensor, ours: nn.Module, chain: int) -> nn.GRUCell:
    """PyTorch's cell with one chain's weights; `weight_input` is [chain, input, 3 * hidden]."""
    cell = nn.GRUCell(weight_input.shape[1], ours.weight_hidden.shape[1])
    cell = cell.to(weight_input.dtype)
    cell.weight_ih.data.copy_(weight_input[chain].T)
    cell.weight_hh.data.copy_(ours.weight_hidden[chain].T)
    cell.bias_ih.data.copy_(ours.bias_input[chain, 0])
    cell.bias_hh.data.copy_(ours.bias_hidden[chain, 0])
    return cell


def _linear(weight: Tensor) -> nn.Linear:
    """A map without bias with a copy of that weight."""
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    linear.weight = nn.Parameter(weight.detach().clone())
    return linear


def naive_contrastive(
    projected: Tensor, labels: Tensor, *, temperature: float, hard_ratio: float
) -> Tensor:
    """Eq. 26 in a loop over the anchors.

    Args:
        projected: Vectors of length 1, [utterance, projection].
        labels: [utterance].
        temperature: tau.
        hard_ratio: Share of the negatives that count.
    """
    terms = []
    for anchor in range(len(labels)):
        similarity = projected @ projected[anchor]
        same = labels == labels[anchor]
        negatives = similarity[~same]
        same[anchor] = False
        positives = similarity[same]
        if len(positives) and len(negatives):
            terms.append(_term(positives, negatives, temperature, hard_ratio))
    return torch.stack(terms).mean() if terms else projected.sum() * 0.0


def _term(positives: Tensor, negatives: Tensor, temperature: float, hard_ratio: float) -> Tensor:
    """One anchor's term from its similarities, [positive] and [negative]."""
    kept = math.ceil(hard_ratio * len(negatives) - 1e-9)
    last = negatives.detach().topk(kept).values[-1]
    hard = negatives[negatives.detach() >= last - TIE]
    counted = torch.cat((positives, hard)) / temperature
    return counted.logsumexp(dim=0) - positives.mean() / temperature
