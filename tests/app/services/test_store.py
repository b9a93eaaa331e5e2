"""Store: datasets, runs and their scores, with bounded caches."""

from __future__ import annotations

import os

import numpy as np
import pytest
import xarray as xr

from app.services.site_filters import shown_sites
from app.services.store import Store
from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.evaluation.site_scores import site_scores
from gsm3core.evaluation.site_selection import SiteFilter
from gsm3core.schema import save_dataset

DATASET = "bucket.zarr"


def all_sites(evaluation):
    return shown_sites(evaluation, SiteFilter()).mask


def test_products_are_scored_on_all_days_without_a_run(store):
    ds = store.dataset(DATASET)
    evaluation = store.evaluation(DATASET, "", v.SM_INSITU)
    assert evaluation.products == [v.SMAP, v.SMOS]
    expected = site_scores(ds[v.SM_SMAP], ds[v.SM_INSITU])
    for metric in ("R", "RMSE", "ubRMSE", "bias"):
        np.testing.assert_allclose(evaluation.values(v.SMAP, metric), expected[metric].values)


def test_scores_of_a_run_are_read_from_disk(store, make_run):
    run = make_run("20260101-000000-a")
    evaluation = store.evaluation(DATASET, run.id, v.SM_INSITU)
    assert evaluation.products[0] == v.MULTITASK_LSTM
    on_disk = run.scores(v.SM_INSITU)
    for product in evaluation.products:
        np.testing.assert_array_equal(
            evaluation.values(product, "R"), on_disk["R"].sel({v.PRODUCT: product}).values
        )


def test_reference_product_is_not_scored(store):
    assert store.references(DATASET, "") == [v.SM_INSITU, v.SM_SMAP]
    assert store.evaluation(DATASET, "", v.SM_SMAP).products == [v.SMOS]


def test_single_record_dataset_has_no_products(tmp_path, dataset, runs_folder):
    save_dataset(dataset.drop_vars(v.SM_INSITU), tmp_path / "alone" / "smap.nc")
    store = Store(tmp_path / "alone", runs_folder)
    (reference,) = store.references("smap.nc", "")
    evaluation = store.evaluation("smap.nc", "", reference)
    assert evaluation.products == []
    assert evaluation.typical_site("", "R", all_sites(evaluation)) in evaluation.sites.index
    assert len(evaluation.table("")) == dataset.sizes[v.SITE]
    assert evaluation.at_site(evaluation.sites.index[0]).empty


def test_sites_without_score_have_a_reason(store):
    table = store.evaluation(DATASET, "", v.SM_INSITU).table(v.SMOS)
    without = table[table["R"].isna()]
    assert sorted(without.index) == ["S003", "S005"]
    assert (without["reason"] != "").all()
    assert (table["reason"][table["R"].notna()] == "").all()


def test_regions_partition_the_sites(store):
    evaluation = store.evaluation(DATASET, "", v.SM_INSITU)
    assert sum(evaluation.regions.values()) == len(evaluation.sites)
    parts = [
        evaluation.values(v.SMAP, "R")[shown_sites(evaluation, SiteFilter(region=(r,))).mask]
        for r in evaluation.regions
    ]
    every = evaluation.values(v.SMAP, "R")
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.sort(every))


def test_nearest_site_respects_distance_and_filters(store):
    evaluation = store.evaluation(DATASET, "", v.SM_INSITU)
    row = evaluation.sites.iloc[4]
    assert (
        evaluation.nearest_site(row["x"] + 10, row["y"] - 10, 1000, all_sites(evaluation))
        == evaluation.sites.index[4]
    )
    assert evaluation.nearest_site(row["x"], row["y"] + 9e6, 1000, all_sites(evaluation)) == ""
    elsewhere = next(r for r in evaluation.regions if r != row[v.REGION])
    assert (
        evaluation.nearest_site(
            row["x"], row["y"], 1000, shown_sites(evaluation, SiteFilter(region=(elsewhere,))).mask
        )
        == ""
    )


def test_typical_site_has_the_median_score(store):
    evaluation = store.evaluation(DATASET, "", v.SM_INSITU)
    values = evaluation.values(v.SMAP, "R")
    at = evaluation.sites.index.get_loc(evaluation.typical_site(v.SMAP, "R", all_sites(evaluation)))
    below, valid = (values < values[at]).sum(), np.isfinite(values).sum()
    assert below == (valid - 1) // 2


def test_series_has_records_and_prediction(store, make_run):
    run = make_run("20260101-000000-a")
    ds = store.dataset(DATASET)
    series = store.series(DATASET, run.id, "S002")
    np.testing.assert_array_equal(series.records[v.IN_SITU], ds[v.SM_INSITU][2].values)
    np.testing.assert_array_equal(series.records[v.SMOS], ds[v.SM_PRODUCT][0, 2].values)
    np.testing.assert_array_equal(series.predicted, run.predictions()[v.SM_PREDICTED][2].values)
    assert series.in_test.sum() == 200
    assert series.fold == "temporal"
    assert store.series(DATASET, "", "S002").predicted is None


def test_unknown_site_suggests_a_similar_one(store):
    with pytest.raises(DatasetError, match=r"S0O2.*Did you mean 'S002'"):
        store.series(DATASET, "", "S0O2")


def test_runs_are_listed_newest_first(store, make_run):
    make_run("20260101-000000-a")
    make_run("20260102-000000-b")
    make_run("20260103-000000-c", finished=False)
    assert list(store.runs_of(DATASET)) == ["20260102-000000-b", "20260101-000000-a"]
    assert [r.id for r in store.runs()] == ["20260103-000000-c", "20260102-000000-b", "20260101-000000-a"]


def test_damaged_run_does_not_hide_the_others(store, make_run):
    make_run("20260101-000000-a")
    broken = make_run("20260102-000000-b")
    (broken.folder / "config.toml").write_text("not toml [")
    assert [r.id for r in Store(store.data, store.runs_folder).runs()] == ["20260101-000000-a"]


def test_dataset_of_a_run_outside_the_data_folder_is_listed(store, make_run, tmp_path, runs_folder):
    run = make_run("20260101-000000-a")
    other = Store(tmp_path / "nothing", runs_folder)
    assert list(other.datasets()) == [DATASET]
    assert list(other.runs_of(DATASET)) == [run.id]


def test_changed_dataset_is_read_again(store, dataset):
    before = store.evaluation(DATASET, "", v.SM_INSITU)
    assert store.evaluation(DATASET, "", v.SM_INSITU) is before
    path = save_dataset(dataset.isel(site=slice(0, 6)), store.data / DATASET, overwrite=True)
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1))
    assert len(store.evaluation(DATASET, "", v.SM_INSITU).sites) == 6


def test_unknown_dataset_lists_known_ones(store):
    with pytest.raises(DatasetError, match=r"bucket\.zarr"):
        store.dataset("buckt.zarr")


def test_caches_are_bounded(store, make_run):
    ids = [make_run(f"2026010{k}-000000-x").id for k in range(1, 6)]
    for run in ids:
        store.series(DATASET, run, "S001")
    assert len(store._predictions) == store._predictions.size < len(ids)


def test_site_table_matches_the_score_dataset(store):
    evaluation = store.evaluation(DATASET, "", v.SM_INSITU)
    at = evaluation.at_site("S001")
    scores: xr.Dataset = evaluation.scores
    assert at.loc[v.SMAP, "R"] == scores["R"].sel({v.PRODUCT: v.SMAP, v.SITE: "S001"}).item()
