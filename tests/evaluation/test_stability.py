"""Trends of yearly scores: against scipy, planted drifts, incomplete years, and the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats
from typer.testing import CliRunner

from gsm3core import period_scores, score_periods, score_products, score_trends
from gsm3core import vocabulary as v
from gsm3core.cli.main import app
from gsm3core.errors import ConfigError, DatasetError
from gsm3core.evaluation.stability import significant_share
from gsm3core.schema import open_dataset, save_dataset
from support.planted_triplets import planted_dataset


def yearly(values: np.ndarray, days: np.ndarray | float = 300.0) -> xr.Dataset:
    """Scores ``(period, site)`` of the years from 2010."""
    dims = ("period", "site")
    return xr.Dataset(
        {"R": (dims, values), "n_valid": (dims, np.broadcast_to(days, values.shape))},
        coords={
            "period": [str(2010 + k) for k in range(len(values))],
            "site": [f"s{i}" for i in range(values.shape[1])],
        },
    )


def test_trend_equals_linear_regression_of_scipy() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0.7, 0.1, (9, 20))
    values[rng.random(values.shape) < 0.3] = np.nan
    found = score_trends(yearly(values), confidence=0.9)
    year = np.arange(2010, 2019)
    for k in range(20):
        known = np.isfinite(values[:, k])
        assert int(found["years"][k]) == known.sum()
        if known.sum() < 3:
            assert "fewer than 3" in str(found["reason"][k].values)
            assert np.isnan(found["R_trend"][k])
            continue
        expected = stats.linregress(year[known], values[known, k])
        half = stats.t.ppf(0.95, known.sum() - 2) * expected.stderr
        np.testing.assert_allclose(found["R_trend"][k], expected.slope, rtol=1e-8)
        np.testing.assert_allclose(found["R_trend_error"][k], expected.stderr, rtol=1e-8)
        np.testing.assert_allclose(found["R_trend_lower"][k], expected.slope - half, rtol=1e-8)
        np.testing.assert_allclose(found["R_trend_upper"][k], expected.slope + half, rtol=1e-8)


@pytest.mark.parametrize("years", [3, 5, 12])
def test_interval_of_a_trend_has_nominal_coverage(years: int) -> None:
    rng = np.random.default_rng(years)
    values = 0.8 - 0.02 * np.arange(years)[:, None] + 0.05 * rng.normal(size=(years, 4000))
    found = score_trends(yearly(values))
    inside = (found["R_trend_lower"] <= -0.02) & (found["R_trend_upper"] >= -0.02)
    assert float(inside.mean()) == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 4000))
    falling, rising = significant_share(found, "R")
    assert falling > rising
    none = score_trends(yearly(values + 0.02 * np.arange(years)[:, None]))
    np.testing.assert_allclose(significant_share(none, "R"), 0.025, atol=0.012)


def test_incomplete_years_are_left_out() -> None:
    """A year of summer days alone has another R; it is no trend."""
    values = np.array([[0.3], [0.7], [0.7], [0.7], [0.7]])
    days = np.array([[60.0], [300], [310], [290], [150]])
    found = score_trends(yearly(values, days))
    assert int(found["years"][0]) == 3
    assert float(found["R_trend"][0]) == pytest.approx(0, abs=1e-12)
    assert float(score_trends(yearly(values, days), min_share=0)["R_trend"][0]) > 0.05


@pytest.fixture(scope="module")
def drifting() -> xr.Dataset:
    """SMAP's bias grows by 0.02 m3 m-3 a year at every site; the other products are stable."""
    ds = planted_dataset(8, 6 * 365, seed=3)
    drift = 0.02 * np.arange(ds.sizes[v.TIME]) / 365.25
    ds[v.SM_SMAP] = ds[v.SM_SMAP].copy(data=ds[v.SM_SMAP].values + drift)
    return ds


def test_planted_drift_is_recovered(drifting: xr.Dataset) -> None:
    scores = score_periods(drifting, metrics=("R", "bias"))
    trends = score_trends(scores, metrics=("R", "bias"))
    of_smap = trends.sel(product=v.SMAP)
    assert float(of_smap["bias_trend"].median()) == pytest.approx(0.02, abs=0.002)
    assert trends["bias_trend"].attrs["units"] == "m3 m-3 year-1"
    assert significant_share(of_smap, "bias")[1] > 0.9
    others = trends.drop_sel(product=v.SMAP)
    assert float(np.abs(others["bias_trend"].median("site")).max()) < 0.003
    assert float(np.abs(of_smap["R_trend"]).max()) < 0.05


def test_periods_of_a_dataset_are_those_of_its_series(drifting: xr.Dataset) -> None:
    found = score_periods(drifting, by="season", metrics=("R",))
    alone = period_scores(drifting[v.SM_SMAP], drifting[v.SM_INSITU], by="season", metrics=("R",))
    np.testing.assert_allclose(found["R"].sel(product=v.SMAP), alone["R"])
    winter = score_products(drifting, season="winter", metrics=("R",))
    np.testing.assert_allclose(found["R"].sel(period="winter"), winter["R"])


def test_command_prints_the_periods_and_trends_of_the_library(drifting: xr.Dataset, tmp_path: Path) -> None:
    path = save_dataset(drifting, tmp_path / "drifting.nc")
    output = call(path, "--by", "year", "--metrics", "bias", "--out", tmp_path / "years.nc")
    scores = score_periods(open_dataset(path), metrics=("bias",))
    trends = score_trends(scores, metrics=("bias",)).sel(product=v.SMAP)
    lines = [line.split() for line in output.splitlines() if line.startswith(v.SMAP + " ")]
    first = str(scores["period"].values[0])
    median = float(scores["bias"].sel(product=v.SMAP, period=first).median())
    assert [v.SMAP, first, f"{median:.4f}"] in [line[:3] for line in lines]
    assert [v.SMAP, "bias", f"{float(trends['bias_trend'].median()):.4f}"] in [line[:3] for line in lines]
    with xr.open_dataset(tmp_path / "years.nc", engine="h5netcdf") as written:
        np.testing.assert_allclose(written["bias_trend"].sel(product=v.SMAP), trends["bias_trend"])
    assert "winter" in call(path, "--by", "season") and "trend" not in call(path, "--by", "season")
    with pytest.raises(ConfigError, match="--by cannot be combined with --season"):
        call(path, "--by", "year", "--season", "summer")


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["score", *map(str, arguments)], env={"COLUMNS": "200"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_invalid_input_is_named(drifting: xr.Dataset) -> None:
    seasons = score_periods(drifting, by="season", metrics=("R",))
    with pytest.raises(DatasetError, match="a trend needs yearly scores"):
        score_trends(seasons)
    years = yearly(np.full((4, 2), 0.5))
    with pytest.raises(DatasetError, match="lack 'bias'"):
        score_trends(years, metrics=("bias",))
    with pytest.raises(DatasetError, match="min_years is 2"):
        score_trends(years, min_years=2)
    assert pd.isna(significant_share(score_trends(yearly(np.full((2, 2), 0.5))), "R")[0])
