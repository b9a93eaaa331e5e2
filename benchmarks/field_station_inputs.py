"""Inputs of stations and products at sites, written by code: ISMN archives, USCRN files, CSV, series for ``gsm3 score``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

HALF_YEAR = 181  # days of 2017-01-01 to 2017-06-30
_WALK = 0.01


def stm(
    root: Path,
    network: str,
    station: str,
    first: str,
    last: str,
    *,
    lat: float = 48.2,
    lon: float = 16.4,
    value: float = 0.2,
    sensor: str = "CS655",
    tail: str = "",
    elevation: str = "200.00",
) -> None:
    """Write an hourly ISMN file, header and values, all good; every value is ``value``.

    Parameters
    ----------
    tail
        After the name and before the suffix, as a browser adds it to a second download.
    """
    days = [f"{day:%Y/%m/%d}" for day in pd.date_range(first, last)]
    folder = root / network / station
    folder.mkdir(parents=True, exist_ok=True)
    stamp = f"{first.replace('-', '')}_{last.replace('-', '')}"
    name = f"{network}_{network}_{station}_sm_0.050000_0.050000_{sensor}_{stamp}{tail}.stm"
    head = f"{network} {network} {station} {lat:.5f} {lon:.5f} {elevation} 0.0500 0.0500 {sensor}"
    rows = [f"{day} {hour:02d}:00 {value:.4f} G M" for day in days for hour in range(24)]
    (folder / name).write_text("\n".join([head, *rows]) + "\n")


def uscrn(
    folder: Path, year: int, station: str, wban: str, *, value: float = 0.2, lat: float = 31.62, lon: float = -102.81,
    tail: str = "",
) -> None:  # fmt: skip
    """Write a year of the daily product of a USCRN station (28 fields); soil moisture at 5 cm is ``value``."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        f"{wban} {day:%Y%m%d}  2.622 {lon:7.2f} {lat:7.2f}    15.0     5.0    10.0    10.0     1.0    12.00 C    15.0     5.0"
        f"    10.0    90.0    40.0    60.0 {value:7.3f} {value:7.3f} {value:7.3f} -99.000 -99.000    10.0    10.0    10.0 -9999.0"
        " -9999.0"
        for day in pd.date_range(f"{year}-01-01", f"{year}-12-31")
    ]
    (folder / f"CRND0103-{year}-{station}{tail}.txt").write_text("\n".join(rows) + "\n")


def network_table(path: Path, sites: Iterable[tuple[str, float, float, object]]) -> None:
    """Write a table for ``gsm3 data add-network``: 60 days at sites given as name, lat, lon and depth."""
    rows = ["site,time,value,units,lat,lon,depth"]
    for name, lat, lon, depth in sites:
        for k, day in enumerate(pd.date_range("2015-04-01", periods=60)):
            rows.append(f"{name},{day:%Y-%m-%d},{0.2 + 0.001 * k:.4f},m3 m-3,{lat},{lon},{depth}")
    path.write_text("\n".join(rows) + "\n")


def walk(days: int, sites: int = 3, seed: int = 0) -> NDArray[np.float64]:
    """Return soil moisture (site, day): a random walk around 0.25, so that a shift of one day is an error of 0.01."""
    steps = np.random.default_rng(seed).choice([-_WALK, _WALK], (sites, days))
    return 0.25 + np.cumsum(steps, axis=1) - np.cumsum(steps, axis=1).mean(axis=1, keepdims=True)


def series(
    path: Path, values: NDArray[np.float64], time: NDArray[np.float64], units: str, **more: object
) -> None:
    """Write a product at sites ``(site, time)`` in netCDF-4.

    Parameters
    ----------
    time, units
        Labels and their CF units, such as days since 2015-01-01.
    more
        ``calendar``: CF calendar; ``bounds``: ``(time, 2)`` ends of the intervals.
    """
    attrs = {"units": units, "calendar": more.get("calendar", "standard")}
    coordinates: dict[str, object] = {"site": [f"S{k}" for k in range(len(values))]}
    data = {"sm": (("site", "time"), values, {"units": "m3 m-3"})}
    if (bounds := more.get("bounds")) is not None:
        attrs["bounds"] = "time_bnds"
        data["time_bnds"] = (("time", "nv"), np.asarray(bounds, float), {"units": units})
    coordinates["time"] = ("time", np.asarray(time, float), attrs)
    ds = xr.Dataset(data, coords=coordinates)
    ds.to_netcdf(
        path, engine="h5netcdf", encoding={n: {"_FillValue": None} for n in ds.variables if ds[n].dtype.kind == "f"}
    )  # fmt: skip
