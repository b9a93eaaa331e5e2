"""Coastlines, land and borders of the world from a file of the project: maps need no network."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from gsm3core.resources import assets_folder

LAYERS = ("coast", "borders", "land")


@cache
def outline(layer: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return one layer of Natural Earth as a single line.

    Parameters
    ----------
    layer
        One of :data:`LAYERS`.

    Returns
    -------
    tuple of numpy.ndarray
        Longitude and latitude in degrees; NaN separates lines, so that a map draws one line, not thousands.
    """
    with np.load(assets_folder() / "natural_earth.npz") as layers:
        lon, lat = layers[layer].T.astype(np.float64)
    lon.flags.writeable = lat.flags.writeable = False
    return lon, lat
