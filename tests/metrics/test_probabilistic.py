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
    censored_normal,
    crps_empirical,
    crps_ensemble,
    crps_gaussian,
    ensemble_interval,
    gaussian_interval,
    pit_ensemble,
    pit_gaussian,
    pit_share,
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
    assert ends(m, s, y) == pytest.approx((p, p), abs=1e-9)
    censored = ends(m, s, np.clip(y, 0, 1), **PHYSICAL)
    if 0 < y < 1:
        assert censored == pytest.approx((p, p), abs=1e-9)
    else:  # the whole point mass on the bound
        mass = stats.norm.cdf(0, m, s) if y <= 0 else stats.norm.sf(1, m, s)
        assert censored == pytest.approx((0, mass) if y <= 0 else (1 - mass, 1), abs=1e-9)


def ends(mean: float, std: float, observed: float, **options: float) -> tuple[float, float]:
    lower, upper = pit_gaussian(*of(mean, std, observed), **options)
    return float(lower), float(upper)


def test_pit_with_zero_std_or_outside_range() -> None:
    assert [ends(0.3, 0.0, y) for y in (0.2, 0.3, 0.4)] == [(0, 0), (0, 1), (1, 1)]
    assert [ends(0.3, 0.1, y, **PHYSICAL) for y in (-0.1, 1.1)] == [(0, 0), (1, 1)]


