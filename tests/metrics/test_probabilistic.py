"""Scores of predicted distributions against their defining integral, `scores`, and simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scores.probability as oracle
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from gsm3core.errors import DatasetError
from gsm3core.metrics import (
    crps_empirical,
    crps_ensemble,
    crps_gaussian,
    ensemble_interval,
    gaussian_interval,
    pit_ensemble,
    pit_gaussian,
)

PHYSICAL = {"low": 0.0, "high": 1.0}
numbers = st.floats(-0.5, 1.5)
stds = st.floats(0.005, 0.5)


def of(*values: float) -> list[np.ndarray]:
    return [np.array(x) for x in values]


def crps_by_integration(m: float, s: float, y: float, low: float, high: float) -> float:
    def integrand(x: float) -> float:
        cdf = 0.0 if x < low else 1.0 if x >= high else stats.norm.cdf(x, m, s)
        return float((cdf - (x >= y)) ** 2)

    bounds = [b for b in (low, high) if np.isfinite(b)]
    ends = min(m - 12 * s, y, *bounds), max(m + 12 * s, y, *bounds)
    points = sorted({p for p in (m, y, low, high) if ends[0] < p < ends[1]})
    edges = [ends[0], *points, ends[1]]
    return sum(integrate.quad(integrand, a, b, epsabs=1e-12)[0] for a, b in itertools.pairwise(edges))


@given(numbers, stds, numbers)
def test_gaussian_crps_matches_its_integral(m: float, s: float, y: float) -> None:
    expected = crps_by_integration(m, s, y, -np.inf, np.inf)
    assert float(crps_gaussian(*of(m, s, y))) == pytest.approx(expected, abs=1e-8)
    z = (y - m) / s  # Gneiting et al. (2005), equation 5
    form = s * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
    assert float(crps_gaussian(*of(m, s, y))) == pytest.approx(form, abs=1e-12)


@given(numbers, stds, numbers)
def test_censored_crps_matches_its_integral(m: float, s: float, y: float) -> None:
    expected = crps_by_integration(m, s, y, 0.0, 1.0)
    assert float(crps_gaussian(*of(m, s, y), **PHYSICAL)) == pytest.approx(expected, abs=1e-8)


def test_censored_crps_matches_clipped_members() -> None:
    rng = np.random.default_rng(0)
    members = np.clip(rng.normal(0.05, 0.1, 200_000), 0, 1)
    for y in (0.0, 0.02, 0.3, 1.0):
        expected = float(crps_empirical(members, np.array(y)))
        assert float(crps_gaussian(*of(0.05, 0.1, y), **PHYSICAL)) == pytest.approx(expected, abs=6e-4)


def test_crps_with_zero_std_is_absolute_error() -> None:
    assert float(crps_gaussian(*of(0.3, 0.0, 0.1))) == pytest.approx(0.2)
    assert float(crps_gaussian(*of(-0.3, 0.0, 0.1), **PHYSICAL)) == pytest.approx(0.1)
    assert float(crps_gaussian(*of(0.3, 1e-12, 0.1))) == pytest.approx(0.2)


@given(numbers, stds, st.floats(0.05, 0.95))
def test_pit_inverts_the_quantile_function(m: float, s: float, p: float) -> None:
    y = stats.norm.ppf(p, m, s)
    assert float(pit_gaussian(*of(m, s, y))) == pytest.approx(p, abs=1e-9)
    censored = float(pit_gaussian(*of(m, s, np.clip(y, 0, 1)), **PHYSICAL))
    if 0 < y < 1:
        assert censored == pytest.approx(p, abs=1e-9)
    else:  # the middle of the point mass on the bound
        mass = stats.norm.cdf(0, m, s) if y <= 0 else stats.norm.sf(1, m, s)
        assert censored == pytest.approx(mass / 2 if y <= 0 else 1 - mass / 2, abs=1e-9)


def test_pit_with_zero_std_or_outside_range() -> None:
    assert [float(pit_gaussian(*of(0.3, 0.0, y))) for y in (0.2, 0.3, 0.4)] == [0, 0.5, 1]
    assert [float(pit_gaussian(*of(0.3, 0.1, y), **PHYSICAL)) for y in (-0.1, 1.1)] == [0, 1]


def test_gaussian_intervals_have_nominal_coverage() -> None:
    rng = np.random.default_rng(1)
    n = 40_000
    mean, std = rng.uniform(0, 0.5, n), rng.uniform(0.01, 0.2, n)
    observed = np.clip(rng.normal(mean, std), 0, 1)
    pit = pit_gaussian(mean, std, observed, **PHYSICAL)
    # Exactly uniform where nothing is censored: five standard errors.
    free = pit_gaussian(mean, std, rng.normal(mean, std))
    assert stats.kstest(free, "uniform").statistic < 2.5 / np.sqrt(n)
    assert pit.mean() == pytest.approx(0.5, abs=5 * 0.3 / np.sqrt(n))
    for level in (0.5, 0.8, 0.9, 0.95):
        low, high = gaussian_interval(mean, std, level)
        inside = ((low <= (y := rng.normal(mean, std))) & (y <= high)).mean()
        assert inside == pytest.approx(level, abs=5 * np.sqrt(level * (1 - level) / n))
    low, high = gaussian_interval(mean, std, 0.9, **PHYSICAL)
    # A censored interval that ends on a bound includes its point mass: coverage is at least nominal.
    assert ((low <= observed) & (observed <= high)).mean() >= 0.9 - 5 * 0.3 / np.sqrt(n)
    assert low.min() >= 0 and high.max() <= 1


def test_gaussian_crps_is_proper() -> None:
    """No other mean or standard deviation has a better mean score than the true one."""
    rng = np.random.default_rng(2)
    y = np.clip(rng.normal(0.1, 0.08, 60_000), 0, 1)
    at = {
        (m, s): float(crps_gaussian(np.array(m), np.array(s), y, **PHYSICAL).mean())
        for m in (0.08, 0.1, 0.12)
        for s in (0.06, 0.08, 0.1)
    }
    assert min(at, key=at.__getitem__) == (0.1, 0.08)


@st.composite
def ensembles(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    days, m = draw(st.integers(1, 12)), draw(st.integers(2, 30))
    members = np.round(rng.normal(0.2, 0.1, (days, m)), draw(st.sampled_from([1, 3, 12])))
    members[rng.random((days, m)) < draw(st.sampled_from([0, 0.2]))] = np.nan
    observed = np.where(rng.random(days) < 0.1, np.nan, np.round(rng.normal(0.2, 0.15, days), 3))
    return members, observed


@given(ensembles(), st.booleans())
def test_ensemble_crps_matches_scores_library(world: tuple[np.ndarray, np.ndarray], fair: bool) -> None:
    members, observed = world
    known = np.isfinite(members).sum(1)
    expected = oracle.crps_for_ensemble(
        xr.DataArray(members, dims=("day", "member")), xr.DataArray(observed, dims="day"),
        "member", method="fair" if fair else "ecdf", preserve_dims=["day"],
    ).values  # fmt: skip
    usable = known >= (2 if fair else 1)
    found = crps_ensemble(members, observed, fair=fair)
    np.testing.assert_allclose(found[usable], expected[usable], atol=1e-12)
    assert np.isnan(found[~usable]).all()


@given(ensembles())
def test_empirical_crps_matches_ensemble_of_record(world: tuple[np.ndarray, np.ndarray]) -> None:
    members, observed = world
    record = members.ravel()
    expected = crps_ensemble(np.broadcast_to(record, (len(observed), len(record))), observed)
    np.testing.assert_allclose(crps_empirical(record, observed), expected, atol=1e-12)


def test_fair_crps_is_independent_of_ensemble_size() -> None:
    rng = np.random.default_rng(3)
    y = rng.normal(0, 1, 40_000)
    right = float(crps_gaussian(np.zeros(1), np.ones(1), y).mean())
    for m in (2, 5, 20):
        members = rng.normal(0, 1, (len(y), m))
        assert crps_ensemble(members, y, fair=True).mean() == pytest.approx(right, abs=0.012)
        # By definition the plain CRPS is larger by the mean difference of two members over 2 m.
        assert crps_ensemble(members, y).mean() == pytest.approx(right + 1 / (np.sqrt(np.pi) * m), abs=0.012)


def test_ensemble_intervals_have_nominal_coverage_or_nan() -> None:
    rng = np.random.default_rng(4)
    n = 30_000
    for m in (5, 9, 19, 39):
        members, y = rng.normal(0, 1, (n, m)), rng.normal(0, 1, n)
        for level in (0.5, 0.8, 0.9):
            low, high = ensemble_interval(members, level)
            if (1 - level) / 2 * (m + 1) < 1 - 1e-9:
                assert np.isnan(low).all() and np.isnan(high).all()
                continue
            inside = ((low <= y) & (y <= high)).mean()
            whole = (1 - level) / 2 * (m + 1) % 1 < 1e-9
            # Exact between two members; interpolated between them it is a little off for normal members.
            assert inside == pytest.approx(
                level, abs=5 * np.sqrt(level * (1 - level) / n) + (0 if whole else 0.02)
            )


def test_ensemble_intervals_of_four_members() -> None:
    members = np.array([4.0, 1.0, np.nan, 2.0, 3.0])[None]
    low, high = ensemble_interval(members, 0.5)  # ranks 1.25 and 3.75 of four
    assert (low[0], high[0]) == pytest.approx((1.25, 3.75))
    low, high = ensemble_interval(members, 0.6)  # ranks 1 and 4
    assert (low[0], high[0]) == pytest.approx((1, 4))
    assert np.isnan(ensemble_interval(members, 0.61)[0][0])


def test_ensemble_pit() -> None:
    members = np.array([[0.1, 0.2, 0.3], [0.1, 0.2, np.nan], [np.nan] * 3])
    observed = np.array([0.25, 0.2, 0.2])
    np.testing.assert_allclose(pit_ensemble(members, observed), [2.5 / 4, (1 + 0.5 + 0.5) / 3, np.nan])
    rng = np.random.default_rng(5)
    pit = pit_ensemble(rng.normal(0, 1, (20_000, 9)), rng.normal(0, 1, 20_000))
    counts = np.bincount(np.round(pit * 10 - 0.5).astype(int), minlength=10)
    assert stats.chisquare(counts).pvalue > 1e-4


def test_missing_values_and_labels_are_kept() -> None:
    dims = ("site", "time")
    mean, std, observed = (
        xr.DataArray(x, dims=dims, coords={"site": ["a", "b"]}, attrs={"units": "m3 m-3"})
        for x in (np.full((2, 3), 0.2), np.full((2, 3), 0.1), np.array([[0.2, np.nan, 0.3], [0.1, 0.2, 0.3]]))
    )
    mean[1, 0], std[1, 1] = np.nan, np.nan
    expected = np.array([[True, False, True], [False, False, True]])
    for function in (crps_gaussian, pit_gaussian):
        for bounds in ({}, PHYSICAL):
            found = function(mean, std, observed, **bounds)
            assert found.dims == dims and list(found["site"].values) == ["a", "b"]
            np.testing.assert_array_equal(np.isfinite(found.values), expected)
            lazy = function(mean.chunk(), std.chunk(), observed.chunk(), **bounds)
            xr.testing.assert_allclose(lazy.compute(), found)
    members = xr.DataArray(np.zeros((4, 2, 3)), dims=("member", *dims))
    assert crps_ensemble(members, observed).dims == dims


def test_invalid_input_raises() -> None:
    with pytest.raises(DatasetError, match=r"negative standard deviation: -0\.1"):
        crps_gaussian(*of(0.2, -0.1, 0.2))
    with pytest.raises(DatasetError, match="low is 1, high is 0"):
        pit_gaussian(*of(0.2, 0.1, 0.2), low=1, high=0)
    for level in (0.0, 1.0, 90):
        with pytest.raises(DatasetError, match="invalid level"):
            gaussian_interval(*of(0.2, 0.1), level)
        with pytest.raises(DatasetError, match="invalid level"):
            ensemble_interval(np.zeros((2, 3)), level)
    with pytest.raises(DatasetError, match="expected 'member'"):
        crps_ensemble(xr.DataArray(np.zeros(3), dims="time"), xr.DataArray(np.zeros(3), dims="time"))
    assert np.isnan(crps_empirical(np.array([np.nan]), np.array([0.1, 0.2]))).all()
