"""The filters, each against the dataset itself; all of them in the address."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from app.services.evaluation import GROUPINGS
from app.services.polygon import from_text, simplified_polygon, to_text
from app.services.site_filters import counts, shown_sites
from app.session import url as address
from app.session.controller import SessionController
from app.session.selection import Selection
from gsm3core import vocabulary as v
from gsm3core.evaluation.site_scores import site_scores
from gsm3core.evaluation.site_selection import SiteFilter, in_polygon
from gsm3core.evaluation.stratified import season_scores
from gsm3core.geography.mercator import degrees, mercator
from gsm3core.schema import save_dataset

DATASET = "bucket.zarr"


@pytest.fixture
def evaluation(store):
    return store.evaluation(DATASET, "", v.SM_INSITU)


def left(evaluation, **asked):
    return shown_sites(evaluation, SiteFilter(**asked)).mask


def test_kinds_of_sites(store, evaluation):
    ds = store.dataset(DATASET)
    np.testing.assert_array_equal(
        left(evaluation, region=("Europe", "CONUS")), np.isin(ds.region, ["Europe", "CONUS"])
    )
    np.testing.assert_array_equal(left(evaluation, network=("net1",)), ds.network == "net1")
    # The dataset calls its classes a, b, c.
    np.testing.assert_array_equal(left(evaluation, land_cover=("b",)), ds.land_cover == 10)


def test_all_filters_hold_at_once(store, evaluation):
    ds = store.dataset(DATASET)
    expected = (ds.region == "Europe") & np.isin(ds.network, ["net0", "net1"])
    np.testing.assert_array_equal(left(evaluation, region=("Europe",), network=("net0", "net1")), expected)


@pytest.mark.parametrize(("of", "variable"), [(v.SMAP, v.SM_SMAP), (v.IN_SITU, v.SM_INSITU)])
def test_moisture_of_a_record(store, evaluation, of, variable):
    means = pd.DataFrame(store.dataset(DATASET)[variable].values).mean(axis=1)
    low, high = means.quantile([0.25, 0.66])
    np.testing.assert_array_equal(
        left(evaluation, moisture=(low, high), moisture_of=of), means.between(low, high)
    )


def test_a_site_without_the_record_is_in_no_range(evaluation):
    assert not left(evaluation, moisture=(0.0, 1.0), moisture_of=v.IN_SITU)[5]
    assert not left(evaluation, moisture=(0.0, 1.0), moisture_of="no such record").any()


def test_aspect_turns_round_in_the_south(tmp_path, dataset, runs_folder):
    from app.services.store import Store

    facing = np.full(dataset.sizes[v.SITE], 0.0)  # every slope faces north
    ds = dataset.assign(aspect=(v.SITE, facing, {"units": "degree", "source": "made up"}))
    save_dataset(ds, tmp_path / "d" / "a.nc")
    evaluation = Store(tmp_path / "d", runs_folder).evaluation("a.nc", "", v.SM_INSITU)
    np.testing.assert_array_equal(left(evaluation, aspect=(0.5, 1.0)), ds[v.LAT] > 0)
    np.testing.assert_array_equal(left(evaluation, aspect=(-1.0, -0.5)), ds[v.LAT] < 0)


def test_a_dataset_without_aspect_has_no_site_of_any_aspect(evaluation):
    assert not left(evaluation, aspect=(-1.0, 1.0)).any()
    assert "aspect" not in evaluation.groupings


def test_the_map_keeps_the_sites_around_an_area(evaluation):
    row = evaluation.sites.iloc[0]
    box = ((row.lon - 0.1, row.lat - 0.1), (row.lon + 0.1, row.lat - 0.1), (row.lon + 0.1, row.lat + 0.1),
           (row.lon - 0.1, row.lat + 0.1))  # fmt: skip
    shown = shown_sites(evaluation, SiteFilter(region=(row.region,), polygon=box))
    assert list(evaluation.sites.index[shown.mask]) == [row.name]
    np.testing.assert_array_equal(shown.on_map, evaluation.sites.region == row.region)


def test_words(evaluation):
    def words(**asked):
        return shown_sites(evaluation, SiteFilter(**asked)).words

    assert words() == "all sites"
    assert words(region=("Africa_North",)) == "Africa North"
    assert words(region=("Europe",), network=("net0", "net1", "net2")) == "Europe, 3 networks"
    assert words(moisture=(0.0, 0.08)) == "mean SMAP 0 to 0.08 m³ m⁻³"
    assert words(aspect=(-1.0, 0.2)) == "poleward aspect −1 to 0.2"


def test_counts_are_what_a_choice_would_leave(evaluation):
    asked = SiteFilter(region=("Europe",), network=("net1",))
    for kind in ("region", "network", "land_cover"):
        others = {k: getattr(asked, k) for k in ("region", "network") if k != kind}
        for name, number in counts(evaluation, asked, kind).items():
            assert number == left(evaluation, **others, **{kind: (name,)}).sum()


def test_groups_divide_the_sites(store, evaluation):
    ds = store.dataset(DATASET)
    labels, order = evaluation.groups("mean_soil_moisture", v.SMAP)
    means = pd.DataFrame(ds[v.SM_SMAP].values).mean(axis=1)
    bins = pd.cut(means, [-np.inf, 0.08, 0.16, 0.24, 0.32, np.inf], labels=False)
    assert pd.Series(bins).groupby(labels).nunique().eq(1).all()
    assert len(order) == pd.Series(bins).nunique()
    assert set(evaluation.groupings) == {"region", "network", "land_cover", "mean_soil_moisture"}
    assert set(evaluation.groupings) < set(GROUPINGS)


def test_a_lasso_is_simplified_and_keeps_its_sites():
    rng = np.random.default_rng(3)
    angle = np.linspace(0, 2 * np.pi, 600)
    x, y = 1e6 + 8e5 * np.cos(angle), 5e6 + 6e5 * np.sin(angle)
    area = simplified_polygon(list(x), list(y))
    assert 8 <= len(area) <= 40
    points = pd.DataFrame({"x": 1e6 + rng.uniform(-1e6, 1e6, 2000), "y": 5e6 + rng.uniform(-1e6, 1e6, 2000)})
    radius = np.hypot((points.x - 1e6) / 8e5, (points.y - 5e6) / 6e5)
    clear = np.abs(radius - 1) > 0.02
    found = in_polygon(area, *degrees(points.x, points.y))
    np.testing.assert_array_equal(found[clear], (radius < 1)[clear])


def test_an_area_there_and_back():
    area = simplified_polygon([0.0, 1e6, 1e6, 0.0], [0.0, 0.0, 2e6, 2e6])
    assert from_text(to_text(area)) == area
    x, y = mercator([-120.0, 30.0], [45.0, -33.0])
    np.testing.assert_allclose(degrees(x, y), [[-120, 30], [45, -33]])


def test_a_line_that_crosses_itself_still_has_an_inside():
    bow_tie = ((0.0, 0.0), (10.0, 10.0), (10.0, 0.0), (0.0, 10.0))
    found = in_polygon(bow_tie, np.array([1.0, 9.0, 5.0]), np.array([5.0, 5.0, 9.0]))
    np.testing.assert_array_equal(found, [True, True, False])


def test_every_filter_is_in_the_address():
    chosen = {
        "region": ["Europe", "Asia"], "network": ["A & B", "net,1"], "land_cover": ["grassland"], "climate": ["B arid"],
        "moisture": (0.05, 0.3), "moisture_of": "SMOS", "aspect": (-1.0, 0.25), "season": "summer", "min_days": 90,
        "area": ((-100.5, 30.0), (-90.0, 30.0), (-90.0, 41.25)), "grouping": "climate", "group": "B arid",
        "limits": (0.0, 0.08), "metric": "KGE",
    }  # fmt: skip
    query = address.to_query(Selection(**chosen))
    assert address.from_query(f"?{query}") == (chosen, [])


@pytest.mark.parametrize(
    "query",
    ["moisture=a..b", "moisture=0.3..0.1", "aspect=nan..1", "min_days=-3", "min_days=x", "area=1,2;3,4",
     "area=1,2;3,4;5,600", "season=monsoon", "limits=0"],
)  # fmt: skip
def test_a_filter_that_is_not_understood_is_named(query):
    assert address.from_query(query) == ({}, [query])


class IdleMonitor:
    def newest_active(self):
        return None


def visit(store, **chosen):
    selection = Selection(**chosen)
    SessionController(selection, store, IdleMonitor()).load()
    return selection


def test_a_season_is_scored_as_the_season_is_there(store):
    ds = store.dataset(DATASET).load()
    selection = visit(store, season="summer")
    expected = season_scores(ds[v.SM_SMAP], ds[v.SM_INSITU]).sel(season="summer")
    for metric in ("R", "RMSE", "ubRMSE", "bias"):
        np.testing.assert_allclose(
            selection.evaluation.values(v.SMAP, metric), expected[metric].values, rtol=1e-6, atol=1e-9
        )
    assert expected["R"].notnull().sum() >= 6


def test_a_season_of_a_run_is_of_its_test_days(store, make_run):
    run = make_run("20260101-000000-a")
    made = run.predictions()
    ds = store.dataset(DATASET).load()
    selection = visit(store, season="winter")
    tested = made[v.SM_PREDICTED].where(made[v.IN_TEST])
    expected = season_scores(tested, ds[v.SM_INSITU]).sel(season="winter")
    np.testing.assert_allclose(
        selection.evaluation.values(v.MULTITASK_LSTM, "RMSE"), expected["RMSE"].values, rtol=1e-6
    )
    selection.season = "all"
    np.testing.assert_array_equal(
        selection.evaluation.values(v.MULTITASK_LSTM, "RMSE"),
        run.scores()["RMSE"].sel({v.PRODUCT: v.MULTITASK_LSTM}).values,
    )


def test_a_score_beyond_the_paper_is_computed_when_it_is_asked_for(store, make_run):
    run = make_run("20260101-000000-a")
    selection = visit(store)
    assert not selection.evaluation.has("spearman")
    selection.choose_metric("spearman")
    made, ds = run.predictions(), store.dataset(DATASET).load()
    tested = made[v.SM_PREDICTED].where(made[v.IN_TEST])
    both = xr.merge(
        [tested.rename("x"), ds[v.SM_INSITU].reset_coords(drop=True).rename("y")], compat="override"
    )
    for site in ("S001", "S007"):
        pair = both.sel({v.SITE: site}).to_dataframe()[["x", "y"]].dropna()
        row = selection.evaluation.sites.index.get_loc(site)
        found = selection.evaluation.values(v.MULTITASK_LSTM, "spearman")[row]
        assert found == pytest.approx(pair["x"].corr(pair["y"], method="spearman"))


def test_a_minimum_of_days_takes_scores_and_says_so(store):
    n = store.evaluation(DATASET, "", v.SM_INSITU).table(v.SMAP)["n_valid"]
    days = int(n.median())
    selection = visit(store, min_days=days)
    ds = store.dataset(DATASET)
    expected = site_scores(ds[v.SM_SMAP], ds[v.SM_INSITU], min_days=days)
    np.testing.assert_array_equal(selection.evaluation.values(v.SMAP, "R"), expected["R"].values)
    table = selection.evaluation.table(v.SMAP)
    np.testing.assert_array_equal(table["reason"], expected["reason"].values)
    selection.reset_filters()
    assert np.isfinite(selection.evaluation.values(v.SMAP, "R")).sum() > np.isfinite(expected["R"]).sum()


def test_what_the_dataset_does_not_have_is_not_asked_for(store):
    selection = visit(
        store, region=["Europe", "Atlantis"], network=["gone"], moisture_of="gone", grouping="climate"
    )
    assert (selection.region, selection.network) == (["Europe"], [])
    assert selection.moisture_of in store.evaluation(DATASET, "", v.SM_INSITU).moisture
    assert selection.grouping == "region"


def test_reset_shows_every_site_again(store):
    selection = visit(store, region=["Europe"], moisture=(0.0, 0.2), season="summer", min_days=99)
    assert not selection.shown.mask.all()
    selection.reset_filters()
    assert selection.shown.mask.all()
    assert (selection.season, selection.evaluation.season, selection.min_days) == ("all", "all", 0)
