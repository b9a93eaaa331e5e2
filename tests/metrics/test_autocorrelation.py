"""Autocorrelation as a sum of exponentials: sums over lags, and the fit to series with known processes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from benchmarks.benchmark_series import ar1
from gsm3core.metrics import Autocorrelation, effective_sample_size, fit_autocorrelation

processes = st.lists(st.tuples(st.floats(0.01, 1), st.floats(0, 0.98)), min_size=1, max_size=3)


def known(*parts: tuple[float, float], density: float = 1.0, days: float = 400.0) -> Autocorrelation:
    shares, decays = (np.array(v, float) for v in zip(*parts, strict=True))
    return Autocorrelation((shares / shares.sum())[None], np.array([density]), np.array([days]), decays)


def rho(one: Autocorrelation, lags: np.ndarray) -> np.ndarray:
    return (one.shares[0] * one.decays ** lags[:, None]).sum(-1)


@given(processes, processes, st.integers(1, 300), st.floats(0.1, 1))
def test_inflation_is_the_sum_over_lags(
    a: list[tuple[float, float]], b: list[tuple[float, float]], days: int, density: float
) -> None:
    one, two = known(*a, density=density), known(*b, density=density)
    lags = np.arange(1, days)
    weights = 1 - lags / days
    plain = 1 + 2 * density * (weights * rho(one, lags)).sum()
    assert one.inflation(days) == pytest.approx(plain, rel=1e-9)
    product = 1 + 2 * density * (weights * rho(one, lags) * rho(two, lags)).sum()
    assert one.inflation(days, times=two) == pytest.approx(product, rel=1e-9)
    far = np.arange(1, 5000)
    assert one.inflation() == pytest.approx(1 + 2 * density * rho(one, far).sum(), rel=1e-6)


# Shares and lag-1 autocorrelations of independent processes; none has the e-folding times of the models.
WORLDS = {
    "white": [(1.0, 0.0)],
    "AR(1) 0.9": [(1.0, 0.9)],
    "AR(1) 0.97": [(1.0, 0.97)],
    "slow seventh in fast noise": [(0.15, 0.98), (0.85, 0.5)],
    "slow third in white noise": [(0.3, 0.96), (0.7, 0.0)],
    "three processes": [(0.2, 0.98), (0.3, 0.85), (0.5, 0.3)],
}
GAPS = {
    "daily": lambda days, rng: np.ones(days, bool),
    "10 % gaps": lambda days, rng: rng.random(days) > 0.1,
    "three-day revisit": lambda days, rng: np.arange(days) % 3 == 0,
    "winters": lambda days, rng: np.arange(days) % 365 > 90,
}


@pytest.mark.parametrize("gaps", GAPS)
@pytest.mark.parametrize("world", WORLDS)
def test_variance_of_the_mean_is_recovered(world: str, gaps: str) -> None:
    """Ten years; the true variance is that of the means of the series themselves, by the sum over all pairs of days."""
    rng = np.random.default_rng(8)
    days, rows = 3650, 60
    series = sum(np.sqrt(share) * ar1(rng, (rows, days), lag1) for share, lag1 in WORLDS[world])
    seen = GAPS[gaps](days, rng)
    at = np.flatnonzero(seen)
    lags = np.abs(at[:, None] - at).ravel()
    number = np.bincount(lags, minlength=days)
    truth = (number * sum(s * r ** np.arange(days) for s, r in WORLDS[world])).sum() / len(at) ** 2
    fitted = fit_autocorrelation(np.where(seen, series + 0.3, np.nan))
    found = fitted.inflation(fitted.days) / len(at)
    assert np.sqrt(np.median(found) / truth) == pytest.approx(1, abs=0.2)
    assert np.sqrt(np.mean(found) / truth) == pytest.approx(1, abs=0.2)


def test_a_slow_error_is_found_that_short_lags_do_not_show() -> None:
    """Lags of three and ten days alone fit one process, with less than half of the long-run variance."""
    rng = np.random.default_rng(2)
    series = np.sqrt(0.15) * ar1(rng, (100, 2100), 0.985) + np.sqrt(0.85) * ar1(rng, (100, 2100), 0.5)
    truth = 1 + 2 * (0.15 * 0.985 / 0.015 + 0.85)
    found = fit_autocorrelation(series).inflation()
    assert 0.6 * truth < np.median(found) < 1.3 * truth


def test_bias_of_white_noise_is_not_widened_in_long_records() -> None:
    found = fit_autocorrelation(np.random.default_rng(3).normal(size=(200, 2000)))
    assert np.median(found.inflation()) < 1.15
    assert np.mean(found.inflation()) < 1.4


def test_annual_cycle_does_not_pass_for_a_slow_process() -> None:
    rng = np.random.default_rng(4)
    noise = ar1(rng, (60, 2190), 0.8)
    cycle = np.cos(2 * np.pi * np.arange(2190) / 365.25)
    without, within = (fit_autocorrelation(s).inflation() for s in (noise, noise + cycle))
    # The cycle has a third of the variance, so that the noise counts less.
    assert np.median(within) < 1.3 * np.median(without)


@given(st.floats(0.001, 1000), st.floats(-10, 10), st.integers(0, 100))
def test_fit_ignores_scale_and_level(scale: float, level: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    series = ar1(rng, (3, 300), 0.9)
    series[rng.random(series.shape) < 0.2] = np.nan
    one, two = fit_autocorrelation(series), fit_autocorrelation(scale * (series + level))
    np.testing.assert_allclose(one.shares, two.shares, atol=1e-6)
    np.testing.assert_allclose(one.shares.sum(-1), 1)


def test_parts_of_a_pair_and_their_difference() -> None:
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(2, 6, 400))
    x[rng.random(x.shape) < 0.3] = np.nan
    y[rng.random(y.shape) < 0.3] = np.nan
    both = np.isfinite(x - y)
    for part, alone in (
        ("difference", x - y),
        ("predicted", np.where(both, x, np.nan)),
        ("observed", np.where(both, y, np.nan)),
    ):
        np.testing.assert_allclose(
            fit_autocorrelation(x, y, of=part).shares, fit_autocorrelation(alone).shares, atol=1e-9
        )


def test_rows_without_an_estimate_count_days_as_independent() -> None:
    rng = np.random.default_rng(6)
    rare = np.full((1, 400), np.nan)
    rare[0, ::50] = rng.normal(size=8)
    constant = np.full((1, 400), 0.2)
    for series in (rare, constant, np.full((1, 400), np.nan)):
        fitted = fit_autocorrelation(series)
        assert np.isnan(fitted.shares).all()
        assert fitted.inflation() == 1
    assert effective_sample_size(rare, rng.normal(size=(1, 400)))[0] == 8


@pytest.mark.parametrize("own", [0.0, 0.6])
def test_effective_sample_size_gives_the_error_of_r(own: float) -> None:
    """Two independent series, each a slow process in noise: 95 % of R are within the interval about 0."""
    rng = np.random.default_rng(7)
    x, y = (
        np.sqrt(0.4) * ar1(rng, (1500, 1000), 0.98) + np.sqrt(0.6) * ar1(rng, (1500, 1000), own)
        for _ in range(2)
    )
    r = np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(x, y, strict=True)])
    z = np.arctanh(r) * np.sqrt(np.maximum(effective_sample_size(x, y) - 3, 1e-9))
    assert (np.abs(z) < norm.ppf(0.975)).mean() == pytest.approx(0.95, abs=0.03)
