"""Fine-tuning: starts from the parent's networks, trains on new sites, is never tested on the parent's training data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from gsm3core import Run, open_dataset, predict, run_experiment
from gsm3core.assembly.sites import join
from gsm3core.config import ExperimentConfig, HoldoutConfig
from gsm3core.errors import ConfigError, DatasetError, RunError
from gsm3core.experiment import create_finetune, execute
from gsm3core.experiment.finetuning import previously_trained, training_part
from gsm3core.experiment.folds import folds_of, split_validation_sites
from gsm3core.scaling import Scaler
from gsm3core.schema import save_dataset
from support.small_world import TINY, make_dataset

SPATIAL = {"name": "random_spatial", "folds": 2}


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("parent")
    world = save_dataset(make_dataset(), folder / "world.zarr")
    values: dict[str, Any] = {**TINY, "data": {"dataset": str(world)}, "holdout": SPATIAL}
    values["training"] = {**TINY["training"], "members": 2}
    return run_experiment(ExperimentConfig.from_mapping(values), out=folder / "runs")


def other_sites(folder: Path, **changes: Any) -> Path:
    """Other sites, far from the first ones, with 0.1 m3 m-3 more soil moisture."""
    ds = make_dataset(n_sites=10, seed=4)
    ds = ds.assign_coords(lat=("site", ds.lat.values + 5.0), site=[f"N{k:03d}" for k in range(10)])
    for name in ("sm_insitu", "sm_smap"):
        ds[name] = (ds[name] + 0.1).clip(0, 1).assign_attrs(ds[name].attrs)
    return save_dataset(ds.assign(changes), folder / "new.zarr")


def test_it_starts_from_the_parents_networks(parent: Run, tmp_path: Path) -> None:
    """With a learning rate of almost 0 the new run equals the parent, including scaling and members."""
    world = other_sites(tmp_path)
    run = execute(create_finetune(parent, world, tmp_path / "runs", learning_rate=1e-30, epochs=1))
    ds = open_dataset(world)
    found = run.predictions()
    for fold, start in run.provenance["parent"]["start_of_fold"].items():
        one = shutil.copytree(parent.folder, tmp_path / f"only {fold}")
        for other in (one / "folds").iterdir():
            if other.name != start:
                shutil.rmtree(other)
        tested = found.fold.values == fold
        np.testing.assert_allclose(
            found.sm_predicted.values[tested], predict(Run.open(one), ds).values[tested], atol=1e-5
        )
        assert run.fold(fold).scaler.read_text() == parent.fold(start).scaler.read_text()
    assert run.provenance["parent"]["run"] == parent.id
    assert run.config.training.members == 2


def test_it_learns_new_sites_without_the_parents_folder(parent: Run, tmp_path: Path) -> None:
    world = other_sites(tmp_path)
    alone = Run.open(shutil.copytree(parent.folder, tmp_path / "copy"))
    run = create_finetune(alone, world, tmp_path / "runs", learning_rate=0.03, epochs=15, title="tuned")
    shutil.rmtree(alone.folder)
    execute(run)
    truth = open_dataset(world).sm_insitu.load()

    def bias(predicted: xr.DataArray) -> float:
        return float((predicted - truth).mean())

    before, after = bias(predict(parent, open_dataset(world))), bias(run.predictions().sm_predicted)
    assert before < -0.07, "the parent was not trained on the added 0.1 m3 m-3"
    assert abs(after) < 0.05, "most of it is predicted, also at the held-out sites"
    assert run.title == "tuned"


def test_the_default_learning_rate_is_a_tenth(parent: Run, tmp_path: Path) -> None:
    run = create_finetune(parent, other_sites(tmp_path), tmp_path / "runs")
    assert run.config.training.learning_rate == pytest.approx(0.1 * parent.config.training.learning_rate)
    assert run.config.training.epochs == parent.config.training.epochs
    with pytest.raises(ConfigError, match=r"training\.learning_rate: Input should be greater than 0"):
        create_finetune(parent, run.dataset_path, tmp_path / "runs", learning_rate=0.0)


def test_training_sites_of_the_parent_are_not_tested(parent: Run, tmp_path: Path) -> None:
    same = parent.dataset_path
    kept = create_finetune(parent, same, tmp_path / "runs")
    assert kept.provenance["parent"]["start_of_fold"] == {"fold_1": "fold_1", "fold_2": "fold_2"}
    others = HoldoutConfig.model_validate(SPATIAL | {"seed": 1})
    with pytest.raises(
        ConfigError, match=r"fold fold_1 would test \d site\(s\) that the networks were trained on"
    ):
        create_finetune(parent, same, tmp_path / "runs", holdout=others)
    # The training data of the grandparent count too.
    child = execute(create_finetune(parent, other_sites(tmp_path), tmp_path / "runs", epochs=1))
    with pytest.raises(ConfigError, match="were trained on"):
        create_finetune(child, same, tmp_path / "runs", holdout=others)


def test_other_days_of_training_sites_can_be_tested(parent: Run, tmp_path: Path) -> None:
    ds = make_dataset(n_days=900)
    later = save_dataset(ds, tmp_path / "later.zarr")
    period = {"name": "temporal", "train": {"start": "2015-04-01", "end": "2016-05-04"}}
    for start, fits in (("2016-05-05", True), ("2016-05-01", False)):
        test = {"start": start, "end": "2017-05-01"}
        train = {"start": "2015-04-01", "end": "2016-04-30"}
        holdout = HoldoutConfig.model_validate(period | {"train": train, "test": test})
        if fits:
            create_finetune(parent, later, tmp_path / "runs", holdout=holdout)
        else:
            with pytest.raises(ConfigError, match="were trained on, on the same days"):
                create_finetune(parent, later, tmp_path / "runs", holdout=holdout)


def test_impossible_fine_tuning_is_refused(parent: Run, tmp_path: Path) -> None:
    world = other_sites(tmp_path)
    ds = open_dataset(world).load()
    (tmp_path / "bad").mkdir()
    no_clay = save_dataset(ds.drop_vars("clay"), tmp_path / "bad" / "no_clay.zarr")
    with pytest.raises(DatasetError, match="attribute 'clay' is not in the dataset"):
        create_finetune(parent, no_clay, tmp_path / "runs")
    separate = Run.open(shutil.copytree(parent.folder, tmp_path / "separate"))
    (separate.folder / "config.toml").write_text(parent.config.replace("model", heads="separate").to_toml())
    satellite = save_dataset(ds.drop_vars("sm_insitu"), tmp_path / "bad" / "satellite.zarr")
    with pytest.raises(
        DatasetError, match="no sm_insitu, the only target of the output that run separate predicts with"
    ):
        create_finetune(Run.open(separate.folder), satellite, tmp_path / "runs")
    lost = Run.open(shutil.copytree(parent.folder, tmp_path / "lost"))
    provenance = lost.provenance | {"dataset_path": str(tmp_path / "gone.zarr")}
    (lost.folder / "provenance.json").write_text(json.dumps(provenance))
    with pytest.raises(ConfigError, match=r"gone\.zarr, the dataset of run lost, does not exist"):
        create_finetune(lost, world, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
    run = create_finetune(parent, world, tmp_path / "runs")
    shutil.rmtree(run.folder / "start")
    with pytest.raises(RunError, match="starts from its networks"):
        execute(run)


def test_validation_sites_are_new_to_the_parent(parent: Run, tmp_path: Path) -> None:
    old, new = open_dataset(parent.dataset_path).load(), open_dataset(other_sites(tmp_path)).load()
    both = save_dataset(join(old, new), tmp_path / "both.zarr")
    ds = open_dataset(both).load()
    kept = HoldoutConfig.model_validate({"name": "custom", "sites": new.site.values[:2].tolist()})
    run = create_finetune(parent, both, tmp_path / "runs", holdout=kept)
    (fold,) = folds_of(ds, run.config)
    start = run.provenance["parent"]["start_of_fold"][fold.name]
    first = next(f for f in folds_of(old, parent.config) if f.name == start)
    trained = previously_trained(run, fold, ds)
    np.testing.assert_array_equal(ds.site[trained], old.site[first.train_sites])
    for seed in range(5):
        _, validation = split_validation_sites(ds, fold, ["sm_insitu"], 0.3, seed, trained=trained)
        assert validation.sum() == round(0.3 * 20)
        assert not (validation & (trained | fold.test_sites)).any()
    _, validation = split_validation_sites(ds, fold, ["sm_insitu"], 0.3, 0, trained=np.ones(22, bool))
    assert validation.sum() == 6
    # The same in a whole run.
    folder = run.folder / "config.toml"
    folder.write_text(run.config.replace("training", validation_share=0.3).to_toml())
    events: list[dict[str, Any]] = []
    execute(Run.open(run.folder), on_event=events.append)
    assert next(e for e in events if e["event"] == "fold_started")["validation_sites"] == 6


def test_validation_sites_of_the_parent_were_not_trained_on(tmp_path: Path) -> None:
    """They may validate again, but not test: the parent's weights were chosen by them."""
    world = save_dataset(make_dataset(n_sites=16), tmp_path / "world.zarr")
    values: dict[str, Any] = {
        **TINY,
        "data": {"dataset": str(world)},
        "holdout": {"name": "custom", "sites": ["S000"]},
    }
    values["training"] = {**TINY["training"], "validation_share": 0.3}
    parent = run_experiment(ExperimentConfig.from_mapping(values), out=tmp_path / "runs")
    ds = open_dataset(world).load()
    (fold,) = folds_of(ds, parent.config)
    part, validation = training_part(parent, fold, ds)
    started = next(e for e in parent.events() if e["event"] == "fold_started")
    assert validation.sum() == started["validation_sites"] == round(0.3 * 15)
    run = create_finetune(parent, world, tmp_path / "runs")
    trained = previously_trained(run, fold, ds)
    np.testing.assert_array_equal(trained, part.train_sites)
    assert not (trained & validation).any()
    np.testing.assert_array_equal(training_part(run, fold, ds)[1].sum(), validation.sum())
    assert not (training_part(run, fold, ds)[1] & trained).any(), "new to the parent's training"
    one = str(ds.site.values[validation][0])
    holdout = HoldoutConfig.model_validate({"name": "custom", "sites": [one]})
    with pytest.raises(
        ConfigError, match=r"would test 1 site\(s\).*validation sites, which the weights were chosen by"
    ):
        create_finetune(parent, world, tmp_path / "runs", holdout=holdout)


