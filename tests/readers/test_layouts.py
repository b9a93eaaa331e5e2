"""Layouts that users' files have beside the producer's: dimensions, names, groups and formats; failures name the file."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from gsm3core.assembly.collocate import to_sites
from gsm3core.errors import DatasetError
from gsm3core.readers.gldas_noah import GldasNoahReader
from gsm3core.readers.granules import open_granule
from gsm3core.readers.imerg import ImergReader
from gsm3core.readers.mswep import MswepReader
from gsm3core.readers.somo_ml import SomoMlReader
from support.grid_files import (
    AT_PLACE,
    FIELD,
    GLDAS_NAME,
    IMERG_NAME,
    LAT,
    LON,
    at_place,
    gldas,
    imerg_daily,
    write,
)


def two_dimensional(ds: xr.Dataset) -> xr.Dataset:
    lon, lat = np.meshgrid(ds.lon.values, ds.lat.values)
    flat = (
        ds.transpose("time", "lat", "lon")
        .drop_vars(["lat", "lon"])
        .rename_dims(lat="south_north", lon="west_east")
    )
    return flat.assign(XLAT=(("south_north", "west_east"), lat, {"units": "degrees_north"}),
                       XLONG=(("south_north", "west_east"), lon, {"units": "degrees_east"}))  # fmt: skip


LAYOUTS = {
    "descending": lambda ds: ds.isel(lat=slice(None, None, -1)),
    "transposed": lambda ds: ds.transpose("lat", "time", "lon"),
    "time-scalar": lambda ds: ds.isel(time=0),
    "time-missing": lambda ds: ds.isel(time=0, drop=True),
    "time-of-another-name": lambda ds: ds.rename(time="valid_time"),
    "level-of-length-1": lambda ds: ds.expand_dims(level=[0.0]),
    "long-names": lambda ds: ds.rename(lat="Latitude", lon="Longitude"),
    "axes-by-units": lambda ds: ds.rename(lat="yc", lon="xc"),
    "two-dimensional-coordinates": two_dimensional,
    "0-360": lambda ds: ds.assign_coords(lon=ds.lon + 0.0),
    "with-strings-and-bounds": lambda ds: ds.assign(crs="", time_bnds=(("time", "nv"), np.zeros((1, 2)))),
    "prefix-of-a-group": lambda ds: ds.rename({n: f"Grid_{n}" for n in (*ds.variables,)}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_dimensions_of_the_file_are_followed(tmp_path: Path, layout: str) -> None:
    ds = imerg_daily()
    name = IMERG_NAME
    if layout == "prefix-of-a-group":
        # OPeNDAP puts the group's name before those of a half-hourly file.
        name = "3B-HHR.MS.MRG.3IMERG.20200601-S000000-E002959.0000.V07B.HDF5.nc4"
        ds["precipitation"].attrs["units"] = "mm/hr"
    path = write(LAYOUTS[layout](ds), tmp_path / name)
    out = ImergReader().open(path)
    assert out.precipitation.dims == ("time", "lat", "lon")
    assert str(out.time.values[0])[:10] == "2020-06-01"
    expected = AT_PLACE * (24 if layout == "prefix-of-a-group" else 1)
    np.testing.assert_allclose(at_place(out).precipitation, [expected], rtol=1e-6)
    assert int(out.precipitation.notnull().sum()) == FIELD.size


def test_groups_are_optional(tmp_path: Path) -> None:
    """A half-hourly file in a group, in the root, or in another group gives the same map."""
    seen = []
    for k, group in enumerate(("Grid", "", "product/data")):
        path = tmp_path / str(k) / "3B-HHR.MS.MRG.3IMERG.20200601-S000000-E002959.0000.V07B.HDF5"
        path.parent.mkdir()
        with h5py.File(path, "w") as file:
            holder = file.create_group(group) if group else file
            for name, values, attrs in (
                ("precipitation", FIELD.T[None], {"units": "mm/hr"}), ("lat", LAT, {"units": "degrees_north"}),
                ("lon", LON, {"units": "degrees_east"}),
                ("time", np.int64([1590969600]), {"units": "seconds since 1970-01-01 00:00:00"}),
            ):  # fmt: skip
                holder[name] = values
                holder[name].attrs.update({a: np.bytes_(x) for a, x in attrs.items()})
            for name in ("time", "lon", "lat"):
                holder[name].make_scale(name)
            for axis, name in enumerate(("time", "lon", "lat")):
                holder["precipitation"].dims[axis].attach_scale(holder[name])
        seen.append(ImergReader().open(path).precipitation.values)
    for other in seen[1:]:
        np.testing.assert_array_equal(other, seen[0])


@pytest.mark.parametrize("version", ["NETCDF3_CLASSIC", "NETCDF3_64BIT", "NETCDF3_64BIT_DATA"])
def test_classic_netcdf(tmp_path: Path, version: str) -> None:
    if version == "NETCDF3_64BIT_DATA" and not find_spec("netCDF4"):
        pytest.skip("needs netCDF4")
    engine = "netcdf4" if version == "NETCDF3_64BIT_DATA" else "scipy"
    path = write(imerg_daily(), tmp_path / IMERG_NAME, engine=engine, format=version)
    assert float(at_place(ImergReader().open(path)).precipitation[0]) == AT_PLACE


def test_a_single_cell_is_a_grid(tmp_path: Path) -> None:
    """A point series, or a box of one row, gives its value within half a cell and nothing beyond."""
    one = imerg_daily().sel(lat=10.25, lon=20.15, method="nearest")
    for k, ds in enumerate((one, one.expand_dims("station").assign_coords(lat=("station", [10.25]), lon=("station", [20.15])),
                            imerg_daily().isel(lat=[2]))):  # fmt: skip
        path = write(ds, tmp_path / str(k) / IMERG_NAME)
        out = ImergReader().open(path, transform=lambda a: to_sites(a, [10.24, 10.6], [20.16, 20.16]))
        np.testing.assert_allclose(out.precipitation, [[AT_PLACE, np.nan]])
    rain = to_sites(ImergReader().open(tmp_path / "0" / IMERG_NAME), [10.24], [20.16], method="bilinear")
    assert float(rain.precipitation[0, 0]) == AT_PLACE


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            lambda ds: ds.stack(station=("lat", "lon")).reset_index("station"),
            r"is a list of 12 places along the dimension 'station', not a grid",
        ),
        (
            lambda ds: ds.drop_vars(["lat", "lon"]),
            r"has no lat: expected a variable lat or latitude, .*has the variables precipitation\(time: 1, lon: 3, lat: 4\)",
        ),
        (
            lambda ds: ds.rename(lat="y", lon="x").assign_coords(y=("y", LAT * 1e5), x=("x", LON * 1e5)),
            r"is projected: .*gdalwarp -t_srs EPSG:4326",
        ),
        (
            lambda ds: (lambda d: d.assign(XLAT=(d.XLAT + d.XLONG * 0.3).assign_attrs(d.XLAT.attrs)))(two_dimensional(ds)),
            r"'XLAT' has the dimensions south_north, west_east and is not constant along rows or columns",
        ),
        (lambda ds: xr.concat([ds, ds.assign_coords(time=ds.time + 86400)], "time"), r"has 2 time steps; expected one"),
        (
            lambda ds: ds.assign_coords(lat=("lat", [10.0, np.nan, 10.2, 10.3], {"units": "degrees_north"})),
            r"'lat' has 1 missing values",
        ),
        (
            lambda ds: ds.assign_coords(time=("time", [np.nan], {"units": "seconds since 1970-01-01"})),
            r"'time' has 1 missing values",
        ),
        (lambda ds: ds.expand_dims(member=3), r"has the dimension 'member' of length 3; expected one map per time"),
    ],
)  # fmt: skip
def test_unknown_layouts_are_described(tmp_path: Path, change, match: str) -> None:
    ds = change(imerg_daily())
    path = write(ds, tmp_path / IMERG_NAME)
    with pytest.raises(DatasetError, match=match) as caught:
        ImergReader().open(path)
    assert str(path) in str(caught.value)
    assert "damaged" not in str(caught.value)


def test_any_error_in_a_layout_names_file_and_dimensions(tmp_path: Path) -> None:
    path = write(imerg_daily(), tmp_path / "x.nc")
    for fault in (lambda ds: ds["nothing"], lambda ds: ds.isel(time=5), lambda ds: ds.precipitation + np.zeros(7),
                  lambda ds: ds.nothing, lambda ds: ds.transpose("a"), lambda ds: 1 // 0):  # fmt: skip
        with (
            pytest.raises(
                DatasetError, match=r"x.nc does not have the layout of rain: .*precipitation\(time: 1, lon: 3"
            ),
            open_granule(path, "rain") as ds,
        ):
            fault(ds)


def test_truncated_and_foreign_files(tmp_path: Path) -> None:
    whole = write(imerg_daily(), tmp_path / "whole.nc").read_bytes()
    classic = write(imerg_daily(), tmp_path / "classic.nc", engine="scipy").read_bytes()
    matlab = tmp_path / "other.nc"
    with h5py.File(matlab, "w") as file:
        file["a"] = np.zeros(3)
    for name, content, match in (
        ("cut.nc", whole[:3000], r"cut.nc is truncated: it has 3000 of \d+ bytes. Download it again"),
        ("short.nc", classic[:300], r"short.nc \(classic netCDF, 300 bytes\) cannot be opened"),
        ("page.nc", b"<!DOCTYPE html>", r"is HTML or XML.*log in"),
        ("zipped.nc", b"BZh91AY", r"is bzip2.*bunzip2"),
        ("map.nc", b"II*\0abcd", r"is TIFF.*gdal_translate"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(DatasetError, match=match), open_granule(path, "rain"):
            pass
    with open_granule(matlab, "rain") as ds:
        assert set(ds.data_vars) == {"a"}


def test_time_axes_that_are_not_daily(tmp_path: Path) -> None:
    days = np.arange(0, 360, 30)
    values = np.full((12, 2, 2), 0.2, np.float32)

    def somo(**time: object) -> Path:
        ds = xr.Dataset(
            {"layer1": (("time", "lat", "lon"), values, {"units": "m3/m3"})},
            coords={"time": ("time", days, {"units": "days since 2015-01-01", **time}),
                    "lat": [50.125, 49.875], "lon": [0.125, 0.375]},
        )  # fmt: skip
        return write(ds, tmp_path / "SoMo.ml_v1_layer1_2015.nc")

    with pytest.raises(
        DatasetError, match=r"its times are 30 days apart; somo-ml .* has one value every day"
    ):
        SomoMlReader().open(somo())
    with pytest.raises(DatasetError, match=r"has the calendar 'noleap'.*cdo setcalendar,standard"):
        SomoMlReader().open(somo(calendar="noleap"))
    path = write(
        gldas().assign_coords(time=gldas().time.assign_attrs(time_increment="43200")), tmp_path / GLDAS_NAME
    )
    with pytest.raises(DatasetError, match=r"one value every 720 h by the attribute time_increment"):
        GldasNoahReader().open(path)


@pytest.mark.parametrize(("name", "units"), [("2020153.nc", "mm/3-hour"), ("2020153.03.nc", "mm/day")])
def test_units_and_name_must_agree(tmp_path: Path, name: str, units: str) -> None:
    """A daily sum with the units of three hours would be eight times the rain."""
    ds = imerg_daily()
    ds["precipitation"].attrs["units"] = units
    with pytest.raises(DatasetError, match=rf"has units '{units}', but by its name it has one value"):
        MswepReader().open(write(ds, tmp_path / name))


@pytest.mark.parametrize(
    "lon", [[179.85, 179.95, -179.95], [179.85, 179.95, 180.05], [-180.15, -180.05, -179.95]]
)
def test_a_box_across_the_date_line(tmp_path: Path, lon: list[float]) -> None:
    if min(lon) < -180.01:
        lon = [x + 360 for x in lon]
    path = write(
        imerg_daily().assign_coords(lon=("lon", lon, {"units": "degrees_east"})), tmp_path / IMERG_NAME
    )
    out = ImergReader().open(
        path, transform=lambda a: to_sites(a, [10.24, 10.24, 10.24], [179.86, 179.94, -179.96])
    )
    np.testing.assert_allclose(out.precipitation, [FIELD[2]])


def test_packing_of_each_file(tmp_path: Path) -> None:
    """Two months packed with other offsets and factors, as servers pack each answer by itself."""
    for day, factor, offset in (("2020-06-01", 0.01, 100.0), ("2020-06-02", 0.002, 20.0)):
        ds = imerg_daily(day)
        packing = {
            "dtype": "int16",
            "scale_factor": factor,
            "add_offset": offset,
            "_FillValue": np.int16(-32767),
        }
        ds["precipitation"].attrs.pop("_FillValue")
        write(
            ds,
            tmp_path / IMERG_NAME.replace("20200601", day.replace("-", "")),
            encoding={"precipitation": packing},
        )
    out = at_place(ImergReader().open(tmp_path))
    np.testing.assert_allclose(out.precipitation, [AT_PLACE, AT_PLACE], atol=0.01)


def test_the_advice_nccopy_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without netCDF4, 64-bit data are refused with a conversion, whose output is read."""
    if not find_spec("netCDF4"):
        pytest.skip("needs netCDF4 to write the file")
    path = write(imerg_daily(), tmp_path / IMERG_NAME, engine="netcdf4", format="NETCDF3_64BIT_DATA")
    monkeypatch.setattr("gsm3core.readers.layouts.find_spec", lambda name: None)
    with pytest.raises(DatasetError, match=r"is netCDF-3 with 64-bit data.*nccopy -k nc4"):
        ImergReader().open(path)
    with xr.open_dataset(path, engine="netcdf4", decode_times=False, mask_and_scale=False) as ds:
        converted = ds.load()
    assert float(at_place(ImergReader().open(write(converted, path))).precipitation[0]) == AT_PLACE


@pytest.mark.parametrize("lon", [[359.85, 359.95, 360.05], [-0.15, -0.05, 0.05]])
def test_a_box_across_greenwich(tmp_path: Path, lon: list[float]) -> None:
    """Longitudes may count on beyond 360, as cdo sellonlatbox writes them."""
    path = write(
        imerg_daily().assign_coords(lon=("lon", lon, {"units": "degrees_east"})), tmp_path / IMERG_NAME
    )
    out = ImergReader().open(path, transform=lambda a: to_sites(a, [10.24] * 3, [-0.14, -0.06, 0.04]))
    np.testing.assert_allclose(out.precipitation, [FIELD[2]])
