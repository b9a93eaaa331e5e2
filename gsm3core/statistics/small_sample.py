"""Percentiles of replicates, and by how much they must be widened for few parts and for long memory."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def percentiles(values: NDArray[np.floating], confidence: float) -> tuple[Array, Array, Array]:
    """Return the lower end, the median and the upper end over the last axis, replicates without a value left out.

    Parameters
    ----------
    values
        ``(..., replicate)``.
    confidence
        For instance 0.95.
    """
    q = np.array([0.5 - confidence / 2, 0.5, 0.5 + confidence / 2])
    # A vectorised sort beats a partition at three ranks; NaN goes last, and those few rows are done slowly.
    ordered = np.sort(values, axis=-1)
    found = ordered[..., np.rint(q * (values.shape[-1] - 1)).astype(int)].astype(float)
    gappy = np.isnan(ordered[..., -1])
    if gappy.any():
        found[gappy] = [_of_finite(row, q) for row in values[gappy]]
    return found[..., 0], found[..., 1], found[..., 2]


def _of_finite(row: Array, q: Array) -> Array:
    finite = row[np.isfinite(row)]
    return np.quantile(finite, q) if len(finite) >= len(row) / 2 else np.full(len(q), np.nan)


def widening_for_few(used: NDArray[np.integer], confidence: float) -> Array:
    """Return how much wider an interval must be for a spread that was estimated from few parts; 1 for many."""
    from scipy.special import stdtrit

    b = np.maximum(used, 2).astype(float)
    t = stdtrit(b - 1, 0.5 + confidence / 2)
    return np.sqrt(b / (b - 1)) * t / NormalDist().inv_cdf(0.5 + confidence / 2)


def missed_variance(share: Array, lag1: Array, block_days: float, density: Array | float = 1.0) -> Array:
    """Return the variance of a mean over what blocks of some days see of it, at least 1.

    Parameters
    ----------
    share, lag1
        Memory as :func:`gsm3core.metrics.persistence` gives it: autocorrelation ``share * lag1**k`` at lag k.
    block_days
        Length of a block.
    density
        Share of days that are valid.
    """
    r = np.clip(lag1, 0.0, 0.999)
    every = r / (1 - r)
    within = every - r * (1 - r**block_days) / (block_days * (1 - r) ** 2)
    return np.maximum((1 + 2 * density * share * every) / (1 + 2 * density * share * within), 1.0)
