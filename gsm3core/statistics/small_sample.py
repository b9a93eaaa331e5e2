"""Percentiles of bootstrap replicates, and corrections for few clusters, autocorrelation and overlapping splits."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from gsm3core.metrics import Autocorrelation

Array = NDArray[np.float64]


def percentiles(values: NDArray[np.floating], confidence: float) -> tuple[Array, Array, Array]:
    """Return the lower end, the median and the upper end over the last axis, ignoring missing replicates.

    Parameters
    ----------
    values
        ``(..., replicate)``. Where fewer than half are finite, the result is NaN.
    confidence
        Level of the interval, for instance 0.95.

    Notes
    -----
    Rank ``(R + 1) q`` of R replicates, interpolated (Davison and Hinkley 1997, Bootstrap Methods and their Application,
    section 5.2; type 6 of Hyndman and Fan 1996, doi:10.1080/00031305.1996.10473566). Of three rules this one has the
    best coverage: never below the nearest rank or numpy's default, and closest to nominal with few clusters
    (``python benchmarks/run.py cluster-coverage``; docs/evaluation.md).
    """
    q = np.array([0.5 - confidence / 2, 0.5, 0.5 + confidence / 2])
    # A vectorised sort is faster than a partition at three ranks. NaN sorts last; the few rows with NaN use a slow path.
    ordered = np.sort(values, axis=-1)
    last = values.shape[-1] - 1
    at = np.clip((last + 2) * q - 1, 0, last)
    below = np.floor(at).astype(int)
    above = np.minimum(below + 1, last)
    low, high = ordered[..., below].astype(float), ordered[..., above].astype(float)
    with np.errstate(invalid="ignore"):
        found = np.where(at == below, low, low + (at - below) * (high - low))
    incomplete = np.isnan(ordered[..., -1])
    if incomplete.any():
        found[incomplete] = [_finite_percentiles(row, q) for row in values[incomplete]]
    return found[..., 0], found[..., 1], found[..., 2]


def _finite_percentiles(row: Array, q: Array) -> Array:
    finite = row[np.isfinite(row)]
    if len(finite) < len(row) / 2:
        return np.full(len(q), np.nan)
    return np.quantile(finite, q, method="weibull")


def widening_for_few(used: NDArray[np.integer], confidence: float) -> Array:
    """Return the small-sample factor on the width of an interval from B clusters or blocks; 1 for many.

    Notes
    -----
    ``sqrt(B / (B - 1)) t / z`` (Hesterberg 2015, doi:10.1080/00031305.2015.1089789).
    """
    from scipy.special import stdtrit

    b = np.maximum(used, 2).astype(float)
    t = stdtrit(b - 1, 0.5 + confidence / 2)
    return np.sqrt(b / (b - 1)) * t / NormalDist().inv_cdf(0.5 + confidence / 2)


def missed_variance(autocorrelation: Autocorrelation, block_days: float, *, squared: bool = False) -> Array:
    """Return the ratio of the variance of a mean to its estimate from independent blocks, at least 1, ``(row)``.

    Parameters
    ----------
    autocorrelation
        From :func:`gsm3core.metrics.fit_autocorrelation`.
    block_days
        Length of a block, days.
    squared
        Of the mean of the square of a Gaussian series, whose autocorrelation is squared.
    """
    times = autocorrelation if squared else None
    long_run = autocorrelation.inflation(times=times)
    return np.maximum(long_run / autocorrelation.inflation(block_days, times=times), 1.0)


def split_interval(values: Array, test_share: float, confidence: float) -> tuple[Array, Array, Array, Array]:
    """Return the mean over cross-validation splits, its standard deviation and its lower and upper end.

    Parameters
    ----------
    values
        ``(..., split)``.
    test_share
        Test sites divided by training sites of one split.
    confidence
        Level of the interval, for instance 0.95.

    Notes
    -----
    Splits share most of their training sites, so the standard error of their mean is too small. Its square is
    raised from ``s2 / J`` to ``s2 (1 / J + test_share)`` (Nadeau and Bengio 2003, doi:10.1023/A:1024068626366).
    """
    from scipy.stats import t

    n = values.shape[-1]
    mean = values.mean(-1)
    if n < 2:
        nothing = np.full(mean.shape, np.nan)
        return mean, nothing, nothing, nothing
    std = values.std(-1, ddof=1)
    half = t.ppf(0.5 + confidence / 2, n - 1) * std * np.sqrt(1 / n + test_share)
    return mean, std, mean - half, mean + half
