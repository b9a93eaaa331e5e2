"""The soil-water bucket: water balance, drainage law and limiting cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from gsm3core.demo.soil import SoilWater, _drainage, simulate_soil, soil_properties

DAYS, COLUMNS = 700, 40


def ground(n=COLUMNS, seed=0):
    rng = np.random.default_rng(seed)
    sand = rng.uniform(0.1, 0.9, n)
    clay = rng.uniform(0.03, 0.97 - sand)
    slope = rng.uniform(0, 30, n)
    return soil_properties(sand, clay, slope, *(np.exp(0.4 * rng.standard_normal((3, n)))))


def weather(days=DAYS, n=COLUMNS, seed=0, warmth=8.0):
    rng = np.random.default_rng(seed)
    season = -np.cos(2 * np.pi * np.arange(days) / 365)[:, None]
    return {
        "rain": np.where(rng.random((days, n)) < 0.3, rng.gamma(0.8, 12.0, (days, n)), 0.0),
        "celsius": warmth + 14.0 * season + 3.0 * rng.standard_normal((days, n)),
        "evaporation": np.clip(3.0 + 2.5 * season + rng.standard_normal((days, n)), 0.0, None),
        "lai": np.broadcast_to(1.5 + season, (days, n)),
        "slope_warmth": np.zeros((days, n)),
    }


STEADY = {"drainage_share": np.ones(1), "thaw_supply": np.zeros(1), "warming": np.zeros(1)}


def residue(soil: SoilWater, rain: np.ndarray) -> np.ndarray:
    storage = np.concatenate([soil.start[None, :], soil.storage])
    return rain - soil.evaporation - soil.runoff - soil.drainage - np.diff(storage, axis=0)


@pytest.mark.parametrize("warmth", [-6.0, 8.0, 22.0])
def test_water_balance_closes_on_every_day(warmth):
    forced = weather(warmth=warmth)
    soil = simulate_soil(ground(), **forced, **STEADY)
    # Storages of some hundred mm in double precision: rounding is 1e-13 of that in each of some twenty steps.
    assert np.abs(residue(soil, forced["rain"])).max() < 1e-10
    assert soil.snow.max() > 50 if warmth < 0 else True
    for flux in (soil.evaporation, soil.runoff, soil.drainage, soil.snow):
        assert flux.min() >= 0


def test_water_balance_closes_while_ground_ice_thaws():
    forced, grow = weather(), np.linspace(0.3, 1.0, DAYS)[:, None]
    soil = simulate_soil(ground(), **forced, drainage_share=grow, thaw_supply=1 - grow, warming=3 * grow)
    assert np.abs(residue(soil, forced["rain"])).max() < 1e-10


def test_moisture_and_evaporation_stay_within_their_bounds():
    forced, soil_of = weather(), ground()
    soil = simulate_soil(soil_of, **forced, **STEADY)
    assert np.all(soil.moisture <= soil_of.porosity + 1e-12)
    assert np.all(soil.moisture >= soil_of.residual - 1e-12)
    # Potential evaporation and interception.
    assert np.all(soil.evaporation <= forced["evaporation"] + 0.25 * forced["lai"] + 1e-12)


def test_drainage_solves_its_differential_equation():
    water, full, ks, power = 60.0, 65.0, 30.0, 12.0
    exact = solve_ivp(lambda _, w: -ks * (w / full) ** power, (0.0, 1.0), [water], rtol=1e-10, atol=1e-12)
    found = _drainage(*(np.array([x]) for x in (water, full, ks, power)))[0]
    assert found == pytest.approx(water - exact.y[0, -1], rel=1e-6)


def test_without_rain_the_soil_only_dries():
    forced = weather(days=200, warmth=20.0)
    forced["rain"] = np.zeros_like(forced["rain"])
    forced["celsius"] = np.full_like(forced["celsius"], 20.0)
    soil = simulate_soil(ground(), **forced, **STEADY)
    assert np.diff(soil.storage, axis=0).max() <= 1e-10
    assert np.all(soil.moisture[-1] < 0.5 * soil.moisture[0] + 0.5 * ground().residual)


def test_snow_accumulates_until_it_melts():
    forced = weather(days=120)
    forced["celsius"] = np.where(np.arange(120) < 80, -10.0, 10.0)[:, None] * np.ones(COLUMNS)
    soil = simulate_soil(ground(), **forced, **STEADY)
    fallen = np.cumsum(forced["rain"][:80], axis=0)
    assert soil.snow[:80] == pytest.approx(fallen)
    # At 3 mm per day and kelvin, 10 degrees melt 30 mm a day.
    assert soil.snow[80] == pytest.approx(np.maximum(soil.snow[79] - 30.0, 0.0))
    assert soil.frozen[70].all()


def test_sand_is_drier_than_clay_and_shade_wetter_than_sun():
    sand, clay = np.array([0.85, 0.15]), np.array([0.05, 0.5])
    one = np.ones(2)
    forced = {k: a[:, [0, 0]] for k, a in weather(warmth=18.0).items()}
    by_texture = simulate_soil(soil_properties(sand, clay, 0 * one, one, one, one), **forced, **STEADY)
    assert by_texture.moisture[:, 0].mean() < by_texture.moisture[:, 1].mean() - 0.05
    forced["evaporation"] = forced["evaporation"] * np.array([0.7, 1.3])
    loam = soil_properties(0.4 * one, 0.2 * one, 0 * one, one, one, one)
    by_light = simulate_soil(loam, **forced, **STEADY)
    assert by_light.moisture[:, 0].mean() > by_light.moisture[:, 1].mean()


def test_each_drift_parameter_has_the_expected_effect():
    forced = weather(warmth=18.0)
    steady = simulate_soil(ground(), **forced, **STEADY)
    shut = simulate_soil(ground(), **forced, **(STEADY | {"drainage_share": np.full(1, 0.02)}))
    fed = simulate_soil(ground(), **forced, **(STEADY | {"thaw_supply": np.full(1, 0.5)}))
    warm = simulate_soil(ground(), **forced, **(STEADY | {"warming": np.full(1, 3.0)}))
    assert np.all(shut.drainage.sum(axis=0) < steady.drainage.sum(axis=0))
    assert np.all(shut.moisture.mean(axis=0) > steady.moisture.mean(axis=0))
    assert np.all(fed.moisture.mean(axis=0) > steady.moisture.mean(axis=0))
    # The temperature approaches equilibrium by a quarter each day: it is reached after a month.
    assert (warm.temperature - steady.temperature)[30:] == pytest.approx(3.0, abs=0.01)
