"""Scaling before scoring: against pytesmo, its invariants, and the bootstrap with the scaling repeated."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from pytesmo import scaling as pytesmo_scaling

from gsm3core import compare_products, compare_runs, score_products, score_run, site_scores
from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.evaluation.conditions import conditions_of
from gsm3core.evaluation.reference_scaling import SCALINGS, scale_to_reference
from gsm3core.evaluation.test_days import in_season
from gsm3core.metrics import METRICS, MORE_METRICS, paired_moments
from gsm3core.metrics.rescaling import cdf_matched_replicates, rescaled, scaled_moments
from gsm3core.statistics.block_bootstrap import BlockDraws, block_intervals
from support.report_runs import make_run, world

MATCHED = ("mean_std", "cdf")


def pair(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A skewed record and a product of another range, both with gaps."""
    rng = np.random.default_rng(seed)
    y = 0.05 + rng.gamma(3, 0.04, n)
    x = 0.2 + 0.3 * y + rng.normal(0, 0.01, n)
    x[rng.random(n) < 0.2] = np.nan
    y[rng.random(n) < 0.1] = np.nan
    return x, y


def series(x: np.ndarray, y: np.ndarray) -> tuple[xr.DataArray, xr.DataArray]:
    days = pd.date_range("2015-04-01", periods=x.shape[-1])
    made = [
        xr.DataArray(np.atleast_2d(a), dims=("site", "time"), coords={"site": ["a"], "time": days}, attrs={"units": "m3 m-3"})
        for a in (x, y)
    ]  # fmt: skip
    return made[0], made[1]


