"""In-situ sensors, satellite and model products: the simulated truth with their errors and gaps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.demo.random_fields import Floats, exponential_filter, red_noise, stream
from gsm3core.demo.scenario import DRY_TAPER, IN_SITU_ERROR, PRODUCT_ERRORS, ProductError, Scenario

_CYCLE = 8
_MAX_MOISTURE = 0.8
_STUCK_VALUE = 0.2
_SMALLEST_WITH_STUCK = 20


def observe_product(
    seed: int,
    name: str,
    scenario: Scenario,
    point: Floats,
    cell: Floats,
    ndvi: Floats,
    unseen: NDArray[np.bool_],
    network: NDArray[np.int64],
) -> Floats:
    """Return one product's series ``(day, site)``, NaN without overpass and on frozen or snow-covered ground.

    Parameters
    ----------
    name
        A name of :data:`PRODUCT_ERRORS`.
    point, cell
        Truth at the sensor (without the planted disturbance) and over the cell, m3 m-3, ``(day, site)``.
    ndvi
        Long-term NDVI, ``(site)``.
    unseen
        Frozen or snow-covered ground, ``(day, site)``.
    network
        Network of each site; its sites are observed on the same days.
    """
    error, rng = PRODUCT_ERRORS[name], stream(seed, f"product {name}")
    reference = exponential_filter(
        error.point_share * point + (1.0 - error.point_share) * cell, error.smoothing
    )
    mean = reference.mean(axis=0)
    noise = red_noise(rng.standard_normal(cell.shape, dtype=np.float32), error.noise_time_scale)
    noise *= (error.noise_std + error.noise_per_ndvi * ndvi) * taper(reference)
    bias = (error.bias + error.bias_std * rng.standard_normal(len(ndvi))) * taper(mean)
    if name == v.AMSR2 and scenario.vegetation_bias:
        bias = bias + scenario.amsr2_bias_per_ndvi * (ndvi - scenario.amsr2_ndvi_pivot)
    observed = np.clip(mean + error.gain * (reference - mean) + bias + noise, 0.0, _MAX_MOISTURE)
    missing = ~_observed_days(rng, error, cell.shape, network)
    if error.overpasses < _CYCLE:
        missing |= unseen
    observed[missing] = np.nan
    return observed


def observe_in_situ(
    seed: int,
    day_of_year: Floats,
    point: Floats,
    frozen: NDArray[np.bool_],
    region: NDArray[np.str_],
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the sensors' series ``(day, site)`` with their gaps, and which sensor reports a constant value.

    Parameters
    ----------
    day_of_year
        1..366 ``(day)``.
    point
        Truth at the sensor, m3 m-3.
    frozen
        Frozen soil, whose days are removed: a dielectric sensor measures only the liquid share.
    region
        Regions ``(site)``; the constant sensor (one, from 20 sites on) is in the CONUS.
    """
    error, rng = IN_SITU_ERROR, stream(seed, "in situ")
    days, n = point.shape
    mean = point.mean(axis=0)
    bias = error.bias_std * rng.standard_normal(n) * taper(mean)
    gain = np.maximum(1.0 + error.gain_std * rng.standard_normal(n), 0.5)
    angle = 2.0 * np.pi / 365.25 * day_of_year[:, None]
    cosine, sine = error.season_std * stream(seed, "local season").standard_normal((2, n))
    season = cosine * np.cos(angle) + sine * np.sin(angle)
    drift = error.drift_std * red_noise(rng.standard_normal((days, n)), error.drift_time_scale)
    noise = error.noise_std * rng.standard_normal((days, n))
    observed = np.clip(
        mean + gain * (point - mean) + bias + (season + drift + noise) * taper(point), 0.0, _MAX_MOISTURE
    )
    observed[frozen | ~_recording_days(rng, frozen)] = np.nan
    stuck = np.zeros(n, bool)
    if n >= _SMALLEST_WITH_STUCK:
        stuck[rng.choice(np.flatnonzero(region == "CONUS"))] = True
        observed[:, stuck] = np.where(np.isnan(observed[:, stuck]), np.nan, _STUCK_VALUE)
    return observed, stuck


def taper(moisture: Floats) -> Floats:
    """Return the factor on errors: 1 in moist soil, decreasing linearly to 0 below :data:`DRY_TAPER`."""
    return np.minimum(moisture / DRY_TAPER, 1.0)


def _observed_days(
    rng: np.random.Generator, error: ProductError, shape: tuple[int, ...], network: NDArray[np.int64]
) -> NDArray[np.bool_]:
    days = np.arange(shape[0])[:, None]
    phase = rng.integers(_CYCLE, size=int(network.max()) + 1)[network]
    # Evenly spaced overpasses of an exact repeat cycle: 3 in 8 days are 3, 3 and 2 days apart.
    overpasses = (days + phase) * error.overpasses // _CYCLE != (
        days + phase - 1
    ) * error.overpasses // _CYCLE
    return overpasses & (rng.random(shape, dtype=np.float32) >= error.lost)


def _recording_days(rng: np.random.Generator, frozen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return when the sensors record: between installation and removal, outside outages."""
    error = IN_SITU_ERROR
    days, n = int(frozen.shape[0]), int(frozen.shape[1])
    kind, length = rng.random(n), rng.random(n)
    share = np.ones(n)
    partial = kind < error.short_share + error.partial_share
    share[partial] = 0.4 + 0.5 * length[partial]
    # A few short records in every dataset that is large enough.
    short = np.argsort(kind)[: round(error.short_share * n)]
    share[short] = 0.03 + 0.05 * length[short]
    first = np.floor(rng.random(n) * (1.0 - share) * days)
    for site in short:  # a short campaign takes place in a season without frost
        thawed = np.flatnonzero(~frozen[:, site])
        if len(thawed):
            middle = thawed[int(length[site] * len(thawed))]
            first[site] = np.clip(middle - share[site] * days / 2.0, 0.0, (1.0 - share[site]) * days)
    day = np.arange(days)[:, None]
    recording = (day >= first) & (day < first + np.maximum(share * days, 1.0))
    out = np.zeros(n, bool)
    chance = rng.random((days, n), dtype=np.float32)
    for k in range(days):
        out = np.where(out, chance[k] >= 1.0 / error.outage_length, chance[k] < 1.0 / error.outage_every)
        recording[k] &= ~out
    return recording
