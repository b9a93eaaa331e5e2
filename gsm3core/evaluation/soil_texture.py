"""USDA soil texture classes from sand and clay fractions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

TEXTURES = (
    "sand", "loamy sand", "sandy loam", "loam", "silt loam", "silt",
    "sandy clay loam", "clay loam", "silty clay loam", "sandy clay", "silty clay", "clay",
)  # fmt: skip


def texture_class(sand: ArrayLike, clay: ArrayLike) -> NDArray[np.str_]:
    """Return the USDA texture class.

    Parameters
    ----------
    sand, clay
        Mass fractions 0 to 1 (not percent); silt is the remainder.

    Returns
    -------
    numpy.ndarray
        Names in :data:`TEXTURES`; empty where a fraction is missing or negative, or their sum exceeds 1.

    Notes
    -----
    Soil Science Division Staff (2017), Soil Survey Manual, USDA Handbook 18, chapter 3 ("Texture classes").
    """
    sand, clay = np.broadcast_arrays(np.asarray(sand, float) * 100, np.asarray(clay, float) * 100)
    silt = 100 - sand - clay
    # Single-precision fractions add up to 1 only within rounding.
    valid = (sand >= 0) & (clay >= 0) & (silt >= -1e-3)
    rules = [
        ("sand", silt + 1.5 * clay < 15),
        ("loamy sand", silt + 2 * clay < 30),
        ("sandy loam", ((clay >= 7) & (clay < 20) & (sand > 52)) | ((clay < 7) & (silt < 50))),
        ("loam", (clay >= 7) & (clay < 27) & (silt >= 28) & (silt < 50) & (sand <= 52)),
        ("silt", (silt >= 80) & (clay < 12)),
        ("silt loam", (silt >= 50) & (clay < 27)),
        ("sandy clay loam", (clay >= 20) & (clay < 35) & (silt < 28) & (sand > 45)),
        ("clay loam", (clay >= 27) & (clay < 40) & (sand > 20) & (sand <= 45)),
        ("silty clay loam", (clay >= 27) & (clay < 40) & (sand <= 20)),
        ("sandy clay", (clay >= 35) & (sand > 45)),
        ("silty clay", (clay >= 40) & (silt >= 40)),
        ("clay", clay >= 40),
    ]
    # Each rule of the manual applies to soils that no earlier rule has classified.
    found = np.select([rule & valid for _, rule in rules], [name for name, _ in rules], default="")
    return np.asarray(found, dtype=str)
