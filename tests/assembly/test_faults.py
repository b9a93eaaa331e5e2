"""What can be wrong with the files: each fault has a message that names source, file or days, and nothing is written."""

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
    told = {
        "sites": {"kind": "table", "path": root / "places.csv"}, "period": PERIOD,
        "forcings": ["era5:air_temperature,precipitation"], "products": ["gldas-noah025"],
    } | changes  # fmt: skip
    out = root.parent / "d.zarr"
    try:
        assemble(Recipe.model_validate(told), out, root=root)
    except (DatasetError, ConfigError):
        assert not out.exists(), "nothing is written"
        raise
    return open_dataset(out).load()


def instant(root: Path) -> Path:
    return root / "era5" / "data_stream-oper_stepType-instant.nc"


def rewrite(path: Path, change: Callable[[xr.Dataset], xr.Dataset]) -> None:
    with xr.open_dataset(path, engine="h5netcdf", decode_times=False) as ds:
        changed = change(ds.load())
    changed.to_netcdf(path, engine="h5netcdf")


def cut_short(root: Path) -> None:
    path = root / "gldas-noah025" / GLDAS.format("20150403.0600")
    path.write_bytes(path.read_bytes()[:3000])


def swapped(root: Path) -> None:
    rewrite(instant(root), lambda ds: ds.rename(latitude="longitude", longitude="latitude"))


def other_units(root: Path) -> None:
    rewrite(instant(root), lambda ds: ds.assign(t2m=ds.t2m.assign_attrs(units="degC")))


def twice(root: Path) -> None:
    shutil.copy(instant(root), root / "era5" / "again.nc")


def one_label_twice(root: Path) -> None:
    rewrite(instant(root), lambda ds: ds.isel(valid_time=[0, 0, *range(1, ds.sizes["valid_time"])]))


def lacking_days(root: Path) -> None:
    rewrite(instant(root), lambda ds: ds.isel(valid_time=np.r_[0:48, 72:80, 96 : ds.sizes["valid_time"]]))


def no_rain(root: Path) -> None:
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
        cut_short,
        r"gldas-noah025, 2015-04-01 to 2015-04-06: .*20150403\.0600\.021\.nc4 cannot be read as .*download it again",
    ),
    (swapped, r"era5, 2015-04-01 to 2015-04-06: .*instant\.nc: latitudes are 0 to 350.*Are the two swapped"),
    (other_units, r"era5, .*instant\.nc: 't2m' has units 'degC'; expected 'K'"),
    (twice, r"era5, .*air_temperature at 2015-04-01T00:00 is in two files: .*again\.nc and .*instant\.nc"),
    (
        one_label_twice,
        r"era5, .*instant.nc holds air_temperature at 2015-04-01T00:00 twice; its times must not repeat",
    ),
    (
        lacking_days,
        r"era5 .*air_temperature lacks 2 of the 6 days of 2015-04-01 to 2015-04-06: 2015-04-03 to 2015-04-04\.",
    ),
    (no_rain, r"era5, 2015-04-01 to 2015-04-06: .*has no tp .precipitation."),
    (no_files, r"gldas-noah025 is wanted for sm_product, but .*gldas-noah025 does not exist"),
    (
        other_years,
        r"gldas-noah025 .*sm_product, for GLDAS-Noah, has no value at any site from 2015-04-01 to 2015-04-06",
    ),
    (login_page, r"gldas-noah025, .*is HTML or XML.*login or error page"),
    (sea_everywhere, r"gldas-noah025 .*sm_product, for GLDAS-Noah, has no value at any site"),
]


@pytest.mark.parametrize(("fault", "message"), FAULTS, ids=[f.__name__ for f, _ in FAULTS])
def test_faults_of_files(root: Path, fault: Callable[[Path], None], message: str) -> None:
    fault(root)
    with pytest.raises(DatasetError, match=f"(?s){message}"):
        build(root)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "site,lat,lon\na,147.3,-33.4\n",
            "line 2: lat '147.3', lon '-33.4' of site 'a' is no place.*swapped",
        ),
        ("site,lat,lon\na,1,2\na,3,4\n", "site 'a' is there twice"),
        ("site,lat,lon\na,x,2\n", "line 2: lat 'x'"),
        ("name,lat,lon\na,1,2\n", "has no column 'site'"),
        ("site,lat,lon\n", "has no rows"),
        ("site,lat,lon\na,1,2\n,50,10\n", "line 3: site .* is no name"),
        ("site,lat,lon\n<b>a</b>,1,2\n", "line 2: site '<b>a</b>' is no name"),
        ("site,lat,lon\n=1+1,1,2\n", "line 2: site '=1.1' is no name"),
    ],
)
def test_faults_of_places(root: Path, table: str, message: str) -> None:
    (root / "places.csv").write_text(table)
    with pytest.raises(DatasetError, match=message):
        build(root)


def test_lacking_days_are_missing_where_allowed(root: Path) -> None:
    """Day 2 has no step, day 3 has 8 of 24: both are missing, counted, and the others are untouched."""
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


def test_fill_values_left_in_are_removed_and_counted(root: Path) -> None:
    """-9999 without an attribute that says so, and a value of 300 kg in 100 mm, are both screened."""
    path = root / "gldas-noah025" / GLDAS.format("20150402.1200")

    def spoil(ds: xr.Dataset) -> xr.Dataset:
        values = np.full(ds.SoilMoi0_10cm_inst.shape, -9999, np.float32)
        values[..., :10] = 300
        spoiled = ds.assign(SoilMoi0_10cm_inst=(ds.SoilMoi0_10cm_inst.dims, values, {"units": "kg m-2"}))
        return spoiled.drop_encoding()

    rewrite(path, spoil)
    ds = build(root)
    y, x = 52.5, 12.5
    water = np.mean([planted.gldas_water(y, x, 1, h) for h in range(0, 24, 3) if h != 12])
    assert float(ds.sm_product[0, 0, 1]) == pytest.approx(water / 100, abs=1e-6)
    step = next(s for s in json.loads(ds.attrs["history"]) if s.get("source") == "gldas-noah025")
    screening = step["variables"]["GLDAS-Noah"]["screening"]
    assert screening["outside_valid_range"] == 30 * 10
    assert screening["fill"] == 30 * 62 + 47 * 4 * 72, "the spoiled file, and the planted sea of the others"
    assert screening["read"] == screening["kept"] + screening["fill"] + screening["outside_valid_range"]


def test_sites_outside_a_cut_grid(root: Path) -> None:
    """A cut over Europe: the Australian place has no values, and the record says so."""
    for path in (root / "era5").iterdir():
        rewrite(path, lambda ds: ds.sel(latitude=slice(70, 30), longitude=slice(0, 40)))
    ds = build(root)
    assert ds.air_temperature[0].notnull().all() and ds.air_temperature[1].isnull().all()
    step = next(s for s in json.loads(ds.attrs["history"]) if s.get("source") == "era5")
    assert step["sites_outside_the_grid"] == 1
    assert step["variables"]["air_temperature"]["missing"] == len(DAYS)


def test_unknown_options_of_a_reader(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"'variables' is no option here"):
        build(root, sources={"era5": {"options": {"variables": ["air_temperature"]}}})
    with pytest.raises(DatasetError, match=r"the reader gldas_noah has no option 'overpass'"):
        build(root, sources={"gldas-noah025": {"options": {"overpass": "PM"}}})
