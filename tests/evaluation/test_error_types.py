"""Error types by region: planted losses with their sign, and reasons for missing values."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from gsm3core import error_types
from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.report.published import paper_table

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


def of_medians(by_region: dict[str, dict[str, float]], metric: str) -> dict[str, xr.Dataset]:
    """One site per region, whose scores are the medians of that region."""
    names = list(by_region)
    return {
        e: xr.Dataset(
            {metric: ("site", [by_region[r][e] for r in names])},
            coords={"site": names, "region": ("site", names)},
        )
        for e in by_region[names[0]]
    }


def test_published_medians_give_the_papers_error_types() -> None:
    """Section 3.1 and Table 1 of Liu et al. 2023; 0.853 is the training median printed in section 3.2."""
    paper = paper_table().astype(float)
    medians = {e: paper.loc[(e, "R"), "Global"] for e in ("temporal", "random_spatial", "cross_continental")}
    found = error_types(of_medians({"CONUS": {"train": 0.853} | medians}, "R")).sel(region="Global")
    for kind, expected in (("A/B/D", 0.016), ("C", 0.045), ("extrapolation", 0.168)):
        assert float(found.error.sel(error_type=kind)) == pytest.approx(expected, abs=1e-9)
    assert float(found.residual) == pytest.approx(0.147, abs=1e-9)
    assert found.error_type.values.tolist() == ["A/B/D", "C", "extrapolation"]
    assert "not separable" in str(found.meaning.sel(error_type="A/B/D").values)


@pytest.mark.parametrize("metric", ["R", "RMSE", "ubRMSE", "bias"])
def test_published_regions_have_the_papers_signs(metric: str) -> None:
    """Nonstationarity exceeds heterogeneity in R in Alaska alone ("Alaska stood out as the exception")."""
    paper = paper_table().astype(float)
    of = ("temporal", "random_spatial", "cross_continental")
    found = error_types(
        of_medians({r: {e: paper.loc[(e, metric), r] for e in of} for r in v.REGIONS}, metric), metric=metric
    )
    for region in v.REGIONS:
        temporal, spatial, other = (abs(float(paper.loc[(e, metric), region])) for e in of)
        sign = -1 if metric == "R" else 1
        at = found.sel(region=region)
        assert float(at.error.sel(error_type="C")) == pytest.approx(sign * (spatial - temporal))
        assert float(at.error.sel(error_type="extrapolation")) == pytest.approx(sign * (other - spatial))
    if metric == "R":
        assert [r for r in v.REGIONS if found.dominant.sel(region=r) == "B"] == ["Alaska"]
        assert float(found.error.sel(error_type="C", region="Alaska")) == pytest.approx(-0.135)


def test_planted_error_types_are_recovered() -> None:
    found = error_types(experiments())
    assert found.region.values.tolist() == ["CONUS", "Alaska", "Global"]
    for region, p in PLANTED.items():
        planted = {
            "A/B/D": p["train"] - p["temporal"], "C": p["temporal"] - p["random_spatial"],
            "extrapolation": p["random_spatial"] - p["cross_continental"],
        }  # fmt: skip
        for kind, truth in planted.items():
            one = found.sel(error_type=kind, region=region)
            assert one.lower < one.error < one.upper
            assert float(one.error) == pytest.approx(truth, abs=0.03), (region, kind)
            assert one.lower - 0.005 < truth < one.upper + 0.005, (region, kind)
            assert one.n_sites == 60
        at = found.sel(region=region)
        assert float(at.residual) == pytest.approx(1 - p["train"], abs=0.03)
        assert at.residual_lower < at.residual < at.residual_upper
    c = found.sel(error_type="C")
    assert c.upper.sel(region="Alaska") < 0, "nonstationarity is stronger than heterogeneity there"
    assert c.lower.sel(region="CONUS") > 0
    assert found.dominant.sel(region=["CONUS", "Alaska"]).values.tolist() == ["C", "B"]
    assert float(found.level.sel(experiment="temporal", region="Alaska")) == pytest.approx(0.65, abs=0.03)


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_representativeness_is_the_residual_not_a_loss(noise: float) -> None:
    """A perfect model against noisy sensors: R below 1 everywhere, but no loss from one experiment to the next."""
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(80, 400))
    observed = truth + rng.normal(size=truth.shape) * np.sqrt(noise)
    r = np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(truth, observed, strict=True)])
    scores = xr.Dataset({"R": ("site", r)}, coords={"site": np.arange(80), "region": ("site", ["Asia"] * 80)})
    found = error_types(dict.fromkeys(experiments(), scores)).sel(region="Asia")
    np.testing.assert_array_equal(found.error, 0.0)
    assert float(found.residual) == pytest.approx(1 - 1 / np.sqrt(1 + noise), abs=0.003)
    assert str(found.dominant.values) == ""


def test_intervals_cover_the_planted_loss() -> None:
    covered = 0
    for seed in range(30):
        one = error_types(experiments(seed), replicates=300).sel(error_type="C", region="CONUS")
        covered += bool((one.lower <= 0.10) & (one.upper >= 0.10))
    assert covered >= 25  # three standard errors below 95 %


def test_positive_is_worse_for_rmse_too() -> None:
    """RMSE increases where R decreases: positive is worse for both."""
    found = error_types(experiments(), metric="RMSE")
    assert float(found.error.sel(error_type="C", region="CONUS")) == pytest.approx(0.10 / 5, abs=0.006)
    assert float(found.residual.sel(region="CONUS")) == pytest.approx(0.1 / 5, abs=0.006)


def test_only_sites_in_both_experiments_are_used() -> None:
    four = experiments()
    four["random_spatial"] = four["random_spatial"].isel(site=slice(0, 30))
    found = error_types(four)
    assert found.n_sites.sel(error_type="C", region="CONUS") == 30
    assert found.n_sites.sel(error_type="A/B/D", region="CONUS") == 60
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
