"""Poleward aspect: terrain aspect that is comparable between hemispheres."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from gsm3core import vocabulary as v


def poleward_aspect(aspect: ArrayLike, lat: ArrayLike) -> NDArray[np.float64]:
    """Return the cosine of the aspect, times -1 in the Southern Hemisphere.

    Parameters
    ----------
    aspect
        Degrees clockwise from north.
    lat
        Degrees; broadcast against ``aspect``. The equator counts as north.

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


def poleward_aspect_of(ds: xr.Dataset) -> NDArray[np.float64]:
    """Return the poleward aspect of every site of a dataset, ``(site)``; NaN where it is unknown.

    Parameters
    ----------
    ds
        With a variable ``poleward_aspect`` (site), or with ``aspect`` (degrees) and the coordinate ``lat``.
    """
    if "poleward_aspect" in ds:
        return np.asarray(ds["poleward_aspect"].values, float)
    if "aspect" in ds:
        return poleward_aspect(ds["aspect"].values, ds[v.LAT].values)
    return np.full(ds.sizes[v.SITE], np.nan)
