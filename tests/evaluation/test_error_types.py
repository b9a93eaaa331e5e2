"""Error types by region: planted losses with their sign, and reasons for missing values."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from gsm3core import error_types
from gsm3core.errors import DatasetError

PLANTED = {
    "CONUS": {"train": 0.90, "temporal": 0.85, "random_spatial": 0.75, "cross_continental": 0.60},
    "Alaska": {"train": 0.90, "temporal": 0.65, "random_spatial": 0.80, "cross_continental": 0.58},
}


def experiments(seed: int = 0, per_region: int = 60, networks: int = 12) -> dict[str, xr.Dataset]:
    """Scores with planted medians and a site effect common to all experiments."""
    rng = np.random.default_rng(seed)
    region = np.repeat(list(PLANTED), per_region)
    network = np.array([f"{r}{k % networks}" for k, r in enumerate(region)])
    site_effect = 0.05 * rng.normal(size=len(region))
    found = {}
    for name in ("train", "temporal", "random_spatial", "cross_continental"):
        middle = np.array([PLANTED[r][name] for r in region])
        r = np.clip(middle + site_effect + 0.02 * rng.normal(size=len(region)), -1, 1)
        found[name] = xr.Dataset(
            {"R": ("site", r), "RMSE": ("site", (1 - r) / 5)},
            coords={"site": np.arange(len(region)), "region": ("site", region), "network": ("site", network)},
        )
    return found


def test_planted_error_types_are_recovered() -> None:
    found = error_types(experiments())
    assert found.region.values.tolist() == ["CONUS", "Alaska", "Global"]
    for region, p in PLANTED.items():
        planted = {
            "D": 1 - p["train"], "A+B": p["train"] - p["temporal"], "C": p["train"] - p["random_spatial"],
            "extrapolation": p["random_spatial"] - p["cross_continental"],
            "A+B over C": p["random_spatial"] - p["temporal"],
        }  # fmt: skip
        for kind, truth in planted.items():
            one = found.sel(error_type=kind, region=region)
            assert one.lower < one.error < one.upper
            assert float(one.error) == pytest.approx(truth, abs=0.03), (region, kind)
            assert one.lower - 0.005 < truth < one.upper + 0.005, (region, kind)
            assert one.n_sites == 60
    over = found.sel(error_type="A+B over C")
    assert over.lower.sel(region="Alaska") > 0, "nonstationarity is stronger than heterogeneity there"
    assert over.upper.sel(region="CONUS") < 0
    assert float(found.level.sel(experiment="temporal", region="Alaska")) == pytest.approx(0.65, abs=0.03)


def test_intervals_cover_the_planted_loss() -> None:
    covered = 0
    for seed in range(30):
        one = error_types(experiments(seed), replicates=300).sel(error_type="C", region="CONUS")
        covered += bool((one.lower <= 0.15) & (one.upper >= 0.15))
    assert covered >= 25  # three standard errors below 95 %


def test_positive_is_worse_for_rmse_too() -> None:
    """RMSE increases where R decreases: positive is worse for both."""
    found = error_types(experiments(), metric="RMSE")
    assert float(found.error.sel(error_type="C", region="CONUS")) == pytest.approx(0.15 / 5, abs=0.006)
    assert float(found.error.sel(error_type="D", region="CONUS")) == pytest.approx(0.1 / 5, abs=0.006)


def test_only_sites_in_both_experiments_are_used() -> None:
    four = experiments()
    four["random_spatial"] = four["random_spatial"].isel(site=slice(0, 30))
    found = error_types(four)
    assert found.n_sites.sel(error_type="C", region="CONUS") == 30
    assert found.n_sites.sel(error_type="A+B", region="CONUS") == 60
    assert (
        str(found.reason.sel(error_type="C", region="Alaska").values) == "no site scored by both experiments"
    )


def test_missing_experiments_and_few_networks_are_named() -> None:
    four = experiments(networks=1)
    del four["cross_continental"]
    found = error_types(four)
    assert (
        str(found.reason.sel(error_type="extrapolation", region="CONUS").values)
        == "no cross_continental experiment"
    )
    assert np.isnan(found.error.sel(error_type="extrapolation")).all()
    assert np.isfinite(found.lower.sel(error_type="C", region="CONUS")), "one network is resampled by site"
    assert (found.resampled == "sites").all()
    assert error_types(experiments()).resampled.values.tolist() == ["networks"] * 3
    with pytest.raises(DatasetError, match="unknown experiment 'spatial'"):
        error_types({"spatial": four["train"]})
    with pytest.raises(DatasetError, match="the scores of train lack 'KGE'"):
        error_types(four, metric="KGE")
    with pytest.raises(DatasetError, match="no region for site 0"):
        error_types({"train": four["train"].drop_vars("region")})
    with pytest.raises(DatasetError, match="experiments is empty"):
        error_types({})


def test_model_is_selected_from_several_products() -> None:
    four = {
        n: xr.concat([ds, ds - 0.3], dim="product").assign_coords(product=["GSM3 LSTM", "SMAP"])
        for n, ds in experiments().items()
    }
    expected = error_types(experiments())
    np.testing.assert_array_equal(error_types(four).error, expected.error)
    with pytest.raises(DatasetError, match=r"no product 'smap'\. Did you mean 'SMAP'"):
        error_types(four, product="smap")
