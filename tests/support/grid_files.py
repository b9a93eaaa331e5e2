"""Small files of the gridded sources in the producers' layouts, to be changed by tests of other layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

LAT = np.float32([10.05, 10.15, 10.25, 10.35])
LON = np.float32([20.05, 20.15, 20.25])
# Value at a cell: row and column can be read from it.
FIELD = np.float32(np.arange(4)[:, None] * 10 + np.arange(3)[None, :] + 1)
PLACE = {"lat": 10.25, "lon": 20.15}
AT_PLACE = 22.0


def imerg_daily(day: str = "2020-06-01", field: np.ndarray = FIELD, lat: np.ndarray = LAT) -> xr.Dataset:
    """Return a daily file of IMERG version 07: (time, lon, lat), the day at 00 UTC."""
    attrs = {"units": "mm/day", "_FillValue": np.float32(-9999.9)}
    seconds = (pd.Timestamp(day) - pd.Timestamp(0)) // pd.Timedelta("1s")
    return xr.Dataset(
        {"precipitation": (("time", "lon", "lat"), field.T[None], attrs)},
        coords={
            "time": ("time", [seconds], {"units": "seconds since 1970-01-01 00:00:00", "calendar": "julian"}),
            "lon": ("lon", LON, {"units": "degrees_east"}),
            "lat": ("lat", lat, {"units": "degrees_north"}),
        },
    )


IMERG_NAME = "3B-DAY.MS.MRG.3IMERG.20200601-S000000-E235959.V07B.nc4"


def gldas(time: str = "2016-01-01T03:00", water: np.ndarray | None = None) -> xr.Dataset:
    """Return a 3-hourly file of GLDAS Noah, 0.25 degree."""
    lat, lon = np.float32([10.125, 10.375, 10.625, 10.875]), np.float32([20.125, 20.375, 20.625])
    minutes = (pd.Timestamp(time) - pd.Timestamp("2000-01-01T03:00")) / pd.Timedelta("1min")
    return xr.Dataset(
        {
            name: (
                ("time", "lat", "lon"), (FIELD if water is None else water)[None],
                {"units": units, "_FillValue": np.float32(-9999)},
            )
            for name, units in (("SoilMoi0_10cm_inst", "kg m-2"), ("SoilTMP0_10cm_inst", "K"))
        },
        coords={
            "time": ("time", [minutes], {"units": "minutes since 2000-01-01 03:00:00", "time_increment": "180"}),
            "lat": ("lat", lat, {"units": "degrees_north"}), "lon": ("lon", lon, {"units": "degrees_east"}),
        },
        attrs={"source": "Noah_v3.3", "DX": np.float32(0.25), "title": "GLDAS2.1 LIS land surface model output"},
    )  # fmt: skip


GLDAS_NAME = "GLDAS_NOAH025_3H.A20160101.0300.021.nc4"


def write(ds: xr.Dataset, path: Path, **options: object) -> Path:
    """Write a netCDF-4 file and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.to_netcdf(path, **{"engine": "h5netcdf", **options})  # type: ignore[call-overload]
    return path


def at_place(ds: xr.Dataset) -> xr.Dataset:
    """Return the values of the cell at the place of these files."""
    return ds.sel(lat=PLACE["lat"], lon=PLACE["lon"], method="nearest")
