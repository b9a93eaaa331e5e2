"""Reports and commands of scaled and masked scores: the figures of score_run, and the conditions wherever they stand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

from gsm3core import Run, median_interval, score_run, write_report
from gsm3core import vocabulary as v
from gsm3core.cli.main import app as command
from support.report_runs import make_run, world

WIDE = {"COLUMNS": "200"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    ds = world(36)
    frozen = np.random.default_rng(2).random((36, 400)) < 0.2
    ds["soil_temperature"] = (
        ("site", "time"), np.where(frozen, 268, 285).astype(np.float32), {"units": "K", "source": "simulated for tests"},
    )  # fmt: skip
    depth = ("site", np.where(np.arange(36) % 2, 0.05, 0.1), {"units": "m"})
    return make_run(tmp_path_factory.mktemp("runs"), ds.assign_coords(depth=depth))


def test_report_has_the_figures_and_states_the_conditions(run: Run, tmp_path: Path) -> None:
    page = write_report([run], tmp_path / "report", scaling="cdf", masks=["frozen"])
    text = page.read_text()
    words = "without days of soil colder than 4 °C, scaled to in-situ soil moisture by CDF matching (bias is 0 by construction)"
    assert text.count(words) > 3 and "--scaling cdf --mask frozen" in text and "are not comparable" in text
    table = pd.read_csv(page.parent / "tables" / "medians.csv").set_index(["region", "product", "metric"])
    scores = score_run(run, scaling="cdf", masks=["frozen"]).sel({v.PRODUCT: v.MULTITASK_LSTM})
    for metric in ("R", "RMSE", "ubRMSE", "bias"):
        found = median_interval(scores[metric], scores[v.NETWORK], metric=metric)
        row = table.loc[("Global", v.MULTITASK_LSTM, metric)]
        np.testing.assert_allclose(row[["median", "lower", "upper"]].to_numpy(float), found[:3])
        assert row["scaling"] == "cdf" and row["masks"] == "frozen"
    seasons = pd.read_csv(page.parent / "tables" / "strata-season.csv").set_index(["season", "metric"])
    summer = score_run(run, season="summer", scaling="cdf", masks=["frozen"]).sel(
        {v.PRODUCT: v.MULTITASK_LSTM}
    )
    np.testing.assert_allclose(seasons.loc[("summer", "RMSE"), "median"], float(summer["RMSE"].median()))
    products = pd.read_csv(page.parent / "tables" / "products-pairwise.csv").set_index(["product", "metric"])
    np.testing.assert_allclose(
        products.loc[(v.MULTITASK_LSTM, "RMSE"), "median"], float(scores["RMSE"].median()), rtol=1e-6
    )


def test_a_plain_report_states_no_condition(run: Run, tmp_path: Path) -> None:
    page = write_report([run], tmp_path / "report")
    assert "All scores on this page" not in page.read_text()
    assert "scaling" not in pd.read_csv(page.parent / "tables" / "medians.csv")


def printed(*arguments: str) -> str:
    found = CliRunner().invoke(command, list(arguments), env=WIDE)
    assert found.exit_code == 0, found.output
    return found.output


def test_score_command_scales_masks_and_selects_depth(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "scores.nc"
    output = printed(
        "score", str(run.folder), "--scaling", "mean_std", "--mask", "frozen", "--depth", "0:0.06", "--out", str(out)
    )  # fmt: skip
    expected = score_run(run, scaling="mean_std", masks=["frozen"]).isel(site=slice(1, None, 2))
    assert f"{float(expected['RMSE'].sel({v.PRODUCT: v.MULTITASK_LSTM}).median()):.4f}" in output
    assert (
        "without days of soil colder than 4 °C, scaled to sm_insitu by mean and standard deviation" in output
    )
    own = expected.sel({v.PRODUCT: v.MULTITASK_LSTM})
    removed = int(own["n_masked"].sum())
    assert (
        f"{v.MULTITASK_LSTM}: {removed} of {removed + int(own['n_valid'].sum())} paired days left out"
        in output
    )
    with xr.open_dataset(out, engine="h5netcdf") as written:
        assert written.attrs["scaling"] == "mean_std" and written.attrs["masks"] == "frozen"
        assert written.sizes["site"] == 18


def test_score_command_scales_two_files(run: Run, tmp_path: Path) -> None:
    made, ds = run.predictions(), xr.open_dataset(run.dataset_path, engine="h5netcdf")
    for name, array in (("predicted", made[v.SM_PREDICTED]), ("observed", ds[v.SM_INSITU])):
        array.reset_coords(drop=True).to_dataset().to_netcdf(tmp_path / f"{name}.nc", engine="h5netcdf")
    files = [str(tmp_path / "predicted.nc"), str(tmp_path / "observed.nc")]
    assert "bias is 0 by construction" in printed("score", *files, "--scaling", "cdf")
    assert "by construction" not in printed("score", *files)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mask", "snow"], "mask 'snow': the dataset has no"),
        (["--mask", "ice"], "unknown mask 'ice'"),
        (["--scaling", "linear"], "unknown scaling 'linear'"),
        (["--depth", "5cm"], "expected LOW:HIGH"),
    ],
)
def test_what_cannot_be_done_is_refused(run: Run, options: list[str], message: str) -> None:
    found = CliRunner().invoke(command, ["score", str(run.folder), *options], env=WIDE)
    assert found.exit_code != 0 and message in str(found.exception)
