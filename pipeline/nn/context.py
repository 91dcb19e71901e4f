"""Context encoders: DialogueRNN and a bidirectional GRU over the turns of a dialogue.

`dialogue_rnn` follows Majumder et al., "DialogueRNN" (AAAI 2019): a global state for the dialogue,
a party state per speaker, an emotion state per turn, simple attention over the past global states.
It is their simple variant: a turn updates the party state of its speaker only.
Each modality has its own encoder with its own weights.
"""

import math

import torch
from torch import Tensor, nn

from pipeline.nn.recurrence import ChainedGRU, Directions, uniform

CONTEXTS = ("dialogue_rnn", "gru", "none")


class DialogueRNN(nn.Module):
    """Bidirectional DialogueRNN; one loop over the turns for all modalities and directions.

    With u_t the utterance, s its speaker, g global, q party and e emotion states:
    `g_t = GRU_g(g_(t-1), [u_t, q_(s,t-1)])`, `c_t = sum_i softmax_i(w . g_i) g_i` over i < t,
    `q_(s,t) = GRU_q(q_(s,t-1), [u_t, c_t])`, `e_t = GRU_e(e_(t-1), q_(s,t))`; all start at 0. Each
    direction has states of half the width; the two emotion states are concatenated.
    """

    def __init__(self, modalities: int, width: int) -> None:
        super().__init__()
        chains, hidden = 2 * modalities, width // 2
        bound = 1 / math.sqrt(hidden)
        # The global cells, then the party cells: neither needs the other's new state, so both step
        # together. `recurrent` weighs the part of their input that only the loop knows.
        self.cells = ChainedGRU(2 * chains, width, hidden)
        self.recurrent = uniform(bound, 2 * chains, hidden, 3 * hidden)
        self.attention = uniform(bound, chains, 1, hidden)
        self.emotion = ChainedGRU(chains, hidden, hidden)

    def forward(self, utterances: Tensor, turn_mask: Tensor, speakers: Tensor) -> Tensor:
        """Add context to each utterance.

        Args:
            utterances: [modality, batch, turn, width].
            turn_mask: True where a turn is real, [batch, turn].
            speakers: Index of the speaker within the dialogue, [batch, turn].

        Returns:
            [modality, batch, turn, width].
        """
        directions = Directions(turn_mask)
        speaking = one_hot_speakers(speakers, turn_mask)
        speaking = directions.split(speaking.expand(len(utterances), *speaking.shape))
        party = self._party_states(directions.split(utterances), speaking)
        return directions.join(self.emotion(party))

    def _party_states(self, utterances: Tensor, speaking: Tensor) -> Tensor:
        """Compute the speaker's party state after each turn.

        Args:
            utterances: [chain, turn, batch, width].
            speaking: True for the speaker of the turn, [chain, turn, batch, speaker].

        Returns:
            [chain, turn, batch, hidden].
        """
        chains, _, batch, speakers = speaking.shape
        shared = utterances.new_zeros(chains, batch, self.attention.shape[-1])
        parties = shared.unsqueeze(2).expand(-1, -1, speakers, -1)
        past = PastStates(self.attention, shared)
        states = []
        gates = self.cells.project(utterances.repeat(2, 1, 1, 1))
        for turn, active in zip(gates.unbind(1), speaking.unsqueeze(-1).unbind(1), strict=True):
            party = (parties * active).sum(dim=2)
            turn = torch.baddbmm(turn, torch.cat((party, past.summary)), self.recurrent)
            shared, party = self.cells.step(turn, torch.cat((shared, party))).chunk(2)
            parties = torch.where(active, party.unsqueeze(2), parties)
            past.add(shared)
            states.append(party)
        return torch.stack(states, dim=1)


class PastStates:
    """Simple attention over the global states so far, kept as a running mean.

    The weights softmax(w . g_i) do not depend on the current turn. Appending a state moves the
    weighted mean towards it by its share of the softmax, so earlier states are never read again.

    Args:
        attention: w, [chain, 1, hidden].
        state: Any state; gives shape, device and dtype, [chain, batch, hidden].
    """

    def __init__(self, attention: Tensor, state: Tensor) -> None:
        self.attention = attention
        self.summary = torch.zeros_like(state)  # zeros without a past
        self.log_total = torch.full_like(state[..., :1], -math.inf)

    def add(self, state: Tensor) -> None:
        """Append the global state of a turn, [chain, batch, hidden]."""
        score = (state * self.attention).sum(dim=-1, keepdim=True)
        share = torch.sigmoid(score - self.log_total)
        self.summary = self.summary + share * (state - self.summary)
        self.log_total = torch.logaddexp(self.log_total, score)


class GRUContext(nn.Module):
    """Bidirectional GRU over the turns of a dialogue, one per modality, blind to speakers."""

    def __init__(self, modalities: int, width: int) -> None:
        super().__init__()
        self.gru = ChainedGRU(2 * modalities, width, width // 2)

    def forward(self, utterances: Tensor, turn_mask: Tensor, speakers: Tensor) -> Tensor:
        """Add context to each utterance.

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
    """Make the context encoder of that name, one of `CONTEXTS`; None for `none`."""
    if kind not in CONTEXTS:
        raise ValueError(f"Bad context '{kind}', expected one of {CONTEXTS}")
    if kind == "none":
        return None
    if width % 2:
        raise ValueError(f"Bad width {width}, expected an even number: half per direction")
    return (DialogueRNN if kind == "dialogue_rnn" else GRUContext)(modalities, width)


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
