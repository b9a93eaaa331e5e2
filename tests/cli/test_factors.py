"""`gsm3 factors RUN`: output, results and errors."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from gsm3core import ExperimentConfig, Run, cli, factors
from gsm3core.errors import DatasetError, RunError
from gsm3core.schema import save_dataset
from support.small_world import make_dataset


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run with scores that increase with elevation, made without training."""
    ds = make_dataset(n_sites=48, n_days=60)
    rng = np.random.default_rng(0)
    ds["poleward_aspect"] = ("site", rng.uniform(-1, 1, 48), {"units": "1", "source": "simulated"})
    path = save_dataset(ds, tmp_path / "world.nc")
    config = ExperimentConfig.load("quick").replace("data", dataset=str(path))
    run = Run.create(tmp_path / "runs", config, {"dataset_path": str(path)}, run_id="one")
    r = 0.4 + ds["elevation"].values / 4000 + rng.normal(0, 0.02, 48)
    run.write_scores("sm_insitu", xr.Dataset(
        {"R": (("product", "site"), r[None]), "n_effective": (("product", "site"), np.full((1, 48), 60.0))},
        coords={"product": ["GSM3 LSTM"], "site": ds["site"].values}, attrs={"reference": "sm_insitu"},
    ))  # fmt: skip
    return run


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"settings": factors.Settings(trees=20, rounds=10), "folds": 3}
    monkeypatch.setattr(
        factors, "importance_of", functools.partial(factors.importance_of, repeats=1, **small)
    )
    monkeypatch.setattr(factors, "fit_skill", functools.partial(factors.fit_skill, **small))


@pytest.mark.usefixtures("quick")
def test_tables_are_printed_and_written(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "factors.nc"
    done = CliRunner().invoke(cli.app, ["factors", str(run.folder), "--out", str(out)])
    assert done.exit_code == 0, done.output
    for text in ("Association, not cause", "spatial_block", "permutation, forest", "random noise", "mean_sm_smap <= 0.08",
                 "outermost bins minus the others", "90% interval covers", "Area of applicability"):  # fmt: skip
        assert text in done.output
    with xr.open_dataset(out, engine="h5netcdf") as found:
        one = found["importance"].sel(measure="permutation", model="forest")
        assert one["factor"].values[np.argmax(one.values)] == "elevation"
        assert {"cv_correlation", "moran_p", "second_median", "outer_p"} <= set(found)
        assert "not cause" in found.attrs["note"] and isinstance(json.loads(found.attrs["dropped"]), dict)


@pytest.mark.usefixtures("quick")
def test_circular_soil_moisture_is_reported(run: Run) -> None:
    done = CliRunner().invoke(
        cli.app, ["factors", "one", "--runs", str(run.folder.parent), "--moisture", "sm_insitu"]
    )
    assert "circular" in done.output and "mean_sm_insitu" in done.output


def test_errors_name_the_wrong_option(run: Run) -> None:
    invoke = CliRunner().invoke
    assert isinstance(
        invoke(cli.app, ["factors", str(run.folder), "--reference", "sm_smap"]).exception, RunError
    )
    wrong = invoke(cli.app, ["factors", str(run.folder), "--metric", "r2"]).exception
    assert isinstance(wrong, DatasetError) and "'r2'" in str(wrong)
