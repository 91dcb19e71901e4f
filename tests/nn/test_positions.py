"""Vectors of places by hand."""

import math

import pytest
import torch

from pipeline.nn.positions import sinusoids


def test_by_hand():
    expected = torch.tensor(
        [
            [0, 1, 0, 1],
            [math.sin(1), math.cos(1), math.sin(0.01), math.cos(0.01)],
            [math.sin(2), math.cos(2), math.sin(0.02), math.cos(0.02)],
        ]
    )
    torch.testing.assert_close(sinusoids(3, 4), expected)


@pytest.mark.parametrize(("places", "width"), [(1, 1), (0, 4), (500, 7)])
def test_any_number_of_places_and_features(places, width):
    vectors = sinusoids(places, width)
    assert vectors.shape == (places, width)
    assert len(vectors.unique(dim=0)) == places


def test_longer_sequences_begin_alike():
    assert torch.equal(sinusoids(90, 6)[:5], sinusoids(5, 6))