def test_a_mean_of_the_target_is_refused_where_the_new_run_holds_out_sites(tmp_path: Path) -> None:
    def with_mean(ds: xr.Dataset) -> xr.Dataset:
        return ds.assign(
            mean_sm_smap=ds.sm_smap.mean("time").assign_attrs(units="m3 m-3", source="simulated")
        )

    world = save_dataset(with_mean(make_dataset(n_days=800)), tmp_path / "world.zarr")
    holdout: dict[str, Any] = {
        "name": "temporal",
        "train": {"start": "2016-04-01", "end": "2017-06-08"},
        "test": {"start": "2015-04-01", "end": "2016-03-31"},
    }
    values: dict[str, Any] = {**TINY, "data": {"dataset": str(world)}, "holdout": holdout}
    parent = run_experiment(ExperimentConfig.from_mapping(values), out=tmp_path / "runs")
    scaler = Scaler.load(parent.fold("temporal").scaler)
    assert scaler.means == {"mean_sm_smap": "sm_smap"} and scaler.mean_days == ("2016-04-01", "2017-06-08")
    assert any(n.startswith("Attributes averaged over the training days (2016-04-01") for n in parent.notes)
    again = predict(parent, open_dataset(world)).values
    np.testing.assert_allclose(again, parent.predictions().sm_predicted.values, atol=1e-6)
    new = make_dataset(n_sites=10, n_days=800, seed=4)
    new = new.assign_coords(lat=("site", new.lat.values + 5.0), site=[f"N{k:03d}" for k in range(10)])
    other = save_dataset(with_mean(new), tmp_path / "new.zarr")
    spatial = HoldoutConfig.model_validate(SPATIAL)
    with pytest.raises(
        ConfigError, match="mean_sm_smap: mean of sm_smap, which is held out at the test sites"
    ):
        create_finetune(parent, other, tmp_path / "runs", holdout=spatial)
    later = HoldoutConfig.model_validate(
        {
            "name": "temporal",
            "train": {"start": "2015-04-01", "end": "2016-06-30"},
            "test": {"start": "2016-07-01", "end": "2017-06-08"},
        }
    )
    run = execute(create_finetune(parent, other, tmp_path / "runs", holdout=later, epochs=1))
    tuned = Scaler.load(run.fold("temporal").scaler)
    assert tuned.mean_days == ("2015-04-01", "2016-06-30") and tuned.attributes == scaler.attributes
    np.testing.assert_allclose(
        predict(run, open_dataset(other)).values, run.predictions().sm_predicted.values, atol=1e-6
    )
