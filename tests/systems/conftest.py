"""Fixtures of the model tests."""

import pytest
import torch


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Seed PyTorch before every test."""
    torch.manual_seed(0)
