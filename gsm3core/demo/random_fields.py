"""Seeded random fields, correlated in space and time."""

from __future__ import annotations

from functools import cache
from math import gamma
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

_EARTH_RADIUS_KM = 6371.0
_NORMAL_GRID = np.linspace(-6.0, 6.0, 4801)


def stream(seed: int, purpose: str) -> np.random.Generator:
    """Return the random generator of one purpose (any text), independent of those of other purposes."""
    return np.random.default_rng([seed, *purpose.encode()])


def distance_km(lat: Floats, lon: Floats, to_lat: Floats, to_lon: Floats) -> Floats:
    """Return great-circle distances ``(from, to)`` in km between points given in degrees."""
    a, b = _unit_vectors(lat, lon), _unit_vectors(to_lat, to_lon)
    # The half-chord form is exact for close points, where the arc cosine is not.
    chord = np.linalg.norm(a[:, None, :] - b[None, :, :], axis=-1)
    return 2.0 * _EARTH_RADIUS_KM * np.arcsin(np.clip(chord / 2.0, 0.0, 1.0))


def _unit_vectors(lat: Floats, lon: Floats) -> Floats:
    phi, lam = np.radians(lat), np.radians(lon)
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=-1)


def spatial_factor(distance: Floats, length_km: float, local_share: float) -> Floats:
    """Return the Cholesky factor that correlates independent normals in space.

    Parameters
    ----------
    distance
        Great-circle distances ``(site, site)``, km.
    length_km
        e-folding distance of the correlation; an exponential is a valid covariance on the sphere.
    local_share
        Uncorrelated share of the variance, which also keeps the matrix positive definite.

    Returns
    -------
    numpy.ndarray
        Lower triangle, float32.
    """
    covariance = (1.0 - local_share) * np.exp(-distance / length_km) + local_share * np.eye(len(distance))
    return np.linalg.cholesky(covariance).astype(np.float32)


def draw_field(rng: np.random.Generator, days: int, factor: Floats, time_scale: float = 0.0) -> Floats:
    """Return unit normals ``(day, site)``, correlated in space and, with a time scale in days, in time."""
    white = rng.standard_normal((days, len(factor)), dtype=np.float32)
    return red_noise(white @ factor.T, time_scale)


def red_noise(white: Floats, time_scale: float) -> Floats:
    """Turn unit white noise ``(day, site)`` into a unit AR(1) of e-folding time ``time_scale`` days, in place.

    Notes
    -----
    The first day has unit variance too: the series starts in its stationary distribution.
    """
    if time_scale <= 0:
        return white
    keep = np.float32(np.exp(-1.0 / time_scale))
    fresh = np.sqrt(1 - keep**2)
    for day in range(1, len(white)):
        white[day] *= fresh
        white[day] += keep * white[day - 1]
    return white


def exponential_filter(series: Floats, time_scale: float) -> Floats:
    """Return the exponentially filtered series ``(day, site)``, as of a thicker soil layer."""
    if time_scale <= 0:
        return series
    keep = np.exp(-1.0 / time_scale)
    smooth = np.array(series, float)
    for day in range(1, len(smooth)):
        smooth[day] = keep * smooth[day - 1] + (1.0 - keep) * smooth[day]
    return smooth


def normal_quantile(probability: Floats) -> Floats:
    """Return standard normal quantiles, interpolated (error below 1e-4 within 0.001..0.999)."""
    return np.interp(probability, _normal_cdf(), _NORMAL_GRID)


def gamma_from_normal(z: Floats, shape: float) -> Floats:
    """Return gamma variates of mean 1 and a shape up to 1, with the ranks of the standard normals ``z``."""
    return np.interp(z, _NORMAL_GRID, _gamma_quantiles(shape)).astype(np.float32)


@cache
def _normal_cdf() -> Floats:
    cdf = NormalDist().cdf
    return np.array([cdf(z) for z in _NORMAL_GRID])


@cache
def _gamma_quantiles(shape: float) -> Floats:
    # With y = x**shape the density exp(-x) x**(shape - 1) has no pole at zero; it is integrated by the trapezoidal rule.
    y = np.linspace(0.0, 30.0**shape, 200_001)
    density = np.exp(-(y ** (1.0 / shape))) / (shape * gamma(shape))
    cdf = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2.0 * np.diff(y))])
    return np.interp(_normal_cdf(), cdf / cdf[-1], y) ** (1.0 / shape) / shape
