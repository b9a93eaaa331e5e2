"""Cross-validation of models of scores: held-out sites at random, by network and by spatial block."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gsm3core.config import HoldoutConfig
from gsm3core.errors import ConfigError, did_you_mean
from gsm3core.factors.models import Settings
from gsm3core.factors.table import FactorTable
from gsm3core.holdouts.base import SiteInfo
from gsm3core.holdouts.spatial_block import SpatialBlock
from gsm3core.statistics.cluster_bootstrap import ClusterBootstrap, interval_about
from gsm3core.statistics.spatial_autocorrelation import morans_i

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

RANDOM, BY_NETWORK, BY_BLOCK = "random", "network", "spatial_block"
SCHEMES = (RANDOM, BY_NETWORK, BY_BLOCK)
# Minimum number of training sites when the largest group is held out.
_MIN_TRAINING_SITES = 10


def choose_scheme(table: FactorTable, requested: str | None, settings: Settings | None = None) -> str:
    """Return the requested scheme, or the strictest one possible with the table (network, block, random).

    Raises
    ------
    ConfigError
        If the scheme is not possible: nearly all sites belong to one network, or some have no position.
    """
    if requested is not None and requested not in SCHEMES:
        raise ConfigError(f"held_out is {requested!r}, which is unknown. {did_you_mean(requested, SCHEMES)}")
    allowed = [n for n in (BY_NETWORK, BY_BLOCK, RANDOM) if fold_groups(table, n, settings) is not None]
    if requested is not None and requested not in allowed:
        raise ConfigError(
            f"held_out is {requested!r}, but nearly all sites are in one group or some have no position; possible with these "
            f"sites: {', '.join(allowed)}."
        )
    return requested or allowed[0]


def clusters(table: FactorTable, settings: Settings | None = None) -> tuple[NDArray[np.str_], str]:
    """Return the cluster of each site and its kind: network, else spatial block, else region, else site."""
    for scheme in (BY_NETWORK, BY_BLOCK):
        groups = fold_groups(table, scheme, settings)
        if groups is not None:
            return groups, scheme
    if len(np.unique(table.region)) > 1:
        return table.region, "region"
    return table.site, "site"


def fold_groups(table: FactorTable, scheme: str, settings: Settings | None = None) -> NDArray[np.str_] | None:
    """Return the group of each site in a scheme; None without positions or if one group has nearly all sites.

    Raises
    ------
    ConfigError
        If the scheme is unknown.
    """
    if scheme == RANDOM:
        return table.site
    if scheme == BY_NETWORK:
        if (table.network == "").all():
            return None
        separate = np.char.add("site without a network ", np.arange(len(table)).astype(str))
        return _groups_if_divisible(np.where(table.network == "", separate, table.network))
    if scheme != BY_BLOCK:
        raise ConfigError(f"unknown cross-validation scheme {scheme!r}. {did_you_mean(scheme, SCHEMES)}")
    if not (np.isfinite(table.lat).all() and np.isfinite(table.lon).all()):
        return None
    n = len(table)
    sites = SiteInfo(
        site=table.site, network=table.network, region=table.region, lat=table.lat, lon=table.lon,
        group=np.arange(n), has_insitu=np.ones(n, bool), days=pd.DatetimeIndex([]),
    )  # fmt: skip
    config = HoldoutConfig(name="spatial_block", block_km=(settings or Settings()).block_km)
    block = SpatialBlock(config).blocks(sites).astype(str)
    return _groups_if_divisible(block)


def _groups_if_divisible(groups: NDArray[np.str_]) -> NDArray[np.str_] | None:
    largest = np.unique(groups, return_counts=True)[1].max()
    return groups if len(groups) - largest >= _MIN_TRAINING_SITES else None


def splits(
    table: FactorTable,
    scheme: str,
    *,
    folds: int,
    repeats: int,
    seed: int,
    settings: Settings | None = None,
) -> Iterator[tuple[int, Mask]]:
    """Yield ``(repeat, test sites)`` of a repeated cross-validation; nothing if the scheme has no groups.

    Notes
    -----
    Shuffled groups are assigned one by one to the fold with the fewest sites, because the sizes of networks differ by a
    factor of 100.
    """
    groups = fold_groups(table, scheme, settings)
    if groups is None:
        return
    _, of_group, size = np.unique(groups, return_inverse=True, return_counts=True)
    folds = min(folds, len(size))
    for repeat in range(repeats):
        fold_of, fold_size = np.empty(len(size), int), np.zeros(folds, int)
        for g in np.random.default_rng([seed, repeat]).permutation(len(size)):
            fold_of[g] = int(fold_size.argmin())
            fold_size[fold_of[g]] += size[g]
        for k in range(folds):
            yield repeat, fold_of[of_group] == k


def cross_validated(
    table: FactorTable,
    predicted: Array,
    training_mean: Array,
    resamples: ClusterBootstrap,
    confidence: float,
    seed: int,
) -> dict[str, float]:
    """Return the scores of predictions at held-out sites.

    Parameters
    ----------
    table
        With the true scores.
    predicted, training_mean
        ``(repeat, site)`` predictions of the model, and the mean of each fold's training sites, the reference of R2.
    resamples, confidence, seed
        Of the interval and of Moran's I.
    """
    y = table.score
    # High scores at held-out sites leave lower ones for training: pooled over folds, the training mean is negatively
    # correlated with the truth. Anomalies from that mean are not.
    parts = [(p - m, y - m) for p, m in zip(predicted, training_mean, strict=True)]
    r = float(np.mean([correlation(*part) for part in parts]))
    replicates = np.mean([resamples.correlations(*part) for part in parts], axis=0)
    _, lower, upper = interval_about(r, replicates, resamples.counts.shape[1], confidence)
    mse = ((predicted - y) ** 2).mean()
    moran = morans_i(y - predicted.mean(0), table.lat, table.lon, seed=seed)
    return {
        "cv_correlation": r, "cv_correlation_lower": max(lower, -1.0),
        "cv_correlation_upper": min(upper, 1.0), "cv_r2": float(1 - mse / ((training_mean - y) ** 2).mean()),
        "cv_rmse": float(np.sqrt(mse)), "moran_i": moran.value, "moran_p": moran.p,
    }  # fmt: skip


def correlation(predicted: Array, y: Array) -> float:
    """Return Pearson's correlation; NaN if either is constant."""
    if len(y) < 3 or np.ptp(predicted) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(predicted, y)[0, 1])
