"""``gsm3 score`` of a dataset, a run and two files: the library's numbers, triplets and suspect records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from gsm3core import score_products, score_run
from gsm3core import vocabulary as v
from gsm3core.cli.main import app
from gsm3core.errors import ConfigError, DatasetError
from gsm3core.evaluation.suspect_records import suspect_sites
from gsm3core.files import atomic_write
from gsm3core.metrics import ALL_METRICS, PAIRED_METRICS
from gsm3core.schema import open_dataset, save_dataset
from support.planted_triplets import planted_dataset
from support.report_runs import make_run

INVERTED = 4


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ds = planted_dataset(12, 800)
    ds[v.SM_INSITU][INVERTED] = 1 - ds[v.SM_INSITU][INVERTED]
    return save_dataset(ds, tmp_path_factory.mktemp("data") / "planted.nc")


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["score", *map(str, arguments)], env={"COLUMNS": "200"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def row(output: str, product: str) -> list[str]:
    return next(line for line in output.splitlines() if line.startswith(f"{product} ")).split()


def test_dataset_has_the_chosen_scores_of_the_library(path: Path, tmp_path: Path) -> None:
    output = call(path, "--metrics", "TC_R,TC_error,R", "--out", tmp_path / "scores.nc")
    expected = score_products(open_dataset(path), metrics=("TC_R", "TC_error", "R"))
    for product in (v.SMAP, v.GLDAS_NOAH, v.AMSR2):
        one = expected.sel(product=product)
        assert row(output, product)[1:4] == [
            f"{float(one[m].median()):.4f}" for m in ("TC_R", "TC_error", "R")
        ]
        third = str(one["TC_third"].values[0])
        assert f"{product}: {third}, {int(one['TC_R'].notnull().sum())} of 12 sites" in output
    assert "SoMo.ml: none: errors of SoMo.ml and In situ are not independent" in output
    with xr.open_dataset(tmp_path / "scores.nc", engine="h5netcdf") as written:
        np.testing.assert_array_equal(written["TC_error"], expected["TC_error"])
        assert (written["suspect"].values != "").tolist() == [k == INVERTED for k in range(12)]


def test_suspect_sites_are_listed_and_can_be_left_out(path: Path) -> None:
    ds = open_dataset(path)
    output = call(path)
    assert "Suspect in-situ records: 1 of 12 sites (included" in output
    assert "s04: R is negative with all 3 products" in output
    without = call(path, "--without-suspect")
    scores = score_products(ds)
    kept = scores.isel(site=(suspect_sites(scores, ds) == "").values).sel(product=v.SMAP)
    assert row(without, v.SMAP)[1] == f"{float(kept['R'].median()):.4f}"
    assert row(without, v.SMAP)[5] == "11"


def test_run_is_scored_on_its_test_days(path: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path, open_dataset(path).load(), "random_spatial", path=path)
    output = call(run.id, "--runs", run.folder.parent, "--metrics", "R,TC_R", "--third", v.AMSR2)
    expected = score_run(run, metrics=("R", "TC_R"), third=v.AMSR2).sel(product=v.MULTITASK_LSTM)
    medians = [f"{float(expected[m].median()):.4f}" for m in ("R", "TC_R")]
    assert row(output, v.MULTITASK_LSTM)[2:4] == medians
    assert f"GSM3 LSTM: {v.AMSR2}," in output


def test_two_files_have_every_metric_of_pairs(path: Path, tmp_path: Path) -> None:
    ds = open_dataset(path)
    atomic_write(ds[[v.SM_SMAP]], tmp_path / "predicted.nc")
    atomic_write(ds[[v.SM_INSITU]], tmp_path / "observed.nc")
    output = call(tmp_path / "predicted.nc", tmp_path / "observed.nc", "--metrics", "all")
    assert set(PAIRED_METRICS) <= set(output.split())
    with pytest.raises(DatasetError, match="'TC_R' needs three series"):
        call(tmp_path / "predicted.nc", tmp_path / "observed.nc", "--metrics", "TC_R")
    with pytest.raises(ConfigError, match="--season needs a dataset or a run"):
        call(tmp_path / "predicted.nc", tmp_path / "observed.nc", "--season", "winter")


def test_invalid_options_are_named(path: Path) -> None:
    with pytest.raises(DatasetError, match=r"unknown metric 'TCR'.*TC_R"):
        call(path, "--metrics", "TCR")
    with pytest.raises(ConfigError, match="--third needs a metric of triple collocation"):
        call(path, "--third", v.AMSR2)
    with pytest.raises(DatasetError, match=r"'AMSR' is not among the products.*AMSR2"):
        call(path, "--third", "AMSR", "--metrics", "TC_R")
    assert "TC_R" in ALL_METRICS


def test_a_depth_without_sensors_is_named(path: Path, tmp_path: Path) -> None:
    ds = open_dataset(path).load()
    deep = save_dataset(
        ds.assign_coords({v.DEPTH: (v.SITE, np.full(ds.sizes[v.SITE], 0.05))}), tmp_path / "deep.nc"
    )
    for more in ((), ("--by", "year")):
        with pytest.raises(
            ConfigError, match=r"--depth 5:6: no site has a sensor .* depths of 0\.05 to 0\.05 m"
        ):
            call(deep, "--depth", "5:6", *more)


def test_a_dataset_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nowhere.zarr does not exist"):
        call(tmp_path / "nowhere.zarr")
