"""Heads and contrastive loss against eq. 15-26 as loops, by hand, and at their edges."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from pipeline.nn.contrastive import ProjectionHead, hardest, supervised_contrastive_loss
from tests.systems.dialogues import randomise


def test_heads_equal_the_equations():
    head = randomise(ProjectionHead(6, 4)).double()
    features = torch.randn(2, 3, 6, dtype=torch.float64, requires_grad=True)
    projected = head(features)
    for row in range(2):
        for turn in range(3):
            hidden = head.hidden.weight @ features[row, turn] + head.hidden.bias
            z = head.output.weight @ hidden.clamp(min=0) + head.output.bias
            expected = z / sum(value**2 for value in z).sqrt()
            torch.testing.assert_close(projected[row, turn], expected)
    assert torch.autograd.gradcheck(lambda *_: head(features), (features, *head.parameters()))


def naive_loss(vectors, labels, temperature, hard_ratio, denominator="positives_and_hard") -> float:
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


def sphere(count: int, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    return functional.normalize(torch.randn(count, 5, dtype=torch.float64), dim=1)


variants = pytest.mark.parametrize(
    "options",
    [
        {"hard_ratio": 0.3},
        {"hard_ratio": 0.01},
        {"hard_ratio": 1.0},
        {"hard_ratio": None},
        {"hard_ratio": None, "denominator": "all"},
    ],
    ids=str,
)


@variants
@settings(max_examples=25)
@given(
    classes=st.lists(st.integers(0, 3), min_size=0, max_size=12),
    seed=st.integers(0, 99),
    temperature=st.floats(0.05, 3),
)
def test_equals_the_equations(options, classes, seed, temperature):
    vectors, labels = sphere(len(classes), seed), torch.tensor(classes, dtype=torch.long)
    if len(classes) > 5:
        vectors[3] = vectors[1]  # duplicates, tied as anybody's negatives
    loss = supervised_contrastive_loss(vectors, labels, temperature=temperature, **options)
    expected = naive_loss(vectors, labels, temperature, **options)
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
    labels, options = torch.tensor([0, 0, 1]), {"hard_ratio": None, "denominator": "all"}
    loss = supervised_contrastive_loss(RIGHT_ANGLES, labels, temperature=1.0, **options)
    assert loss.item() == pytest.approx(0.9803035, abs=1e-6)


def test_hard_negatives_of_each_class_by_hand():
    # Hard negatives: of utterance 0 those of similarity 1 and -1, of 1 those of 0.8 and 0, of 2
    # those of 1 and -1, of 3 those of 0.8 and -0.6; positives have 0, 0, 0.6 and 0.6. Overall, each
    # would keep the first alone.
    vectors = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.6, 0.8], [-1.0, 0.0]])
    labels, hard = torch.tensor([0, 0, 1, 1, 2]), [(1, -1), (0.8, 0), (1, -1), (0.8, -0.6)]
    loss = supervised_contrastive_loss(vectors, labels, temperature=1.0, by_class=True)
    totals = [
        math.log(math.exp(p) + math.exp(a) + math.exp(b)) - p
        for p, (a, b) in zip((0, 0, 0.6, 0.6), hard, strict=True)
    ]
    assert loss.item() == pytest.approx(sum(totals) / 4, abs=1e-6)
    assert loss.item() == pytest.approx(1.191241, abs=1e-6)


def test_hardest_keeps_ceil_and_ties():
    similarity = torch.tensor([[1.0, 0.9, 0.5, 0.5, 0.1, 0.0]])
    negatives = torch.tensor([[False, True, True, True, True, True]])
    # 5 negatives: 0.2 keeps 1; 0.3 keeps ceil(1.5) = 2, and the tie with the second too.
    assert hardest(similarity, negatives, 0.2).tolist() == [[False, True] + [False] * 4]
    assert hardest(similarity, negatives, 0.3).tolist() == [[False] + [True] * 3 + [False] * 2]
    assert hardest(similarity, negatives, 1.0).equal(negatives)
    # Copies of one vector differ by rounding in a product: they are tied.
    similarity[0, 3] -= 6e-8
    assert hardest(similarity, negatives, 0.3).tolist() == [[False] + [True] * 3 + [False] * 2]


def test_hardest_is_not_fooled_by_rounding():
    # 0.07 * 100 is 7.000000000000001 in floating point.
    similarity = torch.linspace(1, 0, 100).unsqueeze(0)
    assert hardest(similarity, torch.ones(1, 100, dtype=torch.bool), 0.07).sum() == 7


@variants
@pytest.mark.parametrize("classes", [[], [0], [0, 0, 0], [0, 1, 2], [0, 1]])
def test_no_anchor_gives_zero_with_a_graph(classes, options):
    vectors = sphere(len(classes)).requires_grad_()
    loss = supervised_contrastive_loss(
        vectors, torch.tensor(classes, dtype=torch.long), temperature=0.5, **options
    )
    loss.backward()
    assert loss.item() == 0
    assert vectors.grad.count_nonzero() == 0


def test_the_lonely_give_no_term_but_are_negatives():
    vectors, labels = sphere(6), torch.tensor([0, 0, 1, 1, 1, 2])
    with_lonely = supervised_contrastive_loss(vectors, labels, temperature=0.5, hard_ratio=None)
    without = supervised_contrastive_loss(vectors[:5], labels[:5], temperature=0.5, hard_ratio=None)
    assert with_lonely > without


@variants
def test_gradient(options):
    vectors = sphere(8).requires_grad_()
    labels = torch.tensor([0, 0, 1, 1, 1, 2, 0, 3])

    def loss(inputs):
        return supervised_contrastive_loss(inputs, labels, temperature=0.7, **options)

    assert torch.autograd.gradcheck(loss, (vectors,))


@variants
def test_duplicates(options):
    # All similarities are 1 and all negatives tied: 2 positives and 3 negatives below the line, in
    # eq. 24 the positives twice.
    vectors, labels = sphere(1).float().repeat(6, 1).requires_grad_(), torch.arange(6) // 3
    loss = supervised_contrastive_loss(vectors, labels, temperature=0.05, **options)
    loss.backward()
    counted = 7 if "denominator" in options else 5
    assert loss.item() == pytest.approx(math.log(counted), abs=1e-5)
    assert vectors.grad.isfinite().all()


@variants
@pytest.mark.parametrize("temperature", [1e-3, 0.07, 0.8])
def test_float32_and_bfloat16_are_stable(temperature, options):
    # exp(1 / 0.001) overflows, and bfloat16 rounds similarities to two digits.
    rounded, labels = sphere(20).bfloat16(), torch.arange(20) % 3
    losses, gradients = [], []
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        vectors = rounded.to(dtype).requires_grad_()
        loss = supervised_contrastive_loss(vectors, labels, temperature=temperature, **options)
        loss.backward()
        losses.append(loss.item())
        gradients.append(vectors.grad.double())
    assert losses[1:] == pytest.approx([losses[0]] * 2, rel=1e-5)
    scale = gradients[0].abs().max().item()
    torch.testing.assert_close(gradients[1], gradients[0], rtol=0, atol=1e-3 * scale)
    torch.testing.assert_close(gradients[2], gradients[0], rtol=0, atol=1e-2 * scale)


def test_autocast_leaves_the_sphere_and_the_loss_in_float32():
    head, features = ProjectionHead(8, 5), torch.randn(12, 8)
    labels = torch.arange(12) % 3
    exact = supervised_contrastive_loss(head(features), labels, temperature=0.8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        projected = head(features)
        loss = supervised_contrastive_loss(projected, labels, temperature=0.8)
    assert projected.dtype == loss.dtype == torch.float32
    torch.testing.assert_close(projected.norm(dim=1), torch.ones(12))
    assert loss.item() == pytest.approx(exact.item(), rel=0.05)


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
