"""Bins of site attributes, and the default edges of the strata (figure 6 of the paper)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

# An edge belongs to the bin below it, as in the caption of the paper's figure 6.
DRY_LIMIT = 0.08
MOISTURE_EDGES = (DRY_LIMIT, 0.16, 0.24, 0.32, 0.40, 0.48)
ASPECT_EDGES = (-0.6, -0.2, 0.2, 0.6)
ELEVATION_EDGES = (200.0, 500.0, 1000.0, 2000.0)


def bin_numbers(values: ArrayLike, edges: Sequence[float]) -> NDArray[np.int64]:
    """Return the bin of every value, 0 to ``len(edges)``; -1 for a missing value. An edge belongs to the bin below it."""
    x = np.asarray(values, float)
    number = np.searchsorted(np.asarray(edges, float), np.nan_to_num(x), side="left")
    return np.where(np.isfinite(x), number, -1).astype(np.int64)


def bin_names(edges: Sequence[float], units: str = "") -> list[str]:
    """Return the names of the bins between edges: ``<= 0.08``, ``0.08 to 0.16``, ..., ``> 0.48``, with units."""
    unit = f" {units}" if units else ""
    names = [f"<= {edges[0]:g}{unit}"]
    names += [f"{a:g} to {b:g}{unit}" for a, b in itertools.pairwise(edges)]
    return [*names, f"> {edges[-1]:g}{unit}"]
