"""Cluster bootstrap over networks: intervals of medians over sites, of their differences, and of correlations.

Sites of one network share sensors and weather. Whole networks are therefore resampled; with fewer than
:data:`MIN_CLUSTERS` networks single sites are resampled instead, as reported by ``resampled``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gsm3core.files import texts
from gsm3core.metrics import ALL_METRICS
from gsm3core.statistics.small_sample import percentiles, widening_for_few

Array = NDArray[np.float64]

REPLICATES = 2000
MIN_CLUSTERS = 5
NETWORKS, SITES = "networks", "sites"


class MedianInterval(NamedTuple):
    """A median over sites, or a difference of two, with its confidence interval.

    Parameters
    ----------
    median, lower, upper
        NaN where no site has a value; the ends are NaN with fewer than two clusters.
    sites
        Number of sites with a value.
    clusters
        Number of clusters resampled.
    resampled
        ``"networks"``, or ``"sites"`` where there are fewer than :data:`MIN_CLUSTERS` networks. An interval from
        single sites is too narrow where networks differ.
    """

    median: float
    lower: float
    upper: float
    sites: int
    clusters: int
    resampled: str


@dataclass(frozen=True, slots=True)
class ClusterBootstrap:
    """Bootstrap replicates of clusters of sites.

    Parameters
    ----------
    cluster
        ``(site)`` number of each site's cluster.
    counts
        ``(replicate, cluster)`` number of times each cluster is drawn, multinomial.
    resampled
        ``"networks"`` or ``"sites"``.
    """

    cluster: NDArray[np.int64]
    counts: NDArray[np.float32]
    resampled: str

    @classmethod
    def make(
        cls,
        names: ArrayLike,
        *,
        replicates: int = REPLICATES,
        seed: int = 0,
        min_clusters: int = MIN_CLUSTERS,
    ) -> ClusterBootstrap:
        """Draw clusters with replacement.

        Parameters
        ----------
        names
            ``(site)`` cluster of each site, for instance its network; a site without a name is a cluster of its own.
        replicates, seed
            Number of replicates and the seed; one seed gives one result.
        min_clusters
            With fewer clusters than this, sites are resampled.
        """
        labels = texts(names)
        alone = np.char.add("site without a name ", np.arange(len(labels)).astype(str))
        cluster = np.unique(np.where(labels == "", alone, labels), return_inverse=True)[1].astype(np.int64)
        number = int(cluster.max()) + 1 if len(cluster) else 0
        unit = NETWORKS
        if number < min_clusters or (labels == "").all():
            cluster, number, unit = np.arange(len(cluster), dtype=np.int64), len(cluster), SITES
        return cls(cluster, _counts(max(number, 1), replicates, seed), unit)

    def medians(self, values: ArrayLike) -> Array:
        """Return the median over sites of every replicate; sites without a value are ignored."""
        v = np.asarray(values, float)
        order = np.flatnonzero(np.isfinite(v))
        order = order[np.argsort(v[order], kind="stable")]
        if not len(order):
            return np.full(len(self.counts), np.nan)
        ordered = v[order]
        reached = np.cumsum(self.counts[:, self.cluster[order]], axis=1)
        half = reached[:, -1:] / 2
        # The median of repeated values is the mean of the two middle ones, which coincide for an odd count.
        low = np.argmax(reached >= half, axis=1)
        high = np.argmax(reached > half, axis=1)
        return np.where(reached[:, -1] > 0, (ordered[low] + ordered[high]) / 2, np.nan)

    def correlations(self, x: Array, y: Array) -> Array:
        """Return Pearson's correlation of every replicate."""
        x, y = x - x.mean(), y - y.mean()
        sums = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y])
        by_cluster = np.stack([np.bincount(self.cluster, s, self.counts.shape[1]) for s in sums])
        n, sx, sy, sxx, syy, sxy = by_cluster @ self.counts.T.astype(float)
        with np.errstate(invalid="ignore", divide="ignore"):
            return (sxy - sx * sy / n) / np.sqrt((sxx - sx * sx / n) * (syy - sy * sy / n))

    def used(self, values: ArrayLike) -> int:
        """Return the number of clusters with at least one value."""
        return len(np.unique(self.cluster[np.isfinite(np.asarray(values, float))]))


