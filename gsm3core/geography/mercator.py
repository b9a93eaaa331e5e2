"""Web-Mercator coordinates (EPSG:3857) of the maps, by pyproj."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyproj import Transformer

NORTHERNMOST = 84.0  # degrees; Mercator is unbounded at the pole

Array = NDArray[np.float64]


def mercator(lon: ArrayLike, lat: ArrayLike) -> tuple[Array, Array]:
    """Return web-Mercator metres of degrees; latitudes beyond 84 degrees are drawn at 84.

    Parameters
    ----------
    lon, lat
        Degrees; NaN stays NaN (it separates lines).
    """
    lon, lat = np.broadcast_arrays(np.asarray(lon, np.float64), np.asarray(lat, np.float64))
    x, y = _transformer().transform(lon, np.clip(lat, -NORTHERNMOST, NORTHERNMOST))
    return _nan_where_missing(x, y)


def degrees(x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """Return longitude and latitude of web-Mercator metres."""
    lon, lat = _transformer().transform(
        np.asarray(x, np.float64), np.asarray(y, np.float64), direction="INVERSE"
    )
    return _nan_where_missing(lon, lat)


@cache
def _transformer() -> Transformer:
    return Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True)


def _nan_where_missing(a: ArrayLike, b: ArrayLike) -> tuple[Array, Array]:
    """Return NaN where PROJ gives infinity for a missing coordinate."""
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    missing = ~(np.isfinite(first) & np.isfinite(second))
    return np.where(missing, np.nan, first), np.where(missing, np.nan, second)
