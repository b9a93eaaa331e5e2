"""Distance from points to the boundary of an area, on the ellipsoid."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from pyproj import Geod

_KM_PER_DEGREE = 111.2
_A_KM, _E2 = 6378.137, 0.00669437999014  # WGS 84
Floats = NDArray[np.float64]


class Boundary:
    """Points along the boundary of an area, for distances to it.

    Parameters
    ----------
    lat, lon
        Degrees; consecutive points at most ``spacing`` apart. The distance to the boundary is too large by at most
        ``spacing**2 / (8 * distance)``, and by half of ``spacing`` on the boundary itself.
    """

    def __init__(self, lat: ArrayLike, lon: ArrayLike) -> None:
        from scipy.spatial import KDTree

        self.lat, self.lon = np.asarray(lat, float), np.asarray(lon, float)
        self._tree = KDTree(_earth_centred(self.lat, self.lon)) if len(self.lat) else None

    def nearest(
        self, lat: ArrayLike, lon: ArrayLike, *, within_km: float = np.inf
    ) -> tuple[Floats, NDArray[np.int64]]:
        """Return the distance of each point to the boundary, km, and the index of the nearest boundary point.

        Parameters
        ----------
        lat, lon
            Degrees, WGS 84.
        within_km
            Larger distances are returned as infinite, with index 0. The search for far points is slow without it.

        Notes
        -----
        The nearest point is found by the straight distance through the Earth; the distance is the geodesic on WGS 84
        (Karney 2013, doi:10.1007/s00190-012-0578-z). Without a boundary the distance is infinite.
        """
        lat, lon = np.atleast_1d(np.asarray(lat, float)), np.atleast_1d(np.asarray(lon, float))
        if self._tree is None:
            return np.full(lat.shape, np.inf), np.zeros(lat.shape, np.int64)
        # A straight line through the Earth is shorter than the geodesic.
        _, at = self._tree.query(_earth_centred(lat, lon), distance_upper_bound=within_km)
        at = np.asarray(at, np.int64)
        found = at < len(self.lat)
        _, _, metres = _geod().inv(lon[found], lat[found], self.lon[at[found]], self.lat[at[found]])
        distance = np.full(lat.shape, np.inf)
        distance[found] = np.asarray(metres) / 1000
        far = ~(distance <= within_km)
        return np.where(far, np.inf, distance), np.where(far, 0, at)


def boundary_points(area: shapely.Geometry, spacing_km: float) -> tuple[Floats, Floats]:
    """Return latitude and longitude of points along the rings of polygons, at most ``spacing_km`` apart.

    Notes
    -----
    Edges are straight in longitude and latitude, as in GeoJSON (RFC 7946) and in tests of whether a point lies inside.
    """
    corners, ring = shapely.get_coordinates(shapely.get_rings(shapely.get_parts(area)), return_index=True)
    if not len(corners):
        return np.empty(0), np.empty(0)
    step = np.diff(corners, axis=0)
    middle = np.radians((corners[1:, 1] + corners[:-1, 1]) / 2)
    length = _KM_PER_DEGREE * np.hypot(step[:, 0] * np.cos(middle), step[:, 1])
    pieces = np.where(ring[1:] == ring[:-1], np.maximum(np.ceil(length / spacing_km), 1), 1).astype(int)
    start = np.repeat(np.arange(len(step)), pieces)
    within = np.arange(len(start)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    points = corners[start] + step[start] * (within / pieces[start])[:, None]
    points = np.vstack([points, corners[-1:]])
    return points[:, 1], points[:, 0]


def _earth_centred(lat: Floats, lon: Floats) -> Floats:
    """Return positions on the ellipsoid, km from the centre of the Earth, ``(point, 3)``."""
    phi, lam = np.radians(lat), np.radians(lon)
    n = _A_KM / np.sqrt(1 - _E2 * np.sin(phi) ** 2)
    return np.column_stack(
        [n * np.cos(phi) * np.cos(lam), n * np.cos(phi) * np.sin(lam), n * (1 - _E2) * np.sin(phi)]
    )


@cache
def _geod() -> Geod:
    from pyproj import Geod

    return Geod(ellps="WGS84")
