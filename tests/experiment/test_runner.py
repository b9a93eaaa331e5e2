"""Whole experiments on a small dataset with known soil moisture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from gsm3core import Run, open_dataset, predict, run_experiment, site_scores
from gsm3core import vocabulary as v
from gsm3core.baselines import BASELINES, predict_fold
from gsm3core.config import ExperimentConfig
from gsm3core.errors import CancelledError, ConfigError, DatasetError, GSM3Error, RunError
from gsm3core.experiment import create_finetune, create_run, execute, lstm_fold, provenance, satellite_groups
from gsm3core.experiment.folds import folds_of
from gsm3core.prediction import load_models, predict_dataset
from gsm3core.schema import save_dataset
from support.configs import TEMPORAL, config
from support.small_world import make_dataset


@pytest.fixture
def world(tmp_path: Path) -> Path:
    return save_dataset(make_dataset(), tmp_path / "world.zarr")


@pytest.mark.parametrize(
    ("holdout", "folds"),
    [
        ({"name": "random_spatial", "folds": 3}, ["fold_1", "fold_2", "fold_3"]),
        ({"name": "cross_continental"}, ["CONUS", "Europe", "Australia"]),
        (TEMPORAL, ["temporal"]),
    ],
)
def test_every_holdout_makes_a_complete_run(
    world: Path, tmp_path: Path, holdout: dict[str, Any], folds: list[str]
) -> None:
    events: list[dict[str, Any]] = []
    run = run_experiment(config(world, holdout), out=tmp_path / "runs", on_event=events.append)
    again = Run.open(run.folder)
    assert again.state == "finished"
    assert [e["fold"] for e in events if e["event"] == "fold_finished"] == folds
    assert [e["fraction"] for e in events if e["event"] == "progress"][-1] == 1.0

    predictions = again.predictions()
    ds = open_dataset(world).load()
    assert np.isfinite(predictions.sm_predicted).all()
    assert set(predictions.fold.values) == set(folds)
    in_test = predictions.in_test.values
    if holdout["name"] == "temporal":
        days = (ds.time.values >= np.datetime64("2016-01-01")) & (
            ds.time.values <= np.datetime64("2016-04-01")
        )
        np.testing.assert_array_equal(in_test, np.broadcast_to(days, in_test.shape))
    else:
        assert in_test.all()

    scores = again.scores("sm_insitu")
    assert list(scores["product"].values) == ["GSM3 LSTM", "SMAP"]
    expected = site_scores(predictions.sm_predicted.where(predictions.in_test), ds.sm_insitu, min_days=20)
    for name in ("R", "bias", "RMSE", "ubRMSE", "n_valid", "R_lower"):
        np.testing.assert_allclose(scores[name].sel(product="GSM3 LSTM"), expected[name], atol=1e-9)
    assert list(again.scores("sm_smap")["product"].values) == ["GSM3 LSTM"], (
        "SMAP is not compared with itself"
    )
    assert again.provenance["dataset_sha256"]


def test_predictions_do_not_depend_on_test_values(tmp_path: Path) -> None:
    """Replacing all held-out soil moisture does not change the predictions."""
    honest = make_dataset()
    spoiled = make_dataset()
    late = spoiled.time.values >= np.datetime64("2016-01-01")
    for name in ("sm_insitu", "sm_smap"):
        spoiled[name].values[:, late] = 0.9
    found = []
    for name, ds in (("honest", honest), ("spoiled", spoiled)):
        world = save_dataset(ds, tmp_path / f"{name}.nc")
        found.append(
            run_experiment(config(world, TEMPORAL), out=tmp_path / "runs").predictions().sm_predicted
        )
    np.testing.assert_array_equal(found[0], found[1])


def test_predictions_do_not_depend_on_test_sites(tmp_path: Path) -> None:
    honest = make_dataset()
    world = save_dataset(honest, tmp_path / "honest.nc")
    holdout = {"name": "random_spatial", "folds": 3}
    first = run_experiment(config(world, holdout), out=tmp_path / "runs").predictions()
    spoiled = make_dataset()
    mine = first.fold.values == "fold_2"
    for name in ("sm_insitu", "sm_smap"):
        spoiled[name].values[mine] = 0.9
    other = save_dataset(spoiled, tmp_path / "spoiled.nc")
    second = run_experiment(config(other, holdout), out=tmp_path / "runs").predictions()
    np.testing.assert_array_equal(first.sm_predicted.values[mine], second.sm_predicted.values[mine])
    assert np.abs(first.sm_predicted.values[~mine] - second.sm_predicted.values[~mine]).max() > 1e-4


def test_the_same_configuration_gives_the_same_numbers(world: Path, tmp_path: Path) -> None:
    a, b = (run_experiment(config(world, TEMPORAL), out=tmp_path / "runs") for _ in range(2))
    assert a.id != b.id
    np.testing.assert_array_equal(a.predictions().sm_predicted, b.predictions().sm_predicted)
    c = run_experiment(config(world, TEMPORAL, seed=1), out=tmp_path / "runs")
    assert np.abs(a.predictions().sm_predicted - c.predictions().sm_predicted).max() > 1e-4


def test_a_cancelled_run_resumes_to_the_same_numbers(world: Path, tmp_path: Path) -> None:
    holdout = {"name": "random_spatial", "folds": 3}
    whole = run_experiment(config(world, holdout), out=tmp_path / "runs")
    run = create_run(config(world, holdout), tmp_path / "runs")
    polls = iter(range(1000))
    with pytest.raises(CancelledError):
        execute(run, cancelled=lambda: next(polls) >= 9)
    assert run.state == "cancelled"
    assert [run.fold(f"fold_{k}").done for k in (1, 2, 3)] == [True, False, False]
    execute(run)
    assert run.state == "finished"
    np.testing.assert_array_equal(run.predictions().sm_predicted, whole.predictions().sm_predicted)


def test_an_impossible_run_creates_no_folder(world: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    cases: list[tuple[ExperimentConfig, type[GSM3Error], str]] = [
        (config(tmp_path / "none.zarr"), DatasetError, "does not exist"),
        (config(world).replace("data", dataset=""), ConfigError, r"data.dataset is empty"),
        (
            config(world).replace("data", forcings=("rain",)),
            DatasetError,
            "forcing 'rain' is not in the dataset",
        ),
        (
            config(world, {"name": "random_spatial", "folds": 50}),
            ConfigError,
            "only 12 separate satellite cells",
        ),
        (config(world, {"name": "temporal"}), ConfigError, "too short for the default temporal holdout"),
        (config(world).replace("holdout", only_folds=("fold_9",)), ConfigError, "only_folds names 'fold_9'"),
        (
            config(world, validation_share=0.2).replace("data", targets=("sm_insitv",)),
            DatasetError,
            "target 'sm_insitv' is not in the dataset. Did you mean 'sm_insitu'",
        ),
    ]
    for bad, error, message in cases:
        with pytest.raises(error, match=message):
            create_run(bad, runs)
    assert not runs.exists()


def test_a_fold_without_validation_sites_is_refused(tmp_path: Path) -> None:
    """With in-situ data in one region only, the fold that tests it has no validation sites."""
    ds = make_dataset()
    ds["sm_insitu"].values[ds.region.values != "Europe"] = np.nan
    settings = config(
        save_dataset(ds, tmp_path / "one.zarr"), {"name": "cross_continental"}, validation_share=0.2
    )
    assert len(folds_of(ds, settings)) > 1
    with pytest.raises(ConfigError, match=r"fold Europe has 0 satellite cell\(s\) with sm_insitu"):
        create_run(settings, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_predictions_are_32_bit_after_16_bit_training(world: Path, tmp_path: Path) -> None:
    run = run_experiment(config(world, TEMPORAL, precision="bf16", spin_up_days=0), out=tmp_path / "runs")
    ds = open_dataset(world).load()
    scaler, models = load_models(run.config, run.fold("temporal"), torch.device("cpu"))
    with torch.no_grad():
        y_ST = next(models)(
            torch.tensor(scaler.scale_forcings(ds)), torch.tensor(scaler.scale_attributes(ds))
        ).numpy()
    expected = np.clip(scaler.target[0] + scaler.target[1] * y_ST, 0, 1)
    np.testing.assert_allclose(run.predictions().sm_predicted, expected, atol=1e-6)


def test_stored_inputs_are_deleted_before_prediction(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is as large as the forcings and must not stay if the process is killed later."""
    run = create_run(config(world, TEMPORAL, inputs="disk"), tmp_path / "runs")
    store = run.fold("temporal").inputs
    existed: list[bool] = []
    estimate_fold = lstm_fold.estimate_fold

    def check(*args: Any, **options: Any) -> Any:
        existed.append(store.exists())
        return estimate_fold(*args, **options)

    monkeypatch.setattr(lstm_fold, "estimate_fold", check)
    execute(run)
    assert existed == [False]


