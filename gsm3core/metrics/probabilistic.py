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
    mean: AnyArray, std: AnyArray, observed: AnyArray, *, low: float = -np.inf, high: float = np.inf
) -> AnyArray:
    """Return the probability integral transform of observations, uniform on 0 to 1 for calibrated predictions.

    Parameters
    ----------
    mean, std, observed, low, high
        As for :func:`crps_gaussian`.

    Notes
    -----
    Dawid (1984, doi:10.2307/2981683). At a bound, where the distribution has a point mass, the middle of the step is
    returned, which keeps the mean at 1/2 (Czado, Gneiting and Held 2009, doi:10.1111/j.1541-0420.2009.01191.x).
    """
    _check_bounds(low, high)

    def transform(m: Floats, s: Floats, y: Floats) -> Floats:
        _check_std(s)
        safe = np.where(s > 0, s, 1.0)
        below = ndtr((y - m) / safe)
        exact = np.where(y > m, 1.0, np.where(y < m, 0.0, 0.5))
        p = np.where(s > 0, below, exact)
        p = np.where(y <= low, np.where(y < low, 0.0, p / 2), p)
        return np.where(y >= high, np.where(y > high, 1.0, (1 + p) / 2), p) + 0 * (m + s + y)

    return _apply_elementwise(transform, mean, std, observed)


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


def _squared_cdf_integral(z: Floats) -> Floats:
    """Return the integral of Phi squared from minus infinity to z."""
    far = np.isneginf(z)
    z = np.where(far, 0.0, z)
    below = ndtr(z)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    with np.errstate(invalid="ignore"):
        return np.where(far, 0.0, z * below**2 + 2 * below * density - ndtr(np.sqrt(2) * z) / np.sqrt(np.pi))


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
