"""The Factors page asks gsm3core the right question, and gives its answers unchanged."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from app.pages.factors.labels import factor_label, factor_units
from app.services import factor_analysis as explaining
from app.services.site_filters import shown_sites
from app.services.store import Store
from app.services.strata_bins import Bins
from gsm3core import vocabulary as v
from gsm3core.errors import ConfigError, DatasetError
from gsm3core.evaluation.site_scores import site_scores
from gsm3core.evaluation.site_selection import SiteFilter
from gsm3core.factors import effect_surface, factor_effect, factor_table, skill_strata
from gsm3core.schema import save_dataset
from support.small_world import make_dataset

DATASET = "many.zarr"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    ds = make_dataset(n_sites=48)
    rng = np.random.default_rng(1)
    ds["aspect"] = v.SITE, rng.uniform(0, 360, 48).astype(np.float32), {"units": "degree", "source": "test"}
    other = (ds[v.SM_INSITU] * 0.9 + 0.03 + rng.normal(0, 0.02, ds[v.SM_INSITU].shape)).astype(np.float32)
    other = other.expand_dims({v.PRODUCT: ["SMOS"]}).assign_attrs(ds[v.SM_SMAP].attrs)
    save_dataset(ds.assign({v.SM_PRODUCT: other}), folder / DATASET)
    return Store(folder, folder / "runs")


def ask(store, product=v.SMAP, metric="R", moisture="", **filters):
    evaluation = store.evaluation(DATASET, "", v.SM_INSITU)
    shown = shown_sites(evaluation, SiteFilter(**filters))
    return explaining.factor_query(store, evaluation, shown, product, metric, moisture)


def test_the_question_is_the_table_of_gsm3core(store):
    ds = store.dataset(DATASET).load()
    scores = site_scores(ds[v.SM_SMAP], ds[v.SM_INSITU]).assign_attrs(reference=v.SM_INSITU)
    expected = factor_table(scores, ds, metric="R")
    found = ask(store).table
    assert found.factors == expected.factors
    assert found.dropped == expected.dropped
    assert found.moisture == expected.moisture == "mean_sm_smap"
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-5)
    np.testing.assert_allclose(found.score, expected.score, rtol=1e-6)


def test_where_smap_is_missing_the_moisture_is_of_a_record_that_is_there(tmp_path):
    """Stations of one dataset beside the satellite cells of another: no station has SMAP."""
    ds = make_dataset(n_sites=48)
    other = (ds[v.SM_INSITU] * 0.9 + 0.03).astype(np.float32).expand_dims({v.PRODUCT: ["SMOS"]})
    ds = ds.assign({v.SM_PRODUCT: other.assign_attrs(ds[v.SM_SMAP].attrs)})
    cells = np.arange(48) >= 30
    ds[v.SM_SMAP] = ds[v.SM_SMAP].where(xr.DataArray(cells, dims=v.SITE))
    ds[v.SM_INSITU] = ds[v.SM_INSITU].where(xr.DataArray(~cells, dims=v.SITE))
    save_dataset(ds, tmp_path / DATASET)
    asked = ask(Store(tmp_path, tmp_path / "runs"), product="SMOS")
    assert asked.table.score.size == 30
    assert asked.table.moisture == "mean_sm_insitu"
    assert explaining.strata(asked, Bins()).sizes
    with pytest.raises(DatasetError, match="Choose another record under Mean soil moisture"):
        explaining.strata(ask(Store(tmp_path, tmp_path / "runs"), product="SMOS", moisture=v.SM_SMAP), Bins())


@pytest.mark.parametrize(
    ("product", "moisture", "circular"),
    [("SMAP", v.SM_SMAP, True), ("SMAP", "SMOS", False), ("SMOS", "SMOS", True), ("SMAP", v.SM_INSITU, True)],
)
def test_moisture_of_the_record_that_was_scored_is_called_circular(store, product, moisture, circular):
    asked = ask(store, product, moisture=moisture)
    assert asked.table.circular is circular
    assert ("circular" in asked.table.note) is circular
    mean = store.dataset(DATASET)[v.SM_PRODUCT][0] if moisture == "SMOS" else store.dataset(DATASET)[moisture]
    np.testing.assert_allclose(asked.table.column(asked.table.moisture), mean.mean(v.TIME).values, rtol=1e-5)


def test_means_of_records_are_not_factors_beside_the_moisture(store):
    names = ask(store).table.factors
    assert [n for n in names if n.startswith("mean_sm") or n == "mean_SMOS"] == ["mean_sm_smap"]
    assert "poleward_aspect" in names


def test_only_the_sites_shown(store):
    asked = ask(store, region=("CONUS", "Europe"))
    assert set(asked.table.region) == {"CONUS", "Europe"}
    assert len(asked.table) == 32


def test_too_few_sites_are_explained(store):
    with pytest.raises(DatasetError, match=r"16 sites .* at least 20"):
        ask(store, region=("Europe",))


def test_strata_and_effects_are_those_of_gsm3core(store):
    asked = ask(store)
    bins = Bins(moisture=(0.15, 0.2, 0.25), aspect=(-0.5, 0.5), limit=0.2)
    expected = skill_strata(
        asked.table, first_edges=bins.moisture, second_edges=bins.aspect, limit=bins.limit
    )
    xr.testing.assert_identical(explaining.strata(asked, bins), expected)
    assert int(expected["first_sites"].sum()) == len(asked.table)
    xr.testing.assert_identical(
        explaining.effect(asked, "elevation"), factor_effect(asked.table, "elevation", replicates=12)
    )
    xr.testing.assert_identical(
        explaining.surface(asked, "elevation", "clay"), effect_surface(asked.table, "elevation", "clay")
    )


def test_expected_scores_are_given_also_where_no_site_was_shown(store):
    asked = ask(store, region=("CONUS", "Europe"))
    model, expected = explaining.skill(asked)
    assert expected.sizes[v.SITE] == 48
    assert len(model.table) == 32
    assert (expected["lower"] <= expected["expected"]).all()


def test_an_answer_is_kept(store):
    asked = ask(store)
    assert ask(store) is asked
    explaining.strata(asked, Bins())
    assert explaining.is_cached(asked, "strata", Bins())
    assert not explaining.is_cached(asked, "strata", Bins(limit=0.3))


def test_typed_bins_are_read(store):
    assert Bins.typed("0.1; 0.2,0.3", "−0.5, 0.5", "0.08") == Bins(
        moisture=(0.1, 0.2, 0.3), aspect=(-0.5, 0.5), limit=0.08
    )


@pytest.mark.parametrize(
    ("moisture", "aspect", "limit", "said"),
    [
        ("0.2, 0.1", "0", "0.1", "Mean soil moisture bins: the edges must increase"),
        ("a, b", "0", "0.1", "Mean soil moisture bins: 'a, b' is not a list of numbers"),
        ("0.1", "", "0.1", "Aspect bins: give 1 to 20 numbers"),
        ("0.1", "0", "0.1, 0.2", "Dry up to: one number"),
        ("nan", "0", "0.1", "Mean soil moisture bins: give 1 to 20 numbers"),
        ("__import__('os')", "0", "0.1", "is not a list of numbers"),
    ],
)
def test_typed_bins_that_make_no_sense_are_explained(moisture, aspect, limit, said):
    with pytest.raises(ConfigError, match=said.replace("(", r"\(")):
        Bins.typed(moisture, aspect, limit)


def test_factors_have_names_for_people():
    assert factor_label("elevation") == "elevation"
    assert factor_label("mean_precipitation") == "mean precipitation"
    assert "SMOS" in factor_label("mean_SMOS")
    assert "_" not in factor_label("something_of_ones_own")
    assert factor_units("lai") == factor_units("mean_lai") == "m² m⁻²"
    assert factor_units("mean_SMOS") == "m³ m⁻³"
    assert factor_units("clay") == ""
