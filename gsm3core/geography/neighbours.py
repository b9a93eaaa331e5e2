"""Sites within a distance of each other on the WGS 84 ellipsoid."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from pyproj import Geod

_EARTH_KM = 6371.0
# Great-circle distances on the sphere are within 0.6 % of geodesic ones.
_MARGIN = 1.01


def joined_groups(lat: ArrayLike, lon: ArrayLike, group: ArrayLike, km: float) -> NDArray[np.int64]:
    """Return groups of sites, joined wherever two sites are at most some distance apart.

    Parameters
    ----------
    lat, lon
        ``(site)`` degrees.
    group
        ``(site)`` numbers of the groups to join.
    km
        Geodesic distance; 0 joins none.

    Returns
    -------
    numpy.ndarray
        ``(site)`` numbers from 0. Groups are joined through chains of sites: two sites of different groups are always
        more than ``km`` apart.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    _, number = np.unique(np.asarray(group), return_inverse=True)
    if km <= 0:
        return np.asarray(number, np.int64)
    pairs, _ = pairs_within(lat, lon, km)
    edges = (np.ones(len(pairs)), (number[pairs[:, 0]], number[pairs[:, 1]]))
    count = int(number.max(initial=-1)) + 1
    _, label = connected_components(coo_matrix(edges, shape=(count, count)), directed=False)
    return np.asarray(label[number], np.int64)


def pairs_within(lat: ArrayLike, lon: ArrayLike, km: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return all pairs of sites at most some geodesic distance apart.

    Parameters
    ----------
    lat, lon
        ``(site)`` degrees.
    km
        Largest distance.

    Returns
    -------
    pairs, distances
        ``(pair, 2)`` numbers of sites, the lower first, in ascending order; ``(pair)`` km.
    """
    lat, lon = np.asarray(lat, float), np.asarray(lon, float)
    if len(lat) < 2 or km <= 0:
        return np.empty((0, 2), np.int64), np.empty(0)
    pairs = np.sort(_tree(_unit_vectors(lat, lon)).query_pairs(_chord(km), output_type="ndarray"), axis=1)
    pairs = pairs[np.lexsort(pairs.T[::-1])].astype(np.int64)
    distances = _geodesic_km(lat, lon, pairs[:, 0], pairs[:, 1])
    return pairs[distances <= km], distances[distances <= km]


def near_any(
    lat: ArrayLike, lon: ArrayLike, sites: NDArray[np.bool_], others: NDArray[np.bool_], km: float
) -> NDArray[np.bool_]:
    """Return the mask of the sites that have another one within a geodesic distance.

    Parameters
    ----------
    lat, lon
        ``(site)`` degrees.
    sites, others
        ``(site)`` masks: the sites to check, and those that count as neighbours. A site is not its own neighbour.
    km
        Distance.
    """
    lat, lon = np.asarray(lat, float), np.asarray(lon, float)
    found = np.zeros(len(lat), bool)
    at, among = np.flatnonzero(sites), np.flatnonzero(others)
    if not len(at) or not len(among):
        return found
    points = _unit_vectors(lat, lon)
    close = _tree(points[among]).query_ball_point(points[at], _chord(km))
    first = np.repeat(at, [len(c) for c in close])
    second = among[np.concatenate([np.asarray(c, np.intp) for c in close])]
    near = (first != second) & (_geodesic_km(lat, lon, first, second) <= km)
    found[first[near]] = True
    return found


def _geodesic_km(
    lat: NDArray[np.float64], lon: NDArray[np.float64], a: NDArray[np.intp], b: NDArray[np.intp]
) -> NDArray[np.float64]:
    if not len(a):
        return np.empty(0)
    return np.asarray(_ellipsoid().inv(lon[a], lat[a], lon[b], lat[b])[2], float) / 1000


def _chord(km: float) -> float:
    return float(2 * np.sin(min(_MARGIN * km / _EARTH_KM, np.pi) / 2))


def _tree(points: NDArray[np.float64]):  # type: ignore[no-untyped-def]
    from scipy.spatial import cKDTree

    return cKDTree(points)


def _unit_vectors(lat: ArrayLike, lon: ArrayLike) -> NDArray[np.float64]:
    a, b = np.radians(np.asarray(lat, float)), np.radians(np.asarray(lon, float))
    return np.column_stack([np.cos(a) * np.cos(b), np.cos(a) * np.sin(b), np.sin(a)])


@cache
def _ellipsoid() -> Geod:
    from pyproj import Geod

    return Geod(ellps="WGS84")
