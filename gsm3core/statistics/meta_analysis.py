"""Sampling variance of a site's score, and random-effects weights."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v

Array = NDArray[np.float64]

# Variance of a site with unknown or infinite sampling error, in multiples of the largest one: its weight is almost 0, but
# not 0, which would make fits on such sites alone fail.
_UNKNOWN_FACTOR = 1e6


def sampling_variance(scores: xr.Dataset, metric: str) -> Array:
    """Return the sampling variance of each site's score (for R, of ``atanh R``); NaN where unknown.

    Parameters
    ----------
    scores
        Of one product, ``(site)``; with ``n_effective`` for R, with the interval of the metric otherwise.
    metric
        Name of the score.
    """
    if metric == "R" and "n_effective" in scores:
        free = scores["n_effective"].values.astype(float) - 3
        return np.where(free > 0, 1 / np.maximum(free, 1e-12), np.where(np.isnan(free), np.nan, np.inf))
    if f"{metric}_lower" in scores and f"{metric}_upper" in scores:
        z = NormalDist().inv_cdf(0.5 + float(scores.attrs.get("confidence", 0.95)) / 2)
        width = scores[f"{metric}_upper"].values.astype(float) - scores[f"{metric}_lower"].values
        return (width / (2 * z)) ** 2
    return np.full(scores.sizes[v.SITE], np.nan)


def random_effects_weights(score: Array, variance: Array) -> Array | None:
    """Return weights of mean 1, ``1 / (tau2 + variance)``; None if fewer than two sites have a positive variance.

    Parameters
    ----------
    score, variance
        ``(site)``, on the same scale.

    Notes
    -----
    ``tau2`` is the between-site variance (DerSimonian and Laird 1986, doi:10.1016/0197-2456(86)90046-2).
    ``1 / variance`` alone would give the longest records almost all weight, although sites differ by more than
    sampling error.
    """
    known = np.isfinite(variance) & (variance > 0)
    if known.sum() < 2:
        return None
    w = 1 / variance[known]
    q = float((w * (score[known] - np.average(score[known], weights=w)) ** 2).sum())
    tau2 = max((q - (len(w) - 1)) / (w.sum() - (w**2).sum() / w.sum()), 0.0)
    low, high = variance[known].min(), variance[known].max()
    variance = np.where(np.isfinite(variance), np.maximum(variance, low), _UNKNOWN_FACTOR * (tau2 + high))
    weight = 1 / (tau2 + variance)
    return weight / weight.mean()
