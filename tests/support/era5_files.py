"""Small ERA5 and ERA5-Land files in the layouts that the CDS, cfgrib and others write, from known hourly values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

UNITS = {"t2m": "K", "tp": "m", "ssrd": "J m**-2", "strd": "J m**-2", "swvl1": "m**3 m**-3"}
START = pd.Timestamp("2024-06-01")
RAIN = (3.0, 8.0, 1.5, 6.0)  # mm in each day


def axes(cell: float, n: int = 3, south: float = 50.0, west: float = 9.0) -> tuple[np.ndarray, np.ndarray]:
    """Latitudes, descending, and longitudes of n x n cells."""
    return np.round(south + cell * np.arange(n)[::-1], 4), np.round(west + cell * np.arange(n), 4)


def hourly_rain(days: int = 3) -> np.ndarray:
    """Metres in each hour: showers of a few hours, so that values rise and fall within a day."""
    out = np.zeros((days, 24))
    for k in range(days):
        shape = np.zeros(24)
        shape[4:9] = [1, 3, 5, 2, 1]
        shape[15:18] = [2, 4, 2]
        out[k] = shape / shape.sum() * RAIN[k % len(RAIN)] / 1000
    return out.ravel()


def hourly_sun(days: int = 3) -> np.ndarray:
    """Joules per square metre in each hour: 250 W m-2 on average."""
    sun = np.clip(np.sin((np.arange(24) - 5.5) / 12 * np.pi), 0, None)
    return np.tile(sun / sun.sum() * 250 * 86400, days)


def since_midnight(hourly: np.ndarray) -> np.ndarray:
    """Totals since 00 UTC, at the ends of the hours."""
    return np.cumsum(hourly.reshape(-1, 24), axis=1).ravel()


def ends(days: int = 3) -> pd.DatetimeIndex:
    """The ends of the hours: 01 UTC of the first day to 00 UTC of the last."""
    return pd.date_range(START + pd.Timedelta("1h"), periods=24 * days, freq="h")


def maps(values: np.ndarray, n: int = 3) -> np.ndarray:
    """The same value in all cells."""
    return np.broadcast_to(values[:, None, None], (len(values), n, n)).copy()


def seconds(times: pd.DatetimeIndex) -> np.ndarray:
    """Seconds since 1970."""
    return ((times - pd.Timestamp(0)) // pd.Timedelta("1s")).to_numpy()


def write_cds(
    path: Path,
    values: dict[str, np.ndarray],
    times: pd.DatetimeIndex,
    cell: float = 0.25,
    *,
    n: int = 3,
    south: float = 50.0,
    west: float = 9.0,
    **attrs: object,
) -> Path:
    """Write series, the same in all n x n cells, as the CDS does since 2024."""
    lat, lon = axes(cell, n, south, west)
    path.parent.mkdir(parents=True, exist_ok=True)
    xr.Dataset(
        {
            name: (
                ("valid_time", "latitude", "longitude"),
                maps(x, n).astype(np.float32),
                {"units": UNITS[name]},
            )
            for name, x in values.items()
        },
        coords={
            "valid_time": ("valid_time", seconds(times), {"units": "seconds since 1970-01-01"}),
            "latitude": ("latitude", lat, {"units": "degrees_north"}),
            "longitude": ("longitude", lon, {"units": "degrees_east"}),
            "number": ((), 0),
            "expver": ("valid_time", np.array(["0001"] * len(times), dtype=object)),
        },
        attrs=attrs,
    ).to_netcdf(path, engine="h5netcdf")
    return path


def daily_means(ds: xr.Dataset, name: str) -> list[float]:
    """Means of UTC days of a reader's output, over its cells."""
    return [float(x) for x in ds[name].mean(["lat", "lon"]).resample(time="1D").mean().values]
