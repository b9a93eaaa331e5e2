"""Spatial autocorrelation: Moran's I with a permutation test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gsm3core.errors import DatasetError

NEIGHBOURS = 8


@dataclass(frozen=True, slots=True)
class MoransI:
    """Moran's I and its test.

    Parameters
    ----------
    value
        About 0 without spatial autocorrelation, towards 1 where neighbours are similar.
    expected
        Without spatial autocorrelation, ``-1 / (n - 1)``.
    p
        Share of permutations with a value at least as large, the observed one included. One-sided: the test is for
        positive autocorrelation.
    sites
        Number of sites with a value and a position.
    """

    value: float
    expected: float
    p: float
    sites: int


def nearest_neighbours(lat: ArrayLike, lon: ArrayLike, k: int) -> NDArray[np.int64]:
    """Return the ``k`` nearest other sites of each site by great-circle distance, ``(site, k)``."""
    from scipy.spatial import cKDTree

    la, lo = np.radians(np.asarray(lat, float)), np.radians(np.asarray(lon, float))
    # Chord lengths sort as great-circle distances, also across the poles and the date line.
    xyz = np.column_stack([np.cos(la) * np.cos(lo), np.cos(la) * np.sin(lo), np.sin(la)])
    near = cKDTree(xyz).query(xyz, k=k + 1)[1]
    # Other sites at the same position can rank before the site itself: drop it by index, else drop the farthest.
    own = near == np.arange(len(xyz))[:, None]
    own[~own.any(1), -1] = True
    return near[~own].reshape(len(xyz), k)


def morans_i(
    values: ArrayLike,
    lat: ArrayLike,
    lon: ArrayLike,
    *,
    neighbours: int | NDArray[np.int64] = NEIGHBOURS,
    permutations: int = 999,
    seed: int = 0,
) -> MoransI:
    """Return Moran's I with weights ``1 / k`` for the ``k`` nearest sites.

    Parameters
    ----------
    values
        ``(site)``, for instance residuals; sites without a value or position are left out.
    lat, lon
        Degrees.
    neighbours
        Number of neighbours, or their indices ``(site, k)`` (values and positions must then be complete).
    permutations, seed
        Of the test.

    Raises
    ------
    DatasetError
        If neighbours are given by index and a value or position is missing.

    Notes
    -----
    Moran (1950, doi:10.1093/biomet/37.1-2.17), permutation test as in Cliff and Ord (1981). NaN with fewer than
    ``k + 2`` sites or constant values. The test assumes exchangeable values, which residuals of a fitted model are
    only approximately.
    """
    x = np.asarray(values, float)
    known = np.isfinite(x) & np.isfinite(np.asarray(lat, float)) & np.isfinite(np.asarray(lon, float))
    if isinstance(neighbours, np.ndarray):
        if not known.all():
            raise DatasetError(
                f"{int((~known).sum())} sites have no value or position; neighbours given by index need all of them."
            )
        near = neighbours
    else:
        if known.sum() < neighbours + 2:
            return MoransI(np.nan, np.nan, np.nan, int(known.sum()))
        near = nearest_neighbours(np.asarray(lat)[known], np.asarray(lon)[known], neighbours)
    z = x[known] - x[known].mean()
    if not z.any():
        return MoransI(np.nan, np.nan, np.nan, int(known.sum()))
    square = float(z @ z)

    def index(a: NDArray[np.float64]) -> float:
        return float(a @ a[near].mean(1)) / square

    observed = index(z)
    rng = np.random.default_rng(seed)
    exceeding = sum(index(rng.permutation(z)) >= observed - 1e-12 for _ in range(permutations))
    return MoransI(observed, -1 / (len(z) - 1), (1 + exceeding) / (1 + permutations), len(z))
