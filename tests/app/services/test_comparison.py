"""Products and runs against each other, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from app.pages.compare.colours import compared_colour
from app.services.comparison import ComparisonRequest, compare, is_compared
from app.services.site_filters import shown_sites
from app.ui.formatting import interval, number, p_value
from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.evaluation.site_selection import SiteFilter

DATASET = "bucket.zarr"
PAIRWISE, SAME = "pairwise", "same_sample"


def asked(store, run="", other="", metric="R", **filters):
    season = filters.pop("season", "all")
    evaluation = store.evaluation(DATASET, run, v.SM_INSITU, season)
    return ComparisonRequest(
        evaluation=evaluation,
        shown=shown_sites(evaluation, SiteFilter(**filters)),
        other_run=other,
        metric=metric,
        min_days=0,
    )


def correlations(predicted, observed, days, fewest=30):
    """R at every site, one by one."""
    found = []
    for x, y, use in zip(predicted, observed, days, strict=True):
        both = np.isfinite(x) & np.isfinite(y) & use
        found.append(np.corrcoef(x[both], y[both])[0, 1] if both.sum() >= fewest else np.nan)
    return np.array(found)


def test_pairwise_scores_of_a_run_are_those_that_it_keeps(store, make_run):
    run = make_run("20260101-000000-a")
    comparison = compare(store, asked(store, run.id))
    kept = run.scores(v.SM_INSITU)
    assert comparison.products[0] == v.MULTITASK_LSTM
    for product in comparison.products:
        for metric in ("R", "RMSE", "ubRMSE", "bias"):
            np.testing.assert_allclose(
                comparison.scores(PAIRWISE, metric, product),
                kept[metric].sel({v.PRODUCT: product}).values,
                rtol=1e-9,
            )


def test_same_days_are_those_that_every_product_has(store):
    ds = store.dataset(DATASET).load()
    smap, smos = ds[v.SM_SMAP].values, ds[v.SM_PRODUCT].values[0]
    common = np.isfinite(smap) & np.isfinite(smos)
    comparison = compare(store, asked(store))
    for product, record in ((v.SMAP, smap), (v.SMOS, smos)):
        expected = correlations(record, ds[v.SM_INSITU].values, common)
        np.testing.assert_allclose(comparison.scores(SAME, "R", product), expected, rtol=1e-5)


def test_ranks_differences_and_wins(store):
    comparison = compare(store, asked(store))
    a, b = (comparison.scores(SAME, "R", p) for p in (v.SMOS, v.SMAP))
    both = np.isfinite(a) & np.isfinite(b)
    ranks = comparison.ranks(SAME, "R")
    assert ranks.index[0] == (v.SMOS if np.nanmedian(a) > np.nanmedian(b) else v.SMAP)
    assert ranks.loc[v.SMOS, "median"] == pytest.approx(np.nanmedian(a))
    assert ranks.loc[v.SMOS, "best_at"] == (a > b)[both].sum()
    row = comparison.against_others(SAME, "R", v.SMOS).loc[v.SMAP]
    assert row["difference"] == pytest.approx(np.median(a[both]) - np.median(b[both]))
    assert row["win_share"] == pytest.approx((a > b)[both].mean())
    assert row["n_common"] == both.sum()


def test_of_the_bias_the_smaller_one_wins_whatever_its_sign(store):
    comparison = compare(store, asked(store))
    biases = {p: comparison.scores(PAIRWISE, "bias", p) for p in comparison.products}
    ranks = comparison.ranks(PAIRWISE, "bias")
    sizes = {p: np.nanmedian(np.abs(x)) for p, x in biases.items()}
    assert list(ranks.index) == sorted(sizes, key=sizes.get)
    assert ranks["median_loss"].to_dict() == pytest.approx(sizes)


def test_only_the_sites_shown(store):
    everywhere, europe = compare(store, asked(store)), compare(store, asked(store, region=("Europe",)))
    rows = everywhere.sites[v.REGION] == "Europe"
    assert list(europe.sites.index) == list(everywhere.sites.index[rows])
    np.testing.assert_allclose(
        europe.scores(PAIRWISE, "R", v.SMAP), everywhere.scores(PAIRWISE, "R", v.SMAP)[rows.to_numpy()]
    )


def test_only_the_days_of_the_season(store):
    ds = store.dataset(DATASET).load()
    month = ds[v.TIME].dt.month.values
    south = ds[v.LAT].values < 0
    winter = np.where(south[:, None], np.isin(month, (6, 7, 8)), np.isin(month, (12, 1, 2)))
    expected = correlations(ds[v.SM_SMAP].values, ds[v.SM_INSITU].values, winter)
    found = compare(store, asked(store, season="winter")).scores(PAIRWISE, "R", v.SMAP)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_two_runs_are_scored_on_the_days_that_test_both(store, make_run):
    first, second = (make_run(f"2026010{k}-000000-x", title=t) for k, t in ((1, "One"), (2, "Two")))
    shift_test_days(second, 100, 300)
    comparison = compare(store, asked(store, first.id, second.id))
    assert comparison.runs == {"One": first.id, "Two": second.id}
    ds = store.dataset(DATASET).load()
    days = np.zeros(ds[v.SM_INSITU].shape, bool)
    days[:, 100:200] = True  # the first run tests days 0 to 199
    for name, run in (("One", first), ("Two", second)):
        predicted = run.predictions()[v.SM_PREDICTED].values
        expected = correlations(predicted, ds[v.SM_INSITU].values, days)
        np.testing.assert_allclose(comparison.scores(PAIRWISE, "R", name), expected, rtol=1e-5)
    assert compared_colour(comparison, "One", dark=False) != compared_colour(comparison, "Two", dark=False)


def test_two_runs_without_a_common_test_day_are_not_compared(store, make_run):
    first, second = (make_run(f"2026010{k}-000000-x", title=t) for k, t in ((1, "One"), (2, "Two")))
    shift_test_days(second, 200, 300)
    with pytest.raises(DatasetError, match="One and Two have no test day in common"):
        compare(store, asked(store, first.id, second.id))


def test_runs_of_one_title_are_told_apart(store, make_run):
    runs = [make_run(f"2026010{k}-000000-x", title="Same") for k in (1, 2)]
    comparison = compare(store, asked(store, *(r.id for r in runs)))
    assert comparison.products[:2] == [f"Same ({r.id})" for r in runs]


def test_no_site_and_one_product_are_explained(store, tmp_path, dataset, runs_folder):
    from app.services.store import Store
    from gsm3core.schema import save_dataset

    none = asked(store, region=("Alaska",))
    with pytest.raises(DatasetError, match="No site passes"):
        compare(store, none)
    save_dataset(dataset, tmp_path / "alone" / "bucket.zarr")
    with pytest.raises(DatasetError, match="only SMAP"):
        compare(Store(tmp_path / "alone", runs_folder), asked(Store(tmp_path / "alone", runs_folder)))


def test_a_second_question_is_answered_from_memory(store):
    factor_query = asked(store)
    assert not is_compared(store, factor_query)
    first = compare(store, factor_query)
    assert is_compared(store, asked(store, metric="RMSE"))  # all usual scores are compared at once
    assert compare(store, asked(store)) is first


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.714, "0.71"), (-0.05, "−0.05"), (-0.001, "0.00"), (float("nan"), "–")],
)
def test_numbers_are_written_as_a_person_does(value, written):
    assert number(value, 2) == written


def test_intervals_and_p_values():
    assert interval(0.5, 0.4, 0.62, 2) == "0.50 [0.40, 0.62]"
    assert interval(0.5, float("nan"), 0.6, 1, sign=True) == "+0.5"
    assert [p_value(p) for p in (0.0001, 0.0123, 0.4)] == ["&lt; 0.001", "0.012", "0.40"]


def shift_test_days(run, start, end):
    made = run.predictions()
    days = np.arange(made.sizes[v.TIME])
    inside = xr.DataArray((days >= start) & (days < end), dims=v.TIME).broadcast_like(made[v.SM_PREDICTED])
    made[v.IN_TEST] = inside.transpose(v.SITE, v.TIME)
    run.write_predictions(made)
