"""The data commands: one line from a user's files to a dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

from gsm3core.cli import app
from gsm3core.errors import GSM3Error
from gsm3core.schema import open_dataset, products, save_dataset
from support.small_world import make_dataset


def gsm3(*arguments: str | Path) -> str:
    """Run a command in this process; the main entry point prints such an error's text (tests/test_cli.py)."""
    done = CliRunner().invoke(app, ["data", *map(str, arguments)], env={"COLUMNS": "200", "NO_COLOR": "1"})
    if isinstance(done.exception, GSM3Error):
        return f"Error: {done.exception}"
    assert done.exit_code == 0, done.output + repr(done.exception)
    return done.output


def test_add_product_and_network(tmp_path: Path) -> None:
    ds = make_dataset()
    world, table, out = save_dataset(ds, tmp_path / "world.nc"), tmp_path / "p.csv", tmp_path / "p.zarr"
    table.write_text("site,time,value\nS000,2015-05-01,20\nS999,2015-05-01,20\n")
    printed = gsm3("add-product", world, table, "--name", "Mine", "--units", "%", "--out", out)
    assert "SMAP, Mine" in printed and "S999" in printed
    assert float(products(open_dataset(out))["Mine"].sum()) == pytest.approx(0.2)
    sites = tmp_path / "n.csv"
    sites.write_text(
        f"site,time,value,units,lat,lon\na,2015-05-01,0.2,m3 m-3,{float(ds.lat[0])},{float(ds.lon[0])}\n"
    )
    printed = gsm3("add-network", out, sites, "--name", "Net", "--out", tmp_path / "n.zarr")
    assert "13: " in printed and (tmp_path / "n.stations.csv").is_file()
    assert open_dataset(tmp_path / "n.zarr").sizes["site"] == 13


def test_mistakes_are_named_before_any_work(tmp_path: Path) -> None:
    world = save_dataset(make_dataset(), tmp_path / "world.nc")
    table, new = tmp_path / "p.csv", tmp_path / "x.zarr"
    table.write_text("site,time,value,units\nS000,2015-05-01,0.2,1\n")
    for arguments, message in (
        (("add-product", world, table, "--name", "SMAP", "--out", new), "'SMAP' is there already"),
        (("add-product", world, table, "--name", "M", "--out", world), "world.nc exists"),
        (("pull", "smos", "--years", "2015"), "cannot be pulled. Known: uscrn, smap, era5"),
        (("pull", "uscrn"), "give the years to pull"),
        (("pull", "uscrn", "--days", "2015-01-01"), "its files hold a year each"),
        (("pull", "uscrn", "--years", "2015", "--out", world), "world.nc exists"),
        (("build", "ismn", "--out", new), "give it with --from"),
        (("build", "ismn", "--from", tmp_path / "none.zip", "--out", new), "none.zip does not exist"),
    ):
        assert message in gsm3(*arguments)
    assert not new.exists()


@pytest.mark.real_data
def test_build_from_an_ismn_archive(real_data: Path, tmp_path: Path) -> None:
    archive = real_data / "native" / "ismn" / "Data_seperate_files_20170810_20180809"
    printed = gsm3("build", "ismn", "--from", archive, "--out", tmp_path / "i.zarr", "--min-hours", "12")
    assert "1 stations used, 2 refused" in printed and "not near 0.05 m: sensors at 0-0.19 m" in printed
    assert open_dataset(tmp_path / "i.zarr").sizes["site"] == 1
    assert (tmp_path / "i.stations.csv").read_text().count("\n") == 4


