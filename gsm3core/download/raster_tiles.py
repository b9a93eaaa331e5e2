"""Global maps in latitude and longitude that are cut into tiles of whole degrees."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gsm3core.download.cell_windows import Rasters
from gsm3core.download.remote_raster import Georeference
from gsm3core.errors import DatasetError


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiles:
    """A global map in latitude and longitude, cut into tiles of whole degrees.

    Parameters
    ----------
    degrees
        Side of a tile.
    rows, columns
        Pixels of a tile. Pixels are counted from 90 N and 180 W.
    half
        Whether the pixel's centre, not its corner, is at the tile's north-western corner.
    url
        Address of the tile with a south-western corner ``(latitude, longitude)``.
    absent
        Value of the pixels of a tile that the server lacks, by its corner.
    """

    degrees: int
    rows: int
    columns: int
    half: bool
    url: Callable[[int, int], str]
    absent: Callable[[int, int], float]
    dtype: str

    def read(self, rasters: Rasters, rows: tuple[int, int], columns: tuple[int, int]) -> NDArray[Any]:
        """Return the pixels from a first to before a last row and column; columns continue across the antimeridian."""
        out = np.empty((rows[1] - rows[0], columns[1] - columns[0]), self.dtype)
        around = 360 // self.degrees
        for i in range(rows[0] // self.rows, (rows[1] - 1) // self.rows + 1):
            for j in range(columns[0] // self.columns, (columns[1] - 1) // self.columns + 1):
                lat, lon = 90 - self.degrees * (i + 1), -180 + self.degrees * (j % around)
                r = _overlap(rows, i * self.rows, self.rows)
                c = _overlap(columns, j * self.columns, self.columns)
                at = (
                    slice(r[0] + i * self.rows - rows[0], r[1] + i * self.rows - rows[0]),
                    slice(c[0] + j * self.columns - columns[0], c[1] + j * self.columns - columns[0]),
                )
                raster = rasters.open(self.url(lat, lon)) if lat >= -90 else None
                if raster is None:
                    out[at] = self.absent(lat, lon)
                else:
                    self._check(raster.place, raster.url, lat, lon)
                    pixels = raster.read(r, c)
                    nodata = raster.place.nodata
                    if nodata is not None and pixels.dtype.kind == "f":
                        pixels = np.where(pixels == nodata, np.nan, pixels)
                    out[at] = pixels
        return out

    def _check(self, place: Georeference, url: str, lat: int, lon: int) -> None:
        """Raise unless a tile has the size, the place and the spacing that its name promises."""
        dy, dx = self.degrees / self.rows, self.degrees / self.columns
        west, north = lon - self.half * dx / 2, lat + self.degrees + self.half * dy / 2
        right_place = abs(place.west - west) < dx / 100 and abs(place.north - north) < dy / 100
        right_pixel = abs(place.pixel[0] / dy - 1) < 1e-6 and abs(place.pixel[1] / dx - 1) < 1e-6
        right_type = np.can_cast(place.dtype, self.dtype) and place.crs.to_epsg() == 4326
        if place.shape != (self.rows, self.columns) or not (right_pixel and right_place and right_type):
            raise DatasetError(
                f"{url} has {place.shape[0]} x {place.shape[1]} pixels ({place.dtype}) of {place.pixel[0] * 3600:.4g} x "
                f"{place.pixel[1] * 3600:.4g} arcseconds from {place.north:.6f} N, {place.west:.6f} E in {place.crs}; expected "
                f"{self.rows} x {self.columns} ({self.dtype}) of {dy * 3600:.4g} x {dx * 3600:.4g} from {north:.6f} N, "
                f"{west:.6f} E in EPSG:4326. It is another product: check the address."
            )


def window_span(first: float, last: float, pixel: float, centre: float, halo: int) -> tuple[int, int]:
    """Return the pixels whose centres lie between two edges, and ``halo`` more on both sides.

    Parameters
    ----------
    first, last
        Edges, degrees from 90 N southward or from 180 W eastward; the first one belongs to the cell.
    pixel
        Side of a pixel, degrees.
    centre
        Place of the centre of the first pixel, in pixels.
    """
    low, high = (math.ceil(edge / pixel - centre - 1e-6) for edge in (first, last))
    return low - halo, high + halo


def _overlap(span: tuple[int, int], start: int, length: int) -> tuple[int, int]:
    """Return the part of a span of pixels within a tile, counted from the tile's first pixel."""
    return max(span[0] - start, 0), min(span[1] - start, length)
