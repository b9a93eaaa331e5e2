"""Plots and texts of one site: paired days, data availability, prediction interval, order of the table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from app.pages.sites.days import valid_periods
from app.pages.sites.pairs import PairPlots
from app.pages.sites.series import SeriesPlot
from app.pages.sites.site_panel import about_site
from app.pages.sites.table import worst_first
from app.server import serve as main
from app.session.controller import SessionController
from app.session.selection import Selection

DATASET = "bucket.zarr"


class IdleMonitor:
    def newest_active(self):
        return None


@pytest.fixture
def run(make_run):
    main.configure_panel()
    return make_run("20260101-000000-a")


def load_selection(store):
    selection = Selection()
    SessionController(selection, store, IdleMonitor()).load()
    return selection


def test_ranges_have_a_margin_around_a_single_day(store, run):
    selection = load_selection(store)
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
def test_worst_sites_first_missing_scores_last(metric, expected):
    table = pd.DataFrame({"site": list("?cab"), "x": [np.nan, 1.2, 0.05, 0.6]})
    assert "".join(worst_first(table, "x", metric)["site"]) == expected


def test_valid_periods_cover_exactly_the_valid_days():
    assert valid_periods(np.array([], bool)) == []
    assert valid_periods(np.array([True, True, False, True])) == [(0, 1), (3, 3)]
    valid = np.random.default_rng(1).random(500) < 0.6
    back = np.zeros(500, bool)
    for first, last in valid_periods(valid):
        back[first : last + 1] = True
    np.testing.assert_array_equal(back, valid)


def test_band_is_the_90_percent_prediction_interval(store, run):
    from scipy.stats import norm

    selection = load_selection(store)
    series = store.series(DATASET, run.id, "S002")
    plot = SeriesPlot(selection)
    plot.show(series)
    assert not plot._band.visible
    plot.show(replace(series, std=np.full(len(series.time), 0.02)))
    assert plot._band.visible
    half = (plot._band_source.data["high"] - plot._band_source.data["low"]) / 2
    # Nearer to 0 the distribution with this mean and std is not normal: part of its probability lies on 0.
    inside = (plot._band_source.data["low"] > 3 * 0.02) & (plot._band_source.data["high"] < 1 - 3 * 0.02)
    assert inside.any() and plot._band_source.data["low"].min() >= 0
    np.testing.assert_allclose(half[inside], 0.02 * norm.ppf(0.95), rtol=1e-3)


def test_text_states_whether_the_band_is_calibrated(store, run):
    row = load_selection(store).evaluation.sites.loc["S002"]
    series = store.series(DATASET, run.id, "S002")
    assert not series.std_calibrated  # the run has no validation sites
    assert "band" not in about_site(row, series)
    with_std = replace(series, std=np.full(len(series.time), 0.02))
    assert "too narrow at ungauged sites" in about_site(row, with_std)
    assert "interval, calibrated at validation sites" in about_site(
        row, replace(with_std, std_calibrated=True)
    )
