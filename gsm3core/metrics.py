"""Paired moments of two series and the metrics made from them: R, bias, RMSE, ubRMSE."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# A variance this small beside the squared mean is rounding: 1e-10 of the mean in standard deviation.
_ROUNDING = 1e-20


@dataclass(frozen=True, slots=True)
class PairedMoments:
    """Moments over the days valid in both series; every field has the series' shape without time.

    Parameters
    ----------
    n
        Paired days.
    mean_x, mean_y
        Means of prediction and observation over paired days; NaN where ``n`` is 0.
    var_x, var_y, cov
        Centred second moments, divided by ``n``; computed in two passes, so that nothing cancels.
    """

    n: NDArray[np.int64]
    mean_x: Array
    mean_y: Array
    var_x: Array
    var_y: Array
    cov: Array


def paired_moments(predicted: NDArray[np.floating], observed: NDArray[np.floating]) -> PairedMoments:
    """Return the moments over the last axis, using only positions finite in both series.

    Parameters
    ----------
    predicted, observed
        Broadcast against each other; time is the last axis; NaN is missing.
    """
    x, y = np.broadcast_arrays(np.asarray(predicted, np.float64), np.asarray(observed, np.float64))
    both = np.isfinite(x) & np.isfinite(y)
    n = both.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_x = np.where(both, x, 0).sum(-1) / n
        mean_y = np.where(both, y, 0).sum(-1) / n
        dx = np.where(both, x - mean_x[..., None], 0)
        dy = np.where(both, y - mean_y[..., None], 0)
        return PairedMoments(
            n, mean_x, mean_y, (dx * dx).sum(-1) / n, (dy * dy).sum(-1) / n, (dx * dy).sum(-1) / n
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A score made from paired moments.

    Parameters
    ----------
    name, units
        As in tables and plots.
    meaning
        One sentence for a user.
    perfect
        Its value for a perfect product.
    higher_is_better
        ``True`` (R), ``False`` (errors) or ``None`` where the sign tells a direction (bias).
    from_moments
        The formula.
    """

    name: str
    units: str
    meaning: str
    perfect: float
    higher_is_better: Literal[True, False] | None
    from_moments: Callable[[PairedMoments], Array]


def is_constant(moments: PairedMoments) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell where a series does not vary beyond rounding: R is undefined there."""
    return (
        ~(moments.var_x > _ROUNDING * moments.mean_x**2 + 1e-40),
        ~(moments.var_y > _ROUNDING * moments.mean_y**2 + 1e-40),
    )


def _r(m: PairedMoments) -> Array:
    constant_x, constant_y = is_constant(m)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = m.cov / np.sqrt(m.var_x * m.var_y)
    return np.where(constant_x | constant_y, np.nan, np.clip(r, -1, 1))


def _unbiased_mse(m: PairedMoments) -> Array:
    return np.maximum(m.var_x + m.var_y - 2 * m.cov, 0.0)


METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        Metric(
            name="R", units="1", perfect=1.0, higher_is_better=True, from_moments=_r,
            meaning="Pearson correlation with in-situ soil moisture over the days that both have.",
        ),
        Metric(
            name="RMSE", units="m3 m-3", perfect=0.0, higher_is_better=False,
            from_moments=lambda m: np.sqrt(_unbiased_mse(m) + (m.mean_x - m.mean_y) ** 2),
            meaning="Root-mean-square difference from in-situ soil moisture.",
        ),
        Metric(
            name="ubRMSE", units="m3 m-3", perfect=0.0, higher_is_better=False,
            from_moments=lambda m: np.sqrt(_unbiased_mse(m)),
            meaning="RMSE after the bias is removed: the error of the ups and downs.",
        ),
        Metric(
            name="bias", units="m3 m-3", perfect=0.0, higher_is_better=None,
            from_moments=lambda m: m.mean_x - m.mean_y,
            meaning="Mean of the product minus mean of in situ: positive is too wet.",
        ),
    )
}  # fmt: skip


def lag1_autocorrelation(series: NDArray[np.floating], valid: NDArray[np.bool_]) -> Array:
    """Return the lag-1 autocorrelation over pairs of consecutive days that are both valid, shape without time.

    Parameters
    ----------
    series, valid
        ``(..., time)``; only days that are ``valid`` count. NaN where there are fewer than three pairs.
    """
    x = np.where(valid, np.asarray(series, np.float64), np.nan)
    pairs = paired_moments(x[..., 1:], x[..., :-1])
    return np.where(pairs.n >= 3, _r(pairs), np.nan)


def effective_sample_size(predicted: NDArray[np.floating], observed: NDArray[np.floating]) -> Array:
    """Return how many independent days the paired days are worth for a correlation.

    Parameters
    ----------
    predicted, observed
        As for :func:`paired_moments`.

    Notes
    -----
    ``n (1 - a b) / (1 + a b)`` with the two series' lag-1 autocorrelations a and b (Bretherton et al. 1999,
    doi:10.1175/1520-0442(1999)012<1990:TENOSD>2.0.CO;2, eq. 31), within 2 and n. Negative products of
    autocorrelations would claim more than n days and count as 0. A series with too few consecutive days (a
    revisit of 2-3 days) has no lag-1 of its own; the other's is used for it.
    """
    x, y = np.broadcast_arrays(np.asarray(predicted, np.float64), np.asarray(observed, np.float64))
    both = np.isfinite(x) & np.isfinite(y)
    a = lag1_autocorrelation(x, np.isfinite(x))
    b = lag1_autocorrelation(y, np.isfinite(y))
    a, b = np.where(np.isnan(a), b, a), np.where(np.isnan(b), a, b)
    n = both.sum(-1)
    # Pairs that lie g days apart are correlated as a**g: with gaps the days are worth more than lag 1 says.
    gap = mean_gap(both)
    ab = np.clip(np.nan_to_num(a * b), 0, 1 - 1e-9) ** gap
    return np.clip(n * (1 - ab) / (1 + ab), np.minimum(n, 2), n)


def mean_gap(valid: NDArray[np.bool_]) -> Array:
    """Return the mean number of days from one valid day to the next, at least 1, shape without time."""
    if not valid.shape[-1]:
        return np.ones(valid.shape[:-1])
    first = np.argmax(valid, -1)
    last = valid.shape[-1] - 1 - np.argmax(valid[..., ::-1], -1)
    n = valid.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n > 1, np.maximum((last - first) / np.maximum(n - 1, 1), 1.0), 1.0)
