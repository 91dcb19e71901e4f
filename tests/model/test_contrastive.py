"""Tests the contrastive loss against eq. 24-26 as loops, by hand, and at its edges."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from pipeline.model.contrastive import ProjectionHead, hardest, supervised_contrastive_loss


def naive_loss(vectors, labels, temperature, hard_ratio, denominator) -> float:
    """Eq. 24 or 26, anchor by anchor, in plain Python."""
    rows, classes = vectors.tolist(), labels.tolist()

    def similarity(i: int, j: int) -> float:
        return sum(a * b for a, b in zip(rows[i], rows[j], strict=True))

    terms = []
    everyone = range(len(rows))
    for i in everyone:
        positives = [j for j in everyone if j != i and classes[j] == classes[i]]
        negatives = [j for j in everyone if classes[j] != classes[i]]
        if not positives or not negatives:
            continue
        if hard_ratio is not None:
            count = math.ceil(hard_ratio * len(negatives) - 1e-9)
            last = sorted((similarity(i, j) for j in negatives), reverse=True)[count - 1]
            negatives = [j for j in negatives if similarity(i, j) >= last - 1e-6]
        above = {j: math.exp(similarity(i, j) / temperature) for j in everyone}
        others = negatives if denominator == "positives_and_hard" else set(everyone) - {i}
        below = sum(above[j] for j in others) + sum(above[p] for p in positives)
        terms.append(-sum(math.log(above[p] / below) for p in positives) / len(positives))
    return sum(terms) / len(terms) if terms else 0.0


def sphere(count: int, seed: int = 0, dtype=torch.float64) -> torch.Tensor:
    torch.manual_seed(seed)
    return functional.normalize(torch.randn(count, 5, dtype=dtype), dim=1)


VARIANTS = [
    (0.3, "positives_and_hard"),
    (0.01, "positives_and_hard"),
    (1.0, "positives_and_hard"),
    (None, "positives_and_hard"),
    (None, "all"),
]


@pytest.mark.parametrize(("hard_ratio", "denominator"), VARIANTS)
@settings(max_examples=25, deadline=None)
@given(
    classes=st.lists(st.integers(0, 3), min_size=0, max_size=12),
    seed=st.integers(0, 99),
    temperature=st.floats(0.05, 3),
)
def test_equals_the_equations(hard_ratio, denominator, classes, seed, temperature):
    vectors, labels = sphere(len(classes), seed), torch.tensor(classes, dtype=torch.long)
    if len(classes) > 5:
        vectors[3] = vectors[1]  # duplicates, tied as anybody's negatives
    loss = supervised_contrastive_loss(
        vectors, labels, temperature=temperature, hard_ratio=hard_ratio, denominator=denominator
    )
    expected = naive_loss(vectors, labels, temperature, hard_ratio, denominator)
    assert loss.item() == pytest.approx(expected, abs=1e-9)


# Two of class 0 at right angles, one of class 1 opposite the first; temperature 1.
# sim(0,1) = 0, sim(0,2) = -1, sim(1,2) = 0; utterance 2 has no positive: no term.
RIGHT_ANGLES = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])


def test_eq_26_by_hand():
    # Anchor 0: -log(e^0 / (e^-1 + e^0)) = log(1 + 1/e) = 0.3132617;
    # anchor 1: -log(e^0 / (e^0 + e^0)) = log 2 = 0.6931472; mean 0.5032044.
    loss = supervised_contrastive_loss(RIGHT_ANGLES, torch.tensor([0, 0, 1]), temperature=1.0)
    assert loss.item() == pytest.approx(0.5032044, abs=1e-6)


def test_eq_24_by_hand():
    # The positive counts twice. Anchor 0: log(e^-1 + 1 + 1) = 0.8619948; anchor 1: log 3 =
    # 1.0986123; mean 0.9803035.
    loss = supervised_contrastive_loss(
        RIGHT_ANGLES,
        torch.tensor([0, 0, 1]),
        temperature=1.0,
        hard_ratio=None,
        denominator="all",
    )
    assert loss.item() == pytest.approx(0.9803035, abs=1e-6)


def test_hardest_keeps_ceil_and_ties():
    similarity = torch.tensor([[1.0, 0.9, 0.5, 0.5, 0.1, 0.0]])
    negatives = torch.tensor([[False, True, True, True, True, True]])
    # 5 negatives: 0.2 keeps 1; 0.3 keeps ceil(1.5) = 2, and the tie with the second too.
    assert hardest(similarity, negatives, 0.2).tolist() == [[False, True] + [False] * 4]
    assert hardest(similarity, negatives, 0.3).tolist() == [[False] + [True] * 3 + [False] * 2]
    assert hardest(similarity, negatives, 1.0).equal(negatives)


def test_hardest_is_not_fooled_by_rounding():
    # 0.07 * 100 is 7.000000000000001 in floating point.
    similarity = torch.linspace(1, 0, 100).unsqueeze(0)
    assert hardest(similarity, torch.ones(1, 100, dtype=torch.bool), 0.07).sum() == 7


@pytest.mark.parametrize(("hard_ratio", "denominator"), VARIANTS)
@pytest.mark.parametrize("classes", [[], [0], [0, 0, 0], [0, 1, 2], [0, 1]])
def test_no_anchor_gives_zero_with_a_graph(classes, hard_ratio, denominator):
    vectors = sphere(len(classes)).requires_grad_()
    loss = supervised_contrastive_loss(
        vectors,
        torch.tensor(classes, dtype=torch.long),
        temperature=0.5,
        hard_ratio=hard_ratio,
        denominator=denominator,
    )
    loss.backward()
    assert loss.item() == 0
    assert vectors.grad.count_nonzero() == 0


def test_the_lonely_give_no_term_but_are_negatives():
    vectors, labels = sphere(6), torch.tensor([0, 0, 1, 1, 1, 2])
    with_lonely = supervised_contrastive_loss(vectors, labels, temperature=0.5, hard_ratio=None)
    without = supervised_contrastive_loss(vectors[:5], labels[:5], temperature=0.5, hard_ratio=None)
    assert with_lonely > without


@pytest.mark.parametrize(("hard_ratio", "denominator"), VARIANTS)
def test_gradient(hard_ratio, denominator):
    vectors = sphere(8).requires_grad_()
    labels = torch.tensor([0, 0, 1, 1, 1, 2, 0, 3])

    def loss(inputs):
        return supervised_contrastive_loss(
            inputs, labels, temperature=0.7, hard_ratio=hard_ratio, denominator=denominator
        )

    assert torch.autograd.gradcheck(loss, (vectors,))


def test_a_tiny_temperature_stays_finite():
    vectors = sphere(10, dtype=torch.float32).requires_grad_()
    loss = supervised_contrastive_loss(vectors, torch.arange(10) % 3, temperature=1e-3)
    loss.backward()
    assert loss.isfinite()
    assert vectors.grad.isfinite().all()


def test_bfloat16_autocast_computes_in_float32():
    head, features = ProjectionHead(8, 5), torch.randn(12, 8)
    labels = torch.arange(12) % 3
    exact = supervised_contrastive_loss(head(features), labels, temperature=0.8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        projected = head(features)
        loss = supervised_contrastive_loss(projected, labels, temperature=0.8)
    assert projected.dtype == loss.dtype == torch.float32
    torch.testing.assert_close(projected.norm(dim=1), torch.ones(12))
    assert loss.item() == pytest.approx(exact.item(), rel=0.05)
    loss.backward()


def test_order_of_utterances_changes_nothing():
    vectors, labels = sphere(9), torch.arange(9) % 3
    order = torch.randperm(9)
    loss = supervised_contrastive_loss(vectors, labels, temperature=0.8)
    shuffled = supervised_contrastive_loss(vectors[order], labels[order], temperature=0.8)
    torch.testing.assert_close(loss, shuffled)


@pytest.mark.parametrize(
    ("message", "changes"),
    [
        ("Bad temperature 0", {"temperature": 0}),
        ("Bad hard ratio 0", {"hard_ratio": 0}),
        ("Bad hard ratio 1.5", {"hard_ratio": 1.5}),
        ("Bad denominator 'some'", {"denominator": "some"}),
        ("eq. 24", {"denominator": "all"}),
    ],
)
def test_refusals(message, changes):
    settings_ = {"temperature": 1.0, "hard_ratio": 0.3, **changes}
    with pytest.raises(ValueError, match=message):
        supervised_contrastive_loss(sphere(3), torch.tensor([0, 0, 1]), **settings_)
