"""Correlated factors: rank correlations, clusters of factors and the representative of near-duplicates."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gsm3core.factors.columns import POLEWARD_ASPECT

Array = NDArray[np.float64]


def rank_correlation(values: Array, quantities: NDArray[np.bool_]) -> Array:
    """Return absolute Spearman correlations between numeric columns over complete pairs; 0 for classes."""
    r = np.abs(pd.DataFrame(values).corr(method="spearman").to_numpy(copy=True))
    r[~np.isfinite(r) | ~quantities[:, None] | ~quantities] = 0.0
    np.fill_diagonal(r, 1.0)
    return r


def cluster_factors(correlation: Array, limit: float, method: str) -> NDArray[np.int64]:
    """Return the cluster of every factor by hierarchical clustering with ``complete`` or ``average`` linkage."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    if len(correlation) == 1:
        return np.zeros(1, np.int64)
    distance = squareform(np.clip(1 - correlation, 0, 1), checks=False)
    return np.asarray(fcluster(linkage(distance, method), 1 - limit, "distance"), np.int64) - 1


def near_duplicates(
    names: list[str], values: Array, correlation: Array, moisture: str, limit: float
) -> dict[str, str]:
    """Return the dropped factors and their representatives; complete linkage, so every pair exceeds the limit."""
    cluster = cluster_factors(correlation, limit, "complete")
    missing = np.isnan(values).sum(0)
    found: dict[str, str] = {}
    for c in np.unique(cluster):
        members = np.flatnonzero(cluster == c)
        central = correlation[np.ix_(members, members)].mean(0)
        representative = min(
            range(len(members)),
            key=lambda i: (
                names[members[i]] not in (moisture, POLEWARD_ASPECT),
                missing[members[i]],
                -round(float(central[i]), 9),
                names[members[i]],
            ),
        )
        found |= {names[m]: names[members[representative]] for m in members if m != members[representative]}
    return found
