"""Polygon drawn around sites on the map: simplified for the URL, and the sites inside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely

from gsm3core.geography.mercator import degrees

Corner = tuple[float, float]
Area = tuple[Corner, ...]
"""Corners in degrees, longitude before latitude; empty without a polygon."""

_MAX_CORNERS = 40
_DIGITS = 3  # decimals of a degree: about 100 m


def simplified_polygon(x: Sequence[float], y: Sequence[float]) -> Area:
    """Return the polygon of a line drawn on the map, simplified to at most 40 corners.

    The simplified polygon selects the sites, so that the page and a link to it agree.

    Parameters
    ----------
    x, y
        Web-Mercator metres.
    """
    if len(x) < 3:
        return ()
    line = shapely.Polygon(np.column_stack([x, y]))
    tolerance = 0.002 * max(np.ptp(x), np.ptp(y))
    simple = line
    while len(simple.exterior.coords) > _MAX_CORNERS + 1:
        simple = line.simplify(tolerance, preserve_topology=False)
        if not isinstance(simple, shapely.Polygon) or simple.is_empty:
            return ()
        tolerance *= 1.6
    lon, lat = degrees(*np.asarray(simple.exterior.coords)[:-1].T)
    return tuple(zip(lon.round(_DIGITS).tolist(), lat.round(_DIGITS).tolist(), strict=True))


def to_text(area: Area) -> str:
    """Return the corners as URL text: ``lon,lat;lon,lat;...``."""
    return ";".join(f"{lon:g},{lat:g}" for lon, lat in area)


def from_text(text: str) -> Area:
    """Return the corners of a URL text.

    Raises
    ------
    ValueError
        If it is not three to sixty pairs of degrees.
    """
    corners = tuple((float(lon), float(lat)) for lon, lat in (c.split(",") for c in text.split(";") if c))
    if not 3 <= len(corners) <= 60 or not all(abs(x) <= 360 and abs(y) <= 90 for x, y in corners):
        raise ValueError(text)
    return corners
