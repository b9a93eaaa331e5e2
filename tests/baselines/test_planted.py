"""Each baseline recovers the truth of a synthetic dataset made by its own model."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter

from gsm3core.baselines import predict_fold
from gsm3core.baselines.api_bucket import fit_bucket, precipitation_index, saturation
from gsm3core.baselines.climatology import mean_year_by_site, neighbour_mean
from gsm3core.baselines.gradient_boosting import _sample_counts
from gsm3core.config import ExperimentConfig
from gsm3core.holdouts.base import Fold
from support.small_world import TINY, make_dataset

CONFIG = ExperimentConfig.from_mapping(TINY)


def held_out(n: int, days: int, every: int = 4) -> Fold:
    test, whole = np.arange(n) % every == 1, np.ones(days, bool)
    return Fold(name="f", train_sites=~test, test_sites=test, train_days=whole, test_days=whole)


def later(n: int, days: int, first: int) -> Fold:
    sites, early = np.ones(n, bool), np.arange(days) < first
    return Fold(name="f", train_sites=sites, test_sites=sites, train_days=early, test_days=~early)


def rain_of(n: int, days: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random((n, days)) < 0.3, rng.gamma(0.8, 8.0, (n, days)), 0.0)


def rmse(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.nanmean((a - b) ** 2)))


def test_the_precipitation_index_is_a_recursive_filter() -> None:
    rain, mean_rain = rain_of(3, 200), 2.0
    retention = np.array([0.5, 0.9, 0.99])
    for k, row, found in zip(retention, rain, precipitation_index(rain, retention, mean_rain), strict=True):
        expected, _ = lfilter([1.0], [1.0, -k], row, zi=[k * mean_rain / (1 - k)])
        np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("fullness", [0.3, 1.0, 2.0])
def test_site_buckets_are_recovered(fullness: float) -> None:
    """Neither always full nor nearly empty, where dry end and gain are not identifiable."""
    retention = np.array([0.6, 0.8, 0.9, 0.95, 0.985])
    storage = 2.0 / (1 - retention) / fullness
    rain = rain_of(5, 900)
    saturated = saturation(precipitation_index(rain, retention, 2.0), storage)
    rng = np.random.default_rng(1)
    target = np.where(rng.random(saturated.shape) < 0.5, np.nan, 0.06 + 0.35 * saturated)
    found = fit_bucket(rain, target, 2.0, shared=False)
    np.testing.assert_allclose(found.retention, retention, atol=2e-3)
    np.testing.assert_allclose(found.storage, storage, rtol=0.02)
    np.testing.assert_allclose(found.dry, 0.06, atol=2e-3)
    np.testing.assert_allclose(found.gain, 0.35, rtol=0.02)
    assert found.error.max() < 5e-4


def test_a_noisy_linear_bucket_is_recovered() -> None:
    rain = rain_of(20, 700)
    api = precipitation_index(rain, np.full(20, 0.92), 2.0)
    rng = np.random.default_rng(2)
    target = 0.08 + 0.002 * api + rng.normal(0, 0.01, api.shape)
    found = fit_bucket(rain, target, 2.0, shared=True)
    assert found.retention.shape == (1,)
    # 14,000 days with noise of 0.01 on a signal of 0.05 determine the retention to a fraction of a percent.
    np.testing.assert_allclose(found.retention, 0.92, atol=2e-3)
    assert found.error[0] == pytest.approx(0.01, rel=0.03)


def test_bucket_gain_is_never_negative() -> None:
    rain = rain_of(3, 300)
    found = fit_bucket(rain, 0.4 - 0.001 * precipitation_index(rain, np.full(3, 0.9), 2.0), 2.0, shared=False)
    assert (found.gain >= 0).all()


def test_a_bucket_predicts_held_out_sites_and_days() -> None:
    n, days = 12, 700
    ds = make_dataset(n, days)
    rain = ds["precipitation"].values.astype(float)
    truth = 0.05 + 0.4 * saturation(
        precipitation_index(rain, np.full(n, 0.93), rain.mean()), np.full(n, 60.0)
    )
    ds["sm_insitu"].values[:] = truth
    for fold in (held_out(n, days), later(n, days, 350)):
        predicted = predict_fold("api_bucket", ds, fold, CONFIG)
        after_start = (fold.test_days & (np.arange(days) > 100))[None, :]
        expected = np.where(after_start, truth, np.nan)[fold.test_sites]
        assert rmse(predicted.values, expected) < 1.5e-3


def test_a_precipitation_gap_does_not_appear_dry() -> None:
    n, days = 8, 500
    ds = make_dataset(n, days)
    fold = held_out(n, days)
    ds["precipitation"][1, 200:300] = np.nan
    predicted = predict_fold("api_bucket", ds, fold, CONFIG).sel(site="S001").values
    assert np.isfinite(predicted).all()
    # At the end of a long gap the bucket is at the equilibrium of mean precipitation, well above an empty one.
    assert predicted[295] > np.quantile(predicted[:200], 0.1)


def test_a_planted_climatology_is_recovered() -> None:
    days = pd.date_range("2015-01-01", "2018-12-31")
    doy = days.day_of_year.to_numpy()
    truth = 0.25 + 0.1 * np.cos(2 * np.pi * (doy - 30) / 365.25)
    rng = np.random.default_rng(0)
    values = np.where(rng.random((1, len(days))) < 0.3, np.nan, truth + rng.normal(0, 0.02, len(days)))
    year = mean_year_by_site(values, doy)
    # A mean over 31 days makes a yearly wave smaller by sinc(31/365), 1.2 % of 0.1; some 87 days' noise adds 0.002.
    assert np.abs(year[0, doy - 1] - truth).max() < 0.0012 + 4 * 0.02 / np.sqrt(60)


def test_mean_year_by_hand() -> None:
    doy = np.array([1, 2, 366, 100])
    values = np.array([[0.1, 0.3, 0.2, 0.5]])
    year = mean_year_by_site(values, doy, window=3)
    assert year[0, 0] == pytest.approx(0.2)  # days 366, 1 and 2
    assert year[0, 2] == pytest.approx(0.3)  # day 2 alone
    assert year[0, 365] == pytest.approx(0.15)  # days 366 and 1
    assert year[0, 364] == pytest.approx(0.2)
    # Linear interpolation between day 101 (0.5) and day 365 (0.2).
    assert year[0, 100 + 131] == pytest.approx(0.5 - 0.3 * (232 - 101) / (365 - 101))
    assert np.isnan(mean_year_by_site(np.full((1, 4), np.nan), doy)).all()


def test_neighbour_mean_across_the_date_line() -> None:
    years = np.array([[1.0], [2.0], [4.0], [100.0]])
    at = np.array([[0.0, 179.0], [0.0, -178.0], [0.0, 176.0], [60.0, 0.0]])
    found = neighbour_mean(years, at, np.array([[0.0, 180.0]]), neighbours=3)
    weights = np.array([1 / 1, 1 / 4, 1 / 16])  # 1, 2 and 4 degrees away
    assert found[0, 0] == pytest.approx((weights @ [1, 2, 4]) / weights.sum(), rel=1e-9)
    assert neighbour_mean(years[:1], at[:1], at)[:, 0] == pytest.approx(1.0)


def test_climatology_is_exact_for_identical_years() -> None:
    n, days = 8, 1096
    ds = make_dataset(n, days)
    doy = pd.DatetimeIndex(ds["time"].values).day_of_year.to_numpy()
    level = np.linspace(0.1, 0.4, n)[:, None]
    ds["sm_insitu"].values[:] = level + 0.05 * np.sin(2 * np.pi * doy / 365.25)
    fold = later(n, days, 731)
    predicted = predict_fold("climatology", ds, fold, CONFIG).values
    assert np.abs(predicted - ds["sm_insitu"].values).max() < 0.0015  # the smoothing of the wave's top


def test_boosting_beats_climatology() -> None:
    """At held-out sites, where soil moisture is a bucket whose leak is an attribute."""
    ds = make_dataset(30, 500, seed=4)
    fold = held_out(30, 500)
    observed = ds["sm_insitu"].values[fold.test_sites]
    errors = {
        name: rmse(predict_fold(name, ds, fold, CONFIG).values, observed)
        for name in ("gradient_boosting", "api_bucket", "climatology")
    }
    assert errors["gradient_boosting"] < 0.5 * errors["climatology"]
    assert errors["gradient_boosting"] < errors["climatology"] > errors["api_bucket"]
    assert errors["gradient_boosting"] < 0.4 * float(np.nanstd(observed))


def test_boosting_predicts_in_situ_not_the_satellite() -> None:
    """With two training targets 0.2 apart the prediction is that of in situ."""
    ds = make_dataset(24, 400, seed=5)
    ds["sm_smap"] = (ds["sm_smap"] + 0.2).clip(0, 1)
    ds["sm_insitu"][2::4] = np.nan
    fold = held_out(24, 400)
    stations = ~np.isnan(ds["sm_insitu"].values).all(1) & fold.test_sites
    predicted = predict_fold("gradient_boosting", ds, fold, CONFIG).sel(site=ds["site"].values[stations])
    bias = float(
        (predicted.values - ds["sm_insitu"].values[stations])[
            np.isfinite(ds["sm_insitu"].values[stations])
        ].mean()
    )
    assert abs(bias) < 0.04
    alone = CONFIG.replace("data", targets=("sm_smap",))
    of_satellite = predict_fold("gradient_boosting", ds, fold, alone).sel(site=ds["site"].values[stations])
    assert float((of_satellite - predicted).mean()) > 0.15


def test_sample_counts_are_even() -> None:
    rng = np.random.default_rng(0)
    valid = rng.random((5, 40)) < 0.4
    for number in (0, 7, int(valid.sum()), 3 * int(valid.sum()) + 5):
        times = _sample_counts(valid, number, np.random.default_rng(1))
        assert times.sum() == number and not times[~valid].any()
        assert np.ptp(times[valid]) <= 1


def test_many_rows_are_subsampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A subsample of the rows still fits, and is reproducible."""
    monkeypatch.setattr("gsm3core.baselines.gradient_boosting.MOST_ROWS", 2000)
    ds = make_dataset(16, 400, seed=6)
    fold = held_out(16, 400)
    first = predict_fold("gradient_boosting", ds, fold, CONFIG)
    np.testing.assert_array_equal(first.values, predict_fold("gradient_boosting", ds, fold, CONFIG).values)
    other = predict_fold("gradient_boosting", ds, fold, CONFIG.replace("training", seed=1))
    assert not np.array_equal(first.values, other.values)
    assert rmse(first.values, ds["sm_insitu"].values[fold.test_sites]) < 0.06


def test_fold_and_dataset_are_not_modified() -> None:
    ds = make_dataset(6, 200)
    fold = held_out(6, 200)
    before, copy = dataclasses.astuple(fold), ds.copy(deep=True)
    predict_fold("gradient_boosting", ds, fold, CONFIG)
    assert all(np.array_equal(a, b) for a, b in zip(before, dataclasses.astuple(fold), strict=True))
    assert ds.identical(copy)


def test_a_site_with_few_training_days_has_the_shared_bucket() -> None:
    """All sites follow one bucket, so the shared one is as good at a site with five training days."""
    n, days = 10, 700
    ds = make_dataset(n, days)
    rain = ds["precipitation"].values.astype(float)
    truth = 0.05 + 0.4 * saturation(
        precipitation_index(rain, np.full(n, 0.93), rain.mean()), np.full(n, 60.0)
    )
    ds["sm_insitu"].values[:] = truth
    ds["sm_insitu"][3, 5:350] = np.nan
    ds = ds.drop_vars("sm_smap")
    predicted = predict_fold("api_bucket", ds, later(n, days, 350), CONFIG)
    assert np.abs(predicted.values - truth)[:, 100:].max() < 5e-3
