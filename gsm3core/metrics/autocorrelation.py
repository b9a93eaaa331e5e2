"""How much a series remembers, and how many independent days it is worth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gsm3core.metrics.moments import Array, as_rows, lagged_moments
from gsm3core.metrics.registry import correlation

_LAGS = np.array([[1, 2, 3], [8, 9, 10]])
# A memory of 200 days: what lies beyond is a season or a trend, and a record of years cannot tell.
_MOST = 0.99


def lag1_autocorrelation(series: NDArray[np.floating], valid: NDArray[np.bool_] | None = None) -> Array:
    """Return the lag-1 autocorrelation over pairs of consecutive days that are both valid, shape without time.

    Parameters
    ----------
    series, valid
        ``(..., time)``; only finite days that are ``valid`` count. NaN where there are fewer than three pairs.
    """
    pairs = lagged_moments(series if valid is None else np.where(valid, series, np.nan))
    return np.where(pairs.n >= 3, correlation(pairs), np.nan)


def effective_sample_size(predicted: NDArray[np.floating], observed: NDArray[np.floating]) -> Array:
    """Return how many independent days the paired days are worth for a correlation.

    Parameters
    ----------
    predicted, observed
        As for :func:`gsm3core.metrics.paired_moments`.

    Notes
    -----
    ``n / (1 + 2 f sum_k rho_x(k) rho_y(k))``, the sum over lags and f the share of days that are paired, within 2
    and n (Bartlett 1935, doi:10.2307/2980769; Bretherton et al. 1999,
    doi:10.1175/1520-0442(1999)012<1990:TENOSD>2.0.CO;2). Both autocorrelations are taken as
    :func:`persistence` finds them; without white noise and gaps this is ``n (1 - a b) / (1 + a b)``, with the lag-1
    a and b. A series with too few neighbouring days (a rare revisit) has no memory of its own to measure; the
    other's is used for it.
    """
    from gsm3core.metrics.kernel import over_rows, paired_span

    x, y, shape = as_rows(predicted, observed)
    mine, other = persistence(x), persistence(y)
    share_x, lag1_x = mine
    share_y, lag1_y = (np.resize(a, len(x)) for a in other)
    a = _or(lag1_x, lag1_y) * _or(lag1_y, lag1_x)
    shares = _or(share_x, share_y) * _or(share_y, share_x)
    span = np.empty((len(x), 3), np.int64)
    if len(x):
        over_rows(paired_span, len(x), x.size, x, y, span)
    n = span[:, 2]
    density = n / np.maximum(span[:, 1] - span[:, 0] + 1, 1)
    worth = n / (1 + 2 * density * np.nan_to_num(shares * a / (1 - a)))
    return np.clip(worth, np.minimum(n, 2), n).reshape(shape)


def persistence(
    series: NDArray[np.floating], less: NDArray[np.floating] | None = None
) -> tuple[Array, Array]:
    """Return a series' memory as the share of its variance that persists, and that share's lag-1 autocorrelation.

    Parameters
    ----------
    series
        Rows of days, gaps allowed.
    less
        Rows to subtract first: the memory of an error is that of the difference.

    Returns
    -------
    tuple of numpy.ndarray
        ``share`` and ``lag1``: the autocorrelation at lag k is ``share * lag1**k``. 0 where it is not above chance,
        NaN with fewer than three pairs of days at most three apart.

    Notes
    -----
    White noise on top of a slow process (a satellite's) makes the lag-1 autocorrelation small, though the slow
    part remembers as long as ever: an AR(1) fitted to lag 1 would take such days for nearly independent. Two
    pools tell the parts from each other, pairs 1 to 3 days apart and pairs 8 to 10 days apart (three
    neighbouring lags each, so that a revisit of three days has pairs in both); the decay between them is lag1,
    never below that of an AR(1) process. Autocorrelations come out low by about (1 + 3 r) / n in short records
    and are raised by that (Kendall 1954, doi:10.1093/biomet/41.3-4.403).
    """
    from gsm3core.metrics.kernel import over_rows, pooled_autocorrelation

    x = np.ascontiguousarray(series)
    y = np.zeros((1, x.shape[1]), x.dtype) if less is None else np.ascontiguousarray(less)
    out = np.full((len(x), 2, 3), np.nan)
    if len(x):
        over_rows(pooled_autocorrelation, len(x), x.size, x, y, _LAGS, out)
    pairs = out[..., 2]
    days = np.maximum(pairs / _LAGS.shape[1], 1)
    r = np.minimum(out[..., 0] + (1 + 3 * out[..., 0]) / days, _MOST)
    (near, far), (near_lag, far_lag) = r.T, out[..., 1].T
    with np.errstate(invalid="ignore", divide="ignore"):
        of_ar1 = np.maximum(near, 0.0) ** (1 / near_lag)
        decay = (np.maximum(far, 0.0) / near) ** (1 / (far_lag - near_lag))
        lag1 = np.clip(np.nan_to_num(decay), np.nan_to_num(of_ar1), _MOST)
        share = np.minimum(near / lag1**near_lag, 1.0)
        by_chance = near <= 2 / np.sqrt(pairs[:, 0])
    unknown = np.isnan(near)
    share, lag1 = np.where(by_chance, 0.0, share), np.where(by_chance, 0.0, lag1)
    return np.where(unknown, np.nan, share), np.where(unknown, np.nan, lag1)


def _or(mine: Array, other: Array) -> Array:
    return np.where(np.isnan(mine), other, mine)


def mean_gap(valid: NDArray[np.bool_]) -> Array:
    """Return the mean number of days from one valid day to the next, at least 1, shape without time."""
    if not valid.shape[-1]:
        return np.ones(valid.shape[:-1])
    first = np.argmax(valid, -1)
    last = valid.shape[-1] - 1 - np.argmax(valid[..., ::-1], -1)
    n = valid.sum(-1)
    return np.where(n > 1, np.maximum((last - first) / np.maximum(n - 1, 1), 1.0), 1.0)
