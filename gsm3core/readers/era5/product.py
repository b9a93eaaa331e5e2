"""Which product of the ERA5 family a file is, and what its values are: recognised by grid, attributes, names and values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from gsm3core.readers.era5.accumulation import Accumulation

Product = Literal["ERA5", "ERA5-Land"]
Frequency = Literal["hourly", "daily", "monthly", "other"]

SOURCES: Mapping[Product, str] = {"ERA5": "era5", "ERA5-Land": "era5-land"}
CELLS: Mapping[Product, float] = {"ERA5": 0.25, "ERA5-Land": 0.1}
_LAND = re.compile(r"era[-_ ]?5[-_ ]?land(?![-_ ]?(?:sea|mask|cover|surface))", re.I)
_SINGLE = re.compile(r"era5-single-levels", re.I)
_DAILY = re.compile(r"daily[-_ ](mean|max|min|sum)(?:imum)?|cdo\b[^\n]*\bday(mean|avg|max|min|sum)\b", re.I)
_CELL_METHOD = re.compile(r"\btime: (mean|maximum|minimum|sum)\b", re.I)
_MONTHLY = re.compile(
    r"monthly[-_ ](?:averaged|means?)|\bmoda\b|stream-moda|stepType-avg[uaid]+|cdo\b[^\n]*\bmon(?:mean|avg)\b",
    re.I,
)
_BY_HOUR = re.compile(r"\bmnth\b|stream-mnth|by[-_]hour[-_]of[-_]day", re.I)
_ENSEMBLE = re.compile(r"stream-enda|\benda\b|ensemble_(?:mean|spread|members)", re.I)
_ZONE = re.compile(r"\butc[+-](?!00:?00)\d\d:?\d\d", re.I)
_STATISTICS = {"maximum": "max", "minimum": "min", "avg": "mean"}
_ENSEMBLE_TYPES = {"em": "the ensemble mean", "es": "the ensemble spread"}


@dataclass(frozen=True, slots=True)
class Contents:
    """What the values of some variables of a file are.

    Parameters
    ----------
    frequency
        ``hourly`` also for a subset of the hours; ``other`` for what cannot be used.
    statistic
        Of a day, for daily values.
    found
        Description for messages.
    """

    frequency: Frequency
    statistic: str = ""
    found: str = ""


def contents_of(times: NDArray[np.datetime64], text: str) -> Contents:
    """Return what values with these times are.

    Parameters
    ----------
    times
        Of one file.
    text
        Name of the file and its attributes, see :func:`describing_text`.

    Notes
    -----
    Names of the CDS: ``2m_temperature_0_daily-mean.nc`` of the daily statistics
    (https://confluence.ecmwf.int/display/CKB/ERA5+family+post-processed+daily+statistics+documentation) and
    ``data_stream-moda_stepType-avgua.nc`` of the monthly means, whose labels are 0 or 6 UTC of the first day of a month.
    """
    stamps = pd.DatetimeIndex(np.sort(times))
    days, months = stamps.normalize(), stamps.to_period("M")
    once_a_day, once_a_month = days.is_unique, months.is_unique
    if match := _ENSEMBLE.search(text):
        return Contents("other", found=f"of the ensemble ({match[0]}), not of the reanalysis")
    if match := _BY_HOUR.search(text):
        return Contents("other", found=f"a monthly mean by hour of the day ({match[0]})")
    if once_a_month and (_MONTHLY.search(text) or (len(stamps) > 1 and bool((stamps.day == 1).all()))):
        return Contents("monthly", "mean", "monthly means")
    if once_a_day and len(stamps):
        stated = _DAILY.search(text) or _CELL_METHOD.search(text)
        if stated:
            word = next(x for x in stated.groups() if x).lower()
            statistic = _STATISTICS.get(word, word)
            if zone := _ZONE.search(text):
                return Contents("other", found=f"daily statistics of days of {zone[0]}, not of UTC")
            return Contents("daily", statistic, f"daily statistics ({statistic})")
    return Contents("hourly")


def describing_text(path: Path, ds: xr.Dataset, names: tuple[str, ...]) -> str:
    """Return the name of a file and the attributes of the file and of some variables, one per line."""
    lines = [path.name]
    lines += [f"{k}: {x}" for k, x in ds.attrs.items() if isinstance(x, str)]
    keys = ("cell_methods", "GRIB_stepType", "GRIB_stream", "stream", "daily_statistic", "product_type")
    for name in names:
        lines += [f"{k}: {x}" for k, x in ds[name].attrs.items() if k in keys]
        if ds[name].attrs.get("daily_statistic"):
            lines.append(f"daily_{str(ds[name].attrs['daily_statistic']).removeprefix('daily_')}")
        if re.match(r"avg[uaid]", str(ds[name].attrs.get("GRIB_stepType", ""))):
            lines.append("monthly means")
        if kind := _ENSEMBLE_TYPES.get(str(ds[name].attrs.get("GRIB_dataType", ""))):
            lines.append(f"ensemble_{kind.rsplit(' ', 1)[1]}")
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What distinguishes ERA5 from ERA5-Land.

    Parameters
    ----------
    spacing
        Of the cells, degrees; NaN for a single cell.
    lat, lon
        Degrees.
    text
        See :func:`describing_text`.
    accumulations
        Name in the file -> interval of the accumulated values, where the values show it.
    """

    spacing: float
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    text: str
    accumulations: Mapping[str, Accumulation]


def product_of(evidence: Evidence, expected: Product) -> tuple[Product, str]:
    """Return the product that a file is, and the reason; the expected one where nothing speaks against it.

    Notes
    -----
    ERA5-Land has cells of 0.1 degree and accumulates from 00 UTC (Munoz-Sabater et al. 2021,
    doi:10.5194/essd-13-4349-2021). The CDS regrids ERA5 to coarser cells on request (``grid``); both products may be
    regridded by others, and the CDS's time series of ERA5-Land have hourly amounts.
    """
    spacing = evidence.spacing
    if match := _LAND.search(evidence.text):
        return "ERA5-Land", f"it says {match[0]!r}"
    if match := _SINGLE.search(evidence.text):
        return "ERA5", f"it says {match[0]!r}"
    since_midnight = [n for n, kind in evidence.accumulations.items() if kind == "day"]
    cells = f"cells of {spacing:.3g} degree" if np.isfinite(spacing) else "a single cell"
    if since_midnight:
        return "ERA5-Land", f"{', '.join(since_midnight)} accumulates from 00 UTC, {cells}"
    if np.isfinite(spacing):
        if abs(spacing - CELLS["ERA5-Land"]) < 0.01:
            return "ERA5-Land", cells
        if spacing > 0.2:
            return "ERA5", f"{cells}, no accumulation from 00 UTC" if evidence.accumulations else cells
        return expected, cells
    on_era5, on_land = (_on_grid(evidence, CELLS[p]) for p in ("ERA5", "ERA5-Land"))
    where = f"a single cell at {evidence.lat[0]:.4g}, {evidence.lon[0]:.5g}"
    # The CDS cuts ERA5 at the corner of the requested area, on any grid; its accumulations differ.
    if on_land and not on_era5 and "hour" not in evidence.accumulations.values():
        return "ERA5-Land", f"{where}, a multiple of 0.1 degree and not of 0.25"
    if on_era5 and not on_land:
        return "ERA5", f"{where}, a multiple of 0.25 degree and not of 0.1"
    return expected, where


def doubt_about(evidence: Evidence, product: Product) -> str:
    """Return a sentence on a single cell that is read as ERA5 and has a place on the grid of ERA5-Land; else nothing."""
    on_era5, on_land = (_on_grid(evidence, CELLS[p]) for p in ("ERA5", "ERA5-Land"))
    if product != "ERA5" or np.isfinite(evidence.spacing) or on_era5 or not on_land:
        return ""
    if _SINGLE.search(evidence.text):
        return ""
    return (
        f"a single cell at {evidence.lat[0]:.4g}, {evidence.lon[0]:.5g}, read as ERA5: its amounts are hourly. ERA5-Land has a "
        "cell there, and its time series have hourly amounts too (source era5-land)"
    )


def _on_grid(evidence: Evidence, cell: float) -> bool:
    return all(
        bool((np.abs(a / cell - np.round(a / cell)) < 0.02).all()) for a in (evidence.lat, evidence.lon)
    )


def spacing_of(
    ds: xr.Dataset, lat: NDArray[np.float64], lon: NDArray[np.float64], names: tuple[str, ...]
) -> float:
    """Return the distance of the cells in degrees, by the axes or by the attributes of GRIB; NaN if neither has it."""
    steps = [np.median(np.abs(np.diff(np.sort(a)))) for a in (lat, lon) if len(a) > 1]
    if steps:
        return float(min(steps))
    for name in names:
        value = ds[name].attrs.get("GRIB_iDirectionIncrementInDegrees")
        if value is not None and 0.01 < float(value) < 10:
            return float(value)
    return float("nan")
