"""NDVI and its reliability in the layouts that conversions of MOD13C2 have: names, orientation and scaling."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.readers.grid_axes import band_name, spatial_axes
from gsm3core.readers.layouts import describe_layout, plain_name
from gsm3core.readers.time_axes import find_time

CMG_GROUP = "MOD_Grid_monthly_CMG_VI/Data Fields"
NDVI, RELIABILITY = "ndvi", "reliability"
_STORED = 10_000.0  # times the index
_MAX_INDEX = 1.01


def vegetation_maps(ds: xr.Dataset, path: Path) -> tuple[xr.Dataset, tuple[str, ...]]:
    """Return NDVI as the producer stores it (10000 times the index) and the reliability, on axes lat and lon.

    Parameters
    ----------
    ds
        File as stored, without scale factors applied.

    Raises
    ------
    DatasetError
        If there is no NDVI, or the file does not say where it lies or how it is scaled.

    Notes
    -----
    File specification: https://ladsweb.modaps.eosdis.nasa.gov/filespec/MODIS/61/MOD13C2. Its ``scale_factor`` of 10000 is a
    divisor. h4toh5 keeps rows from north to south without coordinates; gdal_translate writes ``Band1`` with rows from south
    to north and their latitudes; programs that follow CF multiply by the scale factor
    (https://github.com/rspatial/terra/issues/1354), which gives 1e8 times the index.
    """
    name, notes = _ndvi_name(ds, path)
    flag = next((str(n) for n in ds.data_vars if "pixel_reliability" in plain_name(n)), None)
    if flag is None:
        notes = (*notes, "no pixel reliability in the files: NDVI is not screened by it")
    picked = {name: NDVI, **({flag: RELIABILITY} if flag else {})}
    keep = [n for n in ds.variables if n in picked or n not in ds.data_vars or ds[n].ndim <= 1]
    maps = ds[[n for n in keep if n in ds.data_vars]].rename(picked)
    located = _with_coordinates(maps, path, str(name))
    stored, scaling = _as_stored(located[NDVI], path, str(name))
    out = located.assign({NDVI: stored.assign_attrs(units="")})
    time = find_time(out)
    kept = [n for n in (NDVI, RELIABILITY, time) if n and n in out]
    return out[kept], (*notes, *scaling)


def _ndvi_name(ds: xr.Dataset, path: Path) -> tuple[str, tuple[str, ...]]:
    names = [str(n) for n in ds.data_vars]
    if found := [n for n in names if plain_name(n).endswith("monthly_ndvi") or plain_name(n) == "ndvi"]:
        return found[0], ()
    bands = [n for n in names if n.startswith("Band") and ds[n].ndim >= 2]
    if len(bands) == 1:
        stated = band_name(ds, bands[0])
        if not stated:
            return bands[0], (f"{bands[0]} is taken for NDVI: the files do not say which variable it is",)
        if "ndvi" in stated.lower() and "std" not in stated.lower():
            return bands[0], ()
        raise DatasetError(f"{path}: the band {bands[0]!r} is {stated!r} by its attributes; expected NDVI.")
    raise DatasetError(
        f"{path} has no 'CMG 0.05 Deg Monthly NDVI'; it has {describe_layout(ds)}. Convert that variable of the producer's file."
    )


def _with_coordinates(maps: xr.Dataset, path: Path, name: str) -> xr.Dataset:
    """Return maps with the coordinates of the file, or of the producer's global grid where HDF5 conversions have none."""
    array = maps[NDVI]
    has_axes = any(maps[n].ndim >= 1 and not {n} & {NDVI, RELIABILITY} for n in maps.variables)
    if has_axes:
        return spatial_axes(maps, path)
    if "GDAL" in maps.attrs or any(maps[n].ndim == 0 for n in maps.variables):
        raise DatasetError(
            f"{path}: {name!r} has no latitudes and longitudes, and GDAL may write rows from south to north. Convert it with "
            "gdal_translate -of netCDF -co WRITE_LONLAT=YES."
        )
    rows, columns = array.shape[-2:]
    if array.ndim != 2 or columns != 2 * rows:
        raise DatasetError(
            f"{path}: {name!r} has shape {array.shape} and no coordinates; expected a global map, 3600 x 7200."
        )
    cell = 180.0 / rows
    axes = dict(zip(array.dims, (v.LAT, v.LON), strict=True))
    return (
        maps.reset_coords(drop=True)
        .rename(axes)
        .assign_coords({
            v.LAT: 90 - (np.arange(rows) + 0.5) * cell,
            v.LON: -180 + (np.arange(columns) + 0.5) * cell,
        })
    )  # fmt: skip


def _as_stored(array: xr.DataArray, path: Path, name: str) -> tuple[xr.DataArray, tuple[str, ...]]:
    """Return 10000 times the index, whether the file has that, the index itself, or a multiple by the scale factor."""
    values = array.values
    if values.dtype.kind in "iu" and values.dtype.itemsize == 1:
        raise DatasetError(
            f"{path}: {name!r} is stored in bytes; expected 16-bit integers or floats of the producer's values."
        )
    missing = [
        float(array.attrs[k])
        for k in ("_FillValue", "missing_value")
        if k in array.attrs and np.ndim(array.attrs[k]) == 0
    ]
    scale = float(np.ravel(array.attrs.get("scale_factor", 1.0))[0])
    if values.dtype.kind in "iu" and not np.isclose(scale, (1.0, _STORED, 1 / _STORED)).any():
        raise DatasetError(
            f"{path}: {name!r} has integers with the scale factor {scale:g}; expected 10000 times the index (10000 or 0.0001)."
        )
    if values.dtype.kind in "iu":
        empty = np.isin(values, missing)
        return (array.where(~empty) if empty.any() else array), ()
    values = values.astype(np.float64)
    for fill in missing:
        values[np.isclose(values, fill, rtol=1e-6)] = np.nan
    usual = values[np.isfinite(values) & ~np.isclose(values, -3000) & ~np.isclose(values, -0.3)]
    # The three scalings differ by 10000: the large values of a map say which it is; single ones may be invalid.
    largest = float(np.percentile(np.abs(usual), 99)) if usual.size else 0.0
    factor = _STORED if largest <= _MAX_INDEX else 1.0 if largest <= _MAX_INDEX * _STORED else 1 / _STORED
    if largest > _MAX_INDEX * _STORED**2:
        raise DatasetError(
            f"{path}: {name!r} has values up to {largest:g}; expected the index (up to 1), or 10000 or 100000000 times it."
        )
    said = {
        _STORED: ("NDVI is stored as the index itself: no scale factor is applied",),
        1.0: (),
        1 / _STORED: (
            "NDVI was multiplied by its scale factor of 10000, which divides: the values are divided by 1e8",
        ),
    }[factor]
    return array.copy(data=values * factor), said
