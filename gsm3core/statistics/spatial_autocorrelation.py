"""Whether what a fit leaves over still has a pattern on the map: Moran's I of residuals, tested by permutation."""

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
        About 0 without a pattern, towards 1 where neighbours are alike.
    expected
        Under no pattern, ``-1 / (n - 1)``.
    p
        Share of permutations at least as large (one-sided: what harms a fit is likeness of neighbours), the
        observed one counted.
    sites
        With a value and a position.
    """

    value: float
    expected: float
    p: float
    sites: int


def nearest_neighbours(lat: ArrayLike, lon: ArrayLike, k: int) -> NDArray[np.int64]:
    """Return the ``k`` nearest other sites of each, along the great circle; ``(site, k)``."""
    from scipy.spatial import cKDTree

    la, lo = np.radians(np.asarray(lat, float)), np.radians(np.asarray(lon, float))
    # Chords sort as arcs do, also over the poles and the date line.
    xyz = np.column_stack([np.cos(la) * np.cos(lo), np.cos(la) * np.sin(lo), np.sin(la)])
    near = cKDTree(xyz).query(xyz, k=k + 1)[1]
    # Sites at one place can come before the site itself: drop it by its number, or else the farthest.
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
    """Return Moran's I with weights ``1 / k`` on the ``k`` nearest sites.

    Parameters
    ----------
    values
        One per site, residuals for instance; NaN is left out, as are sites without a position.
    lat, lon
        Degrees.
    neighbours
        How many, or ``(site, k)`` numbers of each site's neighbours (then nothing may be missing).
    permutations, seed
        Of the test.

    Raises
    ------
    DatasetError
        If a list of neighbours is given with missing values.

    Notes
    -----
    Moran (1950, doi:10.1093/biomet/37.1-2.17), permutation test as in Cliff and Ord (1981). NaN with fewer than
    ``k + 2`` sites, or values that are all the same. Permutation takes the residuals as exchangeable, which those of a
    fitted model are only nearly.
    """
    x = np.asarray(values, float)
    known = np.isfinite(x) & np.isfinite(np.asarray(lat, float)) & np.isfinite(np.asarray(lon, float))
    if isinstance(neighbours, np.ndarray):
        if not known.all():
            raise DatasetError("neighbours are given by number: no value or position may be missing.")
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
    as_large = sum(index(rng.permutation(z)) >= observed - 1e-12 for _ in range(permutations))
    return MoransI(observed, -1 / (len(z) - 1), (1 + as_large) / (1 + permutations), len(z))
