"""DialogueRNN (Majumder et al., AAAI 2019): who speaks, what was said before, and what is felt.

A global state follows the dialogue, a party state each speaker, an emotion state each turn;
attention reads the past global states.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.nn.recurrence import ChainedGRU, Directions, uniform

ATTENTIONS = ("simple", "general")


class DialogueRNN(nn.Module):
    """Bidirectional DialogueRNN; one loop over the turns for all modalities and directions.

    With u_t the utterance, s its speaker, g global, q party and e emotion states:
    `g_t = GRU_g(g_(t-1), [u_t, q_(s,t-1)])`, `c_t = sum_i softmax_i(score_i) g_i` over i < t,
    `q_(s,t) = GRU_q(q_(s,t-1), [u_t, c_t])`, `e_t = GRU_e(e_(t-1), q_(s,t))`; all start at 0. The
    other parties keep their states, or listen: `q_(p,t) = GRU_l(q_(p,t-1), [u_t, q_(s,t)])`.

    Args:
        modalities: How many contexts, each with weights of its own.
        width: Features of an utterance.
        states: Features of global and party states, per direction.
        emotions: Features of emotion states, per direction.
        attention: The score: `simple`: w . g_i; `general`: g_i . (W u_t).
        listeners: Whether parties that do not speak listen.
        dropout: Of every new state, before anything reads it.
    """

    def __init__(
        self,
        modalities: int,
        width: int,
        states: int,
        emotions: int,
        *,
        attention: str = "simple",
        listeners: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if attention not in ATTENTIONS:
            raise ValueError(f"Bad attention '{attention}', expected one of {ATTENTIONS}")
        chains = 2 * modalities
        bound = 1 / math.sqrt(states)
        # The global cells, then the party cells: neither needs the other's new state, so both step
        # together. `recurrent` weighs the part of their input that only the loop knows.
        self.cells = ChainedGRU(2 * chains, width, states)
        self.recurrent = uniform(bound, 2 * chains, states, 3 * states)
        self.general = attention == "general"
        self.attention = (
            uniform(1 / math.sqrt(width), chains, width, states)
            if self.general
            else uniform(bound, chains, 1, states)
        )
        self.emotion = ChainedGRU(chains, states, emotions)
        self.listener = Listener(chains, width, states) if listeners else None
        self.dropout = dropout

    def forward(self, utterances: Tensor, turn_mask: Tensor, speakers: Tensor) -> Tensor:
        """Add context to each utterance.

        Args:
            utterances: [modality, batch, turn, width].
            turn_mask: True where a turn is real, [batch, turn].
            speakers: Index of the speaker within the dialogue, [batch, turn].

        Returns:
            [modality, batch, turn, 2 * emotions], zeros in padded turns.
        """
        directions = Directions(turn_mask)
        speaking = one_hot_speakers(speakers, turn_mask)
        speaking = directions.split(speaking.expand(len(utterances), *speaking.shape))
        party = self._party_states(directions.split(utterances), speaking)
        return directions.join(self.emotion(party, self.dropout))

    def _party_states(self, utterances: Tensor, speaking: Tensor) -> Tensor:
        """Compute the speaker's party state after each turn.

        Args:
            utterances: [chain, turn, batch, width].
            speaking: True for the speaker of the turn, [chain, turn, batch, speaker].

        Returns:
            [chain, turn, batch, states].
        """
        chains, _, batch, speakers = speaking.shape
        shared = utterances.new_zeros(chains, batch, self.attention.shape[-1])
        parties = shared.unsqueeze(2).expand(-1, -1, speakers, -1)
        past = self._past(utterances, shared)
        heard = None if self.listener is None else self.listener.project(utterances).unbind(1)
        states = []
        gates = self.cells.project(utterances.repeat(2, 1, 1, 1))
        for number, turn in enumerate(gates.unbind(1)):
            active = speaking[:, number].unsqueeze(-1)
            party = (parties * active).sum(dim=2)
            turn = torch.baddbmm(turn, torch.cat((party, past.summary(number))), self.recurrent)
            stepped = self.cells.step(turn, torch.cat((shared, party)))
            shared, party = functional.dropout(stepped, self.dropout, self.training).chunk(2)
            if self.listener is not None and heard is not None:
                parties = self.listener.listen(heard[number], party, parties)
                parties = functional.dropout(parties, self.dropout, self.training)
            parties = torch.where(active, party.unsqueeze(2), parties)
            past.add(shared)
            states.append(party)
        return torch.stack(states, dim=1)

    def _past(self, utterances: Tensor, state: Tensor) -> "SimplePast | GeneralPast":
        if not self.general:
            return SimplePast(self.attention, state)
        queries = torch.bmm(utterances.flatten(1, 2), self.attention)
        return GeneralPast(queries.view(*utterances.shape[:3], -1))


class SimplePast:
    """Simple attention over the global states so far, kept as a running mean.

    The weights softmax(w . g_i) do not depend on the current turn. Appending a state moves the
    weighted mean towards it by its share of the softmax, so earlier states are never read again.

    Args:
        attention: w, [chain, 1, hidden].
        state: Any state; gives shape, device and dtype, [chain, batch, hidden].
    """

    def __init__(self, attention: Tensor, state: Tensor) -> None:
        self.attention = attention
        self.mean = torch.zeros_like(state)  # zeros without a past
        self.log_total = torch.full_like(state[..., :1], -math.inf)

    def summary(self, turn: int) -> Tensor:
        """The context of a turn, [chain, batch, hidden]."""
        return self.mean

    def add(self, state: Tensor) -> None:
        """Append the global state of a turn, [chain, batch, hidden]."""
        score = (state * self.attention).sum(dim=-1, keepdim=True)
        share = torch.sigmoid(score - self.log_total)
        self.mean = self.mean + share * (state - self.mean)
        self.log_total = torch.logaddexp(self.log_total, score)


class GeneralPast:
    """General attention over the global states so far, with weights softmax(g_i . W u_t).

    Args:
        queries: W u_t, [chain, turn, batch, hidden].
    """

    def __init__(self, queries: Tensor) -> None:
        self.queries = queries
        self.states: list[Tensor] = []

    def summary(self, turn: int) -> Tensor:
        """The context of a turn, [chain, batch, hidden]."""
        query = self.queries[:, turn]
        if not self.states:
            return torch.zeros_like(query)
        past = torch.stack(self.states, dim=2)
        attended = functional.scaled_dot_product_attention(query.unsqueeze(2), past, past, scale=1)
        return attended.squeeze(2)

    def add(self, state: Tensor) -> None:
        """Append the global state of a turn, [chain, batch, hidden]."""
        self.states.append(state)


class Listener(ChainedGRU):
    """The GRU that moves the states of the parties that listen to the speaker."""

    def __init__(self, chains: int, width: int, states: int) -> None:
        super().__init__(chains, width, states)
        self.recurrent = uniform(1 / math.sqrt(states), chains, states, 3 * states)

    def listen(self, gates: Tensor, speaker: Tensor, parties: Tensor) -> Tensor:
        """Move every party, as if none of them spoke.

        Args:
            gates: The utterance's part of the gates, [chain, batch, 3 * states].
            speaker: The speaker's new state, [chain, batch, states].
            parties: [chain, batch, speaker, states].

        Returns:
            [chain, batch, speaker, states].
        """
        gates = torch.baddbmm(gates, speaker, self.recurrent).unsqueeze(2)
        gates = gates.expand(-1, -1, parties.shape[2], -1).flatten(1, 2)
        return self.step(gates, parties.flatten(1, 2)).view_as(parties)


def one_hot_speakers(speakers: Tensor, turn_mask: Tensor) -> Tensor:
    """One-hot speakers of each turn, for as many speakers as the batch has.

    Args:
        speakers: [batch, turn]; padded turns may hold any value.
        turn_mask: [batch, turn].

    Returns:
        Boolean, [batch, turn, speaker].
    """
    count = int(speakers.masked_fill(~turn_mask, 0).max()) + 1
    return speakers.unsqueeze(-1) == torch.arange(count, device=speakers.device)