def by_pytesmo(x: np.ndarray, y: np.ndarray, scaling: str) -> np.ndarray:
    if scaling == "mean_std":
        return pytesmo_scaling.mean_std(x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer bins than 100 in short records
        return pytesmo_scaling.cdf_match(x, y, linear_edge_scaling=False)


@pytest.mark.parametrize("n", [80, 300, 2500])
@pytest.mark.parametrize("scaling", MATCHED)
def test_equals_pytesmo_on_the_paired_days(n: int, scaling: str) -> None:
    x, y = pair(n)
    both = np.isfinite(x) & np.isfinite(y)
    found = scale_to_reference(*series(x, y), scaling).values[0]
    np.testing.assert_allclose(found[both], by_pytesmo(x[both], y[both], scaling), atol=1e-12)
    assert (np.isfinite(found) == np.isfinite(x)).all()


@pytest.mark.parametrize("scaling", MATCHED)
def test_scores_are_those_of_pytesmo_scaled_series(scaling: str) -> None:
    x, y = pair(800)
    both = np.isfinite(x) & np.isfinite(y)
    scores = site_scores(*series(x, y), scaling=scaling, intervals="none")
    a, b = by_pytesmo(x[both], y[both], scaling), y[both]
    truth = {
        "R": np.corrcoef(a, b)[0, 1], "bias": (a - b).mean(), "RMSE": np.sqrt(((a - b) ** 2).mean()),
        "ubRMSE": (a - b).std(),
    }  # fmt: skip
    for name, value in truth.items():
        np.testing.assert_allclose(scores[name].item(), value, atol=1e-12)
    assert scores.attrs["scaling"] == scaling


def test_mean_std_gives_zero_bias_and_the_rmse_of_r() -> None:
    x, y = pair(800)
    plain, scaled = (site_scores(*series(x, y), scaling=s) for s in ("none", "mean_std"))
    r, std = plain["R"].item(), np.nanstd(np.where(np.isfinite(x), y, np.nan))
    assert scaled["bias"].item() == 0 == scaled["bias_lower"].item() == scaled["bias_upper"].item()
    np.testing.assert_allclose(scaled["R"].item(), r, atol=1e-12)
    np.testing.assert_allclose(scaled["RMSE"].item(), std * np.sqrt(2 * (1 - r)), rtol=1e-10)
    assert plain["bias"].item() > 0.05


@given(slope=st.floats(0.01, 50), offset=st.floats(-1, 1), scaling=st.sampled_from(MATCHED))
def test_units_and_range_of_the_product_do_not_matter(slope: float, offset: float, scaling: str) -> None:
    x, y = pair(400)
    np.testing.assert_allclose(rescaled(offset + slope * x, y, scaling), rescaled(x, y, scaling), atol=1e-9)


def test_cdf_matching_undoes_a_monotonic_distortion() -> None:
    _, y = pair(4000)
    y = y[np.isfinite(y)]
    error = np.abs(rescaled(np.exp(8 * y), y, "cdf") - y)
    assert np.quantile(error, 0.99) < 0.002 and paired_moments(np.exp(8 * y), y).mean_x > 1


def test_a_constant_product_has_errors_but_no_r() -> None:
    _, y = pair(300)
    for scaling in MATCHED:
        scores = site_scores(*series(np.full(300, 0.4), y), scaling=scaling)
        np.testing.assert_allclose(scores["bias"].item(), 0, atol=1e-12)
        assert np.isnan(scores["R"].item()) and scores["reason"].item() == "product is constant"


@pytest.mark.parametrize("season", [None, "summer"])
@pytest.mark.parametrize("scaling", MATCHED)
def test_a_constant_reference_gives_no_score(scaling: str, season: str | None) -> None:
    """Any product scaled to a dead sensor equals it: an RMSE of 0 that would enter the medians."""
    ds = world(12)
    ds["soil_temperature"] = ds["sm_smap"].copy(data=np.full((12, 400), 290.0))
    ds["soil_temperature"].attrs["units"] = "K"
    unscaled = score_products(ds, season=season)
    scores = score_products(ds, scaling=scaling, season=season, masks=["frozen"])
    dead = scores.isel(site=1)
    for name in ("R", "bias", "RMSE", "ubRMSE"):
        assert np.isnan(dead[name]).all()
        others = np.arange(12) != 1
        np.testing.assert_array_equal(
            scores[name].isnull().values[:, others], unscaled[name].isnull().values[:, others]
        )
    assert set(dead["reason"].values) == {"in-situ record is constant"}
    assert not scores["n_masked"].any()
    compared = compare_products(
        ds["sm_product"].isel(product=[0, 0]).assign_coords(product=["a", "b"]),
        ds["sm_insitu"],
        scaling=scaling,
    )
    assert np.isnan(compared["score"].isel(site=1)).all() and (compared["best"].isel(site=1) == "").all()


def test_few_days_use_mean_and_standard_deviation() -> None:
    x, y = pair(45)
    np.testing.assert_allclose(rescaled(x, y, "cdf"), rescaled(x, y, "mean_std"), atol=1e-12)
    empty = rescaled(np.full(20, np.nan), np.full(20, 0.2), "cdf")
    assert np.isnan(empty).all()


def test_replicates_are_matched_on_their_own_days() -> None:
    x, y = (np.stack(a) for a in zip(*(pair(400, k) for k in range(3)), strict=True))
    draws = BlockDraws.make(400, replicates=20)
    found = cdf_matched_replicates(x, y, draws.edges, draws.counts).to_array()
    blocks = np.split(np.arange(400), draws.edges[1:-1])
    for r, counts in enumerate(draws.counts):
        days = np.concatenate(
            [np.repeat(b[None], int(k), 0).ravel() for b, k in zip(blocks, counts, strict=True)]
        )
        expected = scaled_moments(x[:, days], y[:, days], "cdf").to_array()
        np.testing.assert_allclose(found[:, r], expected, atol=1e-12)


@pytest.mark.parametrize("scaling", MATCHED)
def test_uncorrected_interval_is_the_percentile_bootstrap_with_scaling(scaling: str) -> None:
    """A plain bootstrap in a loop, which draws days, scales them and scores them."""
    x, y = pair(360)
    draws = BlockDraws.make(360, replicates=400)
    metric = METRICS["RMSE"]
    found = block_intervals(x[None], y[None], [metric], draws, 0.9, corrected=False, scaling=scaling)["RMSE"]
    blocks = np.split(np.arange(360), draws.edges[1:-1])
    errors = []
    for counts in draws.counts:
        days = np.concatenate(
            [np.repeat(b[None], int(k), 0).ravel() for b, k in zip(blocks, counts, strict=True)]
        )
        a, b = x[days], y[days]
        both = np.isfinite(a) & np.isfinite(b)
        scaled = rescaled(a[both], b[both], scaling)
        errors.append(np.sqrt(((scaled - b[both]) ** 2).mean()))
    low, middle, high = np.quantile(errors, [0.05, 0.5, 0.95], method="weibull")
    estimate = site_scores(*series(x, y), scaling=scaling, intervals="none")["RMSE"].item()
    expected = [estimate * low / middle, estimate * high / middle]
    np.testing.assert_allclose([found[0][0], found[1][0]], expected, rtol=0.01)


@pytest.fixture(scope="module")
def run_and_world(tmp_path_factory: pytest.TempPathFactory) -> tuple:
    ds = world(12)
    ds[v.SM_PRODUCT] = (0.1 + 0.4 * ds[v.SM_PRODUCT]).assign_attrs(ds[v.SM_PRODUCT].attrs)
    return make_run(tmp_path_factory.mktemp("runs"), ds), ds


def by_hand(run_and_world: tuple, product: str, site: str, scaling: str, season: str | None) -> tuple:
    """The paired test days of one product at one site, scaled by pytesmo; then those of a season."""
    run, ds = run_and_world
    made = run.predictions()
    x = made[v.SM_PREDICTED] if product == v.MULTITASK_LSTM else ds[v.SM_PRODUCT].sel(product=product)
    x = x.where(made[v.IN_TEST]).sel(site=site)
    y = ds[v.SM_INSITU].sel(site=site)
    both = (np.isfinite(x) & np.isfinite(y)).values
    a, b = x.values[both].astype(float), y.values[both].astype(float)
    a = a if scaling == "none" else by_pytesmo(a, b, scaling)
    if season:
        inside = in_season(ds, season).sel(site=site).values[both]
        a, b = a[inside], b[inside]
    return a, b


@pytest.mark.parametrize("season", [None, "summer"])
@pytest.mark.parametrize("scaling", MATCHED)
def test_run_scores_scale_with_all_paired_test_days(run_and_world: tuple, scaling: str, season: str) -> None:
    run, ds = run_and_world
    scores = score_run(run, dataset=ds, scaling=scaling, season=season)
    compared = compare_runs(ds, {v.MULTITASK_LSTM: run}, scaling=scaling, season=season).sel(
        sample="pairwise"
    )
    for product in (v.MULTITASK_LSTM, "GLDAS-Noah"):
        a, b = by_hand(run_and_world, product, "S003", scaling, season)
        one = scores.sel(product=product, site="S003")
        np.testing.assert_allclose(one["RMSE"].item(), np.sqrt(((a - b) ** 2).mean()), atol=1e-7)
        np.testing.assert_allclose(one["bias"].item(), (a - b).mean(), atol=1e-7)
        other = compared["score"].sel(product=product, site="S003", metric="RMSE").item()
        np.testing.assert_allclose(other, one["RMSE"].item(), atol=1e-9)
    words = conditions_of(scores)
    assert words == conditions_of(compared) and "scaled to the reference by" in words
    assert ("bias is 0 by construction" in words) == (season is None)


def test_common_days_are_scaled_together(run_and_world: tuple) -> None:
    """On common days each product is scaled on those days, so that its bias is 0 there too."""
    run, ds = run_and_world
    found = compare_runs(ds, {v.MULTITASK_LSTM: run}, scaling="mean_std")
    bias = found["score"].sel(metric="bias").values
    assert np.isfinite(bias).any() and np.nanmax(np.abs(bias)) < 1e-12
    assert np.nanmax(np.abs(compare_runs(ds, {v.MULTITASK_LSTM: run})["score"].sel(metric="bias"))) > 0.02


def test_anomaly_metrics_use_the_scaled_series(run_and_world: tuple) -> None:
    run, ds = run_and_world
    plain = score_run(run, dataset=ds, metrics=[*METRICS, *MORE_METRICS])
    scaled = score_run(run, dataset=ds, metrics=[*METRICS, *MORE_METRICS], scaling="mean_std")
    for name in ("R", "anomaly_R", "climatology_R", "spearman"):
        np.testing.assert_allclose(scaled[name], plain[name], atol=1e-6)
    np.testing.assert_allclose(scaled["KGE_alpha"].dropna("site"), 1, atol=1e-9)
    assert np.nanmin(plain["KGE_alpha"].sel(product="GLDAS-Noah")) < 0.9


def test_products_alone_and_no_scaling_are_unchanged(run_and_world: tuple, tmp_path: Path) -> None:
    run, ds = run_and_world
    stored = run.scores()
    np.testing.assert_array_equal(score_run(run, dataset=ds)["RMSE"].values, stored["RMSE"].values)
    alone = score_products(ds, scaling="mean_std")
    assert float(np.abs(alone["bias"]).max()) == 0 and alone.attrs["scaling"] == "mean_std"


def test_unknown_scaling_is_named(run_and_world: tuple) -> None:
    _, ds = run_and_world
    with pytest.raises(
        DatasetError, match=r"unknown scaling 'cdf_match'. Did you mean 'cdf'|Known: cdf, mean_std, none"
    ):
        score_products(ds, scaling="cdf_match")
    with pytest.raises(DatasetError, match="different sites or days"):
        scale_to_reference(ds[v.SM_SMAP].isel(time=slice(5)), ds[v.SM_INSITU], "cdf")
    assert SCALINGS == ("none", "mean_std", "cdf")
