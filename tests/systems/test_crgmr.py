"""CRGMR, in our reading: against loops, and in the size of the reference."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import leaky_relu

from pipeline.nn.graph import relations
from pipeline.systems.base import system
from pipeline.systems.registry import title
from tests.nn.naive import naive_head
from tests.nn.naive_transformer import naive_norm, naive_transformer
from tests.systems.zoo import (
    batch_of,
    conversations,
    in_float64,
    logits,
    make,
    size_of,
)

NAME = "crgmr"
MODALITIES = ("text", "audio", "visual")


def naive_logits(made, vectors, relation, past, future):
    """One dialogue from its encoded vectors, [modality][turn]."""
    count, layer = range(len(vectors[0])), made.relational
    tokens = [
        turn + kind.flatten() for m, kind in zip(vectors, made.kinds, strict=True) for turn in m
    ]
    tokens = naive_transformer(made.transformer, tokens)
    states = [made.join(torch.cat(tokens[t :: len(count)])) for t in count]
    near = [[j for j in count if i - past <= j <= i + future] for i in count]
    nodes = []
    for i in count:
        numbers = [relation[i, j] for j in near[i]]
        sent = [states[j] @ layer.weight[r] for j, r in zip(near[i], numbers, strict=True)]
        scores = [
            leaky_relu(states[i] @ layer.weight[r] @ layer.receiver[r] + s @ layer.sender[r], 0.2)
            for s, r in zip(sent, numbers, strict=True)
        ]
        shares = torch.stack(scores).softmax(0)
        heard = sum(share * s for share, s in zip(shares, sent, strict=True))
        nodes.append(layer.root(states[i]) + heard)
    parts = [made.convolution.query_key_value(node).split(len(nodes[0])) for node in nodes]
    results = []
    for i in count:
        keys, values = ([parts[j][part] for j in near[i]] for part in (1, 2))
        node = made.convolution.skip(nodes[i]) + naive_head(parts[i][0], keys, values)
        node = leaky_relu(naive_norm(made.norm, node))
        results.append(made.head(torch.cat((states[i], node))))
    return results


@pytest.mark.parametrize("modalities", [("text",), ("text", "audio"), MODALITIES], ids=len)
def test_it_equals_loops_over_tokens_and_edges(modalities):
    lengths, window = (6, 1, 4), {"past": 2, "future": 1}
    made = make(NAME, layers=2, modalities=modalities, **window).double()
    batch = in_float64(batch_of(made, conversations(lengths), turns=2))
    encoded, relation = made.inputs(batch), relations(batch.speakers)
    expected = [
        logit
        for row, length in enumerate(lengths)
        for logit in naive_logits(made, encoded[:, row, :length], relation[row], **window)
    ]
    torch.testing.assert_close(logits(made, batch), torch.stack(expected))


def test_with_a_window_of_one_turn_who_speaks_changes_nothing():
    near, far = make(NAME, past=0, future=0), make(NAME, past=1, future=0)
    batch = batch_of(near, conversations((6, 5)))
    silent = replace(batch, speakers=torch.zeros_like(batch.speakers))
    assert torch.equal(logits(near, batch), logits(near, silent))
    assert (logits(far, batch) - logits(far, silent)).abs().max() > 1e-4


def test_a_turn_alone_has_no_window():
    near, far = make(NAME, past=0, future=0), make(NAME, past=-1, future=-1)
    far.load_state_dict(near.state_dict())
    alone, pair = (batch_of(near, conversations([turns])) for turns in (1, 2))
    torch.testing.assert_close(logits(near, alone), logits(far, alone))
    assert (logits(near, pair) - logits(far, pair)).abs().max() > 1e-4


def test_a_monologue_uses_the_relations_of_one_speaker():
    made = make(NAME)
    monologue, dialogue = (batch_of(made, conversations([7], speakers=n)) for n in (1, 3))
    before = [logits(made, batch) for batch in (monologue, dialogue)]
    with torch.no_grad():
        made.relational.weight[2:] += 1
    assert torch.equal(logits(made, monologue), before[0])
    assert (logits(made, dialogue) - before[1]).abs().max() > 1e-4


def test_features_that_no_head_can_share_are_refused():
    with pytest.raises(ValueError, match="width 15 is not a multiple of heads 2"):
        make(NAME, width=15)


def test_it_is_never_shown_as_the_authors_model():
    assert title(NAME) == "CRGMR (our reading)"
    source = system(NAME).SOURCE
    assert source.fidelity == "our reading"
    assert not source.commit


def test_it_has_as_many_parameters_as_the_reference():
    """2.50 M beside the inputs, of 256 features and for 6 classes."""
    assert size_of(NAME, width=256, layers=2, heads=8) == 2_503_686
