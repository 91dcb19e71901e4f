"""Pairs of turns by hand, against their concatenation, and their weights."""

import torch

from pipeline.nn.emotion_shift import ShiftClassifier, shift_weights, shifts


def test_three_turns_have_nine_pairs_of_which_four_differ():
    pairs = shifts(torch.tensor([0, 0, 1]))
    assert pairs.tolist() == [[0, 0, 1], [0, 0, 1], [1, 1, 0]]
    assert (pairs.numel(), pairs.sum()) == (9, 4)


def test_pairs_without_a_label_are_unknown():
    assert shifts(torch.tensor([[2, -1, 5]])).tolist() == [[[0, -1, 1], [-1] * 3, [1, -1, 0]]]


def test_kinds_of_pairs_weigh_the_inverse_of_twice_their_share():
    # 5 pairs of 9 do not differ and 4 do; of the next dialogue's 4 labelled ones 2 and 2.
    labels = [torch.tensor([0, 0, 1]), torch.tensor([3, -1, 4])]
    expected = torch.tensor([13 / (2 * 7), 13 / (2 * 6)])
    torch.testing.assert_close(shift_weights(labels), expected)
    assert shift_weights([torch.tensor([1, 1])]).tolist() == [0.5, 0]
    assert shift_weights([torch.tensor([-1])]).tolist() == [0, 0]


def test_the_sum_of_two_maps_equals_one_of_the_concatenation():
    classifier = ShiftClassifier(4).double().eval()
    first, second = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    joined = torch.nn.Linear(8, 128).double()
    with torch.no_grad():
        joined.weight.copy_(torch.cat((classifier.first.weight, classifier.second.weight), dim=1))
        joined.bias.copy_(classifier.first.bias)
    expected = [
        [[classifier.scores(joined(torch.cat((f, s)))) for s in other] for f in one]
        for one, other in zip(first, second, strict=True)
    ]
    expected = torch.stack([torch.stack([torch.stack(row) for row in rows]) for rows in expected])
    torch.testing.assert_close(classifier(first, second), expected)


def test_who_comes_first_matters():
    classifier, turns = ShiftClassifier(4).eval(), torch.randn(1, 2, 4)
    logits = classifier(turns, turns)
    assert not torch.allclose(logits[0, 0, 1], logits[0, 1, 0])
    assert sum(p.numel() for p in classifier.parameters()) == 8 * 128 + 128 + 258
