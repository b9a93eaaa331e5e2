"""What was drawn around sites on the map: a polygon, short enough for an address, and the sites inside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from app.services.mercator import degrees, mercator

Corner = tuple[float, float]
Area = tuple[Corner, ...]
"""Corners in degrees, longitude before latitude; empty is no area."""

_MOST_CORNERS = 40
_DIGITS = 3  # of a degree: a hundred metres


def drawn(x: Sequence[float], y: Sequence[float]) -> Area:
    """Return the area inside a line drawn on the map.

    Parameters
    ----------
    x, y
        Mercator metres. A free-hand line is simplified to some forty corners, and it is the simplified area
        that counts, here and for whoever opens the address.
    """
    if len(x) < 3:
        return ()
    line = shapely.Polygon(np.column_stack([x, y]))
    tolerance = 0.002 * max(np.ptp(x), np.ptp(y))
    simple = line
    while len(simple.exterior.coords) > _MOST_CORNERS + 1:
        simple = line.simplify(tolerance, preserve_topology=False)
        if not isinstance(simple, shapely.Polygon) or simple.is_empty:
            return ()
        tolerance *= 1.6
    lon, lat = degrees(*np.asarray(simple.exterior.coords)[:-1].T)
    return tuple(zip(lon.round(_DIGITS).tolist(), lat.round(_DIGITS).tolist(), strict=True))


def inside(area: Area, sites: pd.DataFrame) -> NDArray[np.bool_]:
    """Tell which sites lie in an area, as it is drawn on a Mercator map.

    Parameters
    ----------
    area
        At least three corners.
    sites
        With Mercator ``x`` and ``y``.
    """
    polygon = shapely.Polygon(np.column_stack(mercator(*np.asarray(area, float).T)))
    # A line that crosses itself is read as its loops together.
    polygon = polygon if polygon.is_valid else shapely.make_valid(polygon)
    found: NDArray[np.bool_] = shapely.intersects_xy(polygon, sites["x"].to_numpy(), sites["y"].to_numpy())
    return found


def to_text(area: Area) -> str:
    """Return an area as an address has it: ``lon,lat;lon,lat;...``."""
    return ";".join(f"{lon:g},{lat:g}" for lon, lat in area)


def from_text(text: str) -> Area:
    """Return the area of an address.

    Raises
    ------
    ValueError
        If it is not three to sixty pairs of degrees.
    """
    corners = tuple((float(lon), float(lat)) for lon, lat in (c.split(",") for c in text.split(";") if c))
    if not 3 <= len(corners) <= 60 or not all(abs(x) <= 360 and abs(y) <= 90 for x, y in corners):
        raise ValueError(text)
    return corners
