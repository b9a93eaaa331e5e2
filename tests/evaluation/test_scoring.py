"""score_run, score_products and compare_runs: against site_scores on days selected by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from gsm3core import Run, compare_products, compare_runs, score_products, score_run, select_sites, site_scores
from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.schema import open_dataset, products, save_dataset
from support.report_runs import make_run, world


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("run"), world())


@pytest.fixture(scope="module")
def ds(run: Run) -> xr.Dataset:
    return open_dataset(run.dataset_path)


def on_test_days(run: Run, ds: xr.Dataset, product: str) -> xr.DataArray:
    predictions = run.predictions()
    series = predictions[v.SM_PREDICTED] if product == v.MULTITASK_LSTM else products(ds)[product]
    days = xr.DataArray(predictions[v.IN_TEST].values, dims=("site", "time"))
    return series.reset_coords(drop=True).where(days).assign_attrs(units="m3 m-3")


def test_stored_scores_are_returned(run: Run) -> None:
    stored = run.scores()
    found = score_run(run.folder)
    for name in ("R", "RMSE", "bias_lower", "n_valid"):
        np.testing.assert_array_equal(found[name].values, stored[name].values)
    assert found["reason"].values.tolist() == stored["reason"].values.tolist()


def test_scores_without_coordinates_get_those_of_the_dataset(
    run: Run, ds: xr.Dataset, tmp_path: Path
) -> None:
    bare = run.scores().drop_vars(["lat", "lon", "region", "network", "station"])
    old = make_run(tmp_path, world(), scored=False)
    old.write_scores(v.SM_INSITU, bare)
    found = score_run(old)
    for name in ("lat", "lon", "region", "network", "station"):
        assert found[name].values.tolist() == ds[name].values.tolist()


@pytest.mark.parametrize("metric", ["anomaly_R", "KGE", "spearman"])
def test_other_metrics_are_those_of_site_scores(run: Run, ds: xr.Dataset, metric: str) -> None:
    found = score_run(run, dataset=ds, metrics=[metric, "R"])
    assert list(found[v.PRODUCT].values) == list(run.scores()[v.PRODUCT].values)
    for product in found[v.PRODUCT].values:
        expected = site_scores(
            on_test_days(run, ds, product), ds[v.SM_INSITU], metrics=[metric], intervals="none"
        )
        np.testing.assert_allclose(found[metric].sel(product=product), expected[metric], rtol=1e-6)


def test_season_is_the_local_one(run: Run, ds: xr.Dataset) -> None:
    found = score_run(run, season="summer")["R"].sel(product=v.MULTITASK_LSTM)
    month = ds["time"].dt.month.values
    north = ds["lat"].values >= 0
    days = np.where(north[:, None], np.isin(month, [6, 7, 8]), np.isin(month, [12, 1, 2]))
    series = on_test_days(run, ds, v.MULTITASK_LSTM).where(xr.DataArray(days, dims=("site", "time")))
    expected = site_scores(series.assign_attrs(units="m3 m-3"), ds[v.SM_INSITU], intervals="none")["R"]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert np.isfinite(found).any()


def test_too_few_days_give_a_reason(run: Run) -> None:
    found = score_run(run, min_days=150).sel(product=v.MULTITASK_LSTM)
    few = found["n_valid"].values < 150
    assert few.any() and not few.all()
    assert np.isnan(found["R"].values[few]).all() and np.isnan(found["bias_upper"].values[few]).all()
    newly = few & np.isfinite(run.scores()["R"].sel(product=v.MULTITASK_LSTM).values)
    assert all("fewer than 150" in r for r in found["reason"].values[newly])


def test_products_without_a_run_are_scored_on_all_days(ds: xr.Dataset) -> None:
    found = score_products(ds)
    for product in found[v.PRODUCT].values:
        expected = site_scores(products(ds)[product].reset_coords(drop=True), ds[v.SM_INSITU])
        np.testing.assert_allclose(found["R"].sel(product=product), expected["R"])
        np.testing.assert_allclose(found["RMSE_upper"].sel(product=product), expected["RMSE_upper"])


def test_compared_runs_have_the_scores_of_score_run(run: Run, ds: xr.Dataset) -> None:
    """Each product on its own days has the scores of score_run at the selected sites."""
    sites = select_sites(ds, region=["Europe", "CONUS"])
    found = compare_runs(sites, {v.MULTITASK_LSTM: run}).sel(sample="pairwise")
    scores = score_run(run, dataset=ds).sel(site=sites["site"].values.astype(str))
    for metric in ("R", "bias", "RMSE", "ubRMSE"):
        ours = found["score"].sel(metric=metric).transpose("product", "site").values
        np.testing.assert_allclose(ours, scores[metric].sel(product=found["product"].values), rtol=1e-6)


def test_compared_runs_are_compare_products_on_their_test_days(run: Run, ds: xr.Dataset) -> None:
    found = compare_runs(ds, {v.MULTITASK_LSTM: run}, metrics=["R"], min_days=60)
    names = list(found["product"].values)
    series = xr.concat([on_test_days(run, ds, n) for n in names], dim="product", join="override")
    series = series.assign_coords(product=names).assign_attrs(units="m3 m-3")
    expected = compare_products(series, ds[v.SM_INSITU], metrics=["R"], min_days=60)
    for name in ("median", "lower", "difference", "win_share", "p_holm"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-6)


def test_unknown_season_or_metric_is_named(run: Run, ds: xr.Dataset) -> None:
    with pytest.raises(DatasetError, match="summr"):
        score_run(run, season="summr")
    with pytest.raises(DatasetError, match="RSME"):
        score_products(ds, metrics=["RSME"])


def test_changed_dataset_neither_drops_nor_recomputes_scores(tmp_path: Path) -> None:
    """Scores of an earlier version keep their sites when the dataset has been rebuilt with fewer; nothing is recomputed."""
    old = make_run(tmp_path, world())
    bare = old.scores().drop_vars(["lat", "lon", "region", "network", "station"])
    old.write_scores(v.SM_INSITU, bare)
    save_dataset(
        open_dataset(old.dataset_path).isel(site=slice(0, 12)).load(), old.dataset_path, overwrite=True
    )
    found = score_run(old)
    np.testing.assert_array_equal(found["R"], bare["R"])
    with pytest.raises(DatasetError, match="has changed since run"):
        score_run(old, metrics=["KGE"])


def test_fewer_than_the_usual_days_can_be_required(ds: xr.Dataset) -> None:
    few = ds.isel(time=slice(0, 25))
    assert np.isnan(score_products(few)["R"]).all()
    assert np.isfinite(score_products(few, min_days=10)["R"]).any()
    assert np.isfinite(compare_runs(few, {}, min_days=10)["median"].sel(metric="R")).any()


def test_scores_name_their_reference(run: Run, ds: xr.Dataset) -> None:
    """The factor analysis needs it to recognise a circular mean soil moisture."""
    assert (
        score_products(ds).attrs["reference"]
        == score_run(run, season="summer").attrs["reference"]
        == v.SM_INSITU
    )
    for wrong in ("insitu", "SMAP"):
        with pytest.raises(DatasetError, match=f"reference '{wrong}'"):
            score_products(ds, reference=wrong)
        with pytest.raises(DatasetError, match=f"reference '{wrong}'"):
            compare_runs(ds, {}, reference=wrong)
