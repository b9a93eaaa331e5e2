"""Chance between clusters of sites: bootstrap of clusters, permutation within them, intervals over splits."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClusterResamples:
    """How often each cluster counts in each replicate.

    Parameters
    ----------
    cluster
        ``(site)`` numbers.
    counts
        ``(replicate, cluster)``.
    """

    cluster: NDArray[np.int64]
    counts: Array

    @classmethod
    def make(cls, names: ArrayLike, *, replicates: int, seed: int) -> ClusterResamples:
        """Draw clusters with replacement."""
        cluster = np.unique(np.asarray(names).astype(str), return_inverse=True)[1].astype(np.int64)
        number = int(cluster.max()) + 1
        rng = np.random.default_rng(seed)
        return cls(
            cluster, rng.multinomial(number, np.full(number, 1 / number), size=replicates).astype(float)
        )

    def median(self, values: Array, where: NDArray[np.bool_] | None = None) -> Array:
        """Return the median of every replicate over some sites; NaN where none was drawn."""
        here = np.flatnonzero(np.isfinite(values) & (True if where is None else where))
        if not len(here):
            return np.full(len(self.counts), np.nan)
        here = here[np.argsort(values[here], kind="stable")]
        reached = np.cumsum(self.counts[:, self.cluster[here]], axis=1)
        half = reached[:, -1:] / 2
        low, high = (np.argmax(reached >= half, axis=1), np.argmax(reached > half, axis=1))
        ordered = values[here]
        return np.where(reached[:, -1] > 0, (ordered[low] + ordered[high]) / 2, np.nan)

    def correlation(self, x: Array, y: Array) -> Array:
        """Return Pearson's correlation of every replicate."""
        x, y = x - x.mean(), y - y.mean()
        sums = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y])
        by_cluster = np.stack([np.bincount(self.cluster, s, self.counts.shape[1]) for s in sums])
        n, sx, sy, sxx, syy, sxy = by_cluster @ self.counts.T
        with np.errstate(invalid="ignore", divide="ignore"):
            return (sxy - sx * sy / n) / np.sqrt((sxx - sx * sx / n) * (syy - sy * sy / n))

    def interval(
        self, estimate: float, replicates: Array, confidence: float, where: NDArray[np.bool_] | None = None
    ) -> tuple[float, float]:
        """Return percentile ends about an estimate, widened for few clusters; NaN with fewer than two.

        Notes
        -----
        ``sqrt(B / (B - 1)) t / z`` for B clusters (Hesterberg 2015, doi:10.1080/00031305.2015.1089789). Below about
        ten clusters it stays rough (Cameron, Gelbach and Miller 2008, doi:10.1162/rest.90.3.414).
        """
        from scipy.stats import t

        b = len(np.unique(self.cluster if where is None else self.cluster[where]))
        finite = replicates[np.isfinite(replicates)]
        if b < 2 or len(finite) < len(replicates) / 2 or not np.isfinite(estimate):
            return np.nan, np.nan
        low, high = np.quantile(finite, [0.5 - confidence / 2, 0.5 + confidence / 2])
        q = 0.5 + confidence / 2
        wider = np.sqrt(b / (b - 1)) * t.ppf(q, b - 1) / NormalDist().inv_cdf(q)
        return estimate - wider * max(estimate - low, 0.0), estimate + wider * max(high - estimate, 0.0)


def over_splits(values: Array, test_share: float, confidence: float) -> tuple[Array, Array, Array, Array]:
    """Return mean, standard deviation, lower and upper end over the last axis: one value per split.

    Parameters
    ----------
    values
        ``(..., split)``.
    test_share
        Sites tested over sites trained on, of one split.
    confidence
        For instance 0.95.

    Notes
    -----
    Splits share most of their training sites, so that their standard error is no measure of chance. Its square is
    raised from ``s2 / J`` to ``s2 (1 / J + test_share)`` (Nadeau and Bengio 2003, doi:10.1023/A:1024068626366).
    """
    from scipy.stats import t

    n = values.shape[-1]
    mean = values.mean(-1)
    if n < 2:
        nothing = np.full(mean.shape, np.nan)
        return mean, nothing, nothing, nothing
    spread = values.std(-1, ddof=1)
    half = t.ppf(0.5 + confidence / 2, n - 1) * spread * np.sqrt(1 / n + test_share)
    return mean, spread, mean - half, mean + half
