"""The censored normal distribution against numerical integration."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from gsm3core.models.distribution import SMALLEST_SCALE, censored_moments, location_and_scale


@given(st.floats(-0.3, 1.3), st.floats(0.002, 0.5))
def test_censored_moments_match_integration(location: float, scale: float) -> None:
    """Against twenty thousand quantiles, clipped to the physical range."""
    p = (np.arange(20_000) + 0.5) / 20_000
    values = np.clip(scipy.stats.norm.ppf(p, location, scale), 0, 1)
    mean, std = censored_moments(torch.tensor(location), torch.tensor(scale))
    # The error of the midpoint rule is the width of the outermost quantiles.
    assert mean.item() == pytest.approx(values.mean(), abs=1e-4 * scale + 1e-7)
    assert std.item() == pytest.approx(values.std(), abs=2e-3 * scale + 1e-6)


def test_far_from_the_bounds_the_moments_are_normal() -> None:
    mean, std = censored_moments(torch.tensor([0.3, 0.5]), torch.tensor([0.02, 0.05]))
    np.testing.assert_allclose(mean, [0.3, 0.5], atol=1e-7)
    np.testing.assert_allclose(std, [0.02, 0.05], atol=1e-7)


def test_far_beyond_a_bound_the_mean_is_the_bound() -> None:
    mean, std = censored_moments(torch.tensor([-5.0, 9.0]), torch.tensor([0.05, 0.05]))
    np.testing.assert_array_equal(mean, [0, 1])
    np.testing.assert_array_equal(std, [0, 0])


def test_output_is_rescaled_to_m3_m3() -> None:
    location, scale = location_and_scale(torch.tensor([[[1.5, 0.0]]]), (0.2, 0.1))
    assert location.item() == pytest.approx(0.35)
    assert scale is not None
    assert scale.item() == pytest.approx(0.1 * np.log(2) + SMALLEST_SCALE)
    assert location_and_scale(torch.tensor([[[1.5]]]), (0.2, 0.1))[1] is None
