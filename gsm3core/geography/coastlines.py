"""Coastlines, land and borders from a file of the project, without network access."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from gsm3core.resources import assets_folder

LAYERS = ("coast", "borders", "land")


@cache
def outline(layer: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return one layer of Natural Earth.

    Parameters
    ----------
    layer
        One of :data:`LAYERS`.

    Returns
    -------
    tuple of numpy.ndarray
        Longitude and latitude in degrees; NaN separates lines, so that a map draws a single line object.
    """
    with np.load(assets_folder() / "natural_earth.npz") as layers:
        lon, lat = layers[layer].T.astype(np.float64)
    lon.flags.writeable = lat.flags.writeable = False
    return lon, lat
