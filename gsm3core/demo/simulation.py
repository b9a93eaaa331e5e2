"""The whole simulation as arrays: sites, weather, soil, in-situ data and products."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.demo.landscape import Landscape, make_landscape
from gsm3core.demo.products import observe_in_situ, observe_product
from gsm3core.demo.random_fields import Floats, red_noise, stream
from gsm3core.demo.scenario import PRODUCT_ERRORS, Scenario
from gsm3core.demo.sites import DemoSites, place_sites
from gsm3core.demo.soil import SoilProperties, SoilWater, simulate_soil, soil_properties
from gsm3core.demo.weather import Weather, make_weather
from gsm3core.geography.aspect import poleward_aspect

SPIN_UP_DAYS = 365
_DRIFT_BEGINS = np.datetime64("2015-04-01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """All simulated arrays, ``(day, site)`` or ``(site)``, without the spin-up.

    Soil moisture: ``modelled`` of the bucket at the sensor, ``point`` the same with the planted disturbance, ``cell`` of
    the satellite cell. ``frozen`` refers to the sensor, ``unseen`` (frozen or under snow) to the cell; ``disturbance`` is
    the parameter ``s`` of :class:`Scenario`.
    """

    days: NDArray[np.datetime64]
    sites: DemoSites
    land: Landscape
    weather: Weather
    ground: SoilProperties
    poleward: Floats
    modelled: Floats
    point: Floats
    cell: Floats
    soil_temperature: Floats
    frozen: NDArray[np.bool_]
    unseen: NDArray[np.bool_]
    disturbance: Floats
    in_situ: Floats
    stuck: NDArray[np.bool_]
    products: dict[str, Floats]


def simulate(seed: int, n_sites: int, days: NDArray[np.datetime64], scenario: Scenario) -> Simulation:
    """Simulate consecutive ``days`` (``datetime64[D]``)."""
    sites = place_sites(stream(seed, "sites"), n_sites)
    land = make_landscape(stream(seed, "landscape"), sites)
    all_days = np.arange(days[0] - SPIN_UP_DAYS, days[-1] + 1)
    weather = make_weather(seed, sites, land, _day_of_year(all_days))
    point_ground, soil_point, soil_cell = _simulate_point_and_cell(sites, land, weather, all_days, scenario)

    shown = slice(SPIN_UP_DAYS, None)
    modelled, cell = soil_point.moisture[shown], soil_cell.moisture[shown]
    unseen = soil_cell.frozen[shown]
    products = {
        name: observe_product(seed, name, scenario, modelled, cell, land.ndvi, unseen, sites.network_number)
        for name in PRODUCT_ERRORS
    }
    poleward = poleward_aspect(land.aspect, sites.lat)
    std = _disturbance(scenario, poleward, products[v.SMAP])
    point = _disturb(seed, scenario, modelled, std, point_ground)
    frozen = soil_point.temperature[shown] < 0.0
    in_situ, stuck = observe_in_situ(seed, _day_of_year(days), point, frozen, sites.region)
    return Simulation(
        days=days,
        sites=sites,
        land=land,
        weather=Weather(**{name: getattr(weather, name)[shown] for name in Weather.__slots__}),
        ground=point_ground,
        poleward=poleward,
        modelled=modelled,
        point=point,
        cell=cell,
        soil_temperature=soil_cell.temperature[shown],
        frozen=frozen,
        unseen=unseen,
        disturbance=std,
        in_situ=in_situ,
        stuck=stuck,
        products=products,
    )


def alaska_remaining_ice(days: NDArray[np.datetime64], scenario: Scenario) -> Floats:
    """Return the remaining share of Alaska's ground ice on each day: 1 up to 2015-04-01, then decreasing to 0."""
    elapsed = np.maximum((days - _DRIFT_BEGINS).astype(float), 0.0)
    return np.exp(-elapsed / scenario.alaska_time_scale)


def _day_of_year(days: NDArray[np.datetime64]) -> Floats:
    return (days - days.astype("datetime64[Y]")).astype(float) + 1.0


def _simulate_point_and_cell(
    sites: DemoSites, land: Landscape, weather: Weather, days: NDArray[np.datetime64], scenario: Scenario
) -> tuple[SoilProperties, SoilWater, SoilWater]:
    """Run the bucket at the sensors and for their cells, which are level and have the attributes' texture."""
    level, standard = np.zeros(len(sites.lat)), np.ones(len(sites.lat))
    point = soil_properties(
        land.sand_point, land.clay_point, land.slope, land.depth_factor, land.drain_factor, land.root_factor
    )
    cell = soil_properties(land.sand, land.clay, level, standard, standard, standard)
    drift: dict[str, Floats] = {"drainage_share": standard, "thaw_supply": level, "warming": level}
    if scenario.alaska_nonstationary:
        alaska, remaining = sites.region == "Alaska", alaska_remaining_ice(days, scenario)[:, None]
        drift = {
            "drainage_share": 1.0 - (1.0 - scenario.alaska_drainage_at_start) * remaining * alaska,
            "thaw_supply": scenario.alaska_thaw_supply * remaining * alaska,
            "warming": scenario.alaska_warming * (1.0 - remaining) * alaska,
        }
    at_point = simulate_soil(
        point, weather.rain_point, weather.celsius, weather.evaporation_point, weather.lai,
        weather.slope_warmth, **drift,
    )  # fmt: skip
    flat = np.broadcast_to(np.float32(0.0), weather.rain.shape)
    over_cell = simulate_soil(
        cell, weather.rain, weather.celsius, weather.evaporation, weather.lai, flat, **drift
    )
    return point, at_point, over_cell


def _disturbance(scenario: Scenario, poleward: Floats, smap: Floats) -> Floats:
    if not scenario.aspect_effect:
        return np.zeros(len(poleward))
    overpasses = np.isfinite(smap).sum(axis=0)
    mean = np.where(overpasses > 0, np.nansum(smap, axis=0) / np.maximum(overpasses, 1), np.inf)
    beyond = np.clip((np.abs(poleward) - scenario.aspect_onset) / (1.0 - scenario.aspect_onset), 0.0, 1.0)
    return np.where(mean <= scenario.dry_limit, scenario.aspect_strength * beyond, 0.0)


def _disturb(seed: int, scenario: Scenario, modelled: Floats, std: Floats, ground: SoilProperties) -> Floats:
    noise = red_noise(stream(seed, "aspect").standard_normal(modelled.shape), scenario.aspect_time_scale)
    factor = np.exp(std * noise - std**2 / 2.0)
    return np.minimum(ground.residual + (modelled - ground.residual) * factor, ground.porosity)
