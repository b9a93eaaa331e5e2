"""Canonical grid axes: names, ascending order, longitudes from -180, time labels at the start of intervals."""

from __future__ import annotations

import re
import warnings
from collections.abc import Hashable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.catalog import SourceEntry
from gsm3core.errors import DatasetError
from gsm3core.readers.layouts import describe_layout, plain_name

_NAMES = {
    v.LAT: ("lat", "latitude", "lats", "latitudes", "nav_lat", "grid_latitude", "cell_lat"),
    v.LON: ("lon", "longitude", "long", "lons", "longitudes", "nav_lon", "grid_longitude", "cell_lon"),
}
_UNITS = {v.LAT: re.compile(r"degrees?_?(n|north)$", re.I), v.LON: re.compile(r"degrees?_?(e|east)$", re.I)}
_STANDARD = {v.LAT: "latitude", v.LON: "longitude"}
_MAX_UNEVEN = 0.02  # of a cell: latitudes of one row of a regular grid


def spatial_axes(ds: xr.Dataset, path: Path) -> xr.Dataset:
    """Return a dataset with one-dimensional axes lat and lon, whatever their names, dimensions and order in the file.

    Axes are known by their names, the standard names or the units of CF (https://cfconventions.org, sections 4.1 and 4.2).
    A single place becomes a grid of one cell, and two-dimensional coordinates of a regular grid become axes.

    Raises
    ------
    DatasetError
        If there are no such axes, the grid is projected, rotated or a list of places, or latitudes exceed 90 degrees (as when
        lat and lon are swapped).
    """
    values: dict[str, np.ndarray] = {}
    found = {ours: _find_axis(ds, ours, path) for ours in (v.LAT, v.LON)}
    dims = {ours: ds[name].dims for ours, name in found.items()}
    ds = ds.load() if not ds.data_vars else ds
    if dims[v.LAT] and dims[v.LAT] == dims[v.LON] and len(dims[v.LAT]) == 1:
        (places,) = dims[v.LAT]
        if ds.sizes[places] > 1:
            raise DatasetError(
                f"{path} is a list of {ds.sizes[places]} places along the dimension {places!r}, not a grid; expected "
                "latitudes and longitudes along two dimensions. Order the grid, or a box around the places."
            )
        ds, dims = ds.isel({places: 0}), {v.LAT: (), v.LON: ()}
    for k, (ours, name) in enumerate(found.items()):
        array = np.asarray(ds[name].values, np.float64)
        if array.ndim == 2:
            array = _regular_axis(array, k, dims[ours], path, name)
        values[ours] = np.atleast_1d(array)
    flat = all(len(d) == 2 for d in dims.values())
    axes = {v.LAT: dims[v.LAT][:1], v.LON: dims[v.LON][1:]} if flat else dims
    ds = ds.drop_vars([n for n in (*found.values(), v.LAT, v.LON) if n in ds.variables])
    for ours, axis in axes.items():
        if not axis:
            grids = [n for n in ds.data_vars if ds[n].dtype.kind in "fiu"]
            ds = ds.assign({n: ds[n].expand_dims(ours) for n in grids})
        elif axis[0] != ours:
            ds = ds.rename_dims({axis[0]: ours})
    ds = ds.assign_coords(values)
    lat, lon = values[v.LAT], values[v.LON]
    for ours, name in found.items():
        if not values[ours].size:
            raise DatasetError(
                f"{path} has no cell: {name!r} is empty. The subset lies outside the grid; order it again."
            )
        if missing := int(np.isnan(values[ours]).sum()):
            raise DatasetError(
                f"{path}: {name!r} has {missing} missing values; expected the coordinate of every cell."
            )
    if (np.abs(lon) <= 720).all() and np.ptp(lon) <= 360.01:
        # Boxes across the meridian of Greenwich or the date line may count on: 357 to 363, or -183 to -177.
        wrapped = np.where(lon > 360.01, lon - 360, np.where(lon < -180.01, lon + 360, lon))
        lon = values[v.LON] = wrapped
        ds = ds.assign_coords({v.LON: wrapped})
    if not (np.abs(lat) <= 90.01).all() or not ((lon >= -180.01) & (lon <= 360.01)).all():
        raise DatasetError(
            f"{path}: latitudes are {lat.min():g} to {lat.max():g}, longitudes {lon.min():g} to {lon.max():g}; "
            "expected at most 90 and 360 degrees. Are lat and lon swapped?"
        )
    return ds


