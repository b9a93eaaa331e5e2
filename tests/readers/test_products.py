"""AMSR2 LPRM, SoMo.ml and MSWEP, from synthetic files in the producers' published layouts.

LPRM: dimensions (Longitude, Latitude) and 16-bit values in percent, as the OPeNDAP header of GES DISC's granules shows.
SoMo.ml: one file per year with ``layer1`` (time, lat, lon), as in Sci. Data 8, 170. MSWEP: YYYYDDD[.HH].nc with
``precipitation`` and descending latitudes, as in its technical documentation.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.amsr2_lprm import Amsr2LprmReader
from gsm3core.readers.mswep import MswepReader
from gsm3core.readers.screening import merge_counts
from gsm3core.readers.somo_ml import SomoMlReader


def lprm(folder: Path, day: str, percent: np.ndarray, *, orbit: str = "A", units: str = "percent") -> Path:
    packed = xr.Dataset(
        {
            f"soil_moisture_{band}": (("Longitude", "Latitude"), percent + extra, {"units": units})
            for band, extra in (("x", 0), ("c1", 10))
        },
        coords={"Longitude": np.float32([-179.95, 0.05, 179.95]), "Latitude": np.float32([10.05, 9.95])},
    )
    path = folder / f"LPRM-AMSR2_L3_DS_{orbit}_SOILM3_V001_{day}010815.nc4"
    packed.to_netcdf(
        path, engine="h5netcdf", encoding={n: {"dtype": "int16", "_FillValue": -32768} for n in packed}
    )
    return path


def test_lprm_bands_order_and_percent(tmp_path: Path) -> None:
    percent = np.array([[10.0, 20.0], [30.0, np.nan], [50.0, 120.0]])
    lprm(tmp_path, "20150507", percent)
    lprm(tmp_path, "20150507", percent * 0, orbit="D")
    ds = Amsr2LprmReader().open(tmp_path)
    expected = np.array([[0.2, np.nan, np.nan], [0.1, 0.3, 0.5]])
    np.testing.assert_allclose(ds.sm_product[0], expected, rtol=1e-6)
    assert ds.sm_product.dims == ("time", "lat", "lon")
    assert json.loads(ds.sm_product.attrs["screening"]) == {
        "read": 6,
        "fill": 1,
        "outside_valid_range": 1,
        "kept": 4,
    }
    low = Amsr2LprmReader(band="c1").open(tmp_path)
    np.testing.assert_allclose(low.sm_product[0, 1], [0.2, 0.4, 0.6], rtol=1e-6)
    assert float(Amsr2LprmReader(orbit="D").open(tmp_path).sm_product.max()) == 0
    with pytest.raises(
        DatasetError, match=r"has no variable soil_moisture_c2 .*It has: soil_moisture_c1, soil_moisture_x"
    ):
        Amsr2LprmReader(band="c2").open(tmp_path)


def test_lprm_other_units_and_grids(tmp_path: Path) -> None:
    lprm(tmp_path, "20150507", np.ones((3, 2)), units="mm")
    with pytest.raises(DatasetError, match=r"units 'mm'; expected 'percent'"):
        Amsr2LprmReader().open(tmp_path)
    lprm(tmp_path, "20150507", np.ones((3, 2)))
    coarse = lprm(tmp_path, "20150508", np.ones((3, 2)))
    with xr.open_dataset(coarse, engine="h5netcdf") as ds:
        moved = ds.load().assign_coords(Latitude=[10.125, 9.875])
    moved.to_netcdf(coarse, engine="h5netcdf")
    with pytest.raises(DatasetError, match=r"20150508010815.nc4 has another grid .2 x 3."):
        Amsr2LprmReader().open(tmp_path)


def somo(folder: Path, year: int, days: int = 3, *, layer: int = 1, hour: int = 0) -> None:
    values = (
        np.float32(0.1 * (year - 2014))
        + np.arange(days, dtype=np.float32)[:, None, None] / 100
        + np.zeros((1, 2, 2), np.float32)
    )
    first = (np.datetime64(f"{year}-01-01") - np.datetime64("2000-01-01")).astype(int)
    ds = xr.Dataset(
        {f"layer{layer}": (("time", "lat", "lon"), values, {"units": "m3/m3", "_FillValue": np.float32(-9999)})},
        coords={
            "time": ("time", first + np.arange(days) + hour / 24, {"units": "days since 2000-01-01 00:00:00"}),
            "lat": [50.125, 49.875], "lon": [0.125, 359.875],
        },
    )  # fmt: skip
    ds.to_netcdf(folder / f"SoMo.ml_v1_layer{layer}_{year}.nc", engine="h5netcdf")


def test_somo_years_and_layers(tmp_path: Path) -> None:
    somo(tmp_path, 2015)
    somo(tmp_path, 2016, hour=12)
    somo(tmp_path, 2016, layer=2)
    ds = SomoMlReader().open(tmp_path)
    assert ds.sizes["time"] == 6
    assert ds.lon.values.tolist() == [-0.125, 0.125]
    np.testing.assert_allclose(ds.sm_product.sel(time="2016-01-02"), 0.21, rtol=1e-5)
    part = SomoMlReader().open(tmp_path, Period(start=dt.date(2015, 1, 2), end=dt.date(2016, 1, 1)))
    assert [str(t)[:10] for t in part.time.values] == ["2015-01-02", "2015-01-03", "2016-01-01"]
    with pytest.raises(
        DatasetError, match=r"covers 2020-01-01 to 2020-12-31; its files of somo-ml cover 2015"
    ):
        SomoMlReader().open(tmp_path, Period(start=dt.date(2020, 1, 1), end=dt.date(2020, 12, 31)))


def mswep(folder: Path, name: str, rain: float, units: str) -> None:
    attrs = {"units": units, "_FillValue": np.float32(-9999)}
    ds = xr.Dataset(
        {"precipitation": (("time", "lat", "lon"), np.full((1, 2, 2), rain, np.float32), attrs)},
        coords={
            "time": ("time", [42000.0], {"units": "days since 1900-01-01 00:00:00"}),
            "lat": [89.95, 89.85],
            "lon": [-179.95, -179.85],
        },
    )
    ds.to_netcdf(folder / name, engine="h5netcdf")


def test_mswep_daily_and_three_hourly(tmp_path: Path) -> None:
    (tmp_path / "daily").mkdir()
    (tmp_path / "steps").mkdir()
    mswep(tmp_path / "daily", "2016060.nc", 5.0, "mm/day")
    mswep(tmp_path / "daily", "2016061.nc", -9999.0, "mm/day")
    ds = MswepReader().open(tmp_path / "daily")
    assert [str(t)[:10] for t in ds.time.values] == ["2016-02-29", "2016-03-01"], "day 60 of a leap year"
    np.testing.assert_array_equal(ds.precipitation[0], 5.0)
    assert ds.precipitation[1].isnull().all()
    for hour in range(0, 24, 3):
        mswep(tmp_path / "steps", f"2015091.{hour:02d}.nc", 1.0, "mm/3-hour")
    steps = MswepReader().open(tmp_path / "steps")
    assert steps.sizes["time"] == 8
    assert steps.attrs["time_step"] == 10800
    assert str(steps.time.values[-1])[:13] == "2015-04-01T21"
    np.testing.assert_array_equal(steps.precipitation, 8.0)
    with pytest.raises(DatasetError, match=r"daily files .* and 3-hourly ones"):
        MswepReader().open(tmp_path)


def test_mswep_units_and_invalid_dates(tmp_path: Path) -> None:
    mswep(tmp_path, "2015001.nc", 5.0, "inches")
    with pytest.raises(DatasetError, match=r"units 'inches'; expected 'mm/day'"):
        MswepReader().open(tmp_path)
    mswep(tmp_path, "2015366.nc", 5.0, "mm/day")
    with pytest.raises(DatasetError, match=r"2015366.nc: invalid date in the file name"):
        MswepReader().open(tmp_path)


def test_undeclared_fill_values_and_merged_counts(tmp_path: Path) -> None:
    """In a file rewritten without _FillValue, the fill value of the catalogue applies."""
    mswep(tmp_path, "2015001.nc", 5.0, "mm/day")
    with xr.open_dataset(tmp_path / "2015001.nc", engine="h5netcdf", mask_and_scale=False) as ds:
        changed = ds.load()
    changed["precipitation"][0, 0] = -9999.0
    del changed["precipitation"].attrs["_FillValue"]
    changed.to_netcdf(
        tmp_path / "2015002.nc", engine="h5netcdf", encoding={"precipitation": {"_FillValue": None}}
    )
    first, second = (MswepReader().open(tmp_path / f"201500{k}.nc") for k in (1, 2))
    assert json.loads(second.precipitation.attrs["screening"]) == {
        "read": 4,
        "fill": 2,
        "outside_valid_range": 0,
        "kept": 2,
    }
    both = merge_counts(*(x.precipitation.attrs["screening"] for x in (first, second)))
    assert json.loads(both) == {"read": 8, "fill": 2, "outside_valid_range": 0, "kept": 6}
    assert both == MswepReader().open(tmp_path).precipitation.attrs["screening"]
