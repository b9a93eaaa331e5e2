"""Faulty input files: the message names source, file or days, and no dataset is written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

from gsm3core.assembly.assemble import assemble
from gsm3core.assembly.recipe import Recipe
from gsm3core.errors import ConfigError, DatasetError
from gsm3core.schema import open_dataset
from support import planted_sources as planted
from support.planted_sources import DAYS

PERIOD = {"start": "2015-04-01", "end": "2015-04-06"}
GLDAS = "GLDAS_NOAH025_3H.A{}.021.nc4"


@pytest.fixture(scope="module")
def planted_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sources")
    for name, write in (("era5", planted.era5), ("gldas-noah025", planted.gldas)):
        (root / name).mkdir()
        write(root / name)
    (root / "places.csv").write_text("site,lat,lon\na,50.2,10.1\nb,-33.4,147.3\n")
    return root


@pytest.fixture
def root(planted_root: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(planted_root, tmp_path / "sources"))


def build(root: Path, **changes: Any) -> xr.Dataset:
    given = {
        "sites": {"kind": "table", "path": root / "places.csv"}, "period": PERIOD,
        "forcings": ["era5:air_temperature,precipitation"], "products": ["gldas-noah025"],
    } | changes  # fmt: skip
    out = root.parent / "d.zarr"
    try:
        assemble(Recipe.model_validate(given), out, root=root)
    except (DatasetError, ConfigError):
        assert not out.exists(), "no dataset is written"
        raise
    return open_dataset(out).load()


def instant(root: Path) -> Path:
    return root / "era5" / "data_stream-oper_stepType-instant.nc"


def rewrite(path: Path, change: Callable[[xr.Dataset], xr.Dataset]) -> None:
    with xr.open_dataset(path, engine="h5netcdf", decode_times=False) as ds:
        changed = change(ds.load())
    changed.to_netcdf(path, engine="h5netcdf")


def truncated(root: Path) -> None:
    path = root / "gldas-noah025" / GLDAS.format("20150403.0600")
    path.write_bytes(path.read_bytes()[:3000])


def swapped(root: Path) -> None:
    rewrite(instant(root), lambda ds: ds.rename(latitude="longitude", longitude="latitude"))


def other_units(root: Path) -> None:
    rewrite(instant(root), lambda ds: ds.assign(t2m=ds.t2m.assign_attrs(units="degC")))


def duplicate_file(root: Path) -> None:
    shutil.copy(instant(root), root / "era5" / "again.nc")
    rewrite(root / "era5" / "again.nc", lambda ds: ds.assign(t2m=(ds.t2m + 1).assign_attrs(ds.t2m.attrs)))


def duplicate_time(root: Path) -> None:
    rewrite(instant(root), lambda ds: ds.isel(valid_time=[0, 0, *range(1, ds.sizes["valid_time"])]))


def lacking_days(root: Path) -> None:
    rewrite(instant(root), lambda ds: ds.isel(valid_time=np.r_[0:48, 72:80, 96 : ds.sizes["valid_time"]]))


def no_precipitation(root: Path) -> None:
    (root / "era5" / "data_stream-oper_stepType-accum.nc").unlink()


def no_files(root: Path) -> None:
    shutil.rmtree(root / "gldas-noah025")


def other_years(root: Path) -> None:
    for path in (root / "gldas-noah025").iterdir():
        path.rename(path.with_name(path.name.replace("A2015", "A2011")))


def login_page(root: Path) -> None:
    (root / "gldas-noah025" / GLDAS.format("20150401.0300")).write_text(
        "<!DOCTYPE html><title>Earthdata Login</title>"
    )


def sea_everywhere(root: Path) -> None:
    for path in (root / "gldas-noah025").iterdir():
        with h5py.File(path, "a") as file:
            file["SoilMoi0_10cm_inst"][:] = -9999


FAULTS = [
    (
        truncated,
        r"gldas-noah025, 2015-04-01 to 2015-04-06: .*20150403\.0600\.021\.nc4 is truncated: .*Download it again",
    ),
    (
        swapped,
        r"era5, 2015-04-01 to 2015-04-06: .*instant\.nc: latitudes are 0 to 350.*Are lat and lon swapped",
    ),
    (other_units, r"era5, .*instant\.nc: 't2m' has units 'degC'; expected 'K'"),
    (
        duplicate_file,
        r"era5, .*air_temperature at 2015-04-01T00:00 is in two files: .*again\.nc and .*instant\.nc",
    ),
    (
        duplicate_time,
        r"era5, .*instant.nc: duplicate air_temperature at 2015-04-01T00:00; times must not repeat",
    ),
    (
        lacking_days,
        r"era5 .*air_temperature lacks 2 of the 6 days of 2015-04-01 to 2015-04-06: 2015-04-03 to 2015-04-04\.",
    ),
    (no_precipitation, r"era5, 2015-04-01 to 2015-04-06: .*has no tp .precipitation."),
    (no_files, r"gldas-noah025 is needed for sm_product, but .*gldas-noah025 does not exist"),
    (
        other_years,
        r"gldas-noah025 .*sm_product, for GLDAS-Noah, has no value at any site from 2015-04-01 to 2015-04-06",
    ),
    (login_page, r"gldas-noah025, .*is HTML or XML.*login or error page"),
    (sea_everywhere, r"gldas-noah025 .*sm_product, for GLDAS-Noah, has no value at any site"),
]


@pytest.mark.parametrize(("fault", "message"), FAULTS, ids=[f.__name__ for f, _ in FAULTS])
def test_faulty_files_are_named(root: Path, fault: Callable[[Path], None], message: str) -> None:
    fault(root)
    with pytest.raises(DatasetError, match=f"(?s){message}"):
        build(root)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "site,lat,lon\na,147.3,-33.4\n",
            "lat 147.3 of site 'a' in line 2 is invalid.*swapped",
        ),
        ("site,lat,lon\na,1,2\na,3,4\n", "duplicate site 'a'"),
        ("site,lat,lon\na,x,2\n", "invalid lat 'x' of site 'a' in line 2"),
        ("who,lat,lon\na,1,2\n", "lacks the column.* site"),
        ("site,lat,lon\n", "has no rows"),
        ("site,lat,lon\na,1,2\n,50,10\n", "line 3: invalid site name"),
        ("site,lat,lon\n<b>a</b>,1,2\n", "line 2: invalid site name '<b>a</b>'"),
        ("site,lat,lon\n=1+1,1,2\n", "line 2: invalid site name '=1.1'"),
    ],
)
def test_faulty_site_tables_are_named(root: Path, table: str, message: str) -> None:
    (root / "places.csv").write_text(table)
    with pytest.raises(DatasetError, match=message):
        build(root)


def damaged_values(path: Path) -> None:
    """Overwrite what follows the header: the file opens, and its compressed values cannot be read."""
    with xr.open_dataset(path, engine="h5netcdf", decode_times=False) as ds:
        ds.load()
    ds.to_netcdf(path, engine="h5netcdf", encoding={"SoilMoi0_10cm_inst": {"zlib": True}})
    with h5py.File(path) as file:
        at = file["SoilMoi0_10cm_inst"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[at : at + 40] = b"?" * 40
    path.write_bytes(content)


ONLY_GLDAS = {"forcings": (), "products": ["gldas-noah025"]}


def test_damaged_files_are_left_out_where_allowed(root: Path) -> None:
    """Three of the eight steps of two days are gone: these days are missing, the others as in the whole files."""
    folder = root / "gldas-noah025"
    truncated(root)
    login_page(root)
    damaged_values(folder / GLDAS.format("20150403.0900"))
    for step in ("20150403.1200", "20150401.0900", "20150401.1200"):
        (folder / GLDAS.format(step)).write_bytes(b"")
    with pytest.raises(DatasetError, match=r"0300\.021\.nc4 is HTML.* Or leave it out with --allow-gaps"):
        build(root, **ONLY_GLDAS)
    ds = build(root, **ONLY_GLDAS, gaps="allow")
    np.testing.assert_array_equal(
        ds.sm_product[0].isnull().all("site"), [True, False, True, False, False, False]
    )
    expected = np.mean([planted.gldas_water(50.2, 10.1, 1, h) for h in range(0, 24, 3)]) / 100
    assert float(ds.sm_product[0, 0, 1]) == pytest.approx(expected, abs=0.01)
    step = next(s for s in json.loads(ds.attrs["history"]) if s.get("source") == "gldas-noah025")
    for name, what in (
        ("20150401.0300", "is HTML or XML"), ("20150401.0900", "is neither netCDF nor HDF5"),
        ("20150403.0600", "is truncated"), ("20150403.0900", "The file is damaged"),
    ):  # fmt: skip
        assert any(n.startswith(f"not read: {GLDAS.format(name)}") and what in n for n in step["notes"])
    assert str(root) not in " ".join(step["notes"])


def test_a_source_whose_files_are_all_damaged_says_so(root: Path) -> None:
    for path in (root / "gldas-noah025").iterdir():
        path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DatasetError, match=r"(?s)has no value at any site.*0000\.021\.nc4 is truncated"):
        build(root, **ONLY_GLDAS, gaps="allow")


def test_missing_days_are_counted_where_allowed(root: Path) -> None:
    """Day 2 has no step and day 3 has 8 of 24: both are missing and counted, the other days are unchanged."""
    lacking_days(root)
    ds = build(root, gaps="allow")
    np.testing.assert_array_equal(
        ds.air_temperature.isnull().all("site"), [False, False, True, True, False, False]
    )
    assert float(ds.air_temperature[0, 4]) == pytest.approx(planted.era5_air(50, 10, 4, 11.5), abs=1e-4)
    counts = next(s for s in json.loads(ds.attrs["history"]) if s.get("source") == "era5")["variables"]
    air = counts["air_temperature"]
    assert (air["days_lacking"], air["lacking"]) == (2, "2015-04-03 to 2015-04-04")
    assert (air["present"], air["missing"], air["short_of_steps"]) == (8, 4, 2)
    assert counts["precipitation"]["missing"] == 0


def test_undeclared_fill_values_are_screened(root: Path) -> None:
    """-9999 without _FillValue, and 300 kg m-2 in 100 mm, are both screened and counted."""
    path = root / "gldas-noah025" / GLDAS.format("20150402.1200")

    def change(ds: xr.Dataset) -> xr.Dataset:
        values = np.full(ds.SoilMoi0_10cm_inst.shape, -9999, np.float32)
        values[..., :10] = 300
        changed = ds.assign(SoilMoi0_10cm_inst=(ds.SoilMoi0_10cm_inst.dims, values, {"units": "kg m-2"}))
        return changed.drop_encoding()

    rewrite(path, change)
    ds = build(root)
    y, x = 52.5, 12.5
    water = np.mean([planted.gldas_water(y, x, 1, h) for h in range(0, 24, 3) if h != 12])
    assert float(ds.sm_product[0, 0, 1]) == pytest.approx(water / 100, abs=1e-6)
    step = next(s for s in json.loads(ds.attrs["history"]) if s.get("source") == "gldas-noah025")
    screening = step["variables"]["GLDAS-Noah"]["screening"]
    assert screening["outside_valid_range"] == 30 * 10
    assert screening["fill"] == 30 * 62 + 47 * 4 * 72, "the changed file, and the planted sea of the others"
    assert screening["read"] == screening["kept"] + screening["fill"] + screening["outside_valid_range"]


def test_sites_outside_a_regional_grid(root: Path) -> None:
    """A grid over Europe: the Australian site has no values, and the history counts it."""
    for path in (root / "era5").iterdir():
        rewrite(path, lambda ds: ds.sel(latitude=slice(70, 30), longitude=slice(0, 40)))
    ds = build(root)
    assert ds.air_temperature[0].notnull().all() and ds.air_temperature[1].isnull().all()
    step = next(s for s in json.loads(ds.attrs["history"]) if s.get("source") == "era5")
    assert step["sites_outside_the_grid"] == 1
    assert step["variables"]["air_temperature"]["missing"] == len(DAYS)


def test_unknown_reader_options(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"invalid option 'variables'"):
        build(root, sources={"era5": {"options": {"variables": ["air_temperature"]}}})
    with pytest.raises(DatasetError, match=r"unknown option 'overpass' of the reader gldas_noah"):
        build(root, sources={"gldas-noah025": {"options": {"overpass": "PM"}}})
