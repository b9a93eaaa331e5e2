"""Places of stations: distances, and stations that stand at one place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gsm3core.geography.grids import cell_of, distance_km

PLACE_KM = 1.0  # sensors of one station farther apart are not averaged: about the error of coordinates with two decimals
_FEW_DECIMALS = 2
_STEPS = 10


def km_between(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """Return the great-circle distance of two points in degrees, km."""
    return float(distance_km(lat, lon, other_lat, other_lon))


def places_of(points: Sequence[tuple[float, float]], km: float = PLACE_KM) -> list[int]:
    """Return the number of each point's place, from 0 in the order of the points.

    Parameters
    ----------
    points
        Latitudes and longitudes, degrees.
    km
        Points at most this far apart are one place, also through other points of it.
    """
    place = list(range(len(points)))
    for k, one in enumerate(points):
        for i in range(k):
            if place[i] != place[k] and km_between(*one, *points[i]) <= km:
                old, new = max(place[i], place[k]), min(place[i], place[k])
                place = [new if p == old else p for p in place]
    order = {p: k for k, p in enumerate(dict.fromkeys(place))}
    return [order[p] for p in place]


def place_suffix(lat: float, lon: float) -> str:
    """Return the end of a site name that makes it unique by its coordinates, such as ``_48.200_16.400``."""
    return f"_{lat:.3f}_{lon:.3f}"


def decimals_of(degrees: ArrayLike) -> NDArray[np.int64]:
    """Return the number of decimals of each coordinate, without zeros at the end."""
    texts = [np.format_float_positional(x, trim="-") for x in np.asarray(degrees).ravel()]
    return np.array([len(t.partition(".")[2]) for t in texts], np.int64)


def shares_in_other_cells(lat: ArrayLike, lon: ArrayLike, grid: str) -> NDArray[np.float64]:
    """Return the chance that a site lies in another cell than its coordinates, because they are rounded.

    Parameters
    ----------
    lat, lon
        ``(site)`` degrees. Sites with more than two decimals in either have 0.
    grid
        As in :func:`gsm3core.geography.grids.cell_of`.

    Notes
    -----
    With two decimals a coordinate is within 0.005 degrees of the true one (0.6 km). The chance is the share of this area in
    other cells, all positions in it being equally likely; it is 0 if all corners are in the cell.
    """
    lat, lon = np.asarray(lat), np.asarray(lon)
    decimals = np.maximum(decimals_of(lat), decimals_of(lon))
    half = 0.5 * 10.0**-decimals
    lat, lon = lat.astype(float), lon.astype(float)
    cell = cell_of(lat, lon, grid)

    def other(north: float, east: float) -> NDArray[np.bool_]:
        at = np.clip(lat + north * half, -90, 90), (lon + east * half + 180) % 360 - 180
        return np.asarray(cell_of(*at, grid) != cell)

    corners = np.any([other(north, east) for north in (-1, 1) for east in (-1, 1)], axis=0)
    steps = (np.arange(_STEPS) + 0.5) * 2 / _STEPS - 1
    share = np.mean([other(north, east) for north in steps for east in steps], axis=0)
    # An area that a corner alone leaves is smaller than the steps resolve.
    share = np.where(corners, np.maximum(share, 0.5 / _STEPS**2), 0.0)
    return np.where(decimals <= _FEW_DECIMALS, share, 0.0)
