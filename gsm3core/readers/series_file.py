"""Soil-moisture series at sites from a netCDF file or Zarr store, by its own dimensions, one value per UTC day."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.files import texts
from gsm3core.readers.moisture_units import like_fractions, missing_code, moisture_factor
from gsm3core.readers.utc_days import to_utc_days, utc_times

_TIME_NAMES = ("time", "date", "datetime", "timestamp", "day")
_SITE_NAMES = (
    "site",
    "site_id",
    "station",
    "station_id",
    "station_name",
    "name",
    "id",
    "location",
    "location_id",
    "point",
    "sites",
)
_KNOWN = (v.LAT, v.LON, v.DEPTH, v.STATION, v.NETWORK, v.REGION)
_SITE_OTHERS = {"latitude": v.LAT, "longitude": v.LON}
_SHOWN = 8
_MAX_IMPOSSIBLE_SHARE = 0.1
_POSSIBLE = (-0.5, 1.5)  # m3 m-3: a prediction may leave 0 to 1, an error code lies beyond


def open_series(path: str | Path) -> xr.DataArray:
    """Return the only soil-moisture series of a file, m3 m-3, one value per UTC day.

    Parameters
    ----------
    path
        A netCDF file (classic or netCDF-4) or a Zarr store with one variable over sites and time, in any order, or over
        ``(product, site, time)``.

    Returns
    -------
    xarray.DataArray
        ``(site, time)`` or ``(product, site, time)``; the attribute ``notes`` lists what was assumed.

    Raises
    ------
    DatasetError
        If the file cannot be read, or has none or several such variables; file, variables and dimensions are named.

    Notes
    -----
    Dimensions are recognised by name, by units of time and by ``cf_role = timeseries_id`` (CF conventions 1.11, chapter 9);
    intervals by the variable that ``bounds`` of the time names (section 7.1).
    """
    path = Path(path)
    with open_any(path) as ds:
        series, notes = read_series(ds, path.name)
    series, more = to_utc_days(series, path.name)
    series.attrs["notes"] = [*notes, *more]
    return series


@contextmanager
def open_any(path: Path) -> Iterator[xr.Dataset]:
    """Open a netCDF file or a Zarr store, times not decoded.

    Raises
    ------
    DatasetError
        If it does not exist, is of another kind, or cannot be read.
    """
    if not path.exists():
        raise DatasetError(f"{path} does not exist; expected a netCDF file or a Zarr store.")
    if path.is_dir():
        if not any((path / n).exists() for n in ("zarr.json", ".zgroup", ".zmetadata")):
            raise DatasetError(
                f"{path} is a folder, but no Zarr store; expected a netCDF file or a Zarr store."
            )
        options: dict[str, Any] = {"engine": "zarr", "consolidated": False}
    else:
        with path.open("rb") as opened:
            head = opened.read(8)
        if head.startswith(b"\x89HDF\r\n\x1a\n"):
            options = {"engine": "h5netcdf"}
        elif head[:4] in (b"CDF\x01", b"CDF\x02"):
            options = {"engine": "scipy"}
        elif head.startswith(b"CDF\x05"):
            raise DatasetError(
                f"{path} is netCDF-3 with 64-bit data; convert it with `nccopy -k nc4 {path.name} new.nc`."
            )
        else:
            kind = (
                "a zip archive or an Excel workbook" if head.startswith(b"PK\x03\x04") else "no netCDF file"
            )
            raise DatasetError(
                f"{path} is {kind}; expected netCDF or Zarr with one soil-moisture variable over sites and time. A table of "
                "site, time, value, units is added to a dataset with `gsm3 data add-product`, and scored there."
            )
    try:
        with xr.open_dataset(path, decode_times=False, **options) as ds:
            yield ds.load()
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
        raise DatasetError(f"{path} cannot be read: {error}. The file may be truncated.") from error


def read_series(ds: xr.Dataset, file: str, *, convert: bool = True) -> tuple[xr.DataArray, list[str]]:
    """Return the only soil-moisture series of a loaded file in its own time steps, and notes.

    Parameters
    ----------
    ds
        Times not decoded.
    file
        File name, for messages.
    convert
        Convert to m3 m-3, and codes of missing values and impossible values to NaN.

    Raises
    ------
    DatasetError
        As :func:`open_series`.
    """
    contents = ", ".join(
        f"{n} ({', '.join(map(str, a.dims))})" for n, a in list(ds.variables.items())[:_SHOWN]
    )
    time_name = _time_variable(ds)
    if time_name is None:
        raise DatasetError(
            f"{file} has no time: expected a variable 'time' with one dimension; it has {contents}."
        )
    time_dim = str(ds[time_name].dims[0])
    series = _candidates(ds, time_name)
    if len(series) > 1 and len(chosen := [a for a in series if _has_moisture_units(a)]) == 1:
        series = chosen
    if len(series) != 1:
        if any(
            "sample_dimension" in a.attrs or "instance_dimension" in a.attrs for a in ds.variables.values()
        ):
            raise DatasetError(
                f"{file} is a ragged array of the CF conventions; expected one variable over sites and time."
            )
        names = ", ".join(str(a.name) for a in series) or "none"
        raise DatasetError(
            f"{file} has {names}; expected one soil-moisture variable (site, time). It has {contents}."
            + (f" Keep one: ds[['{series[0].name}']].to_netcdf('new.nc')." if series else "")
        )
    one = series[0]
    site_dim = str(next(d for d in one.dims if d not in (time_dim, v.PRODUCT)))
    times, notes = _times(ds, time_name, file)
    out = one.transpose(v.PRODUCT, site_dim, time_dim, missing_dims="ignore")
    values = out.values.astype(np.float64)
    if convert:
        values, more = _moisture(values, str(one.attrs.get("units", "")), f"{file}: {one.name!r}")
        notes += more
    dims = [v.PRODUCT, v.SITE, v.TIME] if v.PRODUCT in out.dims else [v.SITE, v.TIME]
    coords: dict[str, Any] = {v.SITE: _site_names(ds, site_dim, file), v.TIME: times}
    if v.PRODUCT in out.dims and v.PRODUCT in ds.variables:
        coords[v.PRODUCT] = texts(ds[v.PRODUCT].values)
    for name, array in ds.variables.items():
        ours = _SITE_OTHERS.get(str(name).lower(), str(name).lower())
        if ours in _KNOWN and array.dims == (site_dim,) and ours not in coords:
            plain = texts(array.values) if array.dtype.kind in "SUOT" else array.values
            coords[ours] = (v.SITE, plain)
    kind = one.dtype if one.dtype.kind == "f" else np.float64
    result = xr.DataArray(values.astype(kind), dims=dims, coords=coords, name=one.name, attrs=one.attrs)
    if convert:
        result.attrs["units"] = v.SM_UNITS
    return result, notes


def _candidates(ds: xr.Dataset, time_name: str) -> list[xr.DataArray]:
    """Return the variables over time and one other dimension; those of whole numbers, such as flags, if there is no other."""
    time_dim = ds[time_name].dims[0]
    # The predictive standard deviation in a run's predictions is not a soil-moisture series.
    found = [
        a for n, a in ds.data_vars.items()
        if n not in (time_name, v.SM_PREDICTED_STD) and time_dim in a.dims and a.dtype.kind in "fiu"
        and len(set(a.dims) - {v.PRODUCT}) == 2 and not _is_bounds(n, a, ds)
    ]  # fmt: skip
    return [a for a in found if a.dtype.kind == "f"] or found


def _has_moisture_units(array: xr.DataArray) -> bool:
    units = str(array.attrs.get("units", "")).strip()
    return units not in ("", "1", "-") and moisture_factor(units) is not None


def _time_variable(ds: xr.Dataset) -> str | None:
    """Return the variable of times: by its units, its standard name, its type, or its name."""
    one = {str(n): a for n, a in ds.variables.items() if a.ndim == 1}
    for n, a in one.items():
        if (
            " since " in str(a.attrs.get("units", ""))
            or a.attrs.get("standard_name") == "time"
            or a.dtype.kind == "M"
        ):
            return n
    return next((n for n in one if n.lower() in _TIME_NAMES), None)


def _is_bounds(name: Any, array: xr.DataArray, ds: xr.Dataset) -> bool:
    bounds = {str(a.attrs.get("bounds", "")) for a in ds.variables.values()}
    return str(name) in bounds or any(ds.sizes[d] == 2 and "bnd" in str(d).lower() for d in array.dims)


def _times(ds: xr.Dataset, name: str, file: str) -> tuple[pd.DatetimeIndex, list[str]]:
    """Return the labels of the time axis; the starts of the intervals where the file states intervals."""
    attrs = ds[name].attrs
    times, notes = utc_times(ds[name].values, attrs, file)
    bounds = str(attrs.get("bounds", ""))
    if bounds not in ds.variables or ds[bounds].ndim != 2 or not len(times):
        return times, notes
    stated = {k: attrs[k] for k in ("units", "calendar") if k in attrs} | ds[bounds].attrs
    starts, ends = (utc_times(ds[bounds].values[:, k], stated, file)[0] for k in (0, 1))
    length = pd.Timedelta(np.median((ends - starts).to_numpy()))
    if length > pd.Timedelta(days=1):
        raise DatasetError(
            f"{file}: each value is for {length / pd.Timedelta(days=1):g} days ({bounds}); expected one value per UTC day."
        )
    if length <= pd.Timedelta(0) or starts.equals(times):
        return times, notes
    return starts, [*notes, f"a value belongs to the UTC day in which its interval begins ({bounds})"]


def _moisture(values: np.ndarray, units: str, what: str) -> tuple[np.ndarray, list[str]]:
    """Return values in m3 m-3, codes of missing values as NaN."""
    notes = []
    codes = missing_code(values)
    if np.isfinite(codes).any():
        found = ", ".join(f"{c:g}" for c in np.unique(codes[np.isfinite(codes)]))
        sites = int(
            np.isfinite(codes).any(axis=tuple(k for k in range(values.ndim) if k != values.ndim - 2)).sum()
        )
        notes.append(
            f"{int(np.isfinite(codes).sum()):,} values at {sites} sites are codes of missing values ({found})"
        )
        values = np.where(np.isfinite(codes), np.nan, values)
    factor = moisture_factor(units) if units else 1.0
    if factor is None:
        raise DatasetError(
            f"{what} has units {units!r}; expected volumetric soil moisture in 'm3 m-3' or '%'. Convert it first."
        )
    if factor != 1.0:
        notes.append(f"units {units!r} converted to m3 m-3")
        values = values * factor
        if like_fractions(values, factor):
            raise DatasetError(
                f"{what} has units {units!r}, but values up to {np.nanmax(values) / factor:g} only: they look like m3 m-3. "
                "Set the attribute units to 'm3 m-3'; if they are percent, divide them by 100 before."
            )
    if not units:
        notes.append("no units stated; read as m3 m-3")
    impossible = (values < _POSSIBLE[0]) | (values > _POSSIBLE[1])
    if count := int(impossible.sum()):
        known, low, high = int(np.isfinite(values).sum()), np.nanmin(values), np.nanmax(values)
        text = f"{count:,} of {known:,} values are beyond {_POSSIBLE[0]:g} to {_POSSIBLE[1]:g} m3 m-3 (range {low:g} to {high:g})"
        if count > _MAX_IMPOSSIBLE_SHARE * known:
            like_percent = factor == 1.0 and 1 < high <= 100 and low >= 0
            percent = " It looks like percent: set the attribute units to '%'." if like_percent else ""
            raise DatasetError(f"{what}: {text}; correct them or set them to missing.{percent}")
        notes.append(f"{text}: read as missing")
        values = np.where(impossible, np.nan, values)
    return values, notes


def _site_names(ds: xr.Dataset, dim: str, file: str) -> np.ndarray:
    """Return the names of the sites, as text without blanks at either end."""
    along = {str(n): a for n, a in ds.variables.items() if a.dims == (dim,)}
    stated = [n for n, a in along.items() if a.attrs.get("cf_role") == "timeseries_id"]
    named = sorted((n for n in along if n.lower() in _SITE_NAMES), key=lambda n: _SITE_NAMES.index(n.lower()))
    name = next(iter([*stated, *([dim] if dim in along else []), *named]), None)
    if name is None:
        raise DatasetError(
            f"{file}: dimension {dim!r} has no names of sites; expected a variable such as 'site' ({dim}) with the site ids."
        )
    values = along[name].values
    if values.dtype.kind == "f" and np.array_equal(values, np.floor(values)):
        values = values.astype(np.int64)
    names = np.char.strip(texts(values) if values.dtype.kind in "SUOT" else values.astype(str), " \t\0")
    _, first, counts = np.unique(names, return_index=True, return_counts=True)
    if (counts > 1).any():
        raise DatasetError(
            f"{file}: duplicate site {str(names[first[counts > 1][0]])!r}; site ids must be unique."
        )
    return names
