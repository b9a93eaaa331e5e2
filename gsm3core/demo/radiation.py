"""Solar radiation above the atmosphere and on slopes, and potential evaporation.

Equation numbers are those of FAO-56: Allen, Pereira, Raes and Smith (1998), Crop evapotranspiration, FAO
Irrigation and Drainage Paper 56, chapter 3.
"""

from __future__ import annotations

import numpy as np

from gsm3core.demo.random_fields import Floats

ZERO_CELSIUS = 273.15
_SOLAR_CONSTANT = 1367.0  # W m-2; 0.0820 MJ m-2 min-1 in FAO-56
_STEFAN_BOLTZMANN = 5.67e-8
_LATENT_HEAT = 2.45e6  # J kg-1
_DAY = 86_400.0
_ALBEDO = 0.23
_PRIESTLEY_TAYLOR = 1.26


def declination(day_of_year: Floats) -> Floats:
    """Return the solar declination in radians (FAO-56, equation 24)."""
    return 0.409 * np.sin(2.0 * np.pi * np.asarray(day_of_year, float) / 365.0 - 1.39)


def extraterrestrial(lat: Floats, day_of_year: Floats) -> Floats:
    """Return the daily mean radiation on a horizontal plane above the atmosphere, W m-2.

    Parameters
    ----------
    lat, day_of_year
        Degrees, and 1..366; broadcast against each other.

    Notes
    -----
    FAO-56, equations 21, 23 and 25; polar day and night by limiting the sunset hour angle.
    """
    phi, delta = np.radians(lat), declination(day_of_year)
    nearness = 1.0 + 0.033 * np.cos(2.0 * np.pi * np.asarray(day_of_year, float) / 365.0)
    sunset = np.arccos(np.clip(-np.tan(phi) * np.tan(delta), -1.0, 1.0))
    height = sunset * np.sin(phi) * np.sin(delta) + np.cos(phi) * np.cos(delta) * np.sin(sunset)
    return _SOLAR_CONSTANT / np.pi * nearness * np.maximum(height, 0.0)


def slope_factor(
    lat: Floats, slope: Floats, aspect: Floats, day_of_year: Floats, *, steps: int = 24
) -> Floats:
    """Return the ratio of daily direct radiation on the slope to that on level ground, ``(day, site)``.

    Parameters
    ----------
    lat, slope, aspect
        Degrees ``(site)``; aspect clockwise from north.
    day_of_year
        1..366 ``(day)``.
    steps
        Number of solar times per day at which the angle of incidence is computed.

    Notes
    -----
    Angle of incidence after Duffie and Beckman, Solar Engineering of Thermal Processes, equation 1.6.2. Kept
    within 0 and 3: at low sun the ratio has no limit, and the radiation is diffuse.
    """
    phi, tilt = np.radians(lat)[None, :], np.radians(slope)[None, :]
    facing = np.radians(aspect)[None, :] - np.pi  # the formula counts from south, west positive
    delta = declination(day_of_year)[:, None]
    along = np.sin(delta) * (np.sin(phi) * np.cos(tilt) - np.cos(phi) * np.sin(tilt) * np.cos(facing))
    with_cos = np.cos(delta) * (np.cos(phi) * np.cos(tilt) + np.sin(phi) * np.sin(tilt) * np.cos(facing))
    with_sin = np.cos(delta) * np.sin(tilt) * np.sin(facing)
    on_slope, on_level = np.zeros(along.shape), np.zeros(along.shape)
    for hour_angle in (np.arange(steps) + 0.5) * 2.0 * np.pi / steps - np.pi:
        level = np.sin(delta) * np.sin(phi) + np.cos(delta) * np.cos(phi) * np.cos(hour_angle)
        beam = along + with_cos * np.cos(hour_angle) + with_sin * np.sin(hour_angle)
        on_slope += np.where(level > 0, np.maximum(beam, 0.0), 0.0)
        on_level += np.maximum(level, 0.0)
    return np.clip(on_slope / np.maximum(on_level, 1e-3), 0.0, 3.0)


def saturation_pressure(celsius: Floats) -> Floats:
    """Return the saturation vapour pressure over water, Pa (FAO-56, equation 11)."""
    return 610.8 * np.exp(17.27 * celsius / (celsius + 237.3))


def potential_evaporation(
    celsius: Floats, shortwave: Floats, clearness: Floats, vapour_pressure: Floats, pressure: Floats
) -> Floats:
    """Return the potential evaporation from wet, snow-free ground, mm d-1, not negative.

    Parameters
    ----------
    celsius, shortwave, clearness, vapour_pressure, pressure
        Air temperature, shortwave at the surface (W m-2), its ratio to that of a clear sky, vapour pressure
        and air pressure (Pa), all of the same shape.

    Notes
    -----
    Priestley and Taylor (1972), doi:10.1175/1520-0493(1972)100<0081:OTAOSH>2.3.CO;2, with the coefficient 1.26 and no
    ground heat flux; net longwave after FAO-56, equation 39.
    """
    drying = 4098.0 * saturation_pressure(celsius) / (celsius + 237.3) ** 2
    psychrometric = 0.665e-3 * pressure
    humid = 0.34 - 0.14 * np.sqrt(vapour_pressure / 1000.0)
    cloudy = np.clip(1.35 * clearness - 0.35, 0.05, 1.0)
    net = (1.0 - _ALBEDO) * shortwave - _STEFAN_BOLTZMANN * (celsius + ZERO_CELSIUS) ** 4 * humid * cloudy
    share = drying / (drying + psychrometric)
    return np.maximum(_PRIESTLEY_TAYLOR * share * net * _DAY / _LATENT_HEAT, 0.0)
