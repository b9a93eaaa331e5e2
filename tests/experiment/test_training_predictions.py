"""Training-period scores of runs: the right sites and days, one model each, apart from test scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from typer.testing import CliRunner

from gsm3core import Run, error_types, open_dataset, run_experiment, score_run, site_scores
from gsm3core.baselines import predict_fold
from gsm3core.cli.main import app
from gsm3core.errors import RunError
from gsm3core.evaluation.error_types import experiments_of
from gsm3core.evaluation.training_scores import append_training_scores, score_training
from gsm3core.experiment.folds import folds_of
from gsm3core.holdouts.base import Fold, assign_fit_sites
from gsm3core.prediction import estimate_fold
from gsm3core.schema import save_dataset
from support.configs import TEMPORAL, config
from support.small_world import make_dataset

SPATIAL = {"name": "random_spatial", "folds": 3}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_dataset(make_dataset(), tmp_path_factory.mktemp("world") / "world.zarr")


@pytest.fixture(scope="module")
def runs(world: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    out = tmp_path_factory.mktemp("runs")
    return {
        str(h["name"]): run_experiment(config(world, h), out=out)
        for h in (TEMPORAL, SPATIAL, {"name": "cross_continental"})
    }


@pytest.mark.parametrize("name", ["random_spatial", "cross_continental"])
def test_each_site_is_fitted_by_one_fold_that_trained_on_it(
    world: Path, runs: dict[str, Run], name: str
) -> None:
    run, ds = runs[name], open_dataset(world)
    folds = folds_of(ds, run.config)
    made, tested_by = run.training_predictions(), run.predictions()["fold"].values
    assert made["in_train"].all() and np.isfinite(made["sm_predicted"]).all()
    names = [f.name for f in folds]
    for k, fold in enumerate(folds):
        mine = made["fold"].values == fold.name
        assert fold.train_sites[mine].all()
        assert set(tested_by[mine]) == {names[k - 1]}, "the fold after the one that tests a site"
        alone = estimate_fold(run.config, run.fold(fold.name), ds, mine, device=torch.device("cpu"))
        np.testing.assert_allclose(made["sm_predicted"].values[mine], alone.mean_ST, atol=1e-6)


def test_temporal_fit_is_the_run_on_its_training_days(world: Path, runs: dict[str, Run]) -> None:
    run, ds = runs["temporal"], open_dataset(world)
    made, predictions = run.training_predictions(), run.predictions()
    days = ds.time.values <= np.datetime64("2015-12-31")
    np.testing.assert_array_equal(made["in_train"].values, np.broadcast_to(days, made["in_train"].shape))
    assert not (made["in_train"].values & predictions["in_test"].values).any()
    assert np.isnan(made["sm_predicted"].values[:, ~days]).all()
    np.testing.assert_array_equal(
        made["sm_predicted"].values[:, days], predictions["sm_predicted"].values[:, days]
    )


@pytest.mark.parametrize("name", ["temporal", "random_spatial", "cross_continental"])
def test_training_scores_are_those_of_the_training_days(world: Path, runs: dict[str, Run], name: str) -> None:
    run, ds = runs[name], open_dataset(world).load()
    made = run.training_predictions()
    for reference in ("sm_insitu", "sm_smap"):
        stored = run.training_scores(reference)
        assert stored is not None
        assert stored["product"].values.tolist() == ["GSM3 LSTM (training)"]
        expected = site_scores(made["sm_predicted"].where(made["in_train"]), ds[reference], min_days=20)
        for metric in ("R", "bias", "RMSE", "ubRMSE", "n_valid"):
            np.testing.assert_allclose(stored[metric].isel(product=0), expected[metric], atol=1e-9)
        test = run.scores(reference)
        assert "GSM3 LSTM (training)" not in test["product"].values
        both = append_training_scores(
            score_run(run, reference=reference), score_training(run, reference=reference)
        )
        assert both["product"].values.tolist() == [*test["product"].values, "GSM3 LSTM (training)"]
        np.testing.assert_array_equal(both["R"].isel(product=slice(0, -1)), test["R"])
        np.testing.assert_array_equal(both["R"].isel(product=-1), stored["R"].isel(product=0))
    medians = next(e["medians"] for e in run.events() if e["event"] == "run_finished")
    assert medians["sm_insitu"]["R"] == pytest.approx(
        float(run.scores()["R"].sel(product="GSM3 LSTM").median()), abs=1e-4
    )


def test_commands_print_the_training_scores_as_a_product(world: Path, runs: dict[str, Run]) -> None:
    for name in ("temporal", "random_spatial"):
        run = runs[name]
        r = float(run.training_scores("sm_insitu")["R"].median())
        score = ["score", str(run.folder)], ["runs", "show", str(run.folder)]
        for command in score:
            found = CliRunner().invoke(app, command, env={"COLUMNS": "120"})
            assert found.exit_code == 0, found.output
            (line, *_) = [x for x in found.output.splitlines() if x.startswith("GSM3 LSTM (training)")]
            assert f"{r:.4f}" in line


def test_other_metrics_and_seasons_are_computed(world: Path, runs: dict[str, Run]) -> None:
    run, ds = runs["random_spatial"], open_dataset(world).load()
    made = run.training_predictions()["sm_predicted"]
    found = score_training(run, dataset=ds, metrics=["R", "KGE"])
    assert found is not None
    expected = site_scores(made, ds["sm_insitu"], min_days=20, metrics=["KGE"], intervals="none")
    np.testing.assert_allclose(found["KGE"].isel(product=0), expected["KGE"])
    np.testing.assert_array_equal(found["R"], run.training_scores("sm_insitu")["R"])
    summer = score_training(run, dataset=ds, season="summer")
    assert summer is not None
    north = (ds["lat"] > 0).values
    july = made.where(ds["time"].dt.month.isin([6, 7, 8]))
    expected = site_scores(july, ds["sm_insitu"], min_days=20, intervals="none")
    np.testing.assert_allclose(summer["RMSE"].isel(product=0)[north], expected["RMSE"][north])


def test_error_types_need_nothing_but_the_runs(world: Path, runs: dict[str, Run]) -> None:
    scores = experiments_of(runs.values())
    assert list(scores) == ["train", "temporal", "random_spatial", "cross_continental"]
    found = error_types(scores).sel(region="Global")
    assert np.isfinite(found["error"]).all() and np.isfinite(found["residual"])
    train = runs["temporal"].training_scores("sm_insitu")["R"].isel(product=0)
    temporal = runs["temporal"].scores()["R"].sel(product="GSM3 LSTM")
    both = np.isfinite(train.values) & np.isfinite(temporal.values)
    assert float(found["error"].sel(error_type="A/B/D")) == pytest.approx(
        np.median(train.values[both]) - np.median(temporal.values[both])
    )
    assert float(found["residual"]) == pytest.approx(1 - np.nanmedian(train.values))
    assert list(experiments_of([runs["random_spatial"]])) == ["train", "random_spatial"]


def test_runs_by_country_are_no_extrapolation(runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    run = runs["cross_continental"]
    for regions, used in (("continents", True), ("countries", False), ("climates", False)):
        monkeypatch.setattr(run, "config", run.config.replace("holdout", regions=regions))
        assert ("cross_continental" in experiments_of([run])) == used


def test_validation_sites_have_no_training_score(world: Path, tmp_path: Path) -> None:
    run = run_experiment(config(world, TEMPORAL, validation_share=0.2), out=tmp_path)
    made, ds = run.training_predictions(), open_dataset(world)
    trained = made["in_train"].any("time").values
    (started,) = [e for e in run.events() if e["event"] == "fold_started"]
    assert started["validation_sites"] > 0
    assert trained.sum() == ds.sizes["site"] - started["validation_sites"]
    assert np.isnan(run.training_scores("sm_insitu")["R"].isel(product=0).values[~trained]).all()


def test_a_target_not_trained_on_has_no_training_score(world: Path, tmp_path: Path) -> None:
    run = run_experiment(config(world, TEMPORAL).replace("data", targets=["sm_smap"]), out=tmp_path)
    assert run.training_scores("sm_insitu") is None and score_training(run, reference="sm_insitu") is None
    assert run.training_scores("sm_smap") is not None


@pytest.mark.parametrize("model", ["climatology", "gradient_boosting", "api_bucket"])
@pytest.mark.parametrize("holdout", [TEMPORAL, SPATIAL])
def test_baselines_store_their_fit_too(
    world: Path, tmp_path: Path, model: str, holdout: dict[str, Any]
) -> None:
    run = run_experiment(config(world, holdout).replace("model", name=model), out=tmp_path)
    ds = open_dataset(world)
    made = run.training_predictions()
    for fold in folds_of(ds, run.config):
        mine = made["fold"].values == fold.name
        alone = predict_fold(model, ds, replace(fold, test_sites=mine), run.config)
        values = made["sm_predicted"].values[mine]
        np.testing.assert_allclose(values, np.where(fold.train_days, alone.values, np.nan), atol=1e-6)


def test_temporal_runs_of_earlier_versions_still_have_training_scores(world: Path, tmp_path: Path) -> None:
    run = run_experiment(config(world, TEMPORAL), out=tmp_path)
    expected = score_training(run)
    (run.folder / "training.nc").unlink()
    for name in ("sm_insitu", "sm_smap"):
        (run.folder / "scores" / f"{name}-training.nc").unlink()
    found = score_training(run)
    assert found is not None and expected is not None
    xr.testing.assert_allclose(found[["R", "RMSE", "n_valid"]], expected[["R", "RMSE", "n_valid"]])
    spatial = Run.create(tmp_path, config(world, SPATIAL), {"dataset_path": str(world)})
    assert score_training(spatial) is None
    with pytest.raises(RunError, match="no training predictions"):
        spatial.training_predictions()


def test_no_site_has_two_fitting_folds() -> None:
    """Sites that no fold tests, or that only some folds train on, included."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        k, n = int(rng.integers(1, 6)), 20
        owner = rng.integers(-1, k, n)  # -1: tested by no fold
        train = np.stack([(owner != f) & (rng.random(n) < 0.7) for f in range(k)])
        folds = [
            Fold(name=str(f), train_sites=train[f], test_sites=owner == f, train_days=np.ones(3, bool),
                 test_days=np.ones(3, bool))
            for f in range(k)
        ]  # fmt: skip
        fit = np.stack([f.fit_sites for f in assign_fit_sites(folds)])
        np.testing.assert_array_equal(fit.sum(0), train.any(0))
        assert not (fit & ~train).any()
