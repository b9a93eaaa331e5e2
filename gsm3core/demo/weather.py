"""Daily weather of every site: precipitation, temperature, radiation, humidity, pressure, wind and leaf area.

A weather generator after Richardson (1981), Stochastic simulation of daily precipitation, temperature, and solar
radiation, doi:10.1029/WR017i001p00182: a first-order Markov chain of wet and dry days with gamma amounts, and
temperature and radiation that depend on whether the day is wet. The random numbers are correlated between sites.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gsm3core.demo import radiation as sun
from gsm3core.demo.landscape import Landscape, seasonal_rain
from gsm3core.demo.random_fields import (
    Floats,
    distance_km,
    draw_field,
    gamma_from_normal,
    normal_quantile,
    spatial_factor,
    stream,
)
from gsm3core.demo.scenario import FORCING_ERRORS
from gsm3core.demo.sites import DemoSites

_GAMMA_SHAPE = 0.75
_WET_PERSISTENCE = 0.3  # lag-1 correlation of wet and dry days
_DIFFUSE_SHARE = 0.35


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """Weather ``(day, site)``, float32.

    ``rain`` (mm d-1) of the cell, ``rain_point`` at the sensor; ``celsius``, the air temperature; ``shortwave`` (W m-2)
    on level ground; ``evaporation`` and ``evaporation_point`` (mm d-1), the potential evaporation on level ground and
    on the sensor's slope; ``slope_warmth`` (K), the excess soil temperature of the slope; specific ``humidity`` kg kg-1,
    ``pressure`` Pa, ``wind_u`` and ``wind_v`` m s-1, ``lai`` m2 m-2.
    """

    rain: Floats
    rain_point: Floats
    celsius: Floats
    shortwave: Floats
    humidity: Floats
    pressure: Floats
    wind_u: Floats
    wind_v: Floats
    lai: Floats
    evaporation: Floats
    evaporation_point: Floats
    slope_warmth: Floats


def make_weather(seed: int, sites: DemoSites, land: Landscape, day_of_year: Floats) -> Weather:
    """Simulate the weather of consecutive days, given by their day of the year (1..366)."""
    days, rng = len(day_of_year), stream(seed, "weather")
    distance = distance_km(sites.lat, sites.lon, sites.lat, sites.lon)
    storm, front, mass = (spatial_factor(distance, km, 0.03) for km in (120.0, 300.0, 900.0))
    slow = draw_field(rng, days, mass, time_scale=60.0)  # droughts and wet spells
    frac, amount = _climatology(land, day_of_year, slow)
    wet = _spells(draw_field(rng, days, front), frac)
    rain = np.where(wet, amount * gamma_from_normal(draw_field(rng, days, storm), _GAMMA_SHAPE), 0.0)
    std = FORCING_ERRORS["precipitation_point"]
    local = std * rng.standard_normal(rain.shape, dtype=np.float32)
    rain_point = rain * np.exp(local - std**2 / 2.0)

    season = np.cos(2.0 * np.pi / 365.25 * (day_of_year[:, None] - land.warmest_day))
    anomaly = draw_field(rng, days, mass, time_scale=4.0) * (1.2 + 0.09 * land.temperature_range)
    celsius = land.temperature + land.temperature_range / 2.0 * season + anomaly - 1.5 * season * wet

    clearness = 0.90 - 0.15 * frac - 0.36 * wet + 0.11 * draw_field(rng, days, front, time_scale=1.0)
    clearness = np.clip(clearness, 0.15, 1.0)
    top = sun.extraterrestrial(sites.lat[None, :], day_of_year[:, None])
    clear_sky = 0.75 + 2e-5 * land.elevation  # FAO-56, equation 37
    shortwave = clearness * clear_sky * top

    dry_air = 2.0 + 14.0 * np.clip(1.0 - frac / 0.4, 0.0, 1.0) - 2.5 * wet
    depression = np.maximum(dry_air + 1.8 * draw_field(rng, days, front, time_scale=3.0), 0.2)
    vapour = sun.saturation_pressure(celsius - depression)
    pressure = 101_325.0 * (1.0 - 2.25577e-5 * land.elevation) ** 5.25588  # standard atmosphere
    pressure = pressure + 600.0 * draw_field(rng, days, mass, time_scale=3.0) - 250.0 * wet
    westerly = 3.0 * np.sin(np.radians(3.0 * (np.abs(sites.lat) - 30.0)))

    direct = sun.slope_factor(sites.lat, land.slope, land.aspect, np.arange(1.0, 367.0))
    ratio = (1.0 - _DIFFUSE_SHARE) * direct + _DIFFUSE_SHARE * (1.0 + np.cos(np.radians(land.slope))) / 2.0
    ratio = ratio[day_of_year.astype(int) - 1]
    level, tilted = (
        sun.potential_evaporation(celsius, light, clearness, vapour, pressure)
        for light in (shortwave, shortwave * ratio)
    )
    fields = {
        "rain": rain,
        "rain_point": rain_point,
        "celsius": celsius,
        "shortwave": shortwave,
        "humidity": 0.622 * vapour / (pressure - 0.378 * vapour),
        "pressure": pressure,
        "wind_u": westerly + 3.0 * draw_field(rng, days, mass, time_scale=1.5),
        "wind_v": 2.5 * draw_field(rng, days, mass, time_scale=1.5),
        "lai": _leaf_area(land, season, slow, day_of_year),
        "evaporation": level,
        "evaporation_point": tilted,
        "slope_warmth": 4.0 * (ratio - 1.0),
    }
    return Weather(**{name: np.asarray(array, np.float32) for name, array in fields.items()})


def _climatology(land: Landscape, day_of_year: Floats, slow: Floats) -> tuple[Floats, Floats]:
    """Return the probability of a wet day and its mean amount; their product has the seasonal cycle of the climate.

    The mean probability was fitted to the days with 1 mm or more of 40 cities' climate normals and of 87 USCRN stations in 2020:
    warm summers have fewer and heavier rains (standard deviation of the logarithm 0.14 and 0.21).
    """
    cycle = seasonal_rain(land, np.arange(1.0, 367.0))
    season = cycle[day_of_year.astype(int) - 1]
    mean = land.precipitation / 365.25
    warmest = land.temperature + land.temperature_range / 2.0
    annual = 0.37 * (land.precipitation / 900.0) ** 0.54 * np.exp(-0.063 * (warmest - 20.0))
    frac = annual * season**0.6 / (cycle**0.6).mean(axis=0)
    frac = np.clip(frac, 0.002, 0.85)
    wetter = np.exp(0.35 * slow - 0.35**2 / 2.0)  # mean 1
    frac_now = np.clip(frac * np.sqrt(wetter), 0.001, 0.9)
    return frac_now.astype(np.float32), (mean * season * wetter / frac_now).astype(np.float32)


def _spells(field: Floats, frac: Floats) -> Floats:
    """Return wet (1) and dry (0) days: a two-state Markov chain with the wet probability ``frac``."""
    after_dry = normal_quantile(frac * (1.0 - _WET_PERSISTENCE))
    after_wet = normal_quantile(frac + _WET_PERSISTENCE * (1.0 - frac))
    wet = np.empty(field.shape, np.float32)
    wet[0] = field[0] < normal_quantile(frac[0])
    for day in range(1, len(wet)):
        wet[day] = field[day] < np.where(wet[day - 1] > 0, after_wet[day], after_dry[day])
    return wet


def _leaf_area(land: Landscape, season: Floats, slow: Floats, day_of_year: Floats) -> Floats:
    """Return the leaf area index, highest in the warm season where frost limits it and after the wet season elsewhere."""
    phase = np.cos(2.0 * np.pi / 365.25 * (day_of_year[:, None] - land.wettest_day - 40.0))
    frosty = np.clip((8.0 - (land.temperature - land.temperature_range / 2.0)) / 16.0, 0.0, 1.0)
    rhythm = frosty * season + (1.0 - frosty) * phase * np.minimum(land.wet_season, 1.0)
    return (0.1 + 5.0 * land.ndvi**2) * np.exp(0.9 * rhythm + 0.12 * slow)