@lru_cache(maxsize=16)
def _counts(number: int, replicates: int, seed: int) -> NDArray[np.float32]:
    """Return multinomial counts ``(replicate, cluster)``; they depend only on the number of clusters."""
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(number, np.full(number, 1 / number), size=replicates).astype(np.float32)
    counts.setflags(write=False)
    return counts


def median_interval(
    values: ArrayLike,
    networks: ArrayLike | None = None,
    *,
    metric: str | None = None,
    confidence: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> MedianInterval:
    """Return the median over sites and its interval by a bootstrap of networks.

    All medians with intervals in GSM3 use this function: the same scores, networks and seed give the same numbers in
    the dashboard, the report and on the command line.

    Parameters
    ----------
    values
        ``(site)`` scores; sites without a score (NaN) and their networks are ignored.
    networks
        ``(site)`` network of each site; by default every site is a cluster of its own.
    metric
        Name of the metric; the interval is clipped to its possible values (R to -1 and 1, RMSE to 0).
    confidence, replicates, seed
        Level of the interval, number of replicates, and the seed.

    Notes
    -----
    Percentile interval about the estimate, widened for few clusters by ``sqrt(B / (B - 1)) t / z`` (Hesterberg 2015,
    doi:10.1080/00031305.2015.1089789). With fewer than about ten clusters it is approximate (Cameron, Gelbach and Miller 2008,
    doi:10.1162/rest.90.3.414).
    """
    v = np.asarray(values, float)
    valid = np.isfinite(v)
    if not valid.any():
        return MedianInterval(np.nan, np.nan, np.nan, 0, 0, "")
    names = np.full(len(v), "") if networks is None else texts(networks)
    draws = ClusterBootstrap.make(names[valid], replicates=replicates, seed=seed)
    v, clusters = v[valid], draws.counts.shape[1]
    middle, lower, upper = interval_about(float(np.median(v)), draws.medians(v), clusters, confidence)
    if metric in ALL_METRICS:
        middle, lower, upper = ALL_METRICS[metric].bounded((middle, lower, upper))
    return MedianInterval(middle, lower, upper, len(v), clusters, draws.resampled)


def difference_interval(
    first: ArrayLike,
    second: ArrayLike,
    networks: ArrayLike | None = None,
    *,
    confidence: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> MedianInterval:
    """Return the difference of two medians over sites (first minus second) and its interval.

    Parameters
    ----------
    first, second
        ``(site)`` scores, NaN where there is none. For a paired difference both are NaN at the same sites; for two
        groups of sites each is NaN at the other's sites. Both use the same replicates.
    networks, confidence, replicates, seed
        As for :func:`median_interval`.
    """
    a, b = np.asarray(first, float), np.asarray(second, float)
    valid = np.isfinite(a) | np.isfinite(b)
    if not np.isfinite(a).any() or not np.isfinite(b).any():
        return MedianInterval(np.nan, np.nan, np.nan, int(valid.sum()), 0, "")
    names = np.full(len(a), "") if networks is None else texts(networks)
    draws = ClusterBootstrap.make(names[valid], replicates=replicates, seed=seed)
    a, b, clusters = a[valid], b[valid], draws.counts.shape[1]
    estimate = float(np.nanmedian(a) - np.nanmedian(b))
    ends = interval_about(estimate, draws.medians(a) - draws.medians(b), clusters, confidence)
    return MedianInterval(*ends, int(valid.sum()), clusters, draws.resampled)


def interval_about(
    estimate: float, replicates: Array, clusters: int, confidence: float
) -> tuple[float, float, float]:
    """Return an estimate with the percentiles of its replicates, widened for few clusters.

    Parameters
    ----------
    estimate, replicates
        The estimate and its bootstrap replicates. There is no interval where fewer than half of them are finite.
    clusters
        Number of clusters resampled; fewer than two give no interval.
    confidence
        Level of the interval, for instance 0.95.
    """
    if clusters < 2 or not np.isfinite(estimate):
        return estimate, np.nan, np.nan
    low, _, high = (float(end) for end in percentiles(replicates, confidence))
    if not (np.isfinite(low) and np.isfinite(high)):
        return estimate, np.nan, np.nan
    wider = float(widening_for_few(np.array(clusters), confidence))
    # A skewed bootstrap distribution must not exclude the estimate from its interval.
    return estimate, estimate - wider * max(estimate - low, 0.0), estimate + wider * max(high - estimate, 0.0)
