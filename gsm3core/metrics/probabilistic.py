"""Scores of predicted normal distributions: CRPS, probability integral transform and central intervals.

Every function takes numpy arrays or DataArrays, broadcasts them, and returns the same type; NaN in any input gives NaN.
With bounds the distribution is censored to a physical range: probability outside lies on the bound, as in clipping.
For ensembles: :mod:`gsm3core.metrics.ensembles`.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from gsm3core.errors import DatasetError

Floats = NDArray[np.float64]
AnyArray = TypeVar("AnyArray", NDArray[Any], xr.DataArray)


def crps_gaussian(
    mean: AnyArray, std: AnyArray, observed: AnyArray, *, low: float = -np.inf, high: float = np.inf
) -> AnyArray:
    """Return the continuous ranked probability score of a (censored) normal distribution; smaller is better.

    Parameters
    ----------
    mean, std
        Of the distribution before censoring, m3 m-3. With std 0 the score is the absolute error.
    observed
        m3 m-3.
    low, high
        Bounds of the physical range.

    Raises
    ------
    DatasetError
        If a std is negative, or low is not below high.

    Notes
    -----
    ``integral (F(x) - 1{y <= x})^2 dx`` with ``G(z) = z Phi(z)^2 + 2 Phi(z) phi(z) - Phi(sqrt(2) z) / sqrt(pi)``, the
    integral of Phi squared: ``sigma (G(z) - G(l) + G(-z) - G(-u))``, and the distance to the range for an
    observation outside it. Without bounds it is equation 5 of Gneiting et al. (2005, doi:10.1175/MWR2904.1); the censored
    case is that of Jordan, Krueger and Lerch (2019, doi:10.18637/jss.v090.i12).
    """
    _check_bounds(low, high)

    def score(m: Floats, s: Floats, y: Floats) -> Floats:
        _check_std(s)
        inside = np.clip(y, low, high)
        safe = np.where(s > 0, s, 1.0)
        z, lower, upper = ((b - m) / safe for b in (inside, low, high))
        integral = s * (
            _squared_cdf_integral(z)
            - _squared_cdf_integral(lower)
            + _squared_cdf_integral(-z)
            - _squared_cdf_integral(-upper)
        )
        exact = np.abs(inside - np.clip(m, low, high))
        return np.where(s > 0, np.maximum(integral, 0.0), exact) + np.abs(y - inside) + 0 * (m + s)

    return _apply_elementwise(score, mean, std, observed)


def pit_gaussian(
    mean: AnyArray,
    std: AnyArray,
    observed: AnyArray,
    *,
    resolution: float | AnyArray = 0.0,
    low: float = -np.inf,
    high: float = np.inf,
) -> tuple[AnyArray, AnyArray]:
    """Return the predicted probability below each observation, and that up to and including it.

    Parameters
    ----------
    mean, std, observed, low, high
        As for :func:`crps_gaussian`.
    resolution
        Step to which the observations are rounded, m3 m-3; 0 for exact values. A rounded observation stands for all values
        within half a step.

    Returns
    -------
    tuple
        Lower and upper end of the probability integral transform. They are equal unless the observation lies on a bound, where
        the distribution has a point mass, or is rounded. :func:`pit_share` makes a histogram of them.

    Notes
    -----
    Non-randomised PIT of Czado, Gneiting and Held (2009, doi:10.1111/j.1541-0420.2009.01191.x). An observation at or beyond a
    bound counts with the whole mass on that bound, as streamflow at its censoring threshold does in Wang and Robertson (2011,
    doi:10.1029/2010WR009333). Where the distribution has mass on a bound that is never observed, the histogram
    is not flat: that is an error of the prediction, not of the method.
    """
    _check_bounds(low, high)

    def end(sign: int) -> Any:
        def probability(m: Floats, s: Floats, y: Floats, step: Floats) -> Floats:
            _check_std(s)
            at = y + sign * step / 2
            safe = np.where(s > 0, s, 1.0)
            exact = np.where(at > m, 1.0, np.where(at < m, 0.0, (1.0 + sign) / 2))
            p = np.where(s > 0, ndtr((at - m) / safe), exact)
            # Rounding moves an observation within half a step of a bound onto it.
            at_low, at_high = y - step / 2 <= low, y + step / 2 >= high
            p = np.where(at_low, 0.0, p) if sign < 0 else np.where(at_high, 1.0, p)
            p = np.where(y < low, 0.0, np.where(y > high, 1.0, p))
            return p + 0 * (m + s + y)

        return _apply_elementwise(probability, mean, std, observed, resolution)

    return end(-1), end(1)


def pit_share(
    lower: NDArray[np.floating], upper: NDArray[np.floating], first: float, last: float
) -> NDArray[np.float64]:
    """Return the share of each transformed observation that lies in one bin of the PIT histogram.

    Parameters
    ----------
    lower, upper
        From :func:`pit_gaussian` or :func:`gsm3core.metrics.pit_ensemble`: spread evenly from ``lower`` to ``upper``.
    first, last
        Edges of the bin, within 0 to 1. The bin includes its lower edge, the last bin both.
    """
    width = upper - lower
    inside = np.clip(upper, first, last) - np.clip(lower, first, last)
    point = (lower >= first) & ((lower < last) | ((last >= 1) & (lower <= 1)))
    spread = width > 0
    share = np.where(spread, inside / np.where(spread, width, 1.0), point)
    return np.where(np.isfinite(width), share, np.nan)


def censored_normal(
    mean: AnyArray, std: AnyArray, *, low: float = 0.0, high: float = 1.0
) -> tuple[AnyArray, AnyArray]:
    """Return location and scale of the normal distribution whose moments after censoring are given.

    Parameters
    ----------
    mean, std
        After censoring, m3 m-3, as a run stores them.
    low, high
        Bounds of the physical range.

    Notes
    -----
    Inverse of the moments of a censored normal distribution (Johnson, Kotz and Balakrishnan 1994, section 10.1) for the nearer
    bound; mass on the farther bound is neglected (less than 0.001 if it is more than three std away). The location is at
    least ten scales inside or five beyond the bound.
    """
    _check_bounds(low, high)

    def solve(part: int) -> Any:
        def solved(m: Floats, s: Floats) -> Floats:
            _check_std(s)
            near_high = m - low > high - m
            distance = np.clip(np.where(near_high, high - m, m - low), 0.0, None)
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = distance / s
            near = ratio < _CENSORED_RATIO[-1]
            z = np.interp(ratio, _CENSORED_RATIO, _CENSORED_Z)
            # E[max(0, Z)] of a normal distribution with location z and scale 1.
            scale = np.where(near, distance / (z * ndtr(z) + _density(z)), s)
            location = z * scale
            location = np.where(near, np.where(near_high, high - location, low + location), m)
            return (scale if part else location) + 0 * (m + s)

        return _apply_elementwise(solved, mean, std)

    return solve(0), solve(1)


def gaussian_interval(
    mean: AnyArray, std: AnyArray, level: float, *, low: float = -np.inf, high: float = np.inf
) -> tuple[AnyArray, AnyArray]:
    """Return the central interval of a (censored) normal distribution.

    Parameters
    ----------
    mean, std, low, high
        As for :func:`crps_gaussian`.
    level
        Nominal coverage, for instance 0.9.
    """
    check_level(level)
    _check_bounds(low, high)
    half = float(ndtri(0.5 + level / 2))

    def end(sign: float) -> Any:
        def bound(m: Floats, s: Floats) -> Floats:
            _check_std(s)
            return np.clip(m + sign * half * s, low, high)

        return _apply_elementwise(bound, mean, std)

    return end(-1.0), end(1.0)


def _density(z: Floats) -> Floats:
    density: Floats = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return density


def _censored_ratios() -> tuple[Floats, Floats]:
    """Return the ratio of mean to standard deviation of max(0, Z), and the location of Z that has it."""
    z = np.concatenate([np.linspace(-5, 6, 4001), np.linspace(6, 10, 101)[1:]])
    mean = z * ndtr(z) + _density(z)
    square = (z**2 + 1) * ndtr(z) + z * _density(z)
    return mean / np.sqrt(square - mean**2), z


_CENSORED_RATIO, _CENSORED_Z = _censored_ratios()


def _squared_cdf_integral(z: Floats) -> Floats:
    """Return the integral of Phi squared from minus infinity to z."""
    far = np.isneginf(z)
    z = np.where(far, 0.0, z)
    below = ndtr(z)
    with np.errstate(invalid="ignore"):
        return np.where(
            far, 0.0, z * below**2 + 2 * below * _density(z) - ndtr(np.sqrt(2) * z) / np.sqrt(np.pi)
        )


def _apply_elementwise(function: Any, *arrays: Any) -> Any:
    return xr.apply_ufunc(
        lambda *values: function(*(np.asarray(a, float) for a in np.broadcast_arrays(*values))),
        *arrays,
        dask="parallelized",
        output_dtypes=[np.float64],
        keep_attrs=False,
    )


def _check_std(std: Floats) -> None:
    if (std < 0).any():
        raise DatasetError(
            f"negative standard deviation: {np.nanmin(std):g} m3 m-3. Expected 0 or more; check that std is not a log-variance."
        )


def _check_bounds(low: float, high: float) -> None:
    if not low < high:
        raise DatasetError(f"invalid physical range: low is {low:g}, high is {high:g}. Expected low < high.")


def check_level(level: float) -> None:
    """Raise a :class:`~gsm3core.errors.DatasetError` unless the level is between 0 and 1."""
    if not 0 < level < 1:
        raise DatasetError(
            f"invalid level: {level}. Expected a probability between 0 and 1, for instance 0.9."
        )
