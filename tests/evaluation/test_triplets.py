"""Choice of triplets by error sources, and scores of triple collocation against planted errors and pytesmo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from benchmarks.benchmark_series import ar1
from gsm3core import score_products, score_run
from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.evaluation.error_sources import shared_sources, sources_of, trained_sources
from gsm3core.evaluation.site_scores import site_scores
from gsm3core.evaluation.triplets import third_products, triple_scores
from support.planted_triplets import PLANTED, R, planted_dataset
from support.report_runs import make_run


@pytest.fixture(scope="module")
def planted() -> xr.Dataset:
    return planted_dataset()


def test_independence_of_known_products() -> None:
    def shared(a: str, b: str) -> list[str]:
        return shared_sources(sources_of(a), sources_of(b))

    # One band, one mission, one precipitation, one training record.
    for a, b in (("SMAP", "SMOS"), ("SMAP L3", "SMAP L4"), ("ERA5-Land", "GLDAS-Noah"), ("ERA5", "ASCAT"),
                 ("SoMo.ml", "In situ"), ("GSM3 LSTM", "SMAP"), ("GSM3 LSTM", "ERA5"), ("esa_cci_combined", "SMOS-IC"),
                 ("GSM3 LSTM (training)", "In situ")):  # fmt: skip
        assert shared(a, b), (a, b)
    for a, b in (("SMAP", "GLDAS-Noah"), ("SMAP", "In situ"), ("SMOS", "ERA5-Land"), ("AMSR2", "SMAP"),
                 ("GSM3 LSTM", "In situ"), ("GSM3 LSTM", "AMSR2"), ("era5_land_swvl1", "ASCAT")):  # fmt: skip
        assert not shared(a, b), (a, b)
    assert sources_of("my own retrieval") is None and sources_of("SMAPX") is None
    assert not shared_sources(trained_sources([v.SM_INSITU]), sources_of("SMAP"))


def test_planted_errors_are_scored(planted: xr.Dataset) -> None:
    found = score_products(planted, metrics=("R", "TC_R", "TC_error"))
    third = found["TC_third"].isel(site=0, drop=True).to_series().to_dict()
    assert third == {v.SMAP: v.GLDAS_NOAH, v.GLDAS_NOAH: v.SMAP, v.AMSR2: v.GLDAS_NOAH, v.SOMO_ML: ""}
    for name in (v.SMAP, v.GLDAS_NOAH, v.AMSR2):
        one = found.sel(product=name)
        # 30 sites of about 300 independent days: standard errors near 1 to 2 %; four are allowed.
        np.testing.assert_allclose(one["TC_error"].mean(), PLANTED[name][0], rtol=0.06)
        np.testing.assert_allclose(one["TC_R"].mean(), R[name], atol=0.02)
        np.testing.assert_allclose(one["TC_reference_error"].mean(), PLANTED[v.IN_SITU][0], rtol=0.08)
        inside = (one["TC_R_lower"] <= R[name]) & (one["TC_R_upper"] >= R[name])
        assert inside.sum() >= 24, name  # of 30 at 95 %: below 25 with probability 0.0006
        assert (one["TC_reason"] == "").all() and (one["TC_days"] > 1000).all()
    learned = found.sel(product=v.SOMO_ML)
    assert learned["TC_R"].isnull().all() and (learned["R"].notnull()).all()
    assert "SoMo.ml and In situ are not independent: both in-situ sensors" in str(
        learned["TC_reason"].values[0]
    )


def test_scores_equal_pytesmo(planted: xr.Dataset) -> None:
    tcol_metrics = pytest.importorskip("pytesmo.metrics").tcol_metrics
    found = score_products(planted, metrics=("TC_R", "TC_error"), third=v.GLDAS_NOAH).sel(product=v.SMAP)
    for k in range(0, 30, 7):
        three = [
            planted[v.SM_INSITU][k],
            planted[v.SM_SMAP][k],
            planted[v.SM_PRODUCT].sel(product=v.GLDAS_NOAH)[k],
        ]
        days = np.isfinite([a.values for a in three]).all(0)
        snr, error, beta = tcol_metrics(*(a.values[days] for a in three))
        np.testing.assert_allclose(found["TC_R"][k], 1 / np.sqrt(1 + 10 ** (-snr[1] / 10)), rtol=1e-7)
        # pytesmo's errors are in the dynamic range of its first series.
        np.testing.assert_allclose(found["TC_error"][k], error[1] / beta[1], rtol=1e-6)
        np.testing.assert_allclose(found["TC_reference_error"][k], error[0], rtol=1e-6)
        assert int(found["TC_days"][k]) == days.sum()


def test_correlated_errors_would_hide_the_error(planted: xr.Dataset) -> None:
    """Why dependent products are refused: a shared error counts as signal."""
    rng = np.random.default_rng(1)
    common = 0.04 * ar1(rng, planted[v.SM_SMAP].shape, 0.6)
    ds = planted.assign({v.SM_SMAP: planted[v.SM_SMAP] + common})
    twin = planted[v.SM_PRODUCT].sel(product=v.AMSR2, drop=True) + common
    series = xr.concat([ds[v.SM_SMAP], twin], pd.Index(["SMAP", "twin"], name=v.PRODUCT)).assign_attrs(
        units=v.SM_UNITS
    )
    wrong = triple_scores(series, ds[v.SM_INSITU], third="twin").sel(product="SMAP")
    right = score_products(ds, metrics=("TC_R", "TC_error")).sel(product=v.SMAP)
    planted_error = np.hypot(PLANTED[v.SMAP][0], 0.04)
    assert float(wrong["TC_error"].mean()) < 0.85 * planted_error
    np.testing.assert_allclose(right["TC_error"].mean(), planted_error, rtol=0.06)


def test_named_third_product_is_used_or_refused(planted: xr.Dataset) -> None:
    found = score_products(planted, metrics=("TC_R",), third=v.AMSR2)
    third = found["TC_third"].isel(site=0, drop=True).to_series().to_dict()
    assert third == {v.SMAP: v.AMSR2, v.GLDAS_NOAH: v.AMSR2, v.AMSR2: v.GLDAS_NOAH, v.SOMO_ML: ""}
    refused = score_products(planted, metrics=("TC_R",), third=v.SOMO_ML)
    assert "SoMo.ml and In situ are not independent" in str(
        refused["TC_reason"].sel(product=v.SMAP).values[0]
    )
    with pytest.raises(DatasetError, match=r"third product 'AMSR' is not among the products.*AMSR2"):
        score_products(planted, metrics=("TC_R",), third="AMSR")


def test_product_of_unknown_origin_needs_a_named_third(planted: xr.Dataset) -> None:
    names = [v.GLDAS_NOAH, "mine", v.SOMO_ML]
    ds = planted.assign_coords({v.PRODUCT: names})
    found = score_products(ds, metrics=("TC_R",))
    assert "error sources of mine are not known; name a third product" in str(
        found["TC_reason"].sel(product="mine").values[0]
    )
    assert "mine" not in found["TC_third"].values
    named = score_products(ds, metrics=("TC_R",), third=v.GLDAS_NOAH)
    assert named["TC_R"].sel(product="mine").notnull().all()


def test_no_third_product_gives_a_reason(planted: xr.Dataset) -> None:
    alone = planted.drop_vars([v.SM_PRODUCT, v.PRODUCT])
    found = score_products(alone, metrics=("R", "TC_R"))
    assert found["TC_R"].isnull().all() and found["R"].notnull().all()
    assert (found["TC_reason"] == "no third product with errors independent of SMAP and the reference").all()
    few = planted.isel(time=slice(0, 90))
    assert "fewer than 100 days" in str(
        score_products(few, metrics=("TC_R",))["TC_reason"].sel(product=v.SMAP).values[0]
    )


def test_negative_error_variance_is_missing_with_reason(planted: xr.Dataset) -> None:
    """In situ that contains SMAP's error and none of its own has a negative error variance at some sites: never 0."""
    rng = np.random.default_rng(99)
    ds = planted.copy()
    ds[v.SM_INSITU] = ds[v.SM_SMAP] * 0.5 + 1e-4 * rng.normal(size=ds[v.SM_SMAP].shape)
    found = score_products(ds, metrics=("TC_R", "TC_error")).sel(product=v.SMAP)
    negative = found["TC_reason"].str.contains("negative")
    assert negative.any()
    assert found["TC_R"].where(negative, drop=True).isnull().all()
    assert found["TC_error"].where(negative, drop=True).isnull().all()