def tenths(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    edges = np.linspace(0, 1, 11)
    return np.array([pit_share(lower, upper, a, b).mean() for a, b in itertools.pairwise(edges)])


# Mean and standard deviation before censoring; the mass on 0 or 1 is 0 to 0.8.
SHAPES = {
    "hardly censored": (0.25, 0.05),
    "a fifth at 0": (0.1, 0.12),
    "half at 0": (0.0, 0.05),
    "four fifths at 0": (-0.05, 0.06),
    "a tenth at 1": (0.9, 0.08),
    "both bounds": (0.5, 0.6),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_pit_histogram_is_flat_for_the_true_distribution_only(shape: str) -> None:
    m, s = SHAPES[shape]
    rng = np.random.default_rng(6)
    n = 40_000
    mean = m + 0.02 * rng.normal(size=n)
    y = np.clip(rng.normal(mean, s), 0, 1)

    def p_value(mean: np.ndarray, std: float) -> float:
        shares = tenths(*pit_gaussian(mean, std * np.ones(n), y, **PHYSICAL))
        assert shares.sum() == pytest.approx(1)
        return float(stats.chisquare(n * shares).pvalue)

    # A day that is spread over several tenths varies less than a count, so that chi-square is conservative.
    assert p_value(mean, s) > 1e-3
    assert p_value(mean, 1.3 * s) < 1e-6
    assert p_value(mean, s / 1.3) < 1e-6
    assert p_value(mean + 0.3 * s, s) < 1e-6


@pytest.mark.parametrize("shape", SHAPES)
def test_pit_is_the_expectation_of_the_randomised_one(shape: str) -> None:
    """Randomised PIT, by scipy's distribution function and random numbers: 500 draws of 400 days."""
    m, s = SHAPES[shape]
    rng = np.random.default_rng(7)
    y = np.clip(rng.normal(m + 0.05, 1.5 * s, 400), 0, 1)
    law = stats.norm(m, s)
    below = np.where(y <= 0, 0.0, law.cdf(y))
    upto = np.where(y >= 1, 1.0, law.cdf(y))
    draws = below + rng.random((500, 400)) * (upto - below)
    expected = np.histogram(draws, np.linspace(0, 1, 11))[0] / draws.size
    found = tenths(*pit_gaussian(*(np.full(400, value) for value in (m, s)), y, **PHYSICAL))
    np.testing.assert_allclose(found, expected, atol=5 * np.sqrt(0.25 / 500 / 400))


@pytest.mark.parametrize("step", [0.001, 0.01, 0.02])
def test_pit_of_rounded_observations_is_flat(step: float) -> None:
    rng = np.random.default_rng(8)
    n = 40_000
    mean, std = 0.03 + 0.01 * rng.normal(size=n), np.full(n, 0.02)
    rounded = np.round(np.clip(rng.normal(mean, std), 0, 1) / step) * step
    shares = tenths(*pit_gaussian(mean, std, rounded, resolution=step, **PHYSICAL))
    assert stats.chisquare(n * shares).pvalue > 1e-3
    if step >= 0.01:
        exact = tenths(*pit_gaussian(mean, std, rounded, **PHYSICAL))
        assert stats.chisquare(n * exact).pvalue < 1e-6, "values rounded to 0 are taken for the mass on 0"


def test_pit_shows_mass_at_a_bound_that_is_never_observed() -> None:
    """A sensor that never reads 0: the tenths below the predicted probability of 0 stay empty."""
    rng = np.random.default_rng(9)
    y = rng.normal(0.1, 0.12, 40_000)
    shares = tenths(
        *pit_gaussian(np.full(y.shape, 0.1), np.full(y.shape, 0.12), np.clip(y, 0.01, 1), **PHYSICAL)
    )
    assert shares[0] == shares[1] == 0


@given(st.floats(-0.1, 1.1), st.floats(0.005, 0.2))
def test_censored_normal_inverts_the_censored_moments(location: float, scale: float) -> None:
    z = np.linspace(-8, 8, 160_001)
    weight = stats.norm.pdf(z) / stats.norm.pdf(z).sum()
    y = np.clip(location + scale * z, 0, 1)
    mean = (weight * y).sum()
    std = np.sqrt((weight * (y - mean) ** 2).sum())
    if std < 1e-3:
        return  # all mass on one bound
    found = [float(v) for v in censored_normal(*of(mean, std))]
    assert found == pytest.approx([location, scale], abs=2e-3 * scale + 0.02 * (scale > 0.15))


def test_censored_normal_leaves_the_middle_of_the_range() -> None:
    mean, std = np.array([0.3, 0.25, 0.5, np.nan]), np.array([0.02, 0.0, 0.05, 0.1])
    location, scale = censored_normal(mean, std)
    np.testing.assert_array_equal(location[:3], mean[:3])
    np.testing.assert_array_equal(scale[:3], std[:3])
    assert np.isnan(location[3]) and np.isnan(scale[3])
    assert [float(v) for v in censored_normal(np.array(0.0), np.array(0.0))] == [0, 0]


def test_gaussian_intervals_have_nominal_coverage() -> None:
    rng = np.random.default_rng(1)
    n = 40_000
    mean, std = rng.uniform(0, 0.5, n), rng.uniform(0.01, 0.2, n)
    observed = np.clip(rng.normal(mean, std), 0, 1)
    pit = np.mean(pit_gaussian(mean, std, observed, **PHYSICAL), axis=0)
    # Exactly uniform where nothing is censored: five standard errors.
    free = pit_gaussian(mean, std, rng.normal(mean, std))[0]
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
    lower, upper = pit_ensemble(members, observed)
    np.testing.assert_allclose(lower, [2 / 4, 1 / 3, np.nan])
    np.testing.assert_allclose(upper, [3 / 4, 1, np.nan])


@pytest.mark.parametrize("m", [4, 7, 9, 30])
@pytest.mark.parametrize("mean", [0.3, 0.05])
def test_ensemble_pit_is_flat_for_any_number_of_members(m: int, mean: float) -> None:
    """Seven members have eight ranks, of which ten bins would leave two empty; at 0.05 many members are 0."""
    rng = np.random.default_rng(5)
    draw = lambda *shape: np.clip(rng.normal(mean, 0.08, shape), 0, 1)  # noqa: E731
    shares = tenths(*pit_ensemble(draw(20_000, m), draw(20_000)))
    assert stats.chisquare(20_000 * shares).pvalue > 1e-3
    narrow = tenths(*pit_ensemble(mean + (draw(20_000, m) - mean) / 2, draw(20_000)))
    assert stats.chisquare(20_000 * narrow).pvalue < 1e-6


def test_missing_values_and_labels_are_kept() -> None:
    dims = ("site", "time")
    mean, std, observed = (
        xr.DataArray(x, dims=dims, coords={"site": ["a", "b"]}, attrs={"units": "m3 m-3"})
        for x in (np.full((2, 3), 0.2), np.full((2, 3), 0.1), np.array([[0.2, np.nan, 0.3], [0.1, 0.2, 0.3]]))
    )
    mean[1, 0], std[1, 1] = np.nan, np.nan
    expected = np.array([[True, False, True], [False, False, True]])
    upper_pit = lambda *values, **bounds: pit_gaussian(*values, **bounds)[1]  # noqa: E731
    for function in (crps_gaussian, upper_pit):
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
