"""Strata of sites and seasons, and the USDA texture triangle at known points."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from gsm3core import site_scores
from gsm3core.errors import DatasetError
from gsm3core.evaluation.soil_texture import TEXTURES, texture_class
from gsm3core.evaluation.strata import available_strata, binned, site_strata
from gsm3core.evaluation.stratified import season_scores, stratified_scores
from support.small_world import make_dataset


@pytest.mark.parametrize(
    ("sand", "clay", "expected"),
    [
        # The middle of each class on the triangle of the Soil Survey Manual.
        (92, 3, "sand"), (82, 6, "loamy sand"), (65, 10, "sandy loam"), (41, 18, "loam"), (20, 15, "silt loam"),
        (7, 6, "silt"), (60, 27, "sandy clay loam"), (33, 33, "clay loam"), (10, 34, "silty clay loam"),
        (52, 42, "sandy clay"), (7, 47, "silty clay"), (20, 60, "clay"), (0, 100, "clay"), (100, 0, "sand"),
    ],
)  # fmt: skip
def test_texture_at_known_points(sand: float, clay: float, expected: str) -> None:
    assert str(texture_class(sand / 100, clay / 100)) == expected


@given(st.floats(0, 1), st.floats(0, 1))
def test_every_soil_has_one_texture(a: float, b: float) -> None:
    sand, clay = a * (1 - b), b
    assert str(texture_class(sand, clay)) in TEXTURES


def test_no_texture_without_fractions() -> None:
    assert texture_class([np.nan, 0.8, -0.1], [0.2, 0.5, 0.3]).tolist() == ["", "", ""]


def test_an_edge_belongs_to_the_bin_below() -> None:
    labels, names = binned([0.05, 0.08, 0.0801, np.nan, 9], [0.08, 0.16])
    assert names == ["<= 0.08", "0.08 to 0.16", "> 0.16"]
    assert labels.tolist() == ["<= 0.08", "<= 0.08", "0.08 to 0.16", "", "> 0.16"]


def with_attributes() -> xr.Dataset:
    ds = make_dataset(40, 300)
    rng = np.random.default_rng(0)
    sand = rng.uniform(0, 0.7, 40)
    ds["sand"], ds["clay"] = ("site", sand), ("site", (1 - sand) * 0.4)
    ds["poleward_aspect"] = "site", rng.uniform(-1, 1, 40)
    ds["climate"] = "site", np.where(np.arange(40) % 2, 2.0, np.nan)
    return ds


def test_medians_of_every_stratification() -> None:
    ds = with_attributes()
    assert set(available_strata(ds)) == {
        "region", "continent", "network", "land_cover", "climate", "soil_texture", "elevation", "mean_soil_moisture", "aspect",
    }  # fmt: skip
    scores = site_scores(ds.sm_smap, ds.sm_insitu, intervals="none")
    for by in available_strata(ds):
        labels = site_strata(ds, by)
        found = stratified_scores(scores, labels, replicates=100)
        assert found.R_sites.sum() == (scores.R.notnull() & (labels != "")).sum()
        for stratum in found.stratum.values:
            of_it = scores.R.values[labels.values == stratum]
            assert float(found.R.sel(stratum=stratum)) == pytest.approx(np.median(of_it))
            np.testing.assert_allclose(found.R_q25.sel(stratum=stratum), np.quantile(of_it, 0.25))
    # The dataset's sites are in Kansas, Germany and New South Wales.
    assert set(site_strata(ds, "continent").values) == {"North_America", "Europe", "Oceania"}
    assert set(site_strata(ds, "climate").values) == {"", "B arid"}
    assert {s.split(",")[0] for s in site_strata(ds, "aspect").values} <= {"dry", "moist"}


def test_strata_report_whether_networks_were_resampled() -> None:
    ds = make_dataset(40, 100)
    labels = xr.DataArray(np.where(np.arange(40) < 24, "many", "few"), dims="site", name="kind")
    networks = np.array([f"net{k % 6}" if k < 24 else f"net{k % 2}" for k in range(40)])
    scores = site_scores(ds.sm_smap, ds.sm_insitu, intervals="none", min_days=10)
    found = stratified_scores(scores, labels, networks=networks, replicates=100)
    assert found.resampled.to_series().to_dict() == {"few": "sites", "many": "networks"}


def test_intervals_are_clipped_to_the_range_of_the_metric() -> None:
    """The interval of two different sites, widened for two clusters, would extend beyond -1 and 1."""
    scores = xr.Dataset({n: ("site", [0.9, -0.2]) for n in ("R", "RMSE", "ubRMSE", "bias")})
    scores = scores.assign(RMSE=np.abs(scores.RMSE), ubRMSE=np.abs(scores.ubRMSE))
    found = stratified_scores(scores, xr.DataArray(["a", "a"], dims="site"), metrics=["R", "RMSE", "bias"])
    assert (float(found.R_lower[0]), float(found.R_upper[0])) == (-1.0, 1.0)
    assert (
        float(found.RMSE_lower[0]) == 0.0
        and float(found.RMSE_upper[0]) > 1
        and float(found.bias_lower[0]) < -1
    )


def test_dry_includes_the_edge_of_the_paper() -> None:
    ds = with_attributes()
    ds["sm_smap"] = xr.full_like(ds.sm_smap, 0.08)
    ds["sm_smap"][0] = 0.0801
    dry = np.array([label.startswith("dry") for label in site_strata(ds, "aspect").values])
    assert not dry[0]
    # 0.08 in single precision is slightly above 0.08: its mean is above the edge only by rounding.
    assert dry[1:].all()


def test_seasons_are_local() -> None:
    """A product without error only in June to August: summer in the north, winter in the south."""
    days = pd.date_range("2015-01-01", "2017-12-31")
    rng = np.random.default_rng(1)
    y = xr.DataArray(
        0.2 + 0.05 * rng.normal(size=(2, len(days))), dims=("site", "time"),
        coords={"site": ["north", "south"], "time": days, "lat": ("site", [40.0, -30.0])},
    )  # fmt: skip
    x = xr.where(y["time"].dt.month.isin([6, 7, 8]), y, 0.4).transpose("site", "time")
    found = season_scores(x, y)
    assert float(found.RMSE.sel(site="north", season="summer")) < 1e-8
    assert float(found.RMSE.sel(site="south", season="winter")) < 1e-8
    assert (found.RMSE > 0.1).sum() == 6
    assert found.n_valid.sel(site="south").sum() == len(days)
    assert found.n_valid.sel(site="south", season="winter") == 92 * 3


def test_invalid_input_is_named() -> None:
    ds = make_dataset(12, 100)
    scores = site_scores(ds.sm_smap, ds.sm_insitu, intervals="none", min_days=10)
    with pytest.raises(DatasetError, match="unknown stratification 'textur'"):
        site_strata(ds, "textur")
    with pytest.raises(DatasetError, match="'soil_texture' needs 'sand'"):
        site_strata(ds, "soil_texture")
    with pytest.raises(DatasetError, match="the scores lack 'KGE'"):
        stratified_scores(scores, site_strata(ds, "region"), metrics=["KGE"])
