"""Climate, terrain, soil and vegetation of every site, from its position."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gsm3core.demo.climate_anchors import interpolate_climate
from gsm3core.demo.random_fields import Floats
from gsm3core.demo.sites import DemoSites

_LAPSE_RATE = 0.006  # K m-1
_COOLEST_SUMMER = 7.0  # deg C; no soil-moisture station stands where the ground never thaws
_DAYS = np.arange(365.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Landscape:
    """Static properties of the sites; arrays ``(site)``, units as in the vocabulary unless stated.

    ``sand``, ``clay`` are those of the satellite cell, ``sand_point``, ``clay_point`` those at the sensor.
    ``temperature`` is in degrees Celsius, ``warmest_day`` and ``wettest_day`` are days of the year,
    ``wet_season`` is the exponent of the seasonal cycle (0 for none). ``depth_factor``, ``drain_factor``
    and ``root_factor`` are hidden: they differ between sites and no attribute depends on them.
    """

    elevation: Floats
    slope: Floats
    aspect: Floats
    temperature: Floats
    temperature_range: Floats
    precipitation: Floats
    wet_season: Floats
    warmest_day: Floats
    wettest_day: Floats
    sand: Floats
    clay: Floats
    sand_point: Floats
    clay_point: Floats
    ndvi: Floats
    climate: NDArray[np.int8]
    land_cover: NDArray[np.int8]
    depth_factor: Floats
    drain_factor: Floats
    root_factor: Floats


def make_landscape(rng: np.random.Generator, sites: DemoSites) -> Landscape:
    """Draw the landscape: climate interpolated between the anchors, terrain by network, texture and vegetation by aridity."""
    n, network = len(sites.lat), sites.network_number
    networks = int(network.max()) + 1

    def local(network_std: float, site_std: float) -> Floats:
        shared = network_std * rng.standard_normal(networks)
        return shared[network] + site_std * rng.standard_normal(n)

    height, temperature, span, log_rain, east, north = interpolate_climate(sites.lat, sites.lon)
    elevation = height * np.exp(local(0.25, 0.25))
    temperature = temperature - _LAPSE_RATE * (elevation - height) + local(0.3, 0.3)
    span = span * np.exp(local(0.03, 0.03))
    temperature = np.maximum(temperature, _COOLEST_SUMMER - span / 2.0)
    precipitation = np.exp(log_rain + 0.2 * (elevation - height) / 1000.0 + local(0.10, 0.10))
    slope = np.minimum(2.5 * np.exp(0.35 * np.minimum(elevation / 1000.0, 3.0) + local(0.4, 0.6)), 35.0)
    aspect = rng.uniform(0.0, 360.0, n)
    wet_season, wettest_day = np.hypot(east, north), np.degrees(np.arctan2(north, east)) % 360 * 365.0 / 360.0
    warmest_day = np.where(sites.lat < 0, 20.0, 202.0)

    aridity = precipitation / (250.0 + 48.0 * np.maximum(temperature, 0.0))
    dryness = np.clip(1.0 - aridity / 0.8, 0.0, 1.0)
    sand = np.clip(0.33 + 0.41 * dryness + local(0.09, 0.06), 0.08, 0.90)
    clay = np.clip(0.28 - 0.21 * dryness + local(0.06, 0.03), 0.03, 0.95 - sand)
    sand_point = np.clip(sand + 0.12 * rng.standard_normal(n), 0.05, 0.92)
    clay_point = np.clip(clay + 0.06 * rng.standard_normal(n), 0.02, 0.97 - sand_point)
    warm_enough = np.clip((temperature + 14.0) / 20.0, 0.3, 1.0)
    ndvi = 0.07 + 0.72 * (1.0 - np.exp(-1.1 * aridity)) * warm_enough + local(0.02, 0.03)
    ndvi = np.clip(ndvi, 0.05, 0.85)
    climate = _koeppen(temperature, span, precipitation, wet_season, warmest_day, wettest_day)
    return Landscape(
        elevation=elevation,
        slope=slope,
        aspect=aspect,
        temperature=temperature,
        temperature_range=span,
        precipitation=precipitation,
        wet_season=wet_season,
        warmest_day=warmest_day,
        wettest_day=wettest_day,
        sand=sand,
        clay=clay,
        sand_point=sand_point,
        clay_point=clay_point,
        ndvi=ndvi,
        climate=climate,
        land_cover=_land_cover(rng, climate, temperature, ndvi),
        depth_factor=np.exp(0.30 * rng.standard_normal(n)),
        drain_factor=np.exp(1.0 * rng.standard_normal(n)),
        root_factor=np.exp(0.45 * rng.standard_normal(n)),
    )


def seasonal_rain(landscape: Landscape, day_of_year: Floats) -> Floats:
    """Return the expected rain of a day relative to the annual mean, ``(day, site)``."""
    phase = 2.0 * np.pi / 365.0 * (np.asarray(day_of_year, float)[:, None] - landscape.wettest_day)
    return np.exp(landscape.wet_season * np.cos(phase)) / np.i0(landscape.wet_season)


def precipitation_seasonality(landscape: Landscape) -> Floats:
    """Return the coefficient of variation of the twelve expected monthly sums, ``(site)``."""
    months = seasonal_rain(landscape, np.arange(12) * 365.0 / 12.0 + 15.2)
    return months.std(axis=0) / months.mean(axis=0)


def _koeppen(
    temperature: Floats, span: Floats, rain: Floats, season: Floats, warmest_day: Floats, wettest_day: Floats
) -> NDArray[np.int8]:
    """Return Köppen-Geiger main classes after Kottek et al. (2006), doi:10.1127/0941-2948/2006/0130."""
    warmest, coldest = temperature + span / 2.0, temperature - span / 2.0
    phase = 2.0 * np.pi / 365.0 * (_DAYS[:, None] - wettest_day)
    cycle = np.exp(season * np.cos(phase))
    summer = np.cos(2.0 * np.pi / 365.0 * (_DAYS[:, None] - warmest_day)) > 0
    in_summer = (cycle * summer).sum(axis=0) / cycle.sum(axis=0)
    threshold = 20.0 * temperature + np.select([in_summer > 2 / 3, in_summer < 1 / 3], [280.0, 0.0], 140.0)
    classes = np.select(
        [warmest < 10.0, rain < threshold, coldest >= 18.0, coldest > -3.0], [5, 2, 1, 3], default=4
    )
    return classes.astype(np.int8)


def _land_cover(
    rng: np.random.Generator, climate: NDArray[np.int8], temperature: Floats, ndvi: Floats
) -> NDArray[np.int8]:
    bands = [ndvi < 0.13, ndvi < 0.24, ndvi < 0.38, ndvi < 0.55]
    common = np.select(bands, [16, 7, 10, 12], default=np.where(temperature < 6.0, 1, 4))
    other = np.select(bands, [7, 10, np.where(climate == 1, 9, 12), 14], default=np.where(climate == 1, 2, 5))
    chosen = np.where(rng.random(len(ndvi)) < 0.65, common, other)
    return chosen.astype(np.int8)
