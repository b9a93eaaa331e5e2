"""The data commands."""

from __future__ import annotations

import re
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
    """Run a command in this process and return its output or its error message."""
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
    assert re.search(r"sites +13\b", printed) and (tmp_path / "n.stations.csv").is_file()
    assert open_dataset(tmp_path / "n.zarr").sizes["site"] == 13


def test_errors_are_reported_before_any_work(tmp_path: Path) -> None:
    world = save_dataset(make_dataset(), tmp_path / "world.nc")
    table, new = tmp_path / "p.csv", tmp_path / "x.zarr"
    table.write_text("site,time,value,units\nS000,2015-05-01,0.2,1\n")
    for arguments, message in (
        (("add-product", world, table, "--name", "SMAP", "--out", new), "duplicate product name 'SMAP'"),
        (("add-product", world, table, "--name", "M", "--out", world), "world.nc exists"),
        (
            ("pull", "smos", "--years", "2015"),
            "cannot be downloaded; expected starter, uscrn, scan, snotel, smap, era5",
        ),
        (("pull", "uscrn"), "give the years"),
        (("pull", "uscrn", "--days", "2015-01-01"), "whose files contain a year each"),
        (("pull", "uscrn", "--years", "2015", "--out", world), "world.nc exists"),
        (("build", "ismn", "--out", new), "give its path with --from"),
        (("build", "ismn", "--from", tmp_path / "none.zip", "--out", new), "none.zip does not exist"),
    ):
        assert message in gsm3(*arguments)
    assert not new.exists()


@pytest.mark.real_data
def test_build_from_an_ismn_archive(real_data: Path, tmp_path: Path) -> None:
    archive = real_data / "native" / "ismn" / "Data_seperate_files_20170810_20180809"
    printed = gsm3("build", "ismn", "--from", archive, "--out", tmp_path / "i.zarr", "--min-hours", "12")
    assert "1 stations used, 2 excluded" in printed and "not near 0.05 m: sensors at 0-0.19 m" in printed
    assert open_dataset(tmp_path / "i.zarr").sizes["site"] == 1
    assert (tmp_path / "i.stations.csv").read_text().count("\n") == 4


def era5_and_sites(folder: Path) -> Path:
    """ERA5 on a 10-degree grid in the layout since 2024, three days of 300 K, and a table of two sites."""
    times = pd.date_range("2015-04-01", periods=73, freq="h")
    (folder / "era5").mkdir(parents=True)
    xr.Dataset(
        {"t2m": (("valid_time", "latitude", "longitude"), np.full((73, 19, 36), 300, np.float32), {"units": "K"})},
        coords={
            "valid_time": ("valid_time", (times - pd.Timestamp(0)) // pd.Timedelta("1s"), {"units": "seconds since 1970-01-01"}),
            "latitude": np.arange(90.0, -91, -10), "longitude": np.arange(0.0, 360, 10),
        },
    ).to_netcdf(folder / "era5" / "a.nc", engine="h5netcdf")  # fmt: skip
    sites = folder / "sites.csv"
    sites.write_text("site,lat,lon\na,50,10\nb,-30,150\n")
    return sites


def test_build_from_several_sources_has_provenance(tmp_path: Path) -> None:
    sites, out = era5_and_sites(tmp_path), tmp_path / "p.zarr"
    options = (
        "--from",
        sites,
        "--forcing",
        "era5:air_temperature",
        "--root",
        tmp_path,
        "--days",
        "2015-04-01:2015-04-03",
    )
    printed = gsm3("build", "table", *options, "--method", "era5=bilinear", "--out", out)
    assert "air_temperature (mean)" in printed and "bilinear" in printed
    ds = open_dataset(out)
    assert float(ds.air_temperature.min()) == float(ds.air_temperature.max()) == 300
    described = gsm3("describe", out)
    for text in ("collocate era5", "sites outside the grid  0", "assemble", "sites.csv"):
        assert text in described
    listed = (tmp_path / "p.inputs.csv").read_text().splitlines()
    assert len(listed) == 2 and listed[1].startswith("era5,a.nc,")
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "sites: {kind: table, path: sites.csv}\nperiod: {start: 2015-04-01, end: 2015-04-03}\n"
        "forcings: ['era5:air_temperature@max']\nsources: {era5: {path: era5}}\n"
    )
    assert "air_temperature_max" in gsm3("build", recipe, "--out", tmp_path / "r.zarr")
    cells = gsm3(
        "build", "grid", "--box=9.9,49.8,10.6,50.4", "--forcing", "era5:air_temperature", "--root", tmp_path,
        "--days", "2015-04-01:2015-04-02", "--out", tmp_path / "c.nc",
    )  # fmt: skip
    assert "EASE-Grid 2.0 M09 (9 km)" in cells and open_dataset(tmp_path / "c.nc").sizes["time"] == 2


def test_errors_in_build_options(tmp_path: Path) -> None:
    sites, new = era5_and_sites(tmp_path), tmp_path / "x.zarr"
    options = ("--from", sites, "--root", tmp_path, "--out", new)
    recipe = tmp_path / "r.yaml"
    recipe.write_text("sites: {kind: table, path: sites.csv}\n")
    for arguments, message in (
        (("table", *options, "--forcing", "era5"), "give the period"),
        (("table", *options, "--forcing", "era6", "--days", "2015-04-01"), "unknown source name 'era6'"),
        (("table", *options, "--forcing", "hwsd", "--days", "2015-04-01"), "use it for attributes"),
        (
            ("table", *options, "--forcing", "era5:air_temperature", "--days", "2015-04-01:2015-04-09"),
            "lacks 6 of the 9 days",
        ),
        (
            ("table", *options, "--product", "gldas-noah025", "--days", "2015-04-01"),
            "gldas-noah025 does not exist",
        ),
        (
            ("table", *options, "--source", "era5", "--forcing", "era5", "--days", "2015-04-01"),
            "expected such as --source era5=",
        ),
        (("gsm3-paper", "--out", new), "give the sites, such as --in-situ"),
        (("grid", "--out", new, "--forcing", "era5"), "need 'box'"),
        ((recipe, "--forcing", "era5", "--out", new), "is a recipe: set --forcing in the file"),
        ((recipe, "--out", sites), "sites.csv exists"),
        ((recipe, "--out", tmp_path / "x.csv"), "expected .zarr, .nc or .nc4"),
        (
            (recipe, "--out", new, "--from", sites, "--depth", "0.1"),
            "is a recipe: set --from, --depth in the file",
        ),
        (
            ("table", *options, "--forcing", "era5", "--days", "2015-04-01", "--min-hours", "3"),
            "do not accept 'min_hours'",
        ),
        (
            ("table", *options, "--source", "era5=", "--forcing", "era5", "--days", "2015-04-01"),
            "--source era5=FOLDER",
        ),
        (("conus-smap", *options, "--forcing", "era5"), "'conus-smap' cannot be combined with other sources"),
    ):
        assert message in gsm3("build", *arguments)
    assert not new.exists()


def test_an_unknown_dataset_name_lists_the_known_ones(tmp_path: Path) -> None:
    printed = gsm3("build", "nothing", "--out", tmp_path / "x.zarr")
    for name in ("conus-smap", "demo", "grid", "ismn", "table", "uscrn-daily"):
        assert name in printed
    assert not list(tmp_path.iterdir())
