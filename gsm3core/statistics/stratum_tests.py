"""Tests of a difference between strata of clustered sites: permutation within clusters, or sign flips of clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gsm3core.errors import DatasetError

Array = NDArray[np.float64]

WITHIN, BETWEEN = "within clusters", "between clusters"


@dataclass(frozen=True, slots=True)
class StratumTest:
    """Result of :func:`stratum_test`.

    Parameters
    ----------
    p
        Two-sided; NaN where no strata can be compared.
    how
        ``within clusters`` or ``between clusters``.
    informative
        Number of clusters that contribute to the test.
    """

    p: float
    how: str
    informative: int


def stratum_test(
    values: ArrayLike,
    labels: ArrayLike,
    clusters: ArrayLike,
    *,
    how: str | None = None,
    permutations: int = 4999,
    seed: int = 0,
) -> StratumTest:
    """Test the null hypothesis that strata do not differ, with sites correlated within clusters.

    Parameters
    ----------
    values
        ``(site)`` scores; NaN is left out.
    labels
        ``(site)`` number of the stratum; sites with a negative number are left out.
    clusters
        ``(site)`` cluster, for instance the network.
    how
        ``"within clusters"`` compares sites only with others of their cluster; it has more power where strata vary
        within clusters, as aspect does. ``"between clusters"`` treats each cluster as one independent unit; it is needed
        where whole clusters lie in one stratum, as with aridity. By default within clusters if at least half of the
        sites are in clusters with more than one stratum.
    permutations, seed
        Of the null distribution.

    Raises
    ------
    DatasetError
        If ``how`` is unknown.

    Notes
    -----
    Within: labels are permuted within clusters; the statistic is that of Kruskal and Wallis on ranks aligned by the
    cluster mean (Hodges and Lehmann 1962, doi:10.1214/aoms/1177704575). Exact if sites of a cluster are exchangeable.
    Between: the sign of each cluster's sum of centred ranks by stratum is flipped at random (score bootstrap, Kline and
    Santos 2012, doi:10.1515/2156-6674.1006), which allows any correlation within clusters. It needs about ten clusters
    for any power, and its level is approximate with few clusters in a stratum.
    """
    y, label = np.asarray(values, float), np.asarray(labels)
    here = np.isfinite(y) & (label >= 0)
    y = y[here]
    cluster = np.unique(np.asarray(clusters)[here].astype(str), return_inverse=True)[1]
    groups, label = np.unique(label[here], return_inverse=True)
    if how not in (None, WITHIN, BETWEEN):
        raise DatasetError(f"how is {how!r}; expected {WITHIN!r} or {BETWEEN!r}.")
    if len(groups) < 2:
        return StratumTest(np.nan, how or WITHIN, 0)
    count_by_cluster = np.zeros((cluster.max() + 1, len(groups)))
    np.add.at(count_by_cluster, (cluster, label), 1)
    mixed = (count_by_cluster > 0).sum(1) > 1
    if how is None:
        how = WITHIN if mixed[cluster].mean() >= 0.5 else BETWEEN
    if how == WITHIN:
        p = _within(y, label, cluster, len(groups), permutations, seed)
        return StratumTest(p if mixed.any() else np.nan, how, int(mixed.sum()))
    return StratumTest(
        _between(y, label, cluster, len(groups), permutations, seed), how, len(count_by_cluster)
    )


def _within(
    y: Array,
    label: NDArray[np.int64],
    cluster: NDArray[np.int64],
    n_groups: int,
    permutations: int,
    seed: int,
) -> float:
    from scipy.stats import rankdata

    order = np.argsort(cluster, kind="stable")
    y, label, cluster = y[order], label[order], cluster[order]
    mean = np.bincount(cluster, y) / np.bincount(cluster)
    rank = rankdata(np.round(y - mean[cluster], 12))
    rank -= rank.mean()
    count = np.bincount(label, minlength=n_groups)

    def statistic(ranks: Array) -> float:
        return float((np.bincount(label, ranks, n_groups) ** 2 / count).sum())

    rng = np.random.default_rng(seed)
    observed = statistic(rank)
    exceeding = 0
    for _ in range(permutations):
        # Sorted by cluster first, so that sites are permuted only within their cluster.
        shuffled = np.lexsort((rng.random(len(y)), cluster))
        exceeding += statistic(rank[shuffled]) >= observed * (1 - 1e-12)
    return (1 + exceeding) / (1 + permutations)


def _between(
    y: Array,
    label: NDArray[np.int64],
    cluster: NDArray[np.int64],
    n_groups: int,
    permutations: int,
    seed: int,
) -> float:
    from scipy.stats import rankdata

    rank = rankdata(y)
    rank -= rank.mean()
    share = np.bincount(label, minlength=n_groups) / len(label)
    score = np.zeros((cluster.max() + 1, n_groups))
    centred = (label[:, None] == np.arange(n_groups)) - share
    np.add.at(score, cluster, centred * rank[:, None])
    # Sign flips do not change the outer products: one inverse serves all draws. Its rank is one less than the strata.
    inverse = np.linalg.pinv(score.T @ score, rcond=1e-10, hermitian=True)
    rng = np.random.default_rng(seed)
    signs = np.vstack([np.ones(len(score)), rng.choice([-1.0, 1.0], (permutations, len(score)))])
    total = signs @ score
    statistic = np.einsum("ij,jk,ik->i", total, inverse, total)
    return float((statistic >= statistic[0] * (1 - 1e-9)).mean())
