"""Types of error on the Overview page, and training scores on the Compare page, against the library."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from app.export.scripts import error_types_script
from app.pages.overview.error_types_card import _html, _no_runs
from app.services.comparison import ComparisonRequest, compare
from app.services.error_types import newest_error_types
from app.services.site_filters import shown_sites
from app.ui.formatting import number
from gsm3core import Run, error_types
from gsm3core import vocabulary as v
from gsm3core.config import ExperimentConfig
from gsm3core.evaluation.error_types import experiments_of
from gsm3core.evaluation.site_scores import site_scores
from gsm3core.evaluation.site_selection import SiteFilter
from gsm3core.statistics.cluster_bootstrap import median_interval

DATASET = "bucket.zarr"


@pytest.fixture
def four_experiments(store):
    """A temporal, a random spatial and a cross-continental run, each with larger errors than the last."""
    ds = store.dataset(DATASET).load()
    made = {}
    for k, holdout in enumerate(("temporal", "random_spatial", "cross_continental")):
        config = ExperimentConfig().replace("data", dataset=str(store.data / DATASET))
        config = config.replace("holdout", name=holdout, buffer_km=0)
        run = Run.create(
            store.runs_folder,
            config,
            {"dataset_path": str(store.data / DATASET)},
            run_id=f"2026010{k}-{holdout}",
        )
        noise = np.random.default_rng(k).normal(0, 0.02 * (k + 1), ds[v.SM_INSITU].shape)
        early = np.broadcast_to(np.arange(ds.sizes[v.TIME]) < 200, noise.shape)
        tested = early if holdout == "temporal" else np.ones_like(early)
        predicted = (ds[v.SM_INSITU].fillna(0.2) + noise * np.where(tested, 1, 0.5)).astype(np.float32)
        predicted = predicted.reset_coords(drop=True).assign_attrs(units=v.SM_UNITS)
        dims = (v.SITE, v.TIME)
        run.write_predictions(
            xr.Dataset({v.SM_PREDICTED: predicted, v.IN_TEST: (dims, tested)}).assign_coords(
                {v.FOLD: (v.SITE, [holdout] * ds.sizes[v.SITE])}
            )
        )
        if holdout == "temporal":
            fit = {v.SM_PREDICTED: predicted.where(~early), v.IN_TRAIN: (dims, ~early)}
            run.write_training_predictions(xr.Dataset(fit))
        stacked = predicted.where(tested).expand_dims({v.PRODUCT: [v.MULTITASK_LSTM]})
        run.write_scores(v.SM_INSITU, site_scores(stacked, ds[v.SM_INSITU]))
        run.append_event("run_finished", seconds=1.0)
        made[holdout] = run
    return made


@pytest.mark.parametrize("metric", ["R", "RMSE", "bias"])
def test_overview_shows_the_librarys_error_types(store, four_experiments, metric):
    evaluation = store.evaluation(DATASET, four_experiments["temporal"].id, v.SM_INSITU)
    result = newest_error_types(store, evaluation, metric)
    scores = experiments_of(four_experiments.values(), dataset=store.dataset(DATASET), reference=v.SM_INSITU)
    assert list(scores) == ["train", "temporal", "random_spatial", "cross_continental"]
    xr.testing.assert_identical(result.found, error_types(scores, metric=metric))
    html = _html(result.found, metric)
    one = result.found.sel(error_type="C", region="Global")
    digits = 3 if metric != "R" else 2
    assert f"<td>{number(float(one.error), digits, sign=True)}<br>" in html
    assert (
        f"[{number(float(one.lower), digits, sign=True)}, {number(float(one.upper), digits, sign=True)}]"
        in html
    )
    assert "representativeness, sensors and fit together" in html and "not separable" in html


def test_exported_script_gives_the_numbers_shown(store, four_experiments):
    evaluation = store.evaluation(DATASET, four_experiments["temporal"].id, v.SM_INSITU)
    result = newest_error_types(store, evaluation, "R")
    names: dict = {}
    exec(error_types_script(store, evaluation, result.runs, "R"), names)
    xr.testing.assert_identical(names["found"], result.found)


def test_without_two_experiments_the_card_says_what_is_missing(store):
    evaluation = store.evaluation(DATASET, "", v.SM_INSITU)
    result = newest_error_types(store, evaluation, "R")
    assert result.found is None
    assert "there are: none" in _no_runs(result)


def test_training_days_stand_beside_a_comparison_and_not_in_it(store, four_experiments):
    run = four_experiments["temporal"]
    evaluation = store.evaluation(DATASET, run.id, v.SM_INSITU)
    shown = shown_sites(evaluation, SiteFilter(region=("Europe", "CONUS")))
    comparison = compare(store, ComparisonRequest(evaluation=evaluation, shown=shown))
    assert "GSM3 LSTM (training)" not in comparison.products
    ((name, middle),) = comparison.training_medians("RMSE").items()
    assert name == "GSM3 LSTM (training)"
    ds = store.dataset(DATASET).load()
    fit = site_scores(run.training_predictions()[v.SM_PREDICTED], ds[v.SM_INSITU], intervals="none")
    networks = evaluation.sites[v.NETWORK].to_numpy()[shown.mask]
    expected = median_interval(fit["RMSE"].values[shown.mask], networks, metric="RMSE")
    assert middle[:4] == pytest.approx(expected[:4])
    assert middle.resampled == expected.resampled
