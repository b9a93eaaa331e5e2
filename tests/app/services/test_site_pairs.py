"""One site: the pairs behind its scores, its missing days, and the spread that a run tells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from app.pages.sites.days import stretches
from app.pages.sites.pairs import PairPlots
from app.pages.sites.series import SeriesPlot
from app.pages.sites.site_panel import about_site
from app.pages.sites.table import worst_first
from app.server import serve as main
from app.services.site_pairs import pairs
from app.session.controller import SessionController
from app.session.selection import Selection
from gsm3core import vocabulary as v

DATASET = "bucket.zarr"


class NoActivity:
    def newest_active(self):
        return None


@pytest.fixture
def run(make_run):
    main.prepare()
    return make_run("20260101-000000-a")


def visit(store):
    selection = Selection()
    SessionController(selection, store, NoActivity()).load()
    return selection


def test_pairs_make_the_scores(store, run):
    evaluation = visit(store).evaluation
    series = store.series(DATASET, run.id, "S002")
    at = evaluation.at_site("S002")
    for product in evaluation.products:
        found = pairs(series, product, v.SM_INSITU)
        error = found.predicted.astype(float) - found.observed
        assert len(error) == at.loc[product, "n_valid"]
        assert error.mean() == pytest.approx(at.loc[product, "bias"], abs=1e-7)
        assert np.sqrt((error**2).mean()) == pytest.approx(at.loc[product, "RMSE"], abs=1e-7)


def test_the_seasonal_cycle_is_the_mean_of_each_month(store, run):
    series = store.series(DATASET, run.id, "S002")
    found = pairs(series, v.SMAP, v.SM_INSITU)
    observed = pd.Series(found.observed.astype(float), pd.DatetimeIndex(found.time))
    months = found.months()
    assert list(months.index) == list(range(1, 13))
    for month in range(1, 13):
        assert months.loc[month, "observed"] == pytest.approx(
            observed[observed.index.month == month].mean(), nan_ok=True
        )


def test_one_day_alone_has_room_around_it(store, run):
    selection = visit(store)
    series = store.series(DATASET, run.id, "S002")
    alone = np.arange(len(series.time)) == 5
    records = {name: np.where(alone, values, np.nan) for name, values in series.records.items()}
    plots = PairPlots(selection)
    plots.show(replace(series, records=records))
    for figure in (plots.scatter, plots.residuals, plots.cycle):
        for shown in (figure.x_range, figure.y_range):
            assert shown.end > shown.start
    plots.show(replace(series, records={n: np.full_like(x, np.nan) for n, x in series.records.items()}))
    assert plots.residuals.x_range.end > plots.residuals.x_range.start


@pytest.mark.parametrize(
    ("metric", "expected"),
    [("R", "abc?"), ("RMSE", "cba?"), ("bias", "cba?"), ("KGE_alpha", "abc?")],  # perfect: 1, 0, 0 and 1
)
def test_the_worst_sites_come_first_and_those_without_a_score_last(metric, expected):
    table = pd.DataFrame({"site": list("?cab"), "x": [np.nan, 1.2, 0.05, 0.6]})
    assert "".join(worst_first(table, "x", metric)["site"]) == expected


def test_stretches_of_days():
    assert stretches(np.array([], bool)) == []
    assert stretches(np.array([True, True, False, True])) == [(0, 1), (3, 3)]
    valid = np.random.default_rng(1).random(500) < 0.6
    back = np.zeros(500, bool)
    for first, last in stretches(valid):
        back[first : last + 1] = True
    np.testing.assert_array_equal(back, valid)


def test_the_spread_is_a_band_of_nine_in_ten(store, run):
    from scipy.stats import norm

    selection = visit(store)
    series = store.series(DATASET, run.id, "S002")
    plot = SeriesPlot(selection)
    plot.show(series)
    assert not plot._band.visible
    plot.show(replace(series, spread=np.full(len(series.time), 0.02)))
    assert plot._band.visible
    half = (plot._spread.data["high"] - plot._spread.data["low"]) / 2
    inside = (plot._spread.data["low"] > 0) & (plot._spread.data["high"] < 1)
    np.testing.assert_allclose(half[inside], 0.02 * norm.ppf(0.95), rtol=1e-3)


def test_it_is_said_whether_the_width_of_the_band_was_learnt(store, run):
    row = visit(store).evaluation.sites.loc["S002"]
    series = store.series(DATASET, run.id, "S002")
    assert not series.spread_learnt  # the run held no site back
    assert "band" not in about_site(row, series)
    told = replace(series, spread=np.full(len(series.time), 0.02))
    assert "too narrow at new ones" in about_site(row, told)
    assert "nine in ten" in about_site(row, replace(told, spread_learnt=True))
