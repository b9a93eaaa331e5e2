"""site_scores against two independent libraries, and reasons for missing scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scores as scores_library
import xarray as xr
import xskillscore

from gsm3core import site_scores
from gsm3core.errors import DatasetError
from gsm3core.evaluation.site_scores import (
    CONSTANT_OBSERVED,
    CONSTANT_PREDICTED,
    NO_OBSERVED,
    NO_PREDICTED,
    fisher_interval,
)

N_SITES, N_DAYS = 200, 300


@pytest.fixture(scope="module")
def pair() -> tuple[xr.DataArray, xr.DataArray]:
    """1,000 gappy pairs: 5 products at 200 sites, with very different gaps and agreement."""
    rng = np.random.default_rng(7)
    truth = rng.uniform(0.05, 0.45, (N_SITES, 1)) + 0.05 * rng.normal(size=(N_SITES, N_DAYS)).cumsum(-1) / 10
    products = (
        truth
        + rng.uniform(-0.1, 0.1, (5, N_SITES, 1))
        + rng.uniform(0.001, 0.2, (5, N_SITES, 1)) * rng.normal(size=(5, N_SITES, N_DAYS))
    )
    products = np.where(rng.random(products.shape) < rng.uniform(0, 0.8, (5, N_SITES, 1)), np.nan, products)
    observed = np.where(rng.random(truth.shape) < rng.uniform(0, 0.6, (N_SITES, 1)), np.nan, truth)
    coords = {"site": [f"s{i}" for i in range(N_SITES)], "time": pd.date_range("2015-04-01", periods=N_DAYS)}
    return (
        xr.DataArray(products, dims=("product", "site", "time"), coords={"product": list("abcde"), **coords}),
        xr.DataArray(observed, dims=("site", "time"), coords=coords),
    )


def test_equal_to_scores_and_xskillscore(pair: tuple[xr.DataArray, xr.DataArray]) -> None:
    predicted, observed = pair
    ours = site_scores(predicted, observed, min_days=2)
    both = predicted.notnull() & observed.notnull()
    x, y = predicted.where(both), observed.broadcast_like(predicted).where(both)
    c, s = scores_library.continuous, xskillscore
    theirs = {
        "R": [c.correlation.pearsonr(x, y, reduce_dims="time"), s.pearson_r(x, y, dim="time", skipna=True)],
        "RMSE": [c.rmse(x, y, reduce_dims="time"), s.rmse(x, y, dim="time", skipna=True)],
        "bias": [c.additive_bias(x, y, reduce_dims="time"), s.me(x, y, dim="time", skipna=True)],
        "ubRMSE": [c.rmse(x - x.mean("time"), y - y.mean("time"), reduce_dims="time")],
    }
    for name, references in theirs.items():
        for reference in references:
            np.testing.assert_allclose(
                ours[name], reference.transpose("product", "site"), atol=1e-10, rtol=0, err_msg=name
            )
    np.testing.assert_array_equal(ours.n_valid, both.sum("time"))
    assert (ours.reason == "").all()


def one_site(
    predicted: list[float] | np.ndarray, observed: list[float] | np.ndarray, **options: float
) -> xr.Dataset:
    coords = {"site": ["A"], "time": pd.date_range("2020-01-01", periods=len(predicted))}
    x, y = (
        xr.DataArray(np.asarray(values, float)[None], dims=("site", "time"), coords=coords)
        for values in (predicted, observed)
    )
    return site_scores(x, y, **options).isel(site=0)


def test_every_site_without_a_score_has_a_reason() -> None:
    varying, nothing = np.linspace(0.1, 0.4, 40), np.full(40, np.nan)
    few = np.where(np.arange(40) < 12, varying, np.nan)
    cases = [
        (varying, nothing, NO_OBSERVED),
        (nothing, varying, NO_PREDICTED),
        (few, varying, "12 paired days, fewer than 30"),
        (varying, np.full(40, 0.49), CONSTANT_OBSERVED),
        (np.full(40, 0.2), varying, CONSTANT_PREDICTED),
    ]
    for x, y, reason in cases:
        found = one_site(x, y)
        assert str(found.reason.values) == reason
        assert np.isnan(found.R)
        assert np.isnan(found.R_lower)
    assert float(one_site(varying, np.full(40, 0.49)).RMSE) > 0, "a constant record has errors"


def test_days_and_sites_are_matched_by_label() -> None:
    days = pd.date_range("2020-01-01", periods=60)
    y = xr.DataArray(
        np.random.default_rng(0).random((2, 60)),
        dims=("site", "time"),
        coords={"site": ["A", "B"], "time": days},
    )
    shuffled = y.isel(site=[1, 0]).isel(time=slice(10, None))
    found = site_scores(shuffled, y)
    np.testing.assert_allclose(found.R, 1.0)
    np.testing.assert_array_equal(found.n_valid, 50)


def test_interval_coverage_with_autocorrelation() -> None:
    """Nominal 95 % intervals of R between autocorrelated series cover the true R in about 95 % of cases."""
    rng = np.random.default_rng(3)
    n, rho, true_r, size = 700, 0.9, 0.7, 1500
    a, b = (np.empty((size, n)) for _ in range(2))
    e = rng.normal(size=(2, size, n))
    mixed = true_r * e[0] + np.sqrt(1 - true_r**2) * e[1]
    for series, noise in ((a, e[0]), (b, mixed)):
        series[:, 0] = noise[:, 0]
        for t in range(1, n):
            series[:, t] = rho * series[:, t - 1] + np.sqrt(1 - rho**2) * noise[:, t]
    coords = {"site": np.arange(size).astype(str), "time": pd.date_range("2018-01-01", periods=n)}
    x, y = (xr.DataArray(s, dims=("site", "time"), coords=coords) for s in (a, b))
    found = site_scores(x, y)
    covered = float(((found.R_lower <= true_r) & (found.R_upper >= true_r)).mean())
    assert 0.93 <= covered <= 0.99
    naive_lower, naive_upper = fisher_interval(found.R.values, found.n_valid.values, 0.95)
    assert ((naive_lower <= true_r) & (naive_upper >= true_r)).mean() < 0.6, (
        "without the effective sample size the interval is too narrow"
    )


def test_interval_ends() -> None:
    lower, upper = fisher_interval(np.array([1.0, 0.5, np.nan]), np.array([10.0, 3.0, 10.0]), 0.95)
    np.testing.assert_array_equal(lower[:2], [1.0, -1.0])
    np.testing.assert_array_equal(upper[:2], [1.0, 1.0])
    assert np.isnan(lower[2])
    # Worked by hand: atanh(0.5) = 0.549306, 1.959964 / sqrt(28 - 3) = 0.391993.
    lower, upper = fisher_interval(np.array([0.5]), np.array([28.0]), 0.95)
    np.testing.assert_allclose(
        [lower[0], upper[0]], [np.tanh(0.549306 - 0.391993), np.tanh(0.549306 + 0.391993)], atol=1e-6
    )


def test_invalid_input_is_named() -> None:
    days = pd.date_range("2020-01-01", periods=40)
    good = xr.DataArray(
        np.random.default_rng(0).random((1, 40)), dims=("site", "time"), coords={"site": ["A"], "time": days}
    )
    with pytest.raises(DatasetError, match="no site or no day in common"):
        site_scores(good, good.assign_coords(site=["B"]))
    with pytest.raises(DatasetError, match="observed has units '%'"):
        site_scores(good, good.assign_attrs(units="%"))
    with pytest.raises(DatasetError, match="observed has dimensions"):
        site_scores(good, good.isel(site=0))
    with pytest.raises(DatasetError, match="min_days is 1"):
        site_scores(good, good, min_days=1)
    with pytest.raises(DatasetError, match="confidence is 95"):
        site_scores(good, good, confidence=95)
