"""Medians over sites with an interval that resamples whole networks: their sites share sensors and weather."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gsm3core.files import texts
from gsm3core.statistics.small_sample import percentiles, widening_for_few

Array = NDArray[np.float64]

REPLICATES = 2000
FEWEST = 5


@dataclass(frozen=True, slots=True)
class ClusterDraws:
    """How often each site counts in each replicate, all sites of a cluster alike.

    Parameters
    ----------
    cluster
        Number of the cluster of each site.
    counts
        ``(replicate, cluster)``, multinomial.
    """

    cluster: NDArray[np.int64]
    counts: NDArray[np.float64]

    @classmethod
    def make(cls, names: ArrayLike, *, replicates: int = REPLICATES, seed: int = 0) -> ClusterDraws:
        """Draw clusters.

        Parameters
        ----------
        names
            Cluster of each site, for instance its network; a site without a name is a cluster of its own. Fewer
            than :data:`FEWEST` cannot tell how networks differ, and single sites are drawn instead, which is too
            sure by as much as they do differ: :attr:`of_sites` says so.
        replicates, seed
            As in :func:`gsm3core.compare_products`.
        """
        labels = texts(names)
        alone = np.char.add("site without a name ", np.arange(len(labels)).astype(str))
        cluster = np.unique(np.where(labels == "", alone, labels), return_inverse=True)[1].astype(np.int64)
        if len(cluster) and cluster.max() + 1 < FEWEST:
            cluster = np.arange(len(cluster), dtype=np.int64)
        number = int(cluster.max()) + 1 if len(cluster) else 1
        rng = np.random.default_rng(seed)
        counts = rng.multinomial(number, np.full(number, 1 / number), size=replicates)
        return cls(cluster, counts.astype(float))

    @property
    def of_sites(self) -> bool:
        """Whether every site is a cluster of its own."""
        return len(self.cluster) == self.counts.shape[1]

    def medians(self, values: ArrayLike) -> Array:
        """Return the median over sites in every replicate; sites without a value do not count."""
        v = np.asarray(values, float)
        order = np.flatnonzero(np.isfinite(v))
        order = order[np.argsort(v[order], kind="stable")]
        if not len(order):
            return np.full(len(self.counts), np.nan)
        ordered = v[order]
        reached = np.cumsum(self.counts[:, self.cluster[order]], axis=1)
        half = reached[:, -1:] / 2
        # The median of repeated values: the mean of the two in the middle, which are one where the count is odd.
        low = np.argmax(reached >= half, axis=1)
        high = np.argmax(reached > half, axis=1)
        return np.where(reached[:, -1] > 0, (ordered[low] + ordered[high]) / 2, np.nan)

    def used(self, values: ArrayLike) -> int:
        """Return how many clusters hold a site with a value."""
        return len(np.unique(self.cluster[np.isfinite(np.asarray(values, float))]))


def median_interval(values: ArrayLike, draws: ClusterDraws, confidence: float) -> tuple[float, float, float]:
    """Return the median over sites and its interval.

    Parameters
    ----------
    values
        One per site; NaN where there is none.
    draws
        Of :meth:`ClusterDraws.make`, for these sites.
    confidence
        For instance 0.95.

    Returns
    -------
    tuple of float
        Median, lower and upper end. The ends are NaN with fewer than two clusters.
    """
    v = np.asarray(values, float)
    if not np.isfinite(v).any():
        return np.nan, np.nan, np.nan
    return interval_about(float(np.nanmedian(v)), draws.medians(v), draws.used(v), confidence)


def interval_about(
    estimate: float, replicates: Array, clusters: int, confidence: float
) -> tuple[float, float, float]:
    """Return an estimate with the percentiles of its replicates, widened for few clusters.

    Parameters
    ----------
    estimate, replicates
        The figure and its bootstrap replicates.
    clusters
        How many clusters made it. Below about ten the interval is a rough one, however it is widened
        (Cameron, Gelbach and Miller 2008, doi:10.1162/rest.90.3.414).
    confidence
        For instance 0.95.
    """
    if clusters < 2:
        return estimate, np.nan, np.nan
    low, _, high = (float(end) for end in percentiles(replicates, confidence))
    wider = float(widening_for_few(np.array(clusters), confidence))
    # About the estimate, never past it: a skewed bootstrap must not exclude its own estimate.
    return estimate, estimate - wider * max(estimate - low, 0.0), estimate + wider * max(high - estimate, 0.0)
