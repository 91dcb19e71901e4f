"""Distillation by hand, its gradients, and batches from which nothing can be learned."""

import math

import pytest
import torch

from pipeline.nn.distillation import correlation_distillation, distillation, relation_distillation

LOSSES = {
    "distillation": lambda s, t: distillation(s, t, 2.0),
    "relations": relation_distillation,
    "correlation": lambda s, t: correlation_distillation(s, t, 2.0),
}
every = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


def test_divergence_by_hand():
    # Teacher (3/4, 1/4), student (1/2, 1/2): 3/4 ln 3/2 + 1/4 ln 1/2.
    teacher, student = torch.tensor([[math.log(3), 0.0]]), torch.zeros(1, 2)
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert distillation(student, teacher, 1.0).item() == pytest.approx(expected, abs=1e-6)
    scaled = distillation(2 * student, 2 * teacher, 2.0)
    assert scaled.item() == pytest.approx(expected, abs=1e-6)
    assert distillation(student, teacher, 1e4).item() == pytest.approx(0, abs=1e-6)


def test_relations_by_hand():
    teacher = torch.eye(2)
    assert relation_distillation(teacher, teacher).item() == pytest.approx(0, abs=1e-7)
    swapped = relation_distillation(teacher.flip(0), teacher).item()
    assert swapped == pytest.approx((math.e - 1) / (math.e + 1), abs=1e-6)
    assert swapped == pytest.approx(0.462117, abs=1e-6)
    assert relation_distillation(5 * teacher.flip(0), teacher).item() == pytest.approx(swapped)


def test_correlation_by_hand():
    logits = torch.randn(6, 4)
    assert correlation_distillation(logits, logits, 4.0).item() == pytest.approx(0, abs=1e-4)
    teacher = torch.tensor([[1.0, -1.0], [-2.0, 2.0]])
    assert correlation_distillation(-teacher, teacher, 1.0).item() == pytest.approx(4, abs=1e-5)
    assert correlation_distillation(-2 * teacher, 2 * teacher, 2.0).item() == pytest.approx(
        16, abs=1e-4
    )


def test_a_constant_column_is_left_out():
    # Both rows are alike, so no column varies: what remains is the rows' correlation of -1.
    teacher = torch.tensor([[1.0, -1.0], [1.0, -1.0]])
    assert correlation_distillation(-teacher, teacher, 1.0).item() == pytest.approx(2, abs=1e-5)
    assert correlation_distillation(torch.zeros(2, 2), teacher, 1.0).item() == 0


@every
def test_only_the_student_learns(loss):
    student, teacher = (torch.randn(5, 3, requires_grad=True) for _ in range(2))
    before = loss(student, teacher)
    before.backward()
    assert before > 0
    assert teacher.grad is None
    assert loss(student - 0.1 * student.grad, teacher) < before


@every
def test_without_rows_it_is_zero_and_has_a_graph(loss):
    student, teacher = torch.randn(0, 3, requires_grad=True), torch.randn(0, 3)
    value = loss(student, teacher)
    value.backward()
    assert value.item() == 0


@every
def test_a_single_row_is_finite(loss):
    student = torch.randn(1, 3, requires_grad=True)
    loss(student, torch.zeros(1, 3)).backward()
    assert student.grad.isfinite().all()