def planted_places(folder: Path) -> Path:
    """ERA5 on a 10-degree grid in the layout since 2024, three days of 300 K, and two places."""
    times = pd.date_range("2015-04-01", periods=73, freq="h")
    (folder / "era5").mkdir(parents=True)
    xr.Dataset(
        {"t2m": (("valid_time", "latitude", "longitude"), np.full((73, 19, 36), 300, np.float32), {"units": "K"})},
        coords={
            "valid_time": ("valid_time", (times - pd.Timestamp(0)) // pd.Timedelta("1s"), {"units": "seconds since 1970-01-01"}),
            "latitude": np.arange(90.0, -91, -10), "longitude": np.arange(0.0, 360, 10),
        },
    ).to_netcdf(folder / "era5" / "a.nc", engine="h5netcdf")  # fmt: skip
    places = folder / "places.csv"
    places.write_text("site,lat,lon\na,50,10\nb,-30,150\n")
    return places


def test_build_from_several_sources_and_see_what_went_in(tmp_path: Path) -> None:
    places, out = planted_places(tmp_path), tmp_path / "p.zarr"
    told = (
        "--from",
        places,
        "--forcing",
        "era5:air_temperature",
        "--root",
        tmp_path,
        "--days",
        "2015-04-01:2015-04-03",
    )
    printed = gsm3("build", "table", *told, "--method", "era5=bilinear", "--out", out)
    assert "air_temperature (mean)" in printed and "bilinear" in printed
    ds = open_dataset(out)
    assert float(ds.air_temperature.min()) == float(ds.air_temperature.max()) == 300
    described = gsm3("describe", out)
    for text in ("collocate era5", "sites outside the grid  0", "assemble", "places.csv"):
        assert text in described
    listed = (tmp_path / "p.inputs.csv").read_text().splitlines()
    assert len(listed) == 2 and listed[1].startswith("era5,a.nc,")
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "sites: {kind: table, path: places.csv}\nperiod: {start: 2015-04-01, end: 2015-04-03}\n"
        "forcings: ['era5:air_temperature@max']\nsources: {era5: {path: era5}}\n"
    )
    assert "air_temperature_max" in gsm3("build", recipe, "--out", tmp_path / "r.zarr")
    cells = gsm3(
        "build", "grid", "--box=9.9,49.8,10.6,50.4", "--forcing", "era5:air_temperature", "--root", tmp_path,
        "--days", "2015-04-01:2015-04-02", "--out", tmp_path / "c.nc",
    )  # fmt: skip
    assert "EASE-Grid 2.0 M09 (9 km)" in cells and open_dataset(tmp_path / "c.nc").sizes["time"] == 2


def test_mistakes_in_what_to_build(tmp_path: Path) -> None:
    places, new = planted_places(tmp_path), tmp_path / "x.zarr"
    told = ("--from", places, "--root", tmp_path, "--out", new)
    recipe = tmp_path / "r.yaml"
    recipe.write_text("sites: {kind: table, path: places.csv}\n")
    for arguments, message in (
        (("table", *told, "--forcing", "era5"), "give the period"),
        (("table", *told, "--forcing", "era6", "--days", "2015-04-01"), "'era6' is not in the catalogue"),
        (("table", *told, "--forcing", "hwsd", "--days", "2015-04-01"), "it can give attributes"),
        (
            ("table", *told, "--forcing", "era5:air_temperature", "--days", "2015-04-01:2015-04-09"),
            "lacks 6 of the 9 days",
        ),
        (
            ("table", *told, "--product", "gldas-noah025", "--days", "2015-04-01"),
            "gldas-noah025 does not exist",
        ),
        (
            ("table", *told, "--source", "era5", "--forcing", "era5", "--days", "2015-04-01"),
            "expected such as --source era5=",
        ),
        (("gsm3-paper", "--out", new), "say for which sites: --in-situ"),
        (("grid", "--out", new, "--forcing", "era5"), "need 'box'"),
        ((recipe, "--forcing", "era5", "--out", new), "is a recipe: say --forcing there"),
        ((recipe, "--out", places), "places.csv exists"),
        ((recipe, "--out", tmp_path / "x.csv"), "a dataset is written as .zarr or .nc"),
        (
            (recipe, "--out", new, "--from", places, "--depth", "0.1"),
            "is a recipe: say --from, --depth there",
        ),
        (
            ("table", *told, "--forcing", "era5", "--days", "2015-04-01", "--min-hours", "3"),
            "take no 'min_hours'",
        ),
        (
            ("table", *told, "--source", "era5=", "--forcing", "era5", "--days", "2015-04-01"),
            "--source era5=FOLDER",
        ),
        (("conus-smap", *told, "--forcing", "era5"), "'conus-smap' takes no further sources"),
    ):
        assert message in gsm3("build", *arguments)
    assert not new.exists()


def test_what_cannot_be_built_names_all_that_can(tmp_path: Path) -> None:
    printed = gsm3("build", "nothing", "--out", tmp_path / "x.zarr")
    for name in ("conus-smap", "demo", "grid", "ismn", "table", "uscrn-daily"):
        assert name in printed
    assert not list(tmp_path.iterdir())
