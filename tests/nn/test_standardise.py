"""Standardisation: identity, statistics, constant columns, clamp, state, refusals."""

import pytest
import torch

from pipeline.nn.inputs import Standardise


def test_identity_until_fitted():
    features = torch.tensor([[1e9, -50.0], [0.0, 3.0]])
    assert torch.equal(Standardise(2)(features), features)


def test_centres_scales_and_clamps():
    standardise = Standardise(2, limit=3)
    standardise.fit(torch.tensor([10.0, 0.0]), torch.tensor([2.0, 0.5]))
    # (14-10)/2 = 2, (-1-0)/0.5 = -2; (110-10)/2 = 50 and -100 are clamped to 3 and -3.
    result = standardise(torch.tensor([[14.0, -1.0], [110.0, -50.0]]))
    assert torch.equal(result, torch.tensor([[2.0, -2.0], [3.0, -3.0]]))


def test_constant_columns_are_centred_and_not_divided():
    standardise = Standardise(3)
    standardise.fit(torch.tensor([1000.0, 0.0, 1e-6]), torch.tensor([1e-5, 0.0, 1e-7]))
    # Deviation 1e-5 around 1000 is rounding; 1e-7 around 1e-6 is a small feature that varies.
    result = standardise(torch.tensor([[1000.5, 0.25, 1.2e-6]]))
    torch.testing.assert_close(result, torch.tensor([[0.5, 0.25, 2.0]]))


def test_statistics_travel_with_the_state():
    fitted, fresh = Standardise(2, limit=1), Standardise(2, limit=1)
    fitted.fit(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
    fresh.load_state_dict(fitted.state_dict())
    features = torch.randn(5, 2) * 9
    assert torch.equal(fresh(features), fitted(features))


def test_refusals():
    with pytest.raises(ValueError, match="Bad limit 0"):
        Standardise(2, limit=0)
    with pytest.raises(ValueError, match=r"shapes \(3,\)"):
        Standardise(2).fit(torch.zeros(3), torch.ones(2))
    with pytest.raises(ValueError, match="NaN"):
        Standardise(1).fit(torch.tensor([torch.nan]), torch.ones(1))
