"""The command line as a process: results, output and errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from gsm3core import Run, site_scores
from gsm3core.schema import save_dataset
from support.small_world import make_dataset


def gsm3(*arguments: str | Path, expect: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "gsm3core", *map(str, arguments)],
        capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
    )  # fmt: skip
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def world(tmp_path: Path) -> Path:
    return save_dataset(make_dataset(), tmp_path / "world.nc")


TINY_TOML = """
[model]
hidden = 8
[training]
epochs = 2
updates_per_epoch = 2
batch = 4
window = 60
[holdout]
folds = 2
[scores]
min_days = 20
"""


def test_run_show_list_and_score(world: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(TINY_TOML)
    out = tmp_path / "runs"
    printed = gsm3(
        "run",
        tmp_path / "mine.toml",
        "--dataset",
        world,
        "--holdout",
        "random_spatial",
        "--out",
        out,
        "--title",
        "my run",
    )
    (folder,) = [p for p in out.iterdir() if p.is_dir()]
    run = Run.open(folder)
    assert run.title == "my run"
    medians = run.scores().median("site")
    assert f"{float(medians.R.sel(product='GSM3 LSTM')):.4f}" in printed
    assert run.id in gsm3("runs", "list", "--runs", out)
    assert "my run" in gsm3("runs", "show", run.id, "--runs", out)

    ds = xr.open_dataset(world, engine="h5netcdf")
    run.predictions()[["sm_predicted"]].to_netcdf(tmp_path / "p.nc", engine="h5netcdf")
    ds[["sm_insitu"]].to_netcdf(tmp_path / "o.nc", engine="h5netcdf")
    gsm3("score", tmp_path / "p.nc", tmp_path / "o.nc", "--out", tmp_path / "scores.nc")
    expected = site_scores(run.predictions().sm_predicted, ds.sm_insitu)
    with xr.open_dataset(tmp_path / "scores.nc", engine="h5netcdf") as written:
        np.testing.assert_allclose(written.R.isel(product=0), expected.R)


def test_errors_are_one_message_without_a_traceback(world: Path, tmp_path: Path) -> None:
    for arguments, message in (
        (("run", "quik"), "Did you mean 'quick'"),
        (("run", "quick"), "data.dataset is empty"),
        (("run", "quick", "--dataset", tmp_path / "none.nc"), "none.nc does not exist"),
        (("run", "quick", "--dataset", world, "--holdout", "spatial"), "holdout 'spatial' is not known"),
        (("run", "quick", "--dataset", world, "--device", "cuda:99x"), "training.device"),
        (("data", "build", "conus-smap", "--out", tmp_path / "x.nc"), "give its path with --from"),
        (("data", "describe", "nothing"), "is not in the catalogue"),
        (("runs", "show", "nothing", "--runs", tmp_path), "is not a run folder"),
        (("score", world, world), "expected one soil-moisture variable"),
    ):
        printed = gsm3(*arguments, expect=1)
        assert message in printed
        assert "Traceback" not in printed


@pytest.mark.real_data
def test_build_and_join_the_real_sets(real_data: Path, tmp_path: Path) -> None:
    gsm3(
        "data", "build", "conus-smap", "--from", real_data / "smap_conus330.nc", "--out", tmp_path / "a.zarr"
    )
    gsm3("data", "build", "uscrn", "--from", real_data / "uscrn2020_87.nc", "--out", tmp_path / "b.nc")
    printed = gsm3("data", "join", tmp_path / "a.zarr", tmp_path / "b.nc", "--out", tmp_path / "ab.zarr")
    assert "417" in printed
    assert "sm_insitu, sm_smap" in gsm3("data", "describe", tmp_path / "ab.zarr")
    assert "exists" in gsm3(
        "data", "join", tmp_path / "a.zarr", tmp_path / "b.nc", "--out", tmp_path / "ab.zarr", expect=1
    )