def test_run_is_scored_with_a_satellite_it_was_not_trained_on(planted: xr.Dataset, tmp_path: Path) -> None:
    run = make_run(tmp_path, planted, "random_spatial")
    found = score_run(run, metrics=("R", "TC_R", "TC_error"))
    own = found.sel(product=v.MULTITASK_LSTM)
    assert (own["TC_third"] == v.AMSR2).all()
    assert own["R_upper"].notnull().any()  # stored scores are kept beside the computed ones
    again = score_run(run, metrics=("TC_R",), min_days=10_000)
    assert again["TC_R"].isnull().all() and "fewer than 10000" in str(again["TC_reason"].values[0, 0])


def test_pairs_cannot_give_triple_collocation(planted: xr.Dataset) -> None:
    with pytest.raises(DatasetError, match="'TC_R' needs three series"):
        site_scores(planted[v.SM_SMAP], planted[v.SM_INSITU], metrics=["TC_R"])


def test_third_is_the_one_with_the_most_sites(planted: xr.Dataset) -> None:
    ds = planted.assign_coords({v.PRODUCT: [v.GLDAS_NOAH, "ERA5-Land", v.SOMO_ML]})
    sparse = ds[v.SM_PRODUCT].copy()
    sparse[0, 3:] = np.nan  # GLDAS-Noah at three sites only
    series = xr.concat([ds[v.SM_SMAP].expand_dims({v.PRODUCT: [v.SMAP]}), sparse], v.PRODUCT)
    assert third_products(series, ds[v.SM_INSITU])[v.SMAP].name == "ERA5-Land"