def _find_axis(ds: xr.Dataset, ours: str, path: Path) -> str:
    """Return the name of the variable with the latitudes or longitudes."""

    def of_name(name: str) -> bool:
        return name.lower() in _NAMES[ours]

    def of_attributes(name: str) -> bool:
        attrs = ds[name].attrs
        return str(attrs.get("standard_name", "")) == _STANDARD[ours] or bool(
            _UNITS[ours].match(str(attrs.get("units", "")).strip())
        )

    names = sorted(map(str, ds.variables))
    for test in (of_name, of_attributes):
        if fitting := [n for n in names if ds[n].dtype.kind in "fiu" and test(n)]:
            # Axes before maps of coordinates.
            return min(fitting, key=lambda n: (ds[n].ndim, n))
    axis = {v.LAT: "y", v.LON: "x"}[ours]
    mapping = " ".join(str(a) for n in ds.variables if ds[n].ndim == 0 for a in ds[n].attrs.values())
    if axis in ds.variables and ds[axis].ndim == 1:
        if "GEOG" in mapping and "PROJ" not in mapping:
            return axis
        metres = str(ds[axis].attrs.get("units", "")) in ("m", "metre", "meter", "km")
        if "PROJ" in mapping or metres or float(np.abs(ds[axis].values).max()) > 360:
            raise DatasetError(
                f"{path} is projected: it has {axis!r} from {float(ds[axis].min()):g} to {float(ds[axis].max()):g} and no "
                "latitudes and longitudes. Convert it with gdalwarp -t_srs EPSG:4326 -of netCDF."
            )
    raise DatasetError(
        f"{path} has no {ours}: expected a variable {' or '.join(_NAMES[ours][:2])}, or one with units degrees_"
        f"{'north' if ours == v.LAT else 'east'}; it has {describe_layout(ds)}."
    )


def _regular_axis(
    array: np.ndarray, axis: int, dims: tuple[Hashable, ...], path: Path, name: str
) -> np.ndarray:
    """Return the axis of a regular grid from a map of its coordinates, which may be missing where there are no values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        mean = np.nanmean(array, axis=1 - axis)
        spread = np.nanmax(array, axis=1 - axis) - np.nanmin(array, axis=1 - axis)
    known = np.isfinite(mean)
    index = np.arange(len(mean))
    cell = np.abs(np.diff(mean[known]) / np.diff(index[known])).max() if known.sum() > 1 else np.nan
    if not known.any() or not (np.nanmax(spread) <= _MAX_UNEVEN * (cell if np.isfinite(cell) else 1)):
        raise DatasetError(
            f"{path}: {name!r} has the dimensions {', '.join(map(str, dims))} and is not constant along rows or columns (a "
            "rotated or swath grid); expected a regular grid. Convert it, for example with cdo remapnn,r1440x720."
        )
    return np.interp(index, index[known], mean[known]) if not known.all() else mean


def single_band(ds: xr.Dataset, path: Path, name: str) -> xr.Dataset:
    """Return a file with its only band, as gdal_translate writes it (``Band1``), under the name of the variable expected.

    Raises
    ------
    DatasetError
        If there are several bands, or the file says that the band is another variable.
    """
    bands = sorted(str(n) for n in ds.data_vars if re.fullmatch(r"Band\d+", str(n)))
    if name in ds or not bands:
        return ds
    if len(bands) > 1:
        raise DatasetError(
            f"{path} has the bands {', '.join(bands)}; expected one, {name}. Convert each variable into a file of its own."
        )
    stated = band_name(ds, bands[0])
    if stated and plain_name(stated) != plain_name(name):
        raise DatasetError(
            f"{path}: the band {bands[0]!r} is {stated!r} by its attributes; expected {name!r}."
        )
    return ds.rename({bands[0]: name})


def band_name(ds: xr.Dataset, band: str) -> str:
    """Return the name of the variable that GDAL converted to a band; empty if the file does not say."""
    texts = [str(ds[band].attrs.get("long_name", ""))]
    texts += [str(ds.attrs.get(k, "")) for k in ("GDAL_long_name", "long_name")]
    return next((t for t in texts if t and not t.startswith("GDAL Band Number")), "")


def describe_grid(raw: xr.Dataset, entry: SourceEntry) -> str:
    """Return how the cells of a file differ from those of the catalogue; empty if they do not."""
    expected, rows = entry.grid.degrees, entry.grid.rows
    if expected is None or v.LAT not in raw.dims or raw.sizes[v.LAT] < 2:
        return ""
    lat = np.asarray(raw[v.LAT].values, np.float64)
    cell = float(np.median(np.abs(np.diff(lat))))
    if abs(cell - expected) > 0.02 * expected:
        return f"cells of {cell:.4g} degrees, not of {expected:g} degrees as {entry.name} has: resampled, or another product"
    # Centres lie in the middle of cells, or on their corners where the poles have a row.
    half = 0.0 if rows and rows * expected > 180.1 else 0.5
    offset = float(np.median(np.abs((lat / cell - half) - np.round(lat / cell - half))))
    if offset > 0.2:
        return f"cell centres are {offset:.2g} cells from those of {entry.name}; are the coordinates corners of cells?"
    return ""


def axes_of(raw: xr.Dataset) -> list[np.ndarray]:
    """Return the axes of a grid in space."""
    return [np.asarray(raw[n].values) for n in (v.LAT, v.LON, "y", "x") if n in raw.coords]


def find_axes(grids: list[list[np.ndarray]], axes: list[np.ndarray]) -> int | None:
    """Return the place of a grid in a list of grids; ``None`` if it is another one."""
    for k, known in enumerate(grids):
        if len(known) == len(axes) and all(
            len(a) == len(b) and np.allclose(a, b) for a, b in zip(known, axes, strict=True)
        ):
            return k
    return None


def same_cells(grids: list[list[np.ndarray]]) -> bool:
    """Return whether the last grid has cells of the size of the first: areas of one product, not two products."""
    for first, last in zip(grids[0], grids[-1], strict=True):
        if len(first) > 1 and len(last) > 1:
            one, other = (float(np.median(np.abs(np.diff(a)))) for a in (first, last))
            if abs(one - other) > 0.02 * one:
                return False
    return True


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
