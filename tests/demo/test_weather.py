"""The weather generator, against FAO-56's worked examples and its statistical specification."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from gsm3core.demo import radiation as sun
from gsm3core.demo.landscape import make_landscape, precipitation_seasonality
from gsm3core.demo.random_fields import (
    draw_field,
    gamma_from_normal,
    normal_quantile,
    red_noise,
    spatial_factor,
    stream,
)
from gsm3core.demo.sites import place_sites
from gsm3core.demo.weather import _spells, make_weather

MJ_PER_DAY = 1e6 / 86_400.0  # in W


@pytest.mark.parametrize(
    ("lat", "day", "expected"),
    [(-20.0, 246, 32.2), (-22.9, 135, 25.1), (13.73, 105, 38.06)],
    ids=[
        "example 8: 20 S, 3 September",
        "example 10: Rio, 15 May",
        "example 18 (monthly): Bangkok, 15 April",
    ],
)
def test_extraterrestrial_radiation_is_that_of_fao56(lat, day, expected):
    # FAO-56 rounds constants and results to three digits.
    assert sun.extraterrestrial(np.array(lat), np.array(day)) / MJ_PER_DAY == pytest.approx(expected, abs=0.1)


def test_mean_insolation_is_a_quarter_of_the_solar_constant():
    # A sphere intercepts the radiation of a disc: the mean over all latitudes and days is S / 4.
    sines = np.linspace(-1, 1, 4001)
    lat = np.degrees(np.arcsin((sines[1:] + sines[:-1]) / 2))
    mean = sun.extraterrestrial(lat[:, None], np.arange(1.0, 366.0)[None, :]).mean()
    assert mean == pytest.approx(1367.0 / 4, rel=1e-3)


def test_polar_night_and_polar_day():
    assert sun.extraterrestrial(np.array(80.0), np.array(355.0)) == 0.0
    assert sun.extraterrestrial(np.array(80.0), np.array(172.0)) > sun.extraterrestrial(
        np.array(0.0), np.array(172.0)
    )


def test_level_ground_has_a_slope_factor_of_one():
    lat, level = np.array([-60.0, 0.0, 35.0, 60.0]), np.zeros(4)
    factor = sun.slope_factor(lat, level, level + 77.0, np.arange(1.0, 366.0, 30.0))
    assert factor == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(
    ("lat", "aspect", "equivalent"), [(40.0, 180.0, 20.0), (40.0, 0.0, 60.0), (-40.0, 0.0, -20.0)]
)
def test_slope_factor_is_that_of_the_equivalent_latitude(lat, aspect, equivalent):
    # At the equinox a plane tilted by 20 degrees towards a pole is parallel to the level 20 degrees nearer to it,
    # and day and night are equal everywhere: the ratio is that of the cosines.
    equinox = np.array([81.0])
    factor = sun.slope_factor(np.array([lat]), np.array([20.0]), np.array([aspect]), equinox, steps=480)[0, 0]
    assert abs(np.degrees(sun.declination(equinox)[0])) < 0.5
    assert factor == pytest.approx(np.cos(np.radians(equivalent)) / np.cos(np.radians(lat)), rel=0.015)


def test_east_and_west_slopes_have_equal_factors():
    days, lat, tilt = np.arange(1.0, 366.0, 20.0), np.array([35.0]), np.array([15.0])
    east, west = (sun.slope_factor(lat, tilt, np.array([a]), days) for a in (90.0, 270.0))
    assert east == pytest.approx(west, rel=1e-9)


def test_priestley_taylor_evaporation_from_fao56_examples():
    # Examples 10 to 12, Rio de Janeiro, 15 May: Rs 14.5, Rso 18.8, Rnl 3.5, Rn 7.6 MJ m-2 d-1, ea 2.1 kPa,
    # Tmax 25.1, Tmin 19.1. Annex 2: slope of the vapour curve at 22.1 deg C 0.162, psychrometer 0.067 kPa/K.
    by_hand = 1.26 * 0.162 / (0.162 + 0.067) * 7.6 / 2.45
    found = sun.potential_evaporation(
        np.array(22.1),
        np.array(14.5 * MJ_PER_DAY),
        np.array(14.5 / 18.8),
        np.array(2100.0),
        np.array(101_300.0),
    )
    # FAO-56 averages the fourth powers of Tmax and Tmin and rounds Rnl to 3.5: 0.05 in 7.6.
    assert found == pytest.approx(by_hand, rel=0.015)


@pytest.mark.parametrize("shape", [0.5, 0.75, 1.0])
def test_gamma_quantiles_are_those_of_scipy(shape):
    p = np.array([0.05, 0.25, 0.5, 0.9, 0.99, 0.999])
    expected = stats.gamma.ppf(p, shape, scale=1 / shape)
    assert gamma_from_normal(stats.norm.ppf(p), shape) == pytest.approx(expected, rel=2e-3, abs=2e-4)


def test_normal_quantiles_are_those_of_scipy():
    p = np.linspace(0.001, 0.999, 997)
    assert normal_quantile(p) == pytest.approx(stats.norm.ppf(p), abs=1e-4)


def test_spatial_correlation_decreases_with_distance():
    distance = np.abs(np.subtract.outer(np.arange(5) * 100.0, np.arange(5) * 100.0))
    days = 20_000
    field = draw_field(stream(0, "test"), days, spatial_factor(distance, 300.0, 0.03))
    expected = 0.97 * np.exp(-distance / 300.0) + 0.03 * np.eye(5)
    # Five standard errors of a correlation, at most 1 / sqrt(n).
    assert np.corrcoef(field.T) == pytest.approx(expected, abs=5 / np.sqrt(days))


def test_red_noise_has_its_time_scale_and_unit_variance():
    noise = red_noise(np.random.default_rng(0).standard_normal((4000, 50)), 10.0)
    lag = np.mean(noise[1:] * noise[:-1]) / np.mean(noise**2)
    # 200,000 values of which about every 20th is independent.
    assert lag == pytest.approx(np.exp(-0.1), abs=5 * np.sqrt((1 - np.exp(-0.2)) / 200_000))
    assert noise.var() == pytest.approx(1.0, abs=5 * np.sqrt(2 / 10_000))
    assert noise[0].var() == pytest.approx(1.0, abs=5 * np.sqrt(2 / 50))


def test_wet_days_have_their_frequency_and_persistence():
    field = np.random.default_rng(1).standard_normal((5000, 40))
    wet = _spells(field, np.full(field.shape, 0.3))
    # With an autocorrelation of 0.3, the effective sample is (1 - 0.3) / (1 + 0.3) of the days.
    error = np.sqrt(0.3 * 0.7 / (wet.size * 0.7 / 1.3))
    assert wet.mean() == pytest.approx(0.3, abs=5 * error)
    lag = np.corrcoef(wet[1:].ravel(), wet[:-1].ravel())[0, 1]
    assert lag == pytest.approx(0.3, abs=5 / np.sqrt(wet.size))


def test_long_term_means_are_those_of_the_attributes():
    # One site in each region, far from each other, and 24 years: years are nearly independent.
    sites = place_sites(stream(5, "sites"), 7)
    land = make_landscape(stream(5, "landscape"), sites)
    years = 24
    day = np.tile(np.arange(1.0, 366.0), years)
    weather = make_weather(5, sites, land, day)
    annual = weather.rain.reshape(years, 365, 7).sum(axis=1) / land.precipitation
    error = annual.std(ddof=1) / np.sqrt(annual.size)
    assert annual.mean() == pytest.approx(1.0, abs=4 * error)
    at_point = weather.rain_point.sum() / weather.rain.sum()
    assert at_point == pytest.approx(
        1.0, abs=0.03
    )  # standard deviation 0.7 of the logarithm on about 15,000 wet days: error 0.006 to 0.01
    # Wet-day cooling changes the annual mean only by its covariance with the season.
    assert weather.celsius.mean(axis=0) == pytest.approx(land.temperature, abs=1.0)
    monthly = np.stack([block.sum(axis=(0, 1)) for block in np.array_split(
        weather.rain.reshape(years, 365, 7), 12, axis=1)])  # fmt: skip
    observed = monthly.std(axis=0) / monthly.mean(axis=0)
    # Without seasonality the sampling error of 24-year monthly means is about 0.1.
    assert observed == pytest.approx(precipitation_seasonality(land), abs=0.25)


def test_wet_days_have_less_radiation():
    sites = place_sites(stream(6, "sites"), 14)
    land = make_landscape(stream(6, "landscape"), sites)
    day = np.tile(np.arange(1.0, 366.0), 3)
    weather = make_weather(6, sites, land, day)
    top = sun.extraterrestrial(sites.lat[None, :], day[:, None])
    lit = top > 20
    assert np.all(weather.shortwave[lit] < top[lit])
    ratio = np.where(lit, weather.shortwave / np.where(lit, top, 1.0), np.nan)
    wet = weather.rain > 0
    for k in range(14):
        assert np.nanmean(ratio[wet[:, k], k]) < np.nanmean(ratio[~wet[:, k], k]) - 0.2
    saturated = sun.saturation_pressure(weather.celsius)
    vapour = weather.humidity * weather.pressure / (0.622 + 0.378 * weather.humidity)
    assert np.all(vapour <= saturated * 1.001)