def test_a_failure_is_recorded_in_the_run(world: Path, tmp_path: Path) -> None:
    run = create_run(config(world, window=390, batch=1), tmp_path / "runs")
    save_dataset(make_dataset(seed=5), world, overwrite=True)
    with pytest.raises(ConfigError, match="has changed since run"):
        execute(run)
    assert run.state == "failed"
    assert "has changed" in list(run.events())[-1]["message"]


def test_a_dataset_is_hashed_once_per_command(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[Path] = []
    fingerprint = provenance.fingerprint
    monkeypatch.setattr(provenance, "fingerprint", lambda path: hashed.append(path) or fingerprint(path))
    run = run_experiment(config(world, TEMPORAL, epochs=1), out=tmp_path / "runs")
    execute(run)
    execute(create_finetune(run, world, tmp_path / "runs", epochs=1))
    assert hashed == [world]


def test_one_fold_alone(world: Path, tmp_path: Path) -> None:
    run = run_experiment(
        config(world, {"name": "random_spatial", "folds": 3, "only_folds": ["fold_2"]}), out=tmp_path / "runs"
    )
    predictions = run.predictions()
    tested = predictions.fold.values == "fold_2"
    np.testing.assert_array_equal(np.isfinite(predictions.sm_predicted).all("time"), tested)
    reasons = run.scores().sel(product="GSM3 LSTM").reason.values
    assert (reasons[tested] == "").all()
    assert (reasons[~tested] == "no values of the product").all()


def test_sites_in_one_satellite_cell_are_one_group() -> None:
    ds: xr.Dataset = make_dataset(n_sites=4)
    ds = ds.assign_coords(
        lat=("site", [40.0, 40.05, 40.4, 89.0]), lon=("site", [-100.0, -100.05, -100.0, 0.0])
    )
    ds["sm_smap"].attrs["grid"] = "M36"
    groups = satellite_groups(ds)
    assert groups[0] == groups[1] != groups[2]
    ds["sm_smap"].attrs["grid"] = "M09"
    assert len(set(satellite_groups(ds))) == 4


def test_a_run_predicts_another_dataset_as_its_own(world: Path, tmp_path: Path) -> None:
    run = run_experiment(config(world, TEMPORAL), out=tmp_path / "runs")
    again = predict(run, open_dataset(world))
    np.testing.assert_allclose(again, run.predictions().sm_predicted, atol=1e-6)
    other = make_dataset(n_sites=3, n_days=120, seed=9).drop_vars("sm_insitu")
    assert np.isfinite(predict(run, other)).all()
    with pytest.raises(DatasetError, match="attribute 'clay' is not in the dataset"):
        predict(run, other.drop_vars("clay"))


def test_several_folds_predict_their_mean(world: Path, tmp_path: Path) -> None:
    holdout = {"name": "random_spatial", "folds": 2}
    run = run_experiment(config(world, holdout), out=tmp_path / "runs")
    ds = open_dataset(world)
    alone = []
    for name in ("fold_1", "fold_2"):
        one = run_experiment(config(world, holdout | {"only_folds": [name]}), out=tmp_path / "runs")
        alone.append(predict(one, ds))
    np.testing.assert_allclose(predict(run, ds), (alone[0] + alone[1]) / 2, atol=1e-6)
    with pytest.raises(RunError, match="no finished fold"):
        predict(create_run(config(world), tmp_path / "runs"), ds)


@pytest.mark.parametrize("head", ["point", "gaussian"])
def test_an_ensemble_is_the_mixture_of_its_seeds(world: Path, tmp_path: Path, head: str) -> None:
    base = config(world, TEMPORAL).replace("model", head=head)
    alone = [
        run_experiment(base.replace("training", seed=seed), out=tmp_path / "runs").predictions()
        for seed in (0, 1, 2)
    ]
    ensemble = run_experiment(base.replace("training", members=3), out=tmp_path / "runs").predictions()
    means = np.stack([p.sm_predicted.values for p in alone]).astype(float)
    np.testing.assert_allclose(ensemble.sm_predicted, means.mean(0), atol=1e-6)
    if head == "point":
        assert "sm_predicted_std" not in alone[0]
        variance = means.var(0)
    else:
        stds = np.stack([p.sm_predicted_std.values for p in alone]).astype(float)
        variance = means.var(0) + (stds**2).mean(0)
    np.testing.assert_allclose(ensemble.sm_predicted_std, np.sqrt(variance), rtol=1e-4, atol=1e-6)
    assert ensemble.sm_predicted_std.attrs["units"] == "m3 m-3"


def test_a_cancelled_ensemble_resumes_in_its_member(world: Path, tmp_path: Path) -> None:
    base = config(world, TEMPORAL, members=3)
    whole = run_experiment(base, out=tmp_path / "runs")
    run = create_run(base, tmp_path / "runs")
    polls = iter(range(1000))
    with pytest.raises(CancelledError):
        execute(run, cancelled=lambda: next(polls) >= 8)
    fold = run.fold("temporal")
    assert [fold.member(k).model.exists() for k in range(3)] == [True, False, False]
    first_member = fold.member(0).model.stat().st_mtime_ns
    events: list[dict[str, Any]] = []
    execute(run, on_event=events.append)
    assert fold.member(0).model.stat().st_mtime_ns == first_member
    assert {e["member"] for e in events if e["event"] == "progress"} == {1, 2}
    assert [e["fraction"] for e in events if e["event"] == "progress"][-1] == 1.0
    for name in ("sm_predicted", "sm_predicted_std"):
        np.testing.assert_array_equal(run.predictions()[name], whole.predictions()[name])


def test_another_dataset_is_predicted_by_every_member(world: Path, tmp_path: Path) -> None:
    run = run_experiment(
        config(world, TEMPORAL, members=2).replace("model", head="gaussian", heads="separate"),
        out=tmp_path / "runs",
    )
    again = predict_dataset(run, open_dataset(world))
    for name in ("sm_predicted", "sm_predicted_std"):
        np.testing.assert_allclose(again[name], run.predictions()[name], atol=1e-6)
    assert "mean of 2 models" in again.sm_predicted.attrs["comment"]


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_makes_the_same_kind_of_run(world: Path, tmp_path: Path, name: str) -> None:
    holdout = {"name": "random_spatial", "folds": 2}
    events: list[dict[str, Any]] = []
    run = run_experiment(
        config(world, holdout).replace("model", name=name), out=tmp_path / "runs", on_event=events.append
    )
    product = v.MODEL_PRODUCTS[name]
    assert list(run.scores()["product"].values) == [product, "SMAP"]
    ds = open_dataset(world)
    predicted = run.predictions()
    for fold in folds_of(ds, run.config):
        alone = predict_fold(name, ds, fold, run.config)
        np.testing.assert_array_equal(predicted.sm_predicted.values[fold.test_sites], alone.values)
    expected = site_scores(predicted.sm_predicted, ds.sm_insitu.load(), min_days=20)
    np.testing.assert_allclose(run.scores().R.sel(product=product), expected.R, atol=1e-9)
    fractions = [e["fraction"] for e in events if e["event"] == "progress"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    with pytest.raises(RunError, match="only LSTM runs can predict other datasets"):
        predict(run, ds)


def test_an_unknown_model_names_the_nearest(world: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"unknown model 'gradient_boost'. Did you mean 'gradient_boosting'"
    ):
        create_run(config(world).replace("model", name="gradient_boost"), tmp_path / "runs")
