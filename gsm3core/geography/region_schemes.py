"""Division of the land into named regions: by polygons, or by the classes of a global raster."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from gsm3core import vocabulary as v
from gsm3core.errors import ConfigError
from gsm3core.geography.boundaries import Boundary, boundary_points

_CHUNK = 500_000
# Of the boundary points for buffers; and for the nearest region of a point at sea, where a few hundred metres decide nothing.
_BUFFER_SPACING_KM, _NEAREST_SPACING_KM = 1.0, 5.0
Names = NDArray[np.str_]


class RegionScheme(ABC):
    """Named regions and the points that lie in them.

    Parameters
    ----------
    name, title
        Name in the catalogue or path of the file, and a title for people.
    regions
        Names, in the order of folds and tables.
    """

    def __init__(self, name: str, title: str, regions: tuple[str, ...]) -> None:
        self.name, self.title, self.regions = name, title, regions
        self._boundaries: dict[str, Boundary] = {}

    def region_of(self, lat: ArrayLike, lon: ArrayLike) -> Names:
        """Return the region of each point; :data:`gsm3core.vocabulary.NO_REGION` outside all regions.

        Parameters
        ----------
        lat, lon
            Degrees, WGS 84, the same length; longitude in -180..180.
        """
        lat, lon = np.atleast_1d(np.asarray(lat, float)), np.atleast_1d(np.asarray(lon, float))
        names = np.array([*self.regions, v.NO_REGION])
        parts = [
            self._index_of(lat[at : at + _CHUNK], lon[at : at + _CHUNK]) for at in range(0, len(lat), _CHUNK)
        ]
        return names[np.concatenate(parts) if parts else np.empty(0, int)]

    def distance_km(
        self, lat: ArrayLike, lon: ArrayLike, region: str, *, within_km: float = np.inf
    ) -> NDArray[np.float64]:
        """Return the geodesic distance of each point to the boundary of a region, km, from inside and outside.

        Parameters
        ----------
        lat, lon
            Degrees, WGS 84, the same length.
        region
            One of ``regions``.
        within_km
            Larger distances are returned as infinite, which is much faster.
        """
        if region not in self._boundaries:
            self._boundaries[region] = Boundary(*self._boundary_of(region))
        return self._boundaries[region].nearest(lat, lon, within_km=within_km)[0]

    @abstractmethod
    def _index_of(self, lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the index in ``regions`` of each point; ``len(regions)`` outside all regions."""

    @abstractmethod
    def _boundary_of(self, region: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return latitude and longitude of points along a region's boundary."""


class PolygonScheme(RegionScheme):
    """Regions of polygons.

    Parameters
    ----------
    pieces
        Region -> its polygons. Other names than those in ``regions`` stand for land without a region.
    nearest_km
        A point outside all pieces has the region of the nearest piece within this distance.
    exclusive
        Whether a point inside two regions is an error; else the first one has it.
    """

    def __init__(
        self, name: str, title: str, regions: tuple[str, ...], pieces: Mapping[str, shapely.MultiPolygon],
        *, nearest_km: float = 0.0, exclusive: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(name, title, regions)
        self.pieces, self._nearest_km, self._exclusive = pieces, nearest_km, exclusive
        numbers = {region: k for k, region in enumerate(regions)}
        self._polygons, of = shapely.get_parts(np.array(list(pieces.values())), return_index=True)
        self._number = np.array([numbers.get(name, len(regions)) for name in pieces], int)[of]
        self._tree = shapely.STRtree(self._polygons)
        shapely.prepare(self._polygons)

    def _index_of(self, lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.int64]:
        outside = len(self.regions) + 1
        found = np.full(len(lat), outside, np.int64)
        strictly = np.zeros(len(lat), bool)
        points = shapely.points(lon, lat)
        at, piece = self._tree.query(points)
        order = np.lexsort((piece, self._number[piece]))
        at, piece = at[order], piece[order]
        inside = shapely.intersects(self._polygons[piece], points[at])
        at, piece = at[inside], piece[inside]
        number = self._number[piece]
        first = np.unique(at, return_index=True)[1]
        found[at[first]] = number[first]
        if self._exclusive:
            within = shapely.contains_properly(self._polygons[piece], points[at])
            for k in np.flatnonzero(within):
                if strictly[at[k]] and found[at[k]] != number[k]:
                    a, b = self.regions[found[at[k]]], self.regions[number[k]]
                    raise ConfigError(
                        f"{self.name}: the point at latitude {lat[at[k]]:.4f}, longitude {lon[at[k]]:.4f} lies in two regions, "
                        f"{a!r} and {b!r}. Draw them without overlap."
                    )
                found[at[k]], strictly[at[k]] = number[k], True
        missing = np.flatnonzero(found == outside)
        if len(missing) and self._nearest_km > 0:
            boundary, number = self._shores
            distance, nearest = boundary.nearest(lat[missing], lon[missing], within_km=self._nearest_km)
            near = np.isfinite(distance)
            found[missing[near]] = number[nearest[near]]
        return np.minimum(found, len(self.regions))

    def _boundary_of(self, region: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return boundary_points(self.pieces.get(region, shapely.MultiPolygon()), _BUFFER_SPACING_KM)

    @cached_property
    def _shores(self) -> tuple[Boundary, NDArray[np.int64]]:
        """The boundary points of all pieces, and the number of the region of each."""
        points = [boundary_points(polygon, _NEAREST_SPACING_KM) for polygon in self._polygons]
        count = [len(lat) for lat, _ in points]
        boundary = Boundary(np.concatenate([p[0] for p in points]), np.concatenate([p[1] for p in points]))
        return boundary, np.repeat(self._number, count)


class RasterScheme(RegionScheme):
    """Regions of the classes of a global raster.

    Parameters
    ----------
    values_YX
        Class of each cell, rows from 90 N, columns from 180 W.
    classes
        Region -> class.
    """

    def __init__(
        self, name: str, title: str, values_YX: NDArray[np.uint8], classes: Mapping[str, int]
    ) -> None:
        super().__init__(name, title, tuple(classes))
        index = np.full(256, len(classes), np.int64)
        index[list(classes.values())] = np.arange(len(classes))
        self._index_YX = index[values_YX]

    def _index_of(self, lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.int64]:
        rows, columns = self._index_YX.shape
        row = np.floor((90 - lat) * rows / 180).astype(int).clip(0, rows - 1)
        column = np.floor((lon + 180) * columns / 360).astype(int) % columns
        return self._index_YX[row, column]

    def _boundary_of(self, region: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        inside = self._index_YX == self.regions.index(region)
        rows = len(inside)
        cell = 180 / rows
        across = np.argwhere(inside[1:] != inside[:-1])  # edges along a parallel, below these cells
        along = np.argwhere(
            inside != np.roll(inside, -1, axis=1)
        )  # edges along a meridian, right of these cells
        share = np.linspace(0, 1, max(2, round(cell * 111.2 / _BUFFER_SPACING_KM) + 1))
        lat = np.concatenate([
            np.repeat(90 - cell * (across[:, 0] + 1), len(share)), (90 - cell * (along[:, :1] + share)).ravel(),
        ])  # fmt: skip
        lon = np.concatenate([
            (-180 + cell * (across[:, 1:] + share)).ravel(), np.repeat(-180 + cell * (along[:, 1] + 1), len(share)),
        ])  # fmt: skip
        return lat, lon


def file_scheme(path: Path, polygons: Mapping[str, shapely.MultiPolygon]) -> PolygonScheme:
    """Return the scheme of a user's file, in which regions must not overlap at a site."""
    return PolygonScheme(str(path), path.name, tuple(polygons), polygons, exclusive=True)
