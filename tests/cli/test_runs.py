"""Model options of `gsm3 run`, `gsm3 finetune` and `gsm3 predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from gsm3core import open_dataset
from gsm3core.cli.main import app
from gsm3core.run import Run, list_runs
from gsm3core.schema import save_dataset
from support.small_world import make_dataset

SETTINGS = """
[holdout]
name = "random_spatial"
folds = 2

[model]
hidden = 8

[training]
epochs = 2
updates_per_epoch = 3
batch = 8
window = 60
device = "cpu"

[scores]
min_days = 20
"""


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    save_dataset(make_dataset(), tmp_path / "world.zarr")
    (tmp_path / "tiny.toml").write_text(SETTINGS)
    return tmp_path


def gsm3(*arguments: str, fails: bool = False) -> Any:
    done = CliRunner().invoke(app, list(arguments))
    assert (done.exit_code != 0) == fails, done.output
    return done


def newest(workdir: Path) -> Run:
    return max(list_runs(workdir / "runs"), key=lambda run: run.folder.stat().st_mtime)


def test_a_network_is_trained_tuned_and_predicts(workdir: Path) -> None:
    gsm3(
        "run",
        "tiny.toml",
        "--dataset",
        "world.zarr",
        "--members",
        "2",
        "--head",
        "gaussian",
        "--heads",
        "separate",
    )
    first = newest(workdir)
    chosen = first.config
    assert (chosen.training.members, chosen.model.head, chosen.model.heads) == (2, "gaussian", "separate")
    assert (first.predictions().sm_predicted_std > 0).all()

    new = make_dataset(n_sites=8, seed=3)
    save_dataset(new.assign_coords(lat=("site", new.lat.values + 4)), workdir / "new.zarr")
    gsm3("finetune", first.id, "--dataset", "new.zarr", "--epochs", "1", "--title", "tuned")
    tuned = next(run for run in list_runs(workdir / "runs") if run.title == "tuned")
    assert tuned.state == "finished"
    assert tuned.provenance["parent"]["run"] == first.id
    assert tuned.config.training.epochs == 1

    printed = gsm3("predict", tuned.id, "world.zarr", "--to", "out.nc").output
    assert "mean of 4 models" in printed
    with xr.open_dataset(workdir / "out.nc", engine="h5netcdf") as out:
        assert np.isfinite(out.sm_predicted_std).all()
        assert out.sizes == open_dataset(workdir / "world.zarr").sm_insitu.sizes


def test_a_baseline_is_run(workdir: Path) -> None:
    printed = gsm3("run", "tiny.toml", "--dataset", "world.zarr", "--model", "climatology").output
    assert "Climatology" in printed
    assert "Climatology" in newest(workdir).scores()["product"].values


def test_folds_and_spin_up_of_a_run(workdir: Path) -> None:
    options = ("--model", "api_bucket", "--holdout", "random_spatial")
    gsm3("run", "tiny.toml", "--dataset", "world.zarr", *options, "--folds", "3")
    run = newest(workdir)
    assert [f.folder.name for f in run.finished_folds()] == ["fold_1", "fold_2", "fold_3"]
    sites = open_dataset(workdir / "world.zarr").sizes["site"]
    note = (
        f"Spin-up: 365 days of forcings before the test days; at {sites} of {sites} test sites the record of forcings begins "
        "less than 365 days before the test days, and its first year is repeated."
    )
    assert run.predictions().attrs["spin_up"] == note
    assert note in run.notes
    assert note in " ".join(gsm3("runs", "show", run.id).output.split())


def test_an_unknown_option_value_is_refused(workdir: Path) -> None:
    error = gsm3("run", "tiny.toml", "--dataset", "world.zarr", "--heads", "three", fails=True).exception
    assert "'shared', 'separate' or 'affine'" in str(error)
    error = gsm3("run", "tiny.toml", "--dataset", "world.zarr", "--model", "bucket", fails=True).exception
    assert "unknown model 'bucket'" in str(error)
    assert not (workdir / "runs").exists()


def test_lstm_options_are_refused_for_a_baseline(workdir: Path) -> None:
    for option in (("--members", "3"), ("--head", "gaussian"), ("--heads", "affine")):
        error = gsm3(
            "run", "tiny.toml", "--dataset", "world.zarr", "--model", "climatology", *option, fails=True
        ).exception
        assert f"{option[0]}: only for model 'multitask_lstm'" in str(error)
    assert not (workdir / "runs").exists()


def test_options_of_another_holdout_are_refused(workdir: Path) -> None:
    """Else a user believes in a buffer that no fold has."""
    for holdout, *option in (
        ("random_spatial", "--buffer-km", "200"),
        ("temporal", "--folds", "5"),
        ("cross_continental", "--folds", "7"),
        ("spatial_block", "--regions", "continents"),
        ("custom", "--outside", "exclude"),
    ):
        error = gsm3(
            "run", "tiny.toml", "--dataset", "world.zarr", "--holdout", holdout, *option, fails=True
        ).exception
        assert str(error).startswith(f"{option[0]}: only for holdout "), error
        assert f"not for {holdout}" in str(error)
    assert not (workdir / "runs").exists()


def test_predictions_report_filled_inputs_and_errors(workdir: Path) -> None:
    gsm3("run", "tiny.toml", "--dataset", "world.zarr", "--targets", "sm_insitu, sm_smap", "--epochs", "1")
    run = newest(workdir)
    assert run.config.data.targets == ("sm_insitu", "sm_smap")
    gaps = make_dataset(n_sites=3)
    gaps["clay"].values[1] = np.nan
    gaps["precipitation"].values[2, 10:14] = np.nan
    save_dataset(gaps, workdir / "gaps.zarr")
    printed = gsm3("predict", run.id, "gaps.zarr", "--to", "out.nc").output
    assert "filled in 2 variable(s)" in printed
    with xr.open_dataset(workdir / "out.nc", engine="h5netcdf") as out:
        assert out.attrs["filled"] == "precipitation: 4, clay: 1"
    error = gsm3("predict", run.id, "gaps.zarr", "--to", "out.csv", fails=True).exception
    assert "expected .nc (netCDF-4) or .zarr" in str(error)
    error = gsm3("predict", run.id, "gaps.zarr", "--to", "b.nc", "--device", "gpu", fails=True).exception
    assert "device 'gpu' is not known" in str(error)
