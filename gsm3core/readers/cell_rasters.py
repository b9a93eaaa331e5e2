"""Stored windows of rasters around 9 km cells: their file names, and the sites of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import xarray as xr
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from gsm3core.catalog import SourceEntry
from gsm3core.errors import DatasetError
from gsm3core.geography.grids import cell_centres, cell_of
from gsm3core.readers.gridded import select_variables
from gsm3core.readers.points import Points, RawSeries

CELL_GRID = "M09"
"""The 9 km EASE-Grid 2.0 of SMAP; the mean over a site's cell is comparable with the satellite's soil moisture there."""

HALO = 2
"""Pixels around the cell in a stored window, so that the terrain at a site near the cell's edge has all its neighbours."""

ABSENT_TAG = "GSM3_ABSENT_TILES"
"""Tag of a stored window: the tiles that the server lacks."""

_COLUMNS = 3856
MISSING = -1


def window_path(cell: int, layer: str) -> str:
    """Return the path of a window below its source's folder, such as ``dem/M09_r0812_c2312.tif``."""
    row, column = divmod(cell, _COLUMNS)
    return f"{layer}/{CELL_GRID}_r{row:04d}_c{column:04d}.tif"


def cells_of(points: Points) -> NDArray[np.int64]:
    """Return the 9 km cell of each site; -1 poleward of 85 degrees, outside the grid."""
    return cell_of(points.lat, points.lon, CELL_GRID)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWindow:
    """Pixels of a stored window ``(row, column)`` with the coordinates of their centres; fill values are NaN."""

    path: Path
    values: NDArray[np.float64]
    y: NDArray[np.float64]
    x: NDArray[np.float64]
    tags: dict[str, str]

    @property
    def inner(self) -> tuple[slice, slice]:
        """The pixels of the cell itself, without :data:`HALO`."""
        return slice(HALO, -HALO), slice(HALO, -HALO)

    def pixel_at(self, lat: float, lon: float) -> tuple[int, int]:
        """Return row and column of the pixel whose centre is nearest to a place within the cell."""
        east = (lon - self.x[0] + 180) % 360 - 180  # the window may cross the antimeridian
        row = round((self.y[0] - lat) / (self.y[0] - self.y[1]))
        column = round(east / (self.x[1] - self.x[0]))
        return min(max(row, 0), len(self.y) - 1), min(max(column, 0), len(self.x) - 1)


def read_window(path: Path) -> StoredWindow:
    """Return a stored window.

    Raises
    ------
    DatasetError
        If the file is damaged.
    """
    try:
        with (
            rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"),
            rasterio.open(path, driver="GTiff") as ds,
        ):
            stored, nodata, t = ds.read(1), ds.nodata, ds.transform
            tags = {str(k): str(x) for k, x in ds.tags().items()}
    except RasterioError as error:
        raise DatasetError(
            f"{path} cannot be read as a GeoTIFF: {error}. Delete it and rerun without --offline to request it again."
        ) from error
    values = stored.astype(np.float64)
    if nodata is not None:
        values[stored == nodata] = np.nan
    y = t.f + (np.arange(values.shape[0]) + 0.5) * t.e
    x = t.c + (np.arange(values.shape[1]) + 0.5) * t.a
    return StoredWindow(path=path, values=values, y=y, x=x, tags=tags)


def existing_windows(root: Path, points: Points, layers: Iterable[str]) -> list[Path]:
    """Return the stored windows of some layers at the sites."""
    cells = np.unique(cells_of(points))
    paths = [root / window_path(int(c), layer) for layer in layers for c in cells if c != MISSING]
    return [p for p in paths if p.is_file()]


def site_series(
    root: Path,
    points: Points,
    layer: str,
    values_at: Callable[[StoredWindow, Sequence[tuple[float, float]]], Sequence[dict[str, float]]],
    attrs: dict[str, dict[str, Any]] | None = None,
) -> Iterator[RawSeries]:
    """Yield the values of one layer at each site that has a stored window.

    Parameters
    ----------
    values_at
        Returns for a window and places (latitude, longitude) in its cell the values of each place.
    attrs
        Attributes of the values by name.
    """
    cells, (lats, lons) = cells_of(points), cell_centres(CELL_GRID)
    for cell in np.unique(cells[cells != MISSING]):
        path = root / window_path(int(cell), layer)
        if not path.is_file():
            continue
        sites = np.flatnonzero(cells == cell)
        places = [(float(points.lat[k]), float(points.lon[k])) for k in sites]
        row, column = divmod(int(cell), _COLUMNS)
        centre = float(lats[row]), float(lons[column])
        for k, values in zip(sites, values_at(read_window(path), places), strict=True):
            raw = xr.Dataset({n: ((), x, (attrs or {}).get(n, {})) for n, x in values.items()})
            yield RawSeries(path=path, raw=raw, sites=[int(k)], cell=centre)


def requested(entry: SourceEntry, variables: Iterable[str] | None) -> list[str]:
    """Return the canonical names of the requested variables; the default ones for ``None``."""
    return [x.ours for x in select_variables(entry, variables)]


def describe_missing(ds: xr.Dataset, points: Points, names: Iterable[str], why: str) -> list[str]:
    """Return sentences that name the sites where all of some variables are missing.

    Parameters
    ----------
    why
        The usual reason at sites within the grid.

    Notes
    -----
    Sites poleward of the grid have no window. They are taken out of the attribute ``sites_without_files``, whose sites a
    download could give values.
    """
    poleward = cells_of(points) == MISSING
    requested_again = [
        n for n in ds.attrs.pop("sites_without_files", []) if n not in points.site[poleward].tolist()
    ]
    if requested_again:
        ds.attrs["sites_without_files"] = requested_again
    present = [ds[n].notnull().values for n in names if n in ds]
    without = ~np.any(present, axis=0) if present else np.zeros(len(points), bool)
    without &= ~np.isin(points.site, requested_again)
    reasons = {
        why: without & ~poleward,
        "they lie poleward of 85 degrees, outside the 9 km grid": without & poleward,
    }
    return [
        f"no value at {where.sum()} of {len(points)} sites ({_some(points.site[where])}): {reason}"
        for reason, where in reasons.items() if where.any()
    ]  # fmt: skip


def _some(names: NDArray[np.str_]) -> str:
    return ", ".join(map(str, names[:5])) + (", ..." if len(names) > 5 else "")
