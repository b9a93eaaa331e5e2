"""Canonical grid axes: names, ascending order, longitudes from -180, time labels at the start of intervals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError

_LAT_NAMES = ("lat", "latitude", "Latitude")
_LON_NAMES = ("lon", "longitude", "Longitude")


def spatial_axes(ds: xr.Dataset, path: Path) -> xr.Dataset:
    """Return a dataset with its axes renamed to lat and lon.

    Raises
    ------
    DatasetError
        If there are no such axes, or latitudes exceed 90 degrees (as when lat and lon are swapped).
    """
    for ours, known in ((v.LAT, _LAT_NAMES), (v.LON, _LON_NAMES)):
        theirs = next((n for n in known if n in ds.variables), None)
        if theirs is None:
            raise DatasetError(
                f"{path} has no {ours}: expected a variable {' or '.join(known)}; it has "
                f"{', '.join(sorted(map(str, ds.variables)))}."
            )
        if theirs != ours:
            ds = ds.rename({theirs: ours})
    ds = ds.set_coords([v.LAT, v.LON])
    lat, lon = ds[v.LAT].values, ds[v.LON].values
    if not (np.abs(lat) <= 90.01).all() or not ((lon >= -180.01) & (lon <= 360.01)).all():
        raise DatasetError(
            f"{path}: latitudes are {lat.min():g} to {lat.max():g}, longitudes {lon.min():g} to {lon.max():g}; "
            "expected at most 90 and 360 degrees. Are lat and lon swapped?"
        )
    return ds


def decoded_times(ds: xr.Dataset, path: Path, name: str = v.TIME) -> pd.DatetimeIndex:
    """Return a file's times as UTC, from their units only.

    The calendar attribute is ignored: IMERG and AppEEARS files say "julian" and mean the Gregorian calendar.

    Raises
    ------
    DatasetError
        If there is no such variable or its units are not "<unit> since <time>".
    """
    if name not in ds.variables:
        raise DatasetError(
            f"{path} has no variable {name!r}; it has {', '.join(sorted(map(str, ds.variables)))}."
        )
    units = str(ds[name].attrs.get("units", "")).strip()
    bare = xr.Dataset({name: (("n",), np.atleast_1d(ds[name].values), {"units": units})})
    try:
        return pd.DatetimeIndex(xr.decode_cf(bare)[name].values)
    except (ValueError, TypeError, OverflowError) as error:
        raise DatasetError(
            f"{path}: {name!r} has units {units!r}; expected, for example, 'hours since 1900-01-01'."
        ) from error


def same_axes(raw: xr.Dataset, path: Path, axes: list[np.ndarray] | None) -> list[np.ndarray]:
    """Return a file's axes after checking that they equal those of the previous files.

    Raises
    ------
    DatasetError
        If the grids differ.
    """
    names = [n for n in (v.LAT, v.LON, "y", "x") if n in raw.coords]
    found = [np.asarray(raw[n].values) for n in names]
    if axes is not None and not all(
        len(a) == len(b) and np.allclose(a, b) for a, b in zip(axes, found, strict=True)
    ):
        raise DatasetError(
            f"{path} has another grid ({' x '.join(str(len(a)) for a in found)}) than the previous files "
            f"({' x '.join(str(len(a)) for a in axes)}). Put different grids or subsets into different folders."
        )
    return found


def label_shift(label: str, step: pd.Timedelta | None) -> pd.Timedelta:
    """Return the delay of a source's time label after the canonical one: a step if it labels the interval's end."""
    return step if label == "interval_end" and step is not None else pd.Timedelta(0)


def standardize_axes(ds: xr.Dataset, label: str, step: pd.Timedelta | None) -> xr.Dataset:
    """Return a dataset with canonical time labels, ascending latitudes, and longitudes ascending from -180."""
    keep = [n for n in (v.TIME, v.LAT, v.LON, "y", "x") if n in ds.dims]
    ds = ds.drop_vars([n for n in ds.coords if n not in keep])
    if step is not None:
        labels = pd.DatetimeIndex(ds[v.TIME].values) - label_shift(label, step)
        ds = ds.assign_coords({v.TIME: labels.as_unit("ns")})
    if v.LON in ds.dims:
        lon = ds[v.LON].values.astype(np.float64)
        # Shift only longitudes beyond 180: rounding must not change the others.
        ds = ds.assign_coords(
            {v.LON: np.where(lon >= 180, lon - 360, lon), v.LAT: ds[v.LAT].values.astype(np.float64)}
        )
        ds = _ascending(_ascending(ds, v.LAT), v.LON)
        repeated = np.r_[False, np.diff(ds[v.LON].values) < 1e-6]
        ds = ds.isel({v.LON: ~repeated}) if repeated.any() else ds
    return ds.transpose(*keep)


def _ascending(ds: xr.Dataset, name: str) -> xr.Dataset:
    """Sort by an axis; a reversed or rotated axis, the usual case, without copying every value."""
    steps = np.diff(ds[name].values)
    if (steps > 0).all():
        return ds
    if (steps < 0).all():
        return ds.isel({name: slice(None, None, -1)})
    seam = int(np.argmin(steps)) + 1
    rotated = np.roll(ds[name].values, -seam)
    if (np.diff(rotated) > 0).all():
        return ds.roll({name: -seam}, roll_coords=True)
    return ds.sortby(name)
