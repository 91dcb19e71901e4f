"""What the tests of the model share."""

import pytest
import torch


@pytest.fixture(autouse=True)
def seeded() -> None:
    """The same random numbers whatever ran before."""
    torch.manual_seed(0)
