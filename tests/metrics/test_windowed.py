"""Merged moments, scores by time window, Dask arrays and autocorrelation."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from gsm3core.errors import DatasetError
from gsm3core.metrics import (
    METRICS,
    PAIRED_METRICS,
    anomaly_moments,
    blocked_moments,
    merge_moments,
    paired_moments,
)
from gsm3core.metrics.windowed import windowed_scores
from support.strategies import gappy_pairs


@given(gappy_pairs(min_days=1), st.lists(st.integers(0, 60), max_size=4))
def test_merged_blocks_equal_whole_record(pair: tuple[np.ndarray, np.ndarray], cuts: list[int]) -> None:
    x, y = pair
    edges = np.array([0, *sorted(min(c, len(x)) for c in cuts), len(x)])
    whole, merged = paired_moments(x, y).to_array(), blocked_moments(x, y, edges).merge().to_array()
    np.testing.assert_allclose(merged, whole, atol=1e-14)
    parts = [paired_moments(x[a:b], y[a:b]) for a, b in pairwise(edges)]
    np.testing.assert_allclose(merge_moments(parts).to_array(), whole, atol=1e-14)


def test_warm_up_compiles_every_kernel() -> None:
    from gsm3core.metrics import kernel, warmup

    warmup.warm_up()
    known = len(kernel.block_moments.signatures)
    warmup.warm_up()
    paired_moments(np.zeros((2, 5), np.float32), np.zeros((2, 5), np.float32))
    assert len(kernel.block_moments.signatures) == known >= 4


def test_merging_large_mean_causes_no_cancellation() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 3000))
    merged = blocked_moments(x + 1e6, y + 1e6, np.arange(0, 3001, 30)).merge()
    assert float(METRICS["R"].from_moments(merged)) == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-9)


def test_arrays_of_any_shape_broadcast() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.random((3, 4, 50)), rng.random((4, 50))
    expected = np.array([[np.corrcoef(x[p, s], y[s])[0, 1] for s in range(4)] for p in range(3)])
    for a, b in ((x, y), (y, x), (x, np.broadcast_to(y, x.shape)), (x.astype(np.float32), y)):
        np.testing.assert_allclose(METRICS["R"].from_moments(paired_moments(a, b)), expected, atol=1e-6)
    np.testing.assert_allclose(
        METRICS["R"].from_moments(paired_moments(x[:, 0], y[0])), expected[:, 0], atol=1e-12
    )


@pytest.fixture(scope="module")
def world() -> tuple[xr.DataArray, xr.DataArray]:
    rng = np.random.default_rng(5)
    coords = {"site": list("ABCDEF"), "time": pd.date_range("2015-04-01", periods=900)}
    y = xr.DataArray(rng.random((6, 900)), dims=("site", "time"), coords=coords)
    x = (
        y + 0.3 * xr.DataArray(rng.normal(size=(2, 6, 900)), dims=("product", "site", "time"))
    ).assign_coords(coords)
    x = x.transpose("product", "site", "time")
    return x.where(rng.random(x.shape) > 0.2), y.where(rng.random(y.shape) > 0.2)


@pytest.mark.parametrize("by", ["all", "season", "month", "year"])
def test_window_scores_match_its_days_alone(world: tuple[xr.DataArray, xr.DataArray], by: str) -> None:
    x, y = world
    names = [n for n, m in PAIRED_METRICS.items() if "anomal" not in m.computed_on]
    found = windowed_scores(x, y, by=by, metrics=names)
    label = {"all": lambda t: ["all"] * t.size, "season": lambda t: t.dt.season.values,
             "month": lambda t: t.dt.month.values, "year": lambda t: t.dt.year.values}[by](x["time"])  # fmt: skip
    for window in found["window"].values:
        days = np.asarray(label) == window
        alone = windowed_scores(x.isel(time=days), y.isel(time=days), metrics=names).isel(window=0, drop=True)
        xr.testing.assert_allclose(found.sel(window=window, drop=True), alone, atol=1e-12)


def test_window_anomalies_use_whole_record(
    world: tuple[xr.DataArray, xr.DataArray],
) -> None:
    x, y = (a.values for a in world)
    both = np.isfinite(x[0, 0]) & np.isfinite(y[0])
    apart = []
    for s in (x[0, 0], y[0]):
        paired = pd.Series(np.where(both, s, np.nan))
        apart.append((paired - paired.rolling(35, center=True, min_periods=5).mean()).to_numpy())
    summer = np.isin(world[1]["time"].dt.month, [6, 7, 8])
    ok = summer & np.isfinite(apart[0])
    found = (
        windowed_scores(*world, by="season", metrics=["anomaly_R"]).anomaly_R.sel(window="JJA").values[0, 0]
    )
    assert found == pytest.approx(np.corrcoef(apart[0][ok], apart[1][ok])[0, 1], abs=1e-12)


def test_anomalies_remove_season_and_mean() -> None:
    """Independent noise around a shared season: high R, no anomaly R."""
    rng = np.random.default_rng(8)
    days = pd.date_range("2010-01-01", periods=365 * 8)
    season = 0.1 * np.cos(2 * np.pi * np.arange(len(days)) / 365.25)
    x, y = season + 0.02 * rng.normal(size=(2, len(days)))
    assert METRICS["R"].from_moments(paired_moments(x, y)) > 0.9
    for doy in (None, days.day_of_year.to_numpy()):
        r = float(METRICS["R"].from_moments(anomaly_moments(x, y, day_of_year=doy)))
        # sqrt(1 / 2920) is 0.0185; the seasonal residual within 35 days adds 0.001.
        assert abs(r) < 4 * 0.0185


def test_user_defined_window_labels(world: tuple[xr.DataArray, xr.DataArray]) -> None:
    x, y = world
    labels = xr.where(x["time"].dt.year == 2016, "leap", "")
    found = windowed_scores(x, y, by=labels)
    assert list(found["window"].values) == ["leap"]
    alone = windowed_scores(x.sel(time="2016"), y.sel(time="2016"))
    np.testing.assert_allclose(found.R.values, alone.R.values, atol=1e-12)
    with pytest.raises(DatasetError, match=r"unknown time window by='seasons'.*Did you mean 'season'"):
        windowed_scores(x, y, by="seasons")
    with pytest.raises(DatasetError, match=r"by has dimensions .*one label per day"):
        windowed_scores(x, y, by=x.isel(product=0))


def test_dask_stays_lazy_and_merges_time_chunks(world: tuple[xr.DataArray, xr.DataArray]) -> None:
    x, y = world
    names = list(PAIRED_METRICS)
    lazy = windowed_scores(x.chunk(time=130, site=4), y.chunk(time=130, site=4), by="season", metrics=names)
    assert all(lazy[n].chunks for n in names)
    xr.testing.assert_allclose(lazy.compute(), windowed_scores(x, y, by="season", metrics=names), atol=1e-12)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_concurrent_threads_and_forks() -> None:
    x = np.random.default_rng(0).random((600, 2100))
    expected = paired_moments(x, x[::-1]).to_array()
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: paired_moments(x, x[::-1]).to_array(), range(8)):
            np.testing.assert_array_equal(found, expected)
    child = multiprocessing.get_context("fork").Process(target=paired_moments, args=(x, x))
    child.start()
    child.join(60)
    assert child.exitcode == 0
