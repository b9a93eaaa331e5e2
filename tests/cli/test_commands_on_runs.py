"""Every command that reads a run, on runs written by ``gsm3 run``, for each holdout and model."""

from __future__ import annotations

import re
import shutil
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
# One run for each kind of result; the others differ in their folds or models alone.
QUICK = {("temporal", "multitask_lstm"), ("random_spatial", "multitask_lstm"), ("cross_continental", "multitask_lstm"),
         ("temporal", "climatology")}  # fmt: skip
PARAMS = [pytest.param(case, marks=() if case in QUICK else pytest.mark.slow) for case in CASES]
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


@pytest.fixture(scope="module", params=PARAMS, ids=lambda case: "-".join(case))
def run(request: pytest.FixtureRequest, dataset_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run made by the command line."""
    holdout, model = request.param
    folder = tmp_path_factory.mktemp("run")
    config = ExperimentConfig.from_mapping(TINY).replace("holdout", name=holdout).replace("model", name=model)
    if holdout == "custom":
        config = config.replace("holdout", networks=("net1", "net2", "net3"))
    (folder / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    call("run", folder / "config.toml", "--dataset", dataset_path, "--out", folder / "runs")
    return list_runs(folder / "runs")[0]


def test_scores_have_the_coordinates_of_their_sites(run: Run, dataset_path: Path) -> None:
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


def test_output_fits_80_columns(
    run: Run, dataset_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    root = run.folder.parent
    atomic_write(open_dataset(dataset_path)[[v.SM_INSITU]], tmp_path / "observed.nc")
    atomic_write(run.predictions()[[v.SM_PREDICTED]], tmp_path / "predicted.nc")
    for arguments in (
        ("runs", "list", "--out", root),
        ("runs", "show", run.id, "--out", root),
        ("score", tmp_path / "predicted.nc", tmp_path / "observed.nc", "--min-days", "99999"),
        ("data", "describe", dataset_path),
        ("data", "list"),
    ):
        printed = call(*arguments)
        assert "\u2026" not in printed, "nothing is truncated"
        assert "nan" not in re.findall(r"[a-zA-Z_]+", printed)
    assert run.id in call("runs", "list", "--out", root)


def test_a_resumed_run_prints_sites_but_no_counts(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts of filled inputs are in the events only."""
    for fold in (run.folder / "folds").iterdir():
        (fold / "predictions.nc").unlink()
    printed = " ".join(call("runs", "resume", run.folder).split())
    assert "sites for training" in printed and "filled" not in printed
    assert all("filled" in event for event in run.events() if event["event"] == "fold_started")


def test_a_failed_run_shows_its_message(run: Run, tmp_path: Path) -> None:
    copy = Run.open(shutil.copytree(run.folder, tmp_path / "copy"))
    copy.append_event("run_failed", message="the loss is not finite")
    assert "State: failed: the loss is not finite" in call("runs", "show", copy.folder)
