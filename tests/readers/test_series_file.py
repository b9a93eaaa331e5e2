"""Files that are scored: formats, dimensions, names of sites, units and codes of missing values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.readers.series_file import open_series
from support.small_world import make_dataset

SITES = ["a", "b", "c"]
DAYS = pd.date_range("2015-04-01", periods=40)
VALUES = 0.2 + 0.1 * np.sin(np.arange(40) / 6)[None, :] + np.array([[0.0], [0.05], [0.1]])


def series(**coords: object) -> xr.Dataset:
    array = xr.DataArray(
        VALUES.copy(),
        dims=("site", "time"),
        coords={"site": SITES, "time": DAYS} | coords,
        attrs={"units": "m3 m-3"},
    )
    return array.to_dataset(name="sm")


def stored(ds: xr.Dataset, path: Path, **options: object) -> Path:
    if path.suffix == ".zarr":
        ds.to_zarr(path, consolidated=False, **options)
    else:
        ds.to_netcdf(path, **{"engine": "h5netcdf"} | options)
    return path


def netcdf3(ds: xr.Dataset, path: Path) -> Path:
    return stored(ds, path, engine="scipy", format="NETCDF3_CLASSIC")


def test_formats_are_read_alike(tmp_path: Path) -> None:
    files = [
        stored(series(), tmp_path / "a.nc"), netcdf3(series(), tmp_path / "b.nc"),
        stored(series(), tmp_path / "c.zarr"), stored(series(), tmp_path / "d.zarr", zarr_format=2),
        stored(series().transpose("time", "site"), tmp_path / "e.nc"), stored(series(), tmp_path / "f.nc", engine="netcdf4"),
    ]  # fmt: skip
    for file in files:
        found = open_series(file)
        np.testing.assert_allclose(found.transpose("site", "time"), VALUES, rtol=1e-12)
        assert list(found.site.values) == SITES and list(found.time.values) == list(DAYS.values)
        assert found.attrs["notes"] == []


LAYOUTS: dict[str, Callable[[], xr.Dataset]] = {
    "dimension station, names beside it": lambda: (
        series().rename(site="station").assign_coords(station_name=("station", SITES)).drop_vars("station")
    ),
    "timeseries_id": lambda: (
        series()
        .rename(site="n")
        .drop_vars("n")
        .assign(probe=("n", SITES, {"cf_role": "timeseries_id"}), id=("n", [7, 8, 9]))
    ),
    "names in bytes with blanks": lambda: series(site=np.array([b"a  ", b"b", b"c"])),
    "date": lambda: series().rename(time="date", site="location_id"),
    "coordinates and another number of a site": lambda: series().assign_coords(
        Latitude=("site", [1.0, 2, 3]), porosity=("site", [0.4, 0.5, 0.6])
    ),
    "percent": lambda: series().assign(sm=(series().sm * 100).assign_attrs(units="%")),
    "whole numbers": lambda: xr.Dataset(
        {"sm": (("site", "time"), np.round(VALUES * 100).astype(np.int16), {"units": "percent"})},
        series().coords,
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_are_read_by_their_own_dimensions(tmp_path: Path, name: str) -> None:
    found = open_series(stored(LAYOUTS[name](), tmp_path / "x.nc"))
    assert found.dims == ("site", "time") and list(found.site.values) == SITES
    np.testing.assert_allclose(found, VALUES, atol=0.006 if name == "whole numbers" else 1e-12)


def test_number_ids_are_text(tmp_path: Path) -> None:
    assert list(open_series(stored(series(site=[3, 11, 250]), tmp_path / "x.nc")).site.values) == [
        "3",
        "11",
        "250",
    ]


TIMES = {
    "text": ([f"{d:%Y-%m-%d}" for d in DAYS], {}, ""),
    "text with a zone": ([f"{d:%Y-%m-%d}T01:00:00+01:00" for d in DAYS], {}, "with a zone converted to UTC"),
    "YYYYMMDD": ([int(f"{d:%Y%m%d}") for d in DAYS], {}, "YYYYMMDD"),
    "CDO days": ([float(f"{d:%Y%m%d}") for d in DAYS], {"units": "day as %Y%m%d.%f"}, "YYYYMMDD"),
    "hours since": (np.arange(40) * 24, {"units": "hours since 2015-04-01 00:00:00"}, ""),
    "zone in the units": (np.arange(40), {"units": "days since 2015-03-31 19:00:00 -05:00"}, ""),
    "days with decimals": (np.arange(40) + 0.5, {"units": "days since 2015-04-01"}, "at 12:00"),
}  # fmt: skip


@pytest.mark.parametrize("name", TIMES)
def test_times_are_read_in_many_forms(tmp_path: Path, name: str) -> None:
    values, attrs, note = TIMES[name]
    ds = series().drop_vars("time").assign_coords(time=("time", np.array(values), attrs))
    found = open_series(stored(ds, tmp_path / "x.nc"))
    assert list(found.time.values) == list(DAYS.values)
    assert any(note in n for n in found.attrs["notes"]) if note else not found.attrs["notes"]


@pytest.mark.parametrize(("values", "attrs", "message"), [
    (np.arange(40), {}, r"times are numbers \(0\) with units ''; expected units such as 'days since"),
    (np.arange(40), {"units": "months since 2015-01-01"}, "'months since 2015-01-01'; expected days, hours"),
    (np.arange(40), {"units": "days since 2015-01-01", "calendar": "noleap"}, "the calendar 'noleap'"),
    (np.arange(40), {"units": "days since 2015-01-01", "time_zone": "Africa/Nairobi"}, "stated as 'Africa/Nairobi'"),
    ([f"0{k % 9 + 1}/02/2015" for k in range(40)], {}, "ambiguous time '01/02/2015'"),
    ([f"day {k}" for k in range(40)], {}, "invalid time 'day 0'"),
])  # fmt: skip
def test_times_that_cannot_be_read_are_named(
    tmp_path: Path, values: object, attrs: dict[str, str], message: str
) -> None:
    ds = series().drop_vars("time").assign_coords(time=("time", np.array(values), attrs))
    with pytest.raises(DatasetError, match=f"x.nc.*{message}"):
        open_series(stored(ds, tmp_path / "x.nc"))


def test_bounds_say_which_day_a_value_is_for(tmp_path: Path) -> None:
    ds = series(time=DAYS + pd.Timedelta(days=1))
    ds["time_bnds"] = (("time", "bnds"), np.stack([np.arange(40), np.arange(1, 41)], 1))
    ds["time"].attrs["bounds"] = "time_bnds"
    ds["time"].encoding["units"] = "days since 2015-04-01"
    found = open_series(stored(ds, tmp_path / "x.nc"))
    assert list(found.time.values) == list(DAYS.values)
    ds["time_bnds"] = (("time", "bnds"), np.stack([np.arange(40), np.arange(8, 48)], 1))
    with pytest.raises(DatasetError, match=r"each value is for 8 days \(time_bnds\)"):
        open_series(stored(ds, tmp_path / "y.nc"))


def test_codes_of_missing_values_are_missing(tmp_path: Path) -> None:
    ds = series()
    ds["sm"][0, :3] = -9999
    ds["sm"][1, 5] = 1e20
    found = open_series(stored(ds, tmp_path / "x.nc"))
    assert int(found.isnull().sum()) == 4
    assert found.attrs["notes"] == ["4 values at 2 sites are codes of missing values (-9999, 1e+20)"]


@pytest.mark.parametrize(("change", "message"), [
    (lambda ds: ds.assign(sm=(ds.sm * 100).assign_attrs(units="m3 m-3")), "looks like percent: set the attribute units to '%'"),
    (lambda ds: ds.assign(sm=ds.sm.assign_attrs(units="%")), r"units '%', but values up to 0\.399749 only: they look like"),
    (lambda ds: ds.assign(sm=ds.sm.assign_attrs(units="mm")), "'sm' has units 'mm'; expected volumetric"),
    (lambda ds: ds.drop_vars("site").rename(site="n"), "dimension 'n' has no names of sites"),
    (lambda ds: ds.assign_coords(site=["a", "a", "b"]), "duplicate site 'a'"),
    (lambda ds: ds.isel(time=0, drop=True), "has no time: expected a variable 'time'"),
    (lambda ds: ds.assign(sm2=ds.sm), r"x.nc has sm, sm2; expected one .*Keep one: ds\[\['sm'\]\]"),
    (lambda ds: ds.isel(site=0, drop=True),
     r"x.nc has none; expected one soil-moisture variable \(site, time\). It has sm \(time\)"),
])  # fmt: skip
def test_errors_name_file_variables_and_dimensions(
    tmp_path: Path, change: Callable[[xr.Dataset], xr.Dataset], message: str
) -> None:
    path = stored(change(series()), tmp_path / "x.nc")
    with pytest.raises(DatasetError, match=f"(?s){message}"):
        open_series(path)


def test_advice_about_percent_and_several_variables_works(tmp_path: Path) -> None:
    ds = series() * 100
    ds["sm"].attrs["units"] = "%"
    np.testing.assert_allclose(open_series(stored(ds, tmp_path / "x.nc")), VALUES)
    ds = series().assign(sm2=series().sm)
    ds[["sm"]].to_netcdf(tmp_path / "new.nc")
    np.testing.assert_allclose(open_series(tmp_path / "new.nc"), VALUES)


@pytest.mark.parametrize(("name", "content", "message"), [
    ("t.csv", b"site,time,value\n", "is no netCDF file; .* add-product"), ("t.nc", b"PK\x03\x04", "Excel workbook"),
    ("t.nc", b"CDF\x05", "nccopy -k nc4"), ("t.nc", b"\x89HDF\r\n\x1a\n", "cannot be read: .*truncated"),
])  # fmt: skip
def test_other_files_are_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        open_series(tmp_path / name)
    with pytest.raises(DatasetError, match="is a folder, but no Zarr store"):
        open_series(tmp_path)
    with pytest.raises(DatasetError, match="does not exist"):
        open_series(tmp_path / "absent.nc")


def test_one_variable_of_a_dataset_or_of_predictions_is_read(tmp_path: Path) -> None:
    dataset = make_dataset()
    stored(dataset[["sm_insitu"]], tmp_path / "one.nc")
    np.testing.assert_array_equal(open_series(tmp_path / "one.nc"), dataset.sm_insitu)
    with_std = {v.SM_PREDICTED: dataset.sm_insitu, v.SM_PREDICTED_STD: dataset.sm_insitu * 0.1}
    stored(xr.Dataset(with_std), tmp_path / "predictions.nc")
    np.testing.assert_array_equal(open_series(tmp_path / "predictions.nc"), dataset.sm_insitu)
    with pytest.raises(DatasetError, match="expected one soil-moisture variable"):
        open_series(stored(dataset, tmp_path / "many.nc"))
