"""Simulated series with known scores, autocorrelation, seasons and gaps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

Array = NDArray[np.float64]


def ar1(rng: np.random.Generator, shape: tuple[int, ...], lag1: float) -> Array:
    """Stationary unit AR(1) series along the last axis."""
    noise = rng.normal(size=shape) * np.sqrt(1 - lag1**2)
    noise[..., 0] /= np.sqrt(1 - lag1**2)
    return lfilter([1.0], [1.0, -lag1], noise, axis=-1)


def known_pair(
    rng: np.random.Generator,
    size: int,
    days: int,
    lag1: float,
    *,
    seasonal: bool = False,
    gaps: float = 0.1,
    white: float = 0.0,
    every: int | tuple[int, ...] = 1,
    own_lag1: float | None = None,
    season_error: float = 0.0,
    winter: int = 0,
) -> tuple[Array, Array, dict[str, float]]:
    """Pairs of series, and their scores in the limit of infinite records.

    The in-situ standard deviation is 0.06; the product has R 0.7, a bias of 0.03 and an AR(1) error. The season is a
    fixed cycle of the same phase in both, larger in the product. ``white`` is the standard deviation of additional
    white noise in the product, and ``every`` its revisit time in days, or its steps in turn. ``own_lag1`` is the lag-1
    autocorrelation of the product's own noise, that of the signal by default: the difference then mixes two processes.
    ``season_error`` is the amplitude of an annual cycle of random phase in the product alone, and ``winter`` the number of days
    without values at the beginning of every year.
    """
    signal = ar1(rng, (size, days), lag1)
    error = ar1(rng, (size, days), lag1 if own_lag1 is None else own_lag1)
    r, std, bias = 0.7, 0.06, 0.03
    y = std * signal
    x = bias + std * (r * signal + np.sqrt(1 - r * r) * error)
    var_x = var_y = std**2
    cov = r * std**2
    if seasonal:
        cycle = np.cos(2 * np.pi * np.arange(days) / 365.25)
        y, x = y + 0.05 * cycle, x + 0.06 * cycle
        var_y, var_x, cov = var_y + 0.05**2 / 2, var_x + 0.06**2 / 2, cov + 0.05 * 0.06 / 2
    x = x + white * rng.normal(size=x.shape)
    var_x = var_x + white**2
    if season_error:
        phase = rng.uniform(0, 2 * np.pi, (size, 1))
        x = x + season_error * np.cos(2 * np.pi * np.arange(days) / 365.25 + phase)
        var_x += season_error**2 / 2
    steps = np.resize(every, days)
    seen = np.isin(np.arange(days), np.concatenate([[0], np.cumsum(steps)]))
    x[:, ~seen | (np.arange(days) % 365 < winter)] = np.nan
    rest = var_x + var_y - 2 * cov
    truth = {
        "R": cov / np.sqrt(var_x * var_y),
        "bias": bias,
        "RMSE": float(np.sqrt(rest + bias**2)),
        "ubRMSE": float(np.sqrt(rest)),
    }
    return (
        np.where(rng.random(x.shape) < gaps, np.nan, x),
        np.where(rng.random(y.shape) < gaps, np.nan, y),
        truth,
    )


def many_products(sites: int, days: int, products: int, gaps: float, seed: int = 0) -> tuple[Array, Array]:
    """Products ``(product, site, day)`` and in situ ``(site, day)``, single precision, with gaps in both."""
    rng = np.random.default_rng(seed)
    y = 0.25 + 0.06 * ar1(rng, (sites, days), 0.95)
    x = np.empty((products, sites, days), np.float32)
    for p in range(products):
        x[p] = 0.02 * p + 0.8 * y + 0.03 * ar1(rng, (sites, days), 0.8)
        x[p][rng.random(y.shape) < gaps] = np.nan
    y = y.astype(np.float32)
    y[rng.random(y.shape) < gaps] = np.nan
    return x, y
