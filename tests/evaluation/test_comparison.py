"""compare_products: planted rankings, samples, antisymmetry, reasons and errors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

from gsm3core import compare_products, site_scores
from gsm3core.errors import DatasetError

SITES, DAYS = 60, 400
NAMES = ["good", "same", "poor", "wet"]


def world(seed: int = 0, gaps: float = 0.1) -> tuple[xr.DataArray, xr.DataArray]:
    """Four products of planted quality: two equally good, one noisy, one good but 0.1 too wet."""
    rng = np.random.default_rng(seed)
    coords = {
        "site": [f"s{k:02d}" for k in range(SITES)],
        "time": pd.date_range("2015-04-01", periods=DAYS),
        "network": ("site", [f"n{k % 12}" for k in range(SITES)]),
    }
    truth = 0.25 + 0.05 * rng.normal(size=(SITES, DAYS))
    noise = np.array([0.02, 0.02, 0.06, 0.02])[:, None, None] * rng.normal(size=(4, SITES, DAYS))
    x = truth + noise + np.array([0, 0, 0, 0.1])[:, None, None]
    x[rng.random(x.shape) < gaps] = np.nan
    return (
        xr.DataArray(x, dims=("product", "site", "time"), coords={"product": NAMES, **coords}),
        xr.DataArray(truth, dims=("site", "time"), coords=coords),
    )


@pytest.fixture(scope="module")
def compared() -> xr.Dataset:
    return compare_products(*world(), replicates=500)


def of(ds: xr.Dataset, name: str, metric: str, a: str, b: str, sample: str = "same_sample") -> float:
    return float(ds[name].sel(sample=sample, metric=metric, product=a, other=b))


@pytest.mark.parametrize("sample", ["pairwise", "same_sample"])
def test_planted_ranking_is_recovered(compared: xr.Dataset, sample: str) -> None:
    for metric, planted in (("R", 0.05 / np.hypot(0.05, 0.02) - 0.05 / np.hypot(0.05, 0.06)),
                            ("RMSE", 0.02 - 0.06), ("ubRMSE", 0.02 - 0.06)):  # fmt: skip
        found = of(compared, "difference", metric, "good", "poor", sample)
        low, high = (
            of(compared, f"difference_{e}", metric, "good", "poor", sample) for e in ("lower", "upper")
        )
        assert low < found < high
        assert low - 0.004 < planted < high + 0.004, metric
        assert of(compared, "p_holm", metric, "good", "poor", sample) < 1e-6
        assert of(compared, "win_share", metric, "good", "poor", sample) == 1.0
    # Two of the same quality: the interval includes 0 and the test does not reject.
    assert of(compared, "difference_lower", "R", "good", "same", sample) < 0
    assert of(compared, "difference_upper", "R", "good", "same", sample) > 0
    assert of(compared, "p_holm", "R", "good", "same", sample) > 0.05
    # The bias is compared by its absolute value.
    assert of(compared, "difference", "bias", "wet", "good", sample) == pytest.approx(0.1, abs=0.005)
    assert float(compared["median"].sel(sample=sample, metric="bias", product="wet")) == pytest.approx(
        0.1, abs=0.005
    )
    assert (compared.best.sel(sample=sample, metric="RMSE") != "poor").all()
    assert (compared.best.sel(sample=sample, metric="RMSE") != "wet").all()


def test_differences_are_antisymmetric(compared: xr.Dataset) -> None:
    for name, sign in (("difference", -1), ("p", 1), ("p_holm", 1), ("n_common", 1)):
        transposed = compared[name].transpose("sample", "metric", "other", "product").values
        np.testing.assert_allclose(compared[name].values, sign * transposed)
    transposed = compared.difference_upper.transpose("sample", "metric", "other", "product").values
    np.testing.assert_allclose(compared.difference_lower.values, -transposed)
    np.testing.assert_allclose(
        compared.win_share.values,
        1 - compared.win_share.transpose("sample", "metric", "other", "product").values,
    )


def test_same_sample_is_the_days_common_to_all(compared: xr.Dataset) -> None:
    x, y = world()
    common = x.notnull().all("product")
    own = site_scores(x, y, intervals="none")
    same = site_scores(x.where(common), y, intervals="none")
    for metric in ("R", "bias", "RMSE"):
        np.testing.assert_array_equal(compared.score.sel(sample="pairwise", metric=metric), own[metric])
        np.testing.assert_array_equal(compared.score.sel(sample="same_sample", metric=metric), same[metric])


def test_pairwise_differences_use_the_days_of_two_products() -> None:
    """A third product with few days reduces the same sample, but not a pair."""
    x, y = world()
    rare = x.copy()
    rare[3, :, 60:] = np.nan
    found = compare_products(rare, y, replicates=100)
    both = (x[0] + x[2]).notnull()
    expected = [site_scores(x[k].where(both), y, intervals="none").R for k in (0, 2)]
    difference = float(expected[0].median() - expected[1].median())
    assert of(found, "difference", "R", "good", "poor", "pairwise") == pytest.approx(difference, abs=1e-12)
    p = stats.wilcoxon(expected[0] - expected[1], method="asymptotic").pvalue
    assert of(found, "p", "R", "good", "poor", "pairwise") == pytest.approx(p, rel=1e-6)
    assert of(found, "difference", "R", "good", "poor", "same_sample") != pytest.approx(difference, abs=1e-9)


def test_family_error_rate_of_equal_products() -> None:
    """50 simulations of equal products: few Holm-corrected p below 5 %, and 0 within the intervals."""
    rng = np.random.default_rng(5)
    rejected, missed, worlds = 0, 0, 50
    for _ in range(worlds):
        scores = xr.Dataset(
            {"R": (("product", "site"), rng.normal(0.7, 0.1, (4, 60)))},
            coords={"product": NAMES, "site": np.arange(60), "network": ("site", np.arange(60) % 20)},
        )
        found = compare_products(scores, metrics=["R"], replicates=200)
        rejected += bool((found.p_holm < 0.05).any())
        missed += int((found.difference_lower > 0).sum())
    assert rejected <= 0.05 * worlds + 3 * np.sqrt(0.05 * 0.95 * worlds)
    # One-sided, over 12 ordered pairs: 2.5 % each; pairs share products, so a wide margin.
    assert missed / (12 * worlds) < 0.05


def test_sites_without_a_score_have_reasons() -> None:
    x, y = world()
    x[0, 0] = np.nan
    x[1, 1, 20:] = np.nan
    x[2, 2] = 0.3
    found = compare_products(x, y, replicates=100)
    reason = found.reason.sel(sample="pairwise")
    assert str(reason[0, 0].values) == "no values of the product"
    assert "fewer than 30" in str(reason[1, 1].values)
    assert str(reason[2, 2].values) == "product is constant"
    assert str(found.reason.sel(sample="same_sample")[3, 0].values) == "no day that all products have"
    assert "fewer than 30" in str(found.reason.sel(sample="same_sample")[3, 1].values)
    assert found.best.sel(sample="same_sample", metric="R").values[0] == ""
    assert found.n_sites.sel(sample="pairwise", metric="R").values.tolist() == [59, 59, 59, 60]


def test_product_without_values_does_not_affect_the_others() -> None:
    x, y = world()
    x[3] = np.nan
    found = compare_products(x, y, replicates=100)
    assert found.n_sites.sel(sample="same_sample", metric="R").values.tolist() == [60, 60, 60, 0]
    assert np.isnan(of(found, "difference", "R", "good", "wet"))


def test_scores_can_be_compared_without_series() -> None:
    scores = site_scores(*world())
    found = compare_products(scores, metrics=["R"], replicates=500)
    assert found["sample"].values.tolist() == ["given"]
    assert float(found["median"].sel(product="poor").squeeze()) == pytest.approx(float(scores.R[2].median()))
    assert (found["resampled"] == "networks").all()
    assert compare_products(scores.drop_vars("network"), replicates=100).attrs["resampled"] == "sites"


def test_invalid_input_is_named() -> None:
    x, y = world()
    with pytest.raises(DatasetError, match="observed is missing"):
        compare_products(x)
    with pytest.raises(DatasetError, match="fewer than two products"):
        compare_products(x[:1], y)
    with pytest.raises(DatasetError, match="metric 'anomaly_R' is of moving anomalies"):
        compare_products(x, y, metrics=["anomaly_R"])
    with pytest.raises(DatasetError, match="the scores lack 'KGE'"):
        compare_products(site_scores(x, y), metrics=["KGE"])
    with pytest.raises(DatasetError, match="no coordinate 'product'"):
        compare_products(x.drop_vars("product"), y)
