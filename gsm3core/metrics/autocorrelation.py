"""Temporal autocorrelation and effective sample size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gsm3core.metrics.moments import Array, as_rows, lagged_moments
from gsm3core.metrics.registry import correlation

_LAGS = np.array([[1, 2, 3], [8, 9, 10]])
# Decorrelation within 200 days: beyond that is a season or a trend, which a record of years cannot resolve.
_MAX_AUTOCORRELATION = 0.99


def lag1_autocorrelation(series: NDArray[np.floating], valid: NDArray[np.bool_] | None = None) -> Array:
    """Return the lag-1 autocorrelation over pairs of consecutive valid days, shape without time.

    Parameters
    ----------
    series, valid
        ``(..., time)``; only finite days that are ``valid`` count. NaN where there are fewer than three pairs.
    """
    pairs = lagged_moments(series if valid is None else np.where(valid, series, np.nan))
    return np.where(pairs.n >= 3, correlation(pairs), np.nan)


def effective_sample_size(predicted: NDArray[np.floating], observed: NDArray[np.floating]) -> Array:
    """Return the effective sample size of a correlation between two autocorrelated series.

    Parameters
    ----------
    predicted, observed
        As for :func:`gsm3core.metrics.paired_moments`.

    Notes
    -----
    ``n / (1 + 2 f sum_k rho_x(k) rho_y(k))``, the sum over lags and f the share of days that are paired, within 2
    and n (Bartlett 1935, doi:10.2307/2980769; Bretherton et al. 1999,
    doi:10.1175/1520-0442(1999)012<1990:TENOSD>2.0.CO;2). Both autocorrelations are estimated by
    :func:`persistence`; without white noise and gaps this is ``n (1 - a b) / (1 + a b)``, with the lag-1
    a and b. For a series with too few neighbouring days to estimate it (a rare revisit), the autocorrelation of
    the other series is used.
    """
    from gsm3core.metrics.kernel import over_rows, paired_span

    x, y, shape = as_rows(predicted, observed)
    share_x, lag1_x = persistence(x)
    share_y, lag1_y = (np.resize(a, len(x)) for a in persistence(y))
    a = _fill_missing(lag1_x, lag1_y) * _fill_missing(lag1_y, lag1_x)
    shares = _fill_missing(share_x, share_y) * _fill_missing(share_y, share_x)
    span = np.empty((len(x), 3), np.int64)
    if len(x):
        over_rows(paired_span, len(x), x.size, x, y, span)
    n = span[:, 2]
    density = n / np.maximum(span[:, 1] - span[:, 0] + 1, 1)
    effective = n / (1 + 2 * density * np.nan_to_num(shares * a / (1 - a)))
    return np.clip(effective, np.minimum(n, 2), n).reshape(shape)


def persistence(
    series: NDArray[np.floating], subtract: NDArray[np.floating] | None = None
) -> tuple[Array, Array]:
    """Return the persistent share of a series' variance and the lag-1 autocorrelation of that share.

    Parameters
    ----------
    series
        Rows of days, gaps allowed.
    subtract
        Rows to subtract first, to obtain the autocorrelation of an error.

    Returns
    -------
    tuple of numpy.ndarray
        ``share`` and ``lag1``: the autocorrelation at lag k is ``share * lag1**k``. 0 where it is not above chance,
        NaN with fewer than three pairs of days at most three apart.

    Notes
    -----
    White noise on top of a slow process (as in satellite retrievals) lowers the lag-1 autocorrelation, although
    the slow part is unchanged: an AR(1) fitted to lag 1 would treat such days as nearly independent. Two pools
    of lags separate the parts, 1 to 3 days and 8 to 10 days (three neighbouring lags each, so that a three-day
    revisit has pairs in both); the decay between them is lag1, never below that of an AR(1) process.
    Autocorrelations are biased low by about (1 + 3 r) / n in short records and are corrected by that (Kendall
    1954, doi:10.1093/biomet/41.3-4.403).
    """
    from gsm3core.metrics.kernel import over_rows, pooled_autocorrelation

    x = np.ascontiguousarray(series)
    y = np.zeros((1, x.shape[1]), x.dtype) if subtract is None else np.ascontiguousarray(subtract)
    out = np.full((len(x), 2, 3), np.nan)
    if len(x):
        over_rows(pooled_autocorrelation, len(x), x.size, x, y, _LAGS, out)
    pairs = out[..., 2]
    days = np.maximum(pairs / _LAGS.shape[1], 1)
    r = np.minimum(out[..., 0] + (1 + 3 * out[..., 0]) / days, _MAX_AUTOCORRELATION)
    (near, far), (near_lag, far_lag) = r.T, out[..., 1].T
    with np.errstate(invalid="ignore", divide="ignore"):
        ar1_decay = np.maximum(near, 0.0) ** (1 / near_lag)
        decay = (np.maximum(far, 0.0) / near) ** (1 / (far_lag - near_lag))
        lag1 = np.clip(np.nan_to_num(decay), np.nan_to_num(ar1_decay), _MAX_AUTOCORRELATION)
        share = np.minimum(near / lag1**near_lag, 1.0)
        insignificant = near <= 2 / np.sqrt(pairs[:, 0])
    unknown = np.isnan(near)
    share, lag1 = np.where(insignificant, 0.0, share), np.where(insignificant, 0.0, lag1)
    return np.where(unknown, np.nan, share), np.where(unknown, np.nan, lag1)


def _fill_missing(values: Array, fallback: Array) -> Array:
    return np.where(np.isnan(values), fallback, values)


def mean_gap(valid: NDArray[np.bool_]) -> Array:
    """Return the mean number of days from one valid day to the next, at least 1, shape without time."""
    if not valid.shape[-1]:
        return np.ones(valid.shape[:-1])
    first = np.argmax(valid, -1)
    last = valid.shape[-1] - 1 - np.argmax(valid[..., ::-1], -1)
    n = valid.sum(-1)
    return np.where(n > 1, np.maximum((last - first) / np.maximum(n - 1, 1), 1.0), 1.0)
