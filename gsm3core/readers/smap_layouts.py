"""Places of SMAP L3 maps: whole EASE-Grid 2.0, subsets of it, and geographic grids of NSIDC's and AppEEARS's reformatting."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.readers.granules import Granule
from gsm3core.readers.grid_axes import spatial_axes
from gsm3core.readers.layouts import describe_layout
from gsm3core.readers.time_axes import single_time, time_series

_SHAPES = {"M09": (1624, 3856), "M36": (406, 964)}


def place_map(
    ds: xr.Dataset, moisture: str, quality: str, tail: str, granule: Granule, enhanced: bool
) -> tuple[xr.Dataset, str]:
    """Return soil moisture and its flag with the axes time and y, x (EASE-Grid 2.0) or lat, lon, and the name of the grid.

    Parameters
    ----------
    tail
        End of the names of variables of the overpass.
    enhanced
        Whether the product has 9 km by its name.

    Raises
    ------
    DatasetError
        If the file does not say where its rows and columns lie.
    """
    path, value = granule.path, ds[moisture]
    shapes = {shape: name for name, shape in _SHAPES.items()}
    if value.shape in shapes:
        rows, columns = (np.arange(n) for n in value.shape)
        return _on_ease(ds, moisture, quality, rows, columns, granule), shapes[value.shape]
    index = [f"EASE_{axis}_index{tail}" for axis in ("row", "column")]
    if value.ndim == 2 and all(n in ds and ds[n].dims == value.dims for n in index):
        rows, columns = (_index(ds[n].values, k, path, n) for k, n in enumerate(index))
        name = _grid_of(ds, columns, tail, enhanced)
        if (
            rows[0] >= 0
            and columns[0] >= 0
            and rows[-1] < _SHAPES[name][0]
            and columns[-1] < _SHAPES[name][1]
        ):
            return _on_ease(ds, moisture, quality, rows, columns, granule), name
    names = {n: n.removesuffix("_pm") for n in ("latitude_pm", "longitude_pm") if tail and n in ds}
    replaced = [n for n in names.values() if n in ds.variables]
    kept = ds.drop_vars(replaced).rename(names)
    try:
        raw = spatial_axes(kept, path)
    except DatasetError as error:
        raise DatasetError(
            f"{path}: {moisture} has shape {value.shape}; expected a global "
            f"EASE-Grid 2.0 map, {' or '.join(f'{r} x {c} ({n})' for n, (r, c) in _SHAPES.items())}, or a subset with "
            f"{' and '.join(index)} or latitudes and longitudes; it has {describe_layout(ds)}."
        ) from error
    if granule.start is None:
        series, times = time_series(raw, path)
        return series[[moisture, quality]].assign_coords({v.TIME: times.normalize()}), ""
    return single_time(raw, path, granule.stamp)[[moisture, quality]], ""


def _on_ease(
    ds: xr.Dataset, moisture: str, quality: str, rows: np.ndarray, columns: np.ndarray, granule: Granule
) -> xr.Dataset:
    as_rows = dict(zip(ds[moisture].dims, ("y", "x"), strict=True))
    raw = ds[[moisture, quality]].reset_coords(drop=True).rename(as_rows)
    raw = raw.drop_vars([n for n in raw.coords if n in raw.variables])
    return raw.assign_coords({"y": rows, "x": columns}).expand_dims({v.TIME: [granule.stamp]})


def _index(values: np.ndarray, axis: int, path: Path, name: str) -> np.ndarray:
    """Return the rows or columns of a subset, which the file has where there are retrievals only."""
    stored = np.asarray(values, np.float64)
    place = np.arange(stored.shape[axis])
    valid = np.isfinite(stored) & (stored >= 0) & (stored < max(_SHAPES["M09"]))
    offset = (stored - (place[:, None] if axis == 0 else place[None, :]))[valid]
    if not offset.size or np.ptp(offset) != 0:
        raise DatasetError(
            f"{path}: {name} does not give one place for the map: "
            + ("it has no value." if not offset.size else "its values are not consecutive.")
            + " Order the file as a subset of the native grid, or without reprojection."
        )
    return place + int(offset[0])


def _grid_of(ds: xr.Dataset, columns: np.ndarray, tail: str, enhanced: bool) -> str:
    """Return the grid by the longitudes of the columns, or by the product's name."""
    name = f"longitude{tail}"
    if name in ds and ds[name].ndim == 2:
        lon = np.where(np.abs(ds[name].values) <= 180, ds[name].values, np.nan)
        row, place = np.nonzero(np.isfinite(lon))
        if place.size:
            # Centre of column k of n: -180 + (k + 0.5) 360 / n.
            fit = {
                n: abs(-180 + (columns[place[0]] + 0.5) * 360 / shape[1] - lon[row[0], place[0]])
                for n, shape in _SHAPES.items()
            }
            return min(fit, key=lambda n: fit[n])
    return "M09" if enhanced else "M36"
