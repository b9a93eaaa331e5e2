"""Windows of SoilGrids 2.0 around the sites, from the maps of 1 km on ISRIC's file server."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer
from pyproj.exceptions import CRSError
from rasterio.transform import Affine

from gsm3core.catalog import SourceEntry
from gsm3core.config import Period
from gsm3core.download.cell_windows import Rasters, Window, WindowRequest, pull_windows
from gsm3core.download.fetch import FetchResult, ProgressCallback, RetryPolicy
from gsm3core.download.remote_raster import Georeference, RemoteRaster
from gsm3core.errors import DatasetError
from gsm3core.geography.grids import cell_box
from gsm3core.readers.cell_rasters import CELL_GRID, MISSING, cells_of
from gsm3core.readers.points import Points
from gsm3core.readers.soilgrids import DEPTHS, PIXELS_TAG, layer_of

_SAMPLES = 41  # places along each side of a cell, about 225 m apart
_LOBE = 100_000.0  # m; places of a cell further apart than this lie in different parts of the projection


def pull_soilgrids(
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
    """Read the soil of each site's 9 km cell, one property and depth after the other; see ``download.points.PointPuller``.

    Notes
    -----
    ``PROPERTY/PROPERTY_DEPTH_mean_1000.tif`` is the mean of the 250 m map over pixels of 1 km, in Goode's homolosine
    projection (https://docs.isric.org/globaldata/soilgrids/). The projection is read from the file. It has equal areas, so that
    pixels have equal weights. A cell that the projection cuts in two is represented by its larger part.
    """
    cells = [int(c) for c in np.unique(cells_of(points)) if c != MISSING]
    layers = dict.fromkeys(layer_of(name) for name in variables)
    requests = [
        WindowRequest(
            cell=cell, layer=layer.folder, group=layer.folder,
            read=partial(_read, cell, [map_url(url, layer.theirs, d) for d in layer.depths]),
        )
        for layer in layers for cell in cells
    ]  # fmt: skip
    return pull_windows(requests, root, policy=policy or RetryPolicy(jobs=2), on_progress=on_progress)


def map_url(base: str, name: str, depth: str) -> str:
    """Return the address of the map of a property (``clay``) at a depth (``0-5cm``)."""
    return f"{base}/{name}/{name}_{depth}_mean_1000.tif"


def _read(cell: int, urls: list[str], rasters: Rasters) -> Window:
    """Return the mean of a cell's pixels over depths, weighted by their thickness; NaN where a depth is missing."""
    maps: list[tuple[float, RemoteRaster]] = []
    for url in urls:
        raster = rasters.open(url)
        if raster is None:
            raise DatasetError(f"{url} does not exist on the server. Check the address.")
        maps.append((DEPTHS[url.rsplit("_mean", 1)[0].rsplit("_", 1)[1]], raster))
    place = maps[0][1].place
    rows, columns, inside = _pixels(cell, place, maps[0][1].url)
    total, thickness = np.zeros(inside.shape), 0.0
    for weight, raster in maps:
        if raster.place[:4] != place[:4]:
            raise DatasetError(
                f"{raster.url} and {maps[0][1].url} have different pixels; expected the same for all depths."
            )
        stored = raster.read(rows, columns)
        # No property is negative: -32768 means no data also in a file that does not say so.
        unknown = (stored == raster.place.nodata) | (stored < 0)
        total += weight * np.where(unknown, np.nan, stored.astype(float))
        thickness += weight
    values = np.where(inside, total / thickness, np.nan).astype(np.float32)
    dy, dx = place.pixel
    return Window(
        values=values,
        transform=Affine(dx, 0, place.west + columns[0] * dx, 0, -dy, place.north - rows[0] * dy),
        crs=place.crs,
        nodata=math.nan,
        tags={PIXELS_TAG: str(int(inside.sum()))},
    )


def _pixels(
    cell: int, place: Georeference, url: str
) -> tuple[tuple[int, int], tuple[int, int], NDArray[np.bool_]]:
    """Return rows and columns around a cell, and which of these pixels have their centres in it."""
    west, south, east, north = cell_box(cell, CELL_GRID)
    lon, lat = np.meshgrid(np.linspace(west, east, _SAMPLES), np.linspace(south, north, _SAMPLES))
    forward = _transformer(place.crs.to_wkt(), url)
    x, y = forward.transform(lon.ravel(), lat.ravel())
    order = np.argsort(x)
    parts = np.split(order, np.flatnonzero(np.diff(x[order]) > _LOBE) + 1)
    part = max(parts, key=len)
    dy, dx = place.pixel
    height, width = place.shape
    rows = _clip((place.north - y[part]) / dy, height)
    columns = _clip((x[part] - place.west) / dx, width)
    if not (np.isfinite(x).all() and rows[0] < rows[1] and columns[0] < columns[1]):
        raise DatasetError(
            f"{url} does not cover the 9 km cell at latitude {(south + north) / 2:.2f}, longitude {(west + east) / 2:.2f}: the "
            f"map has {height} x {width} pixels of {dy:g} x {dx:g} m from {place.west:.0f}, {place.north:.0f}."
        )
    px = place.west + (np.arange(*columns) + 0.5) * dx
    py = place.north - (np.arange(*rows) + 0.5) * dy
    grid_x, grid_y = np.meshgrid(px, py)
    at_lon, at_lat = forward.transform(grid_x, grid_y, direction="INVERSE")
    inside = (at_lon >= west) & (at_lon < east) & (at_lat > south) & (at_lat <= north)
    return rows, columns, np.asarray(inside)


def _clip(pixels: NDArray[Any], size: int) -> tuple[int, int]:
    return max(0, math.floor(pixels.min())), min(size, math.floor(pixels.max()) + 1)


@cache
def _transformer(wkt: str, url: str) -> Transformer:
    try:
        return Transformer.from_crs(4326, wkt, always_xy=True)
    except CRSError as error:
        raise DatasetError(f"{url} has an unknown coordinate system: {error}.") from error
