"""Windows of ESA WorldCover 2021 around the sites, from the tiles of AWS Open Data."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
from rasterio.transform import Affine

from gsm3core.catalog import SourceEntry
from gsm3core.config import Period
from gsm3core.download.cell_windows import Rasters, Window, WindowRequest, pull_windows
from gsm3core.download.fetch import FetchResult, ProgressCallback, RetryPolicy
from gsm3core.download.raster_tiles import Tiles, window_span
from gsm3core.geography.grids import cell_box
from gsm3core.readers.cell_rasters import CELL_GRID, HALO, MISSING, cells_of
from gsm3core.readers.points import Points
from gsm3core.readers.worldcover import LAYER

_DEGREES = 3
_PIXELS = 36_000  # of a tile along each side
_PER_DEGREE = _PIXELS // _DEGREES


def pull_worldcover(
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
    """Read the classes of each site's 9 km cell, all pixels of 10 m; see ``download.points.PointPuller``.

    Notes
    -----
    Tiles of three degrees are named by their south-western corner; pixels are 1/12000 degree wide, and their corners lie on
    whole degrees (Product User Manual v2.0, https://esa-worldcover.s3.eu-central-1.amazonaws.com/v200/2021/docs/
    WorldCover_PUM_V2.0.pdf). Overviews are not used: their classes are a sample of the pixels. There are no tiles far from the
    coast and south of 60 S.
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
    corner = f"{'S' if lat < 0 else 'N'}{abs(lat):02d}{'W' if lon < 0 else 'E'}{abs(lon):03d}"
    return f"{base}/ESA_WorldCover_10m_2021_v200_{corner}_Map.tif"


def _corner(cell: int) -> tuple[int, int]:
    west, south, east, north = cell_box(cell, CELL_GRID)
    lat, lon = (_DEGREES * math.floor(x / _DEGREES) for x in ((south + north) / 2, (west + east) / 2))
    return lat, lon


def _read(cell: int, base: str, rasters: Rasters) -> Window:
    west, south, east, north = cell_box(cell, CELL_GRID)
    rows = window_span(90 - north, 90 - south, 1 / _PER_DEGREE, 0.5, HALO)
    columns = window_span(west + 180, east + 180, 1 / _PER_DEGREE, 0.5, HALO)
    tiles = Tiles(degrees=_DEGREES, rows=_PIXELS, columns=_PIXELS, half=False, url=partial(tile_url, base),
                  absent=lambda lat, lon: 0, dtype="uint8")  # fmt: skip
    values = tiles.read(rasters, rows, columns)
    west_edge, north_edge, pixel = (
        -180 + columns[0] / _PER_DEGREE,
        90 - rows[0] / _PER_DEGREE,
        1 / _PER_DEGREE,
    )
    transform = Affine(pixel, 0, west_edge, 0, -pixel, north_edge)
    return Window(values=values, transform=transform, crs="EPSG:4326", nodata=0)
