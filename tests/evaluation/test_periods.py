"""Scores by year and by local season against direct computation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from gsm3core import score_products, site_scores
from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.evaluation.periods import period_scores
from gsm3core.evaluation.stratified import LOCAL_SEASONS
from support.planted_triplets import planted_dataset


@pytest.fixture(scope="module")
def world() -> xr.Dataset:
    return planted_dataset(8, 1000, seed=2)


def test_years_equal_a_direct_computation(world: xr.Dataset) -> None:
    found = period_scores(world[v.SM_SMAP], world[v.SM_INSITU], by="year")
    assert found["period"].values.tolist() == ["2015", "2016", "2017"]
    for year in (2015, 2016, 2017):
        days = pd.DatetimeIndex(world[v.TIME].values).year == year
        for k in range(8):
            x, y = world[v.SM_SMAP].values[k, days], world[v.SM_INSITU].values[k, days]
            both = np.isfinite(x) & np.isfinite(y)
            x, y = x[both], y[both]
            one = found.sel(period=str(year)).isel(site=k)
            np.testing.assert_allclose(one["R"], np.corrcoef(x, y)[0, 1], rtol=1e-10)
            np.testing.assert_allclose(one["bias"], (x - y).mean(), rtol=1e-10)
            np.testing.assert_allclose(one["ubRMSE"], (x - y).std(), rtol=1e-10)
            assert int(one["n_valid"]) == both.sum()
            assert float(one["R_lower"]) < float(one["R"]) < float(one["R_upper"])


def test_seasons_equal_the_scores_of_a_season(world: xr.Dataset) -> None:
    """July is winter in the south; the same numbers as with the season as a selection."""
    found = period_scores(
        world[v.SM_SMAP], world[v.SM_INSITU], by="season", metrics=("R", "bias", "anomaly_R")
    )
    for season in LOCAL_SEASONS:
        expected = score_products(world, season=season, metrics=("R", "bias", "anomaly_R")).sel(
            product=v.SMAP
        )
        for name in ("R", "R_lower", "R_upper", "bias", "n_valid", "anomaly_R"):
            np.testing.assert_allclose(found[name].sel(period=season), expected[name], err_msg=name)
    south, july = 0, world[v.TIME].dt.month.isin([6, 7, 8]).values
    assert float(world[v.LAT][south]) < 0
    x, y = world[v.SM_SMAP].values[south, july], world[v.SM_INSITU].values[south, july]
    both = np.isfinite(x) & np.isfinite(y)
    np.testing.assert_allclose(found["bias"].sel(period="winter")[south], (x - y)[both].mean())


@pytest.mark.parametrize("by", ["year", "season"])
def test_every_score_has_the_period_in_front(world: xr.Dataset, by: str) -> None:
    found = period_scores(
        world[v.SM_PRODUCT], world[v.SM_INSITU], by=by, metrics=("R", "spearman", "anomaly_R")
    )
    assert {a.dims for a in found.data_vars.values()} == {("period", v.PRODUCT, v.SITE)}


def test_a_short_period_has_a_reason(world: xr.Dataset) -> None:
    short = world.isel(time=slice(0, 290))  # to 2016-01-15
    found = period_scores(short[v.SM_SMAP], short[v.SM_INSITU], by="year")
    assert found["R"].sel(period="2016").isnull().all()
    assert all("paired days, fewer than 30" in str(r) for r in found["reason"].sel(period="2016").values)


def test_one_period_is_the_whole_record(world: xr.Dataset) -> None:
    one = world.sel(time="2016")
    found = period_scores(one[v.SM_PRODUCT], one[v.SM_INSITU]).isel(period=0, drop=True)
    whole = site_scores(one[v.SM_PRODUCT], one[v.SM_INSITU], intervals="R")
    for name in ("R", "R_upper", "RMSE", "n_effective"):
        np.testing.assert_allclose(found[name].transpose(*whole[name].dims), whole[name])


def test_unknown_names_are_reported(world: xr.Dataset) -> None:
    with pytest.raises(DatasetError, match=r"unknown period by='years'.*year"):
        period_scores(world[v.SM_SMAP], world[v.SM_INSITU], by="years")
    with pytest.raises(DatasetError, match="'TC_R' needs three series"):
        period_scores(world[v.SM_SMAP], world[v.SM_INSITU], metrics=["TC_R"])
