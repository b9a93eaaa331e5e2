"""Which factors say the same: rank correlations, clusters of factors, and the one kept of near-duplicates."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gsm3core.factors.columns import POLEWARD_ASPECT

Array = NDArray[np.float64]


def rank_correlation(values: Array, quantities: NDArray[np.bool_]) -> Array:
    """Return absolute Spearman correlations between columns over the sites that have both; 0 with a class."""
    r = np.abs(pd.DataFrame(values).corr(method="spearman").to_numpy(copy=True))
    r[~np.isfinite(r) | ~quantities[:, None] | ~quantities] = 0.0
    np.fill_diagonal(r, 1.0)
    return r


def linked(correlation: Array, limit: float, method: str) -> NDArray[np.int64]:
    """Return the cluster of every factor: hierarchical, ``complete`` (every pair) or ``average`` linkage to a limit."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    if len(correlation) == 1:
        return np.zeros(1, np.int64)
    distance = squareform(np.clip(1 - correlation, 0, 1), checks=False)
    return np.asarray(fcluster(linkage(distance, method), 1 - limit, "distance"), np.int64) - 1


def near_duplicates(
    names: list[str], values: Array, correlation: Array, wet: str, limit: float
) -> dict[str, str]:
    """Return what is dropped and for what; complete linkage, so that every pair of a cluster is that close."""
    cluster = linked(correlation, limit, "complete")
    missing = np.isnan(values).sum(0)
    found: dict[str, str] = {}
    for c in np.unique(cluster):
        members = np.flatnonzero(cluster == c)
        central = correlation[np.ix_(members, members)].mean(0)
        kept = min(
            range(len(members)),
            key=lambda i: (
                names[members[i]] not in (wet, POLEWARD_ASPECT),
                missing[members[i]],
                -round(float(central[i]), 9),
                names[members[i]],
            ),
        )
        found |= {names[m]: names[members[kept]] for m in members if m != members[kept]}
    return found
