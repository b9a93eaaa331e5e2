"""Terrain aspect as one number that means the same in both hemispheres."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def poleward_aspect(aspect: ArrayLike, lat: ArrayLike) -> NDArray[np.float64]:
    """Return the cosine of the aspect, times -1 in the Southern Hemisphere.

    Parameters
    ----------
    aspect
        Direction a slope faces, degrees clockwise from north.
    lat
        Latitude, degrees; broadcast against ``aspect``. The equator counts as north.

    Returns
    -------
    numpy.ndarray
        +1 facing the nearer pole (shaded), -1 facing the equator (sunny). NaN where an input is NaN.

    Notes
    -----
    Liu et al., GSM3 v1.0, section 2.2: "We further multiplied the aspect cosine in the Southern Hemisphere
    by -1 to reflect the sun's position."
    """
    lat = np.asarray(lat, float)
    sign = np.where(np.isnan(lat), np.nan, np.where(lat < 0, -1.0, 1.0))
    return np.cos(np.radians(np.asarray(aspect, float))) * sign
