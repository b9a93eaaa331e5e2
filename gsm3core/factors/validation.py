"""How a model of scores is tested: sites held out at random, by network and by block of land, side by side."""

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
# A group of nearly all sites cannot be held out: nothing would be left to train on.
_FEWEST_LEFT = 10


def choose_held_out(table: FactorTable, wanted: str | None, settings: Settings | None = None) -> str:
    """Return how to hold sites out: as wanted, or the hardest that the table allows (network, block, random).

    Raises
    ------
    ConfigError
        If the table does not allow what is wanted: nearly all sites are of one network, or some have no position.
    """
    if wanted is not None and wanted not in SCHEMES:
        raise ConfigError(f"held_out {wanted!r} is not known. {did_you_mean(wanted, SCHEMES)}")
    allowed = [n for n in (BY_NETWORK, BY_BLOCK, RANDOM) if fold_groups(table, n, settings) is not None]
    if wanted is not None and wanted not in allowed:
        raise ConfigError(
            f"held_out is {wanted!r}, but nearly all sites lie in one group or some have no position; this table allows "
            f"{', '.join(allowed)}."
        )
    return wanted or allowed[0]


def clusters(table: FactorTable, settings: Settings | None = None) -> tuple[NDArray[np.str_], str]:
    """Return which sites go together, and by what: network, else spatial block, else region, else each for itself."""
    for scheme in (BY_NETWORK, BY_BLOCK):
        groups = fold_groups(table, scheme, settings)
        if groups is not None:
            return groups, scheme
    if len(np.unique(table.region)) > 1:
        return table.region, "region"
    return table.site, "site"


def fold_groups(table: FactorTable, scheme: str, settings: Settings | None = None) -> NDArray[np.str_] | None:
    """Return what is held out together; None where the table does not say (no positions, one network of nearly all).

    Raises
    ------
    ConfigError
        If the scheme is not known.
    """
    if scheme == RANDOM:
        return table.site
    if scheme == BY_NETWORK:
        if (table.network == "").all():
            return None
        alone = np.char.add("site without a network ", np.arange(len(table)).astype(str))
        return _divisible(np.where(table.network == "", alone, table.network))
    if scheme != BY_BLOCK:
        raise ConfigError(f"cross-validation {scheme!r} is not known. {did_you_mean(scheme, SCHEMES)}")
    if not (np.isfinite(table.lat).all() and np.isfinite(table.lon).all()):
        return None
    n = len(table)
    sites = SiteInfo(
        site=table.site, network=table.network, region=table.region, lat=table.lat, lon=table.lon,
        group=np.arange(n), has_insitu=np.ones(n, bool), days=pd.DatetimeIndex([]),
    )  # fmt: skip
    config = HoldoutConfig(name="spatial_block", block_km=(settings or Settings()).block_km)
    block = SpatialBlock(config).blocks(sites).astype(str)
    return _divisible(block)


def _divisible(groups: NDArray[np.str_]) -> NDArray[np.str_] | None:
    largest = np.unique(groups, return_counts=True)[1].max()
    return groups if len(groups) - largest >= _FEWEST_LEFT else None


def splits(
    table: FactorTable,
    scheme: str,
    *,
    folds: int,
    repeats: int,
    seed: int,
    settings: Settings | None = None,
) -> Iterator[tuple[int, Mask]]:
    """Yield ``(repeat, test sites)`` of a repeated cross-validation; nothing where the scheme has no groups.

    Notes
    -----
    Shuffled groups go one by one to the fold with the fewest sites: networks differ in size a hundredfold, and folds
    of equally many networks would not be equally large.
    """
    groups = fold_groups(table, scheme, settings)
    if groups is None:
        return
    _, of_group, size = np.unique(groups, return_inverse=True, return_counts=True)
    folds = min(folds, len(size))
    for repeat in range(repeats):
        fold_of, filled = np.empty(len(size), int), np.zeros(folds, int)
        for g in np.random.default_rng([seed, repeat]).permutation(len(size)):
            fold_of[g] = int(filled.argmin())
            filled[fold_of[g]] += size[g]
        for k in range(folds):
            yield repeat, fold_of[of_group] == k


def cross_validated(
    table: FactorTable,
    predicted: Array,
    plain: Array,
    resamples: ClusterBootstrap,
    confidence: float,
    seed: int,
) -> dict[str, float]:
    """Score predictions of sites held out.

    Parameters
    ----------
    table
        With the true scores.
    predicted, plain
        ``(repeat, site)``: by the model, and by the mean of each fold's training sites, which R2 is against.
    resamples, confidence, seed
        Of the interval and of Moran's I.
    """
    y = table.score
    # Where sites held out are high, those left to train on are low: pooled over folds, even the training mean alone
    # goes against the truth. Departures from that mean do not.
    parts = [(p - m, y - m) for p, m in zip(predicted, plain, strict=True)]
    r = float(np.mean([correlation(*part) for part in parts]))
    replicates = np.mean([resamples.correlations(*part) for part in parts], axis=0)
    _, lower, upper = interval_about(r, replicates, resamples.counts.shape[1], confidence)
    left = ((predicted - y) ** 2).mean()
    nearby = morans_i(y - predicted.mean(0), table.lat, table.lon, seed=seed)
    return {
        "cv_correlation": r, "cv_correlation_lower": max(lower, -1.0),
        "cv_correlation_upper": min(upper, 1.0), "cv_r2": float(1 - left / ((plain - y) ** 2).mean()),
        "cv_rmse": float(np.sqrt(left)), "moran_i": nearby.value, "moran_p": nearby.p,
    }  # fmt: skip


def correlation(predicted: Array, y: Array) -> float:
    """Return Pearson's correlation; NaN where either is the same everywhere."""
    if len(y) < 3 or np.ptp(predicted) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(predicted, y)[0, 1])
