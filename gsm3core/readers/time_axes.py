"""Time axes of gridded files: names, units and calendars, one map per file or several, and the step between labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.catalog import SourceEntry
from gsm3core.errors import DatasetError

_TIME_NAMES = (v.TIME, "valid_time", "date", "t")
_OTHER_CALENDARS = ("noleap", "365_day", "all_leap", "366_day", "360_day")


def find_time(ds: xr.Dataset) -> str:
    """Return the name of the time variable by its name, its standard name or its units; empty if there is none."""
    names = sorted(map(str, ds.variables), key=lambda n: (ds[n].ndim == 0, n))
    for known in _TIME_NAMES:
        if found := [n for n in names if n.lower() == known and ds[n].ndim <= 1]:
            return found[0]
    return next(
        (
            n
            for n in names
            if ds[n].ndim <= 1
            and (ds[n].attrs.get("standard_name") == "time" or " since " in str(ds[n].attrs.get("units", "")))
        ),
        "",
    )


def decoded_times(ds: xr.Dataset, path: Path, name: str = "") -> pd.DatetimeIndex:
    """Return a file's times as UTC, from their units only.

    Without a name, the time is found by :func:`find_time`. The calendar "julian" is not used: IMERG and AppEEARS files say so
    and mean the Gregorian calendar.

    Raises
    ------
    DatasetError
        If there is no such variable, its units are not "<unit> since <time>", or its years have other days.
    """
    name = name or find_time(ds) or v.TIME
    if name not in ds.variables:
        raise DatasetError(
            f"{path} has no variable {name!r}; it has {', '.join(sorted(map(str, ds.variables)))}."
        )
    units = str(ds[name].attrs.get("units", "")).strip()
    calendar = str(ds[name].attrs.get("calendar", "")).lower()
    if calendar in _OTHER_CALENDARS:
        raise DatasetError(
            f"{path}: {name!r} has the calendar {calendar!r}, whose days are not those of observations; expected the "
            "Gregorian calendar (standard). Convert it, for example with cdo setcalendar,standard."
        )
    stored = np.atleast_1d(ds[name].values)
    if stored.dtype.kind in "fiu" and " since " not in units:
        raise DatasetError(
            f"{path}: {name!r} has units {units!r}; expected, for example, 'hours since 1900-01-01'."
        )
    bare = xr.Dataset({name: (("n",), stored, {"units": units})})
    try:
        times = pd.DatetimeIndex(xr.decode_cf(bare)[name].values)
    except (ValueError, TypeError, OverflowError) as error:
        raise DatasetError(
            f"{path}: {name!r} has units {units!r}; expected, for example, 'hours since 1900-01-01'."
        ) from error
    if times.hasnans:
        raise DatasetError(
            f"{path}: {name!r} has {int(np.isnat(times.values).sum())} missing values; expected a time for every step."
        )
    return times


def single_time(ds: xr.Dataset, path: Path, stamp: pd.Timestamp) -> xr.Dataset:
    """Return a file of one time step with the axis time, labelled by its name.

    The time may be a dimension, a number without dimension, or missing.

    Raises
    ------
    DatasetError
        If the file has several time steps, or levels.
    """
    name = find_time(ds)
    along = name if name in ds.dims else v.TIME
    if along in ds.dims and ds.sizes[along] != 1:
        raise DatasetError(f"{path} has {ds.sizes[along]} time steps; expected one per file.")
    ds = ds.drop_vars([n for n in (name, v.TIME) if n in ds.variables])
    ds = ds.rename_dims({along: v.TIME}) if along in ds.dims and along != v.TIME else ds
    return _with_time(_maps(ds, path), pd.DatetimeIndex([stamp]))


def time_series(ds: xr.Dataset, path: Path) -> tuple[xr.Dataset, pd.DatetimeIndex]:
    """Return a file with the axis time, also if it has one time without dimension, and its times, decoded.

    Raises
    ------
    DatasetError
        If the file has no time, or levels.
    """
    name = find_time(ds)
    times = decoded_times(ds, path, name)
    ds = ds.drop_vars([n for n in (name, v.TIME) if n in ds.variables])
    ds = ds.rename_dims({name: v.TIME}) if name in ds.dims and name != v.TIME else ds
    return _with_time(_maps(ds, path), times), times


def _maps(ds: xr.Dataset, path: Path) -> xr.Dataset:
    """Return the maps of a file without dimensions of length 1, and without those that have levels."""
    expected = {v.TIME, v.LAT, v.LON}
    grids = [n for n in ds.data_vars if {v.LAT, v.LON} <= set(ds[n].dims)]
    other = {d: ds.sizes[d] for n in grids for d in ds[n].dims if d not in expected}
    ds = ds[grids].isel({d: 0 for d, size in other.items() if size == 1}, drop=True)
    flat = [n for n in grids if set(ds[n].dims) <= expected]
    if grids and not flat:
        levels = ", ".join(f"{d!r} of length {size}" for d, size in other.items() if size != 1)
        raise DatasetError(
            f"{path} has the dimension {levels}; expected one map per time. Order or cut one level."
        )
    return ds[flat]


def _with_time(ds: xr.Dataset, times: pd.DatetimeIndex) -> xr.Dataset:
    # A new dimension reads the values from the file, so only where there is none.
    ds = ds.assign({n: ds[n].expand_dims(v.TIME) for n in ds.data_vars if v.TIME not in ds[n].dims})
    return ds.assign_coords({v.TIME: times}).transpose(v.TIME, v.LAT, v.LON, missing_dims="ignore")


def check_step(times: pd.DatetimeIndex, step: pd.Timedelta, path: Path, entry: SourceEntry) -> None:
    """Raise if the labels of a file are further apart, or closer, than the time step of its source.

    Raises
    ------
    DatasetError
        Naming both steps.
    """
    if len(times) < 3:
        return
    apart = np.diff(np.sort(times.values)).astype("m8[s]").astype(float)
    apart = apart[apart > 0]
    expected = step.total_seconds()
    if len(apart) and (apart.min() > 1.5 * expected or np.median(apart) < 0.75 * expected):
        found = pd.Timedelta(seconds=float(np.median(apart)))
        raise DatasetError(
            f"{path}: its times are {_duration(found)} apart; {entry.name} ({entry.title}) has one value every "
            f"{_duration(step)}. It is another product, or an average of it."
        )


def _duration(step: pd.Timedelta) -> str:
    hours = step.total_seconds() / 3600
    return f"{hours / 24:g} days" if hours > 24 else "day" if hours == 24 else f"{hours:g} h"
