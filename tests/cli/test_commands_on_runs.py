"""Every command that reads a run, on runs that ``gsm3 run`` has just written, for each holdout and model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from gsm3core import ExperimentConfig, Run
from gsm3core import vocabulary as v
from gsm3core.cli.main import app
from gsm3core.files import atomic_write
from gsm3core.run import list_runs
from gsm3core.schema import open_dataset, save_dataset
from support.report_runs import world
from support.small_world import TINY

HOLDOUTS = ("temporal", "random_spatial", "cross_continental", "spatial_block", "custom")
CASES = [(h, "multitask_lstm") for h in HOLDOUTS] + [
    ("temporal", model) for model in v.MODEL_PRODUCTS if model != "multitask_lstm"
]
SITE_COORDS = (v.LAT, v.LON, v.REGION, v.NETWORK, v.STATION)


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def dataset_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "world.zarr"
    save_dataset(world(n_sites=45, n_days=800), path)
    return path


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(case))
def run(request: pytest.FixtureRequest, dataset_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run as the command line makes it."""
    holdout, model = request.param
    folder = tmp_path_factory.mktemp("run")
    config = ExperimentConfig.from_mapping(TINY).replace("holdout", name=holdout).replace("model", name=model)
    if holdout == "custom":
        config = config.replace("holdout", networks=("net1", "net2", "net3"))
    (folder / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    call("run", folder / "config.toml", "--dataset", dataset_path, "--out", folder / "runs")
    return list_runs(folder / "runs")[0]


def test_scores_know_their_sites(run: Run, dataset_path: Path) -> None:
    ds = open_dataset(dataset_path)
    assert run.references() == [v.SM_INSITU, v.SM_SMAP]
    for reference in run.references():
        scores = run.scores(reference)
        for name in SITE_COORDS:
            expected = ds[name].sel(site=scores[v.SITE].values.astype(str)).values
            assert scores[name].values.tolist() == expected.tolist(), name


def test_every_command_reads_the_run(run: Run, dataset_path: Path, tmp_path: Path) -> None:
    root = run.folder.parent
    assert run.id[:8] in call("runs", "list", "--out", root)
    assert "median" in call("runs", "show", run.id, "--out", root)
    call("report", run.id, "--runs", root, "--out", tmp_path / "report")
    assert "Table 1" in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    call("factors", run.id, "--runs", root, "--out", tmp_path / "factors.nc")
    observed = tmp_path / "observed.nc"
    atomic_write(open_dataset(dataset_path)[[v.SM_INSITU]], observed)
    predictions = tmp_path / "predicted.nc"
    atomic_write(run.predictions()[[v.SM_PREDICTED]], predictions)
    call("score", predictions, observed, "--out", tmp_path / "scores.nc")
    with xr.open_dataset(tmp_path / "scores.nc", engine="h5netcdf") as scores:
        assert np.isfinite(scores["R"]).any() and v.REGION in scores.coords
    if run.config.model.name == "multitask_lstm":
        call("predict", run.id, dataset_path, "--to", tmp_path / "p.nc", "--out", root)
