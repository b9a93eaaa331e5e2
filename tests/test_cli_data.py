"""The data commands: one line from a user's files to a dataset."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_world import make_dataset
from typer.testing import CliRunner

from gsm3core.cli import app
from gsm3core.errors import GSM3Error
from gsm3core.schema import open_dataset, products, save_dataset


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
