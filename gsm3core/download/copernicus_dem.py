"""Windows of the Copernicus DEM GLO-30 around the sites, from the tiles of AWS Open Data."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.transform import Affine

from gsm3core.catalog import SourceEntry
from gsm3core.config import Period
from gsm3core.download.cell_windows import Rasters, Window, WindowRequest, pull_windows
from gsm3core.download.fetch import FetchResult, ProgressCallback, RetryPolicy
from gsm3core.download.raster_tiles import Tiles, window_span
from gsm3core.geography.grids import cell_box
from gsm3core.readers.cell_rasters import CELL_GRID, HALO, MISSING, cells_of
from gsm3core.readers.copernicus_dem import LAYER
from gsm3core.readers.points import Points

_ROWS = 3600  # of a tile of one degree
_SPACINGS = ((50, 1.0), (60, 1.5), (70, 2.0), (80, 3.0), (85, 5.0), (90, 10.0))  # arcseconds along longitude
_NOT_PUBLISHED = (38, 41, 43, 50)  # south-western corners: latitudes and longitudes, first and last


def pull_copernicus_dem(
    entry: SourceEntry,
    points: Points,
    root: Path,
    *,
    period: Period | None = None,
    variables: Iterable[str] = (),
    url: str,
    policy: RetryPolicy | None = None,
    on_progress: ProgressCallback | None = None,
) -> FetchResult:
    """Read the elevations of each site's 9 km cell and two pixels around it; see ``download.points.PointPuller``.

    Notes
    -----
    Tiles of one degree are named by their south-western corner; the pixels' centres lie on whole arcseconds, the first
    one at the north-western corner, and the last row and column of the original tiles are left out, which the neighbours
    have (https://copernicus-dem-30m.s3.amazonaws.com/readme.html). Poleward of 50 degrees pixels are 1.5, then 2, 3, 5
    and 10 arcseconds wide. Where a cell lies on such a limit, the rows beyond it are interpolated linearly along the
    parallel to the pixels of the cell's middle. The sea has no tiles and is 0 m beside a tile; a cell without any tile has no
    values. The tiles over Armenia and Azerbaijan were not published there either: their pixels are missing, not sea.
    """
    requests = [
        WindowRequest(
            cell=int(cell),
            layer=LAYER,
            group=tile_url(url, *_corner(int(cell))),
            read=partial(_read, int(cell), url),
        )
        for cell in np.unique(cells_of(points))
        if cell != MISSING
    ]
    return pull_windows(requests, root, policy=policy or RetryPolicy(), on_progress=on_progress)


def tile_url(base: str, lat: int, lon: int) -> str:
    """Return the address of the tile with this south-western corner, whole degrees."""
    north, east = "S" if lat < 0 else "N", "W" if lon < 0 else "E"
    name = f"Copernicus_DSM_COG_10_{north}{abs(lat):02d}_00_{east}{abs(lon):03d}_00_DEM"
    return f"{base}/{name}/{name}.tif"


def _corner(cell: int) -> tuple[int, int]:
    """Return the south-western corner of the tile with the middle of a cell."""
    west, south, east, north = cell_box(cell, CELL_GRID)
    return math.floor((south + north) / 2), math.floor((west + east) / 2)


def _pixels_across(band: int) -> int:
    """Return the columns of the tiles in a band of one degree, counted from 90 N."""
    equatorward = min(abs(90 - band), abs(89 - band))
    return round(3600 / next(s for limit, s in _SPACINGS if equatorward < limit))


def _absent(lat: int, lon: int) -> float:
    south, north, west, east = _NOT_PUBLISHED
    return math.nan if south <= lat <= north and west <= lon <= east else 0.0


def _read(cell: int, base: str, rasters: Rasters) -> Window:
    west, south, east, north = cell_box(cell, CELL_GRID)
    band = math.floor(90 - (south + north) / 2)
    across = _pixels_across(band)
    rows = window_span(90 - north, 90 - south, 1 / _ROWS, 0.0, HALO)
    columns = window_span(west + 180, east + 180, 1 / across, 0.0, HALO)
    parts = []
    for one in range(rows[0] // _ROWS, (rows[1] - 1) // _ROWS + 1):
        span = max(rows[0], one * _ROWS), min(rows[1], (one + 1) * _ROWS)
        parts.append(_read_band(rasters, base, one, span, columns, across))
    values = np.concatenate(parts).astype(np.float32)
    if rasters.urls.keys() == rasters.absent.keys():
        values[:] = np.nan
    west_edge, north_edge = -180 + (columns[0] - 0.5) / across, 90 - (rows[0] - 0.5) / _ROWS
    return Window(
        values=values,
        transform=Affine(1 / across, 0, west_edge, 0, -1 / _ROWS, north_edge),
        crs="EPSG:4326",
        nodata=math.nan,
    )


def _read_band(
    rasters: Rasters, base: str, band: int, rows: tuple[int, int], columns: tuple[int, int], across: int
) -> NDArray[Any]:
    """Return rows within one band of tiles at the columns of a window with ``across`` pixels a degree."""
    own = _pixels_across(band)
    tiles = Tiles(degrees=1, rows=_ROWS, columns=own, half=True, url=partial(tile_url, base), absent=_absent,
                  dtype="float32")  # fmt: skip
    if own == across:
        return tiles.read(rasters, rows, columns)
    wanted = np.arange(*columns) / across  # degrees from the antimeridian
    first, last = math.floor(wanted[0] * own), math.ceil(wanted[-1] * own) + 1
    values = tiles.read(rasters, rows, (first, last)).astype(float)
    return np.stack([np.interp(wanted, np.arange(first, last) / own, row) for row in values])
