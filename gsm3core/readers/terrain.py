"""Terrain from a raster of elevations: slope, aspect, curvatures and roughness of each pixel, and their means."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_SEMI_MAJOR, _FLATTENING = 6378137.0, 1 / 298.257223563  # m; WGS 84
_ECCENTRICITY2 = _FLATTENING * (2 - _FLATTENING)

NAMES = ("elevation", "slope", "aspect", "aspect_cosine", "profile_curvature", "tangential_curvature", "plan_curvature",
         "terrain_roughness")  # fmt: skip
"""Keys of :func:`pixel_terrain`."""


def metres_per_degree(lat: ArrayLike) -> tuple[Floats, Floats]:
    """Return the lengths of one degree of longitude and one of latitude, m, on the ellipsoid WGS 84.

    Parameters
    ----------
    lat
        Degrees.

    Notes
    -----
    The radii of curvature in the prime vertical and in the meridian (Snyder 1987, doi:10.3133/pp1395, equations 4-20
    and 4-18).
    """
    phi = np.radians(np.asarray(lat, float))
    w = 1 - _ECCENTRICITY2 * np.sin(phi) ** 2
    across = _SEMI_MAJOR / np.sqrt(w) * np.cos(phi)
    along = _SEMI_MAJOR * (1 - _ECCENTRICITY2) / w**1.5
    return np.radians(1) * across, np.radians(1) * along


def pixel_terrain(elevation: ArrayLike, lat: ArrayLike, spacing: tuple[float, float]) -> dict[str, Floats]:
    """Return the terrain of each inner pixel of a raster in latitude and longitude.

    Parameters
    ----------
    elevation
        ``(row, column)`` m, north up; NaN where unknown.
    lat
        ``(row)`` latitudes of the pixel centres, degrees.
    spacing
        Of the pixel centres along latitude and along longitude, degrees, positive.

    Returns
    -------
    dict
        Arrays ``(row - 2, column - 2)`` by :data:`NAMES`. ``slope`` (degrees); ``aspect``, the direction that the
        slope faces (degrees clockwise from north), NaN on level ground; ``aspect_cosine``, +1 facing north, 0 on level
        ground; curvatures (m-1), positive where convex, 0 on level ground; ``terrain_roughness`` (m). NaN where one of
        the nine pixels is unknown.

    Notes
    -----
    Slope and aspect: Horn (1981, doi:10.1109/PROC.1981.11918). Curvatures: profile (down the slope), tangential
    (across it) and plan (of the contour line) as defined by Mitasova and Hofierka (1993, doi:10.1007/BF00893172), with the
    differences and the sign of GRASS r.slope.aspect, which the database of Amatulli et al. (2018,
    doi:10.1038/sdata.2018.40) uses. The curvature of a contour line grows without bound as the ground gets level; a
    radius smaller than a pixel cannot be resolved, so that plan curvature is limited to one divided by the pixel's width.
    Roughness: the largest difference between any two of the nine pixels, as in gdaldem (Wilson et al. 2007,
    doi:10.1080/01490410701295962).
    """
    z = np.asarray(elevation, float)
    across, along = metres_per_degree(np.asarray(lat, float)[1:-1, None])
    dx, dy = across * spacing[1], along * spacing[0]
    nw, n, ne = z[:-2, :-2], z[:-2, 1:-1], z[:-2, 2:]
    w, c, e = z[1:-1, :-2], z[1:-1, 1:-1], z[1:-1, 2:]
    sw, s, se = z[2:, :-2], z[2:, 1:-1], z[2:, 2:]
    nine = (nw, n, ne, w, c, e, sw, s, se)
    p = ((ne + 2 * e + se) - (nw + 2 * w + sw)) / (8 * dx)
    q = ((nw + 2 * n + ne) - (sw + 2 * s + se)) / (8 * dy)
    r = ((nw - 2 * n + ne) + 4 * (w - 2 * c + e) + (sw - 2 * s + se)) / (6 * dx**2)
    t = ((nw - 2 * w + sw) + 4 * (n - 2 * c + s) + (ne - 2 * e + se)) / (6 * dy**2)
    u = (ne + sw - nw - se) / (4 * dx * dy)
    g2 = p**2 + q**2
    level = g2 == 0
    steep = np.where(level, 1.0, g2)
    aspect = np.where(level, np.nan, np.degrees(np.arctan2(-p, -q)) % 360)
    across_slope = np.where(level, 0.0, -(r * q**2 - 2 * u * p * q + t * p**2) / steep)
    profile = np.where(level, 0.0, -(r * p**2 + 2 * u * p * q + t * q**2) / (steep * (1 + g2) ** 1.5))
    facing = np.where(level, 0.0, -q / np.sqrt(steep))  # the cosine of the aspect
    nothing = np.where(np.isnan(g2 + r + t), np.nan, 0.0)
    return {
        "elevation": c.copy(),
        "slope": np.degrees(np.arctan(np.sqrt(g2))) + nothing,
        "aspect": aspect + nothing,
        "aspect_cosine": facing + nothing,
        "profile_curvature": profile + nothing,
        "tangential_curvature": across_slope / np.sqrt(1 + g2) + nothing,
        "plan_curvature": np.clip(across_slope / np.sqrt(steep), -1 / dx, 1 / dx) + nothing,
        "terrain_roughness": np.max(nine, axis=0) - np.min(nine, axis=0) + nothing,
    }


def mean_terrain(pixels: dict[str, Floats], lat: ArrayLike) -> dict[str, float]:
    """Return the means of :func:`pixel_terrain` over a cell; NaN where no pixel has a value.

    Parameters
    ----------
    pixels
        Arrays ``(row, column)`` of the cell's pixels.
    lat
        ``(row)`` degrees; pixels are weighted by their area, the cosine of the latitude.

    Returns
    -------
    dict
        ``aspect`` is the circular mean: the direction of the sum of the unit vectors of all pixels that are not level
        (Fisher 1993, doi:10.1017/CBO9780511564345). The cosine of the aspect is averaged as it is.
    """
    weight = np.cos(np.radians(np.asarray(lat, float)))[:, None]

    def mean(values: Floats) -> float:
        known = np.isfinite(values)
        total = float((weight * known).sum())
        return float((weight * np.where(known, values, 0)).sum()) / total if total else np.nan

    out = {name: mean(values) for name, values in pixels.items() if name != "aspect"}
    direction = np.radians(pixels["aspect"])
    east, north = mean(np.sin(direction)), mean(np.cos(direction))
    clear = np.hypot(east, north) > 1e-9
    out["aspect"] = float(np.degrees(np.arctan2(east, north)) % 360) if clear else np.nan
    return out
