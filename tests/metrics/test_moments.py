"""Paired moments and metrics against numpy, identities and analytic cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsm3core.metrics import METRICS, effective_sample_size, lag1_autocorrelation, mean_gap, paired_moments
from support.strategies import gappy_pairs


def scores_of(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    moments = paired_moments(x, y)
    return {name: float(m.from_moments(moments)) for name, m in METRICS.items()}


@given(gappy_pairs(min_days=2))
def test_moments_match_numpy_over_paired_days(pair: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = pair
    both = np.isfinite(x) & np.isfinite(y)
    moments = paired_moments(x, y)
    assert moments.n == both.sum()
    if both.any():
        cov = np.cov(x[both], y[both], ddof=0)
        expected = (x[both].mean(), y[both].mean(), cov[0, 0], cov[1, 1], cov[0, 1])
        found = (moments.mean_x, moments.mean_y, moments.var_x, moments.var_y, moments.cov)
        np.testing.assert_allclose(found, expected, atol=1e-14)
    else:
        assert np.isnan(moments.mean_x)


@given(gappy_pairs(min_days=2))
def test_rmse_splits_into_bias_and_ubrmse(pair: tuple[np.ndarray, np.ndarray]) -> None:
    s = scores_of(*pair)
    if np.isfinite(s["RMSE"]):
        assert s["RMSE"] ** 2 == pytest.approx(s["bias"] ** 2 + s["ubRMSE"] ** 2, abs=1e-14)
        assert np.isnan(s["R"]) or -1 <= s["R"] <= 1


@given(gappy_pairs(min_days=5), st.floats(-0.2, 0.2), st.floats(0.1, 3))
def test_scores_under_shift_and_scaling(
    pair: tuple[np.ndarray, np.ndarray], shift: float, scale: float
) -> None:
    x, y = pair
    before, shifted = scores_of(x, y), scores_of(x + shift, y)
    if np.isfinite(before["RMSE"]):
        assert shifted["bias"] == pytest.approx(before["bias"] + shift, abs=1e-12)
        assert shifted["ubRMSE"] == pytest.approx(before["ubRMSE"], abs=1e-7)
    # Where x varies well above rounding; near-constant series depend on the tolerance.
    if np.isfinite(before["R"]) and np.nanstd(x) > 1e-3:
        assert scores_of(scale * x + shift, y)["R"] == pytest.approx(before["R"], abs=1e-9)


def test_bias_is_product_minus_in_situ() -> None:
    assert scores_of(np.array([0.3, 0.4]), np.array([0.2, 0.3]))["bias"] == pytest.approx(0.1)


def test_scores_of_phase_shifted_cosines() -> None:
    t = np.arange(0, 3650) * 2 * np.pi / 365
    s = scores_of(0.3 + 0.1 * np.cos(t), 0.25 + 0.1 * np.cos(t - np.pi / 3))
    assert s["R"] == pytest.approx(0.5, abs=1e-12)
    assert s["bias"] == pytest.approx(0.05, abs=1e-12)
    assert s["ubRMSE"] == pytest.approx(0.1 / np.sqrt(2), abs=1e-12)  # |e^0 - e^{i pi/3}| = 1


def test_large_mean_causes_no_cancellation() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 500))
    assert scores_of(x + 1e6, y + 1e6)["R"] == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-9)


def test_constant_series_has_errors_but_no_r() -> None:
    s = scores_of(np.full(50, 0.49), np.linspace(0.1, 0.3, 50))
    assert np.isnan(s["R"])
    assert s["bias"] == pytest.approx(0.29)


def ar1(rng: np.random.Generator, n: int, rho: float, size: int) -> np.ndarray:
    e = rng.normal(size=(size, n)) * np.sqrt(1 - rho**2)
    x = np.empty_like(e)
    x[:, 0] = rng.normal(size=size)
    for t in range(1, n):
        x[:, t] = rho * x[:, t - 1] + e[:, t]
    return x


def test_lag1_of_ar1_process() -> None:
    x = ar1(np.random.default_rng(1), 5000, 0.9, 20)
    assert lag1_autocorrelation(x, np.isfinite(x)).mean() == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("keep", [1.0, 0.4])
def test_effective_sample_size_predicts_variance_of_r(keep: float) -> None:
    """The variance of R between independent AR(1) series is 1 / n_effective, with and without gaps."""
    rng = np.random.default_rng(2)
    x, y = ar1(rng, 1000, 0.9, 1500), ar1(rng, 1000, 0.9, 1500)
    x = np.where(rng.random(x.shape) < keep, x, np.nan)
    r = METRICS["R"].from_moments(paired_moments(x, y))
    effective = np.median(effective_sample_size(x, y))
    assert effective == pytest.approx(1 / r.var(), rel=0.25)


@given(gappy_pairs())
def test_effective_sample_size_at_most_paired_days(pair: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = pair
    n = int((np.isfinite(x) & np.isfinite(y)).sum())
    assert min(n, 2) <= effective_sample_size(x, y) <= max(n, 0)


def test_mean_gap() -> None:
    valid = np.zeros((3, 10), bool)
    valid[0] = True
    valid[1, [0, 3, 6, 9]] = True
    np.testing.assert_allclose(mean_gap(valid)[:2], [1, 3])
