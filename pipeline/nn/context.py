"""The context of an utterance: what was said before and after it, and by whom.

`dialogue_rnn` follows Majumder et al., "DialogueRNN" (AAAI 2019): a global state for the dialogue,
a party state per speaker, an emotion state per turn, simple attention over the past global states.
It is their simple variant: a turn updates the party state of its speaker, listeners keep theirs.
Each modality has its own context with its own weights.
"""

import math

import torch
from torch import Tensor, nn

from pipeline.nn.recurrence import ChainedGRU, Directions, uniform

CONTEXTS = ("dialogue_rnn", "gru", "none")


class DialogueRNN(nn.Module):
    """Bidirectional DialogueRNN, all modalities and both directions in one loop over the turns.

    With u_t the utterance, s its speaker, g global, q party and e emotion states:
    `g_t = GRU_g(g_(t-1), [u_t, q_(s,t-1)])`, `c_t = sum_i softmax_i(w . g_i) g_i` over i < t,
    `q_(s,t) = GRU_q(q_(s,t-1), [u_t, c_t])`, `e_t = GRU_e(e_(t-1), q_(s,t))`; all start at 0. Each
    direction has states of half the width; the two emotion states are concatenated.

    Args:
        modalities: How many modalities.
        width: The model's width, of the utterances and of the result.
    """

    def __init__(self, modalities: int, width: int) -> None:
        super().__init__()
        chains, hidden = 2 * modalities, width // 2
        bound = 1 / math.sqrt(hidden)
        # The global cells, then the party cells: neither needs the other's new state, so both take
        # a turn together. `recurrent` is the part of their input that only the loop knows.
        self.cells = ChainedGRU(2 * chains, width, hidden)
        self.recurrent = uniform(bound, 2 * chains, hidden, 3 * hidden)
        self.attention = uniform(bound, chains, 1, hidden)
        self.emotion = ChainedGRU(chains, hidden, hidden)

    def forward(self, utterances: Tensor, turn_mask: Tensor, speakers: Tensor) -> Tensor:
        """Adds context to each utterance.

        Args:
            utterances: [modality, batch, turn, width].
            turn_mask: True where a turn is real, [batch, turn].
            speakers: Index of the speaker within the dialogue, [batch, turn].

        Returns:
            [modality, batch, turn, width].
        """
        directions = Directions(turn_mask)
        speaking = one_hot_speakers(speakers, turn_mask)
        roles = directions.split(speaking.expand(len(utterances), *speaking.shape))
        party = self._party(directions.split(utterances), roles)
        return directions.join(self.emotion(party))

    def _party(self, utterances: Tensor, roles: Tensor) -> Tensor:
        """The speaker's party state after each turn.

        Args:
            utterances: [chain, turn, batch, width].
            roles: True for the speaker of the turn, [chain, turn, batch, speaker].

        Returns:
            [chain, turn, batch, hidden].
        """
        chains, _, batch, speakers = roles.shape
        shared = utterances.new_zeros(chains, batch, self.attention.shape[-1])
        parties = shared.unsqueeze(2).expand(-1, -1, speakers, -1)
        past = PastStates(self.attention, shared)
        after = []
        gates = self.cells.project(utterances.repeat(2, 1, 1, 1))
        for turn, role in zip(gates.unbind(1), roles.unsqueeze(-1).unbind(1), strict=True):
            own = (parties * role).sum(dim=2)
            turn = torch.baddbmm(turn, torch.cat((own, past.summary)), self.recurrent)
            shared, own = self.cells.step(turn, torch.cat((shared, own))).chunk(2)
            parties = torch.where(role, own.unsqueeze(2), parties)
            past.add(shared)
            after.append(own)
        return torch.stack(after, dim=1)


class PastStates:
    """Simple attention over the global states so far, kept as a running mean.

    The weights softmax(w . g_i) do not depend on the present turn. Appending a state moves the
    weighted mean towards it by its share of the softmax, so the past need not be read again.

    Args:
        attention: w, [chain, 1, hidden].
        state: Any state, for shape, device and type, [chain, batch, hidden].
    """

    def __init__(self, attention: Tensor, state: Tensor) -> None:
        self.attention = attention
        self.summary = torch.zeros_like(state)  # no past: zeros
        self.log_total = torch.full_like(state[..., :1], -math.inf)

    def add(self, state: Tensor) -> None:
        """Appends the global state of a turn, [chain, batch, hidden]."""
        score = (state * self.attention).sum(dim=-1, keepdim=True)
        share = torch.sigmoid(score - self.log_total)
        self.summary = self.summary + share * (state - self.summary)
        self.log_total = torch.logaddexp(self.log_total, score)


class GRUContext(nn.Module):
    """A bidirectional GRU over the turns of a dialogue, blind to who speaks.

    Args:
        modalities: How many modalities, each with its own GRU.
        width: The model's width, of the utterances and of the result.
    """

    def __init__(self, modalities: int, width: int) -> None:
        super().__init__()
        self.gru = ChainedGRU(2 * modalities, width, width // 2)

    def forward(self, utterances: Tensor, turn_mask: Tensor, speakers: Tensor) -> Tensor:
        """Adds context to each utterance.

        Args:
            utterances: [modality, batch, turn, width].
            turn_mask: True where a turn is real, [batch, turn].
            speakers: Not used, [batch, turn].

        Returns:
            [modality, batch, turn, width].
        """
        directions = Directions(turn_mask)
        return directions.join(self.gru(directions.split(utterances)))


def make_context(kind: str, modalities: int, width: int) -> DialogueRNN | GRUContext | None:
    """The module of that name, None for `none`.

    Args:
        kind: One of `CONTEXTS`.
        modalities: How many modalities.
        width: The model's width.
    """
    if kind not in CONTEXTS:
        raise ValueError(f"Bad context '{kind}', expected one of {CONTEXTS}")
    if kind == "none":
        return None
    if width % 2:
        raise ValueError(f"Bad width {width}, expected an even one: half goes to each direction")
    return (DialogueRNN if kind == "dialogue_rnn" else GRUContext)(modalities, width)


def one_hot_speakers(speakers: Tensor, turn_mask: Tensor) -> Tensor:
    """Who speaks at each turn, for as many speakers as the batch has.

    Args:
        speakers: [batch, turn]; padded turns may hold any value.
        turn_mask: [batch, turn].

    Returns:
        [batch, turn, speaker] of bool.
    """
    count = int(speakers.masked_fill(~turn_mask, 0).max()) + 1
    return speakers.unsqueeze(-1) == torch.arange(count, device=speakers.device)
