"""From a seed to the whole demonstration world as arrays: sites, weather, ground, and what is seen of it."""

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
from gsm3core.demo.soil import Ground, SoilWater, ground_of, run_ground
from gsm3core.demo.weather import Weather, make_weather
from gsm3core.geography.aspect import poleward_aspect

SPIN_UP_DAYS = 365
_DRIFT_BEGINS = np.datetime64("2015-04-01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """Everything that was simulated, ``(day, site)`` or ``(site)``, the spin-up cut off.

    ``modelled`` is the point's water as the bucket has it, ``point`` the same with the planted disturbance
    (what the sensor stands in), ``cell`` that of the satellite cell; ``frozen`` and ``unseen`` (frozen or
    under snow) those of the point and the cell; ``disturbance`` the log-spread ``s`` of :class:`Scenario`.
    """

    days: NDArray[np.datetime64]
    sites: DemoSites
    land: Landscape
    weather: Weather
    ground: Ground
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


def simulate(seed: int, n_sites: int, days: NDArray[np.datetime64], plan: Scenario) -> Simulation:
    """Simulate the world on consecutive ``days`` (``datetime64[D]``)."""
    sites = place_sites(stream(seed, "sites"), n_sites)
    land = make_landscape(stream(seed, "landscape"), sites)
    all_days = np.arange(days[0] - SPIN_UP_DAYS, days[-1] + 1)
    weather = make_weather(seed, sites, land, _day_of_year(all_days))
    point_ground, soil_point, soil_cell = _run_both(sites, land, weather, all_days, plan)

    shown = slice(SPIN_UP_DAYS, None)
    modelled, cell = soil_point.moisture[shown], soil_cell.moisture[shown]
    unseen = soil_cell.frozen[shown]
    products = {
        name: observe_product(seed, name, plan, modelled, cell, land.ndvi, unseen, sites.network_number)
        for name in PRODUCT_ERRORS
    }
    poleward = poleward_aspect(land.aspect, sites.lat)
    spread = _disturbance(plan, poleward, products[v.SMAP])
    point = _disturb(seed, plan, modelled, spread, point_ground)
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
        disturbance=spread,
        in_situ=in_situ,
        stuck=stuck,
        products=products,
    )


def alaska_old_state(days: NDArray[np.datetime64], plan: Scenario) -> Floats:
    """Return what is left of Alaska's old ground on each day: 1 up to 2015-04-01, then towards 0."""
    elapsed = np.maximum((days - _DRIFT_BEGINS).astype(float), 0.0)
    return np.exp(-elapsed / plan.alaska_time_scale)


def _day_of_year(days: NDArray[np.datetime64]) -> Floats:
    return (days - days.astype("datetime64[Y]")).astype(float) + 1.0


def _run_both(
    sites: DemoSites, land: Landscape, weather: Weather, days: NDArray[np.datetime64], plan: Scenario
) -> tuple[Ground, SoilWater, SoilWater]:
    """Run the bucket at the sensors and over their cells: level ground with the attributes' texture."""
    level, usual = np.zeros(len(sites.lat)), np.ones(len(sites.lat))
    point = ground_of(
        land.sand_point, land.clay_point, land.slope, land.depth_factor, land.drain_factor, land.root_factor
    )
    cell = ground_of(land.sand, land.clay, level, usual, usual, usual)
    drift: dict[str, Floats] = {"drainage_share": usual, "thaw_supply": level, "warming": level}
    if plan.alaska_nonstationary:
        alaska, left = sites.region == "Alaska", alaska_old_state(days, plan)[:, None]
        drift = {
            "drainage_share": 1.0 - (1.0 - plan.alaska_drainage_at_start) * left * alaska,
            "thaw_supply": plan.alaska_thaw_supply * left * alaska,
            "warming": plan.alaska_warming * (1.0 - left) * alaska,
        }
    at_point = run_ground(
        point, weather.rain_point, weather.celsius, weather.evaporation_point, weather.lai,
        weather.slope_warmth, **drift,
    )  # fmt: skip
    flat = np.broadcast_to(np.float32(0.0), weather.rain.shape)
    over_cell = run_ground(
        cell, weather.rain, weather.celsius, weather.evaporation, weather.lai, flat, **drift
    )
    return point, at_point, over_cell


def _disturbance(plan: Scenario, poleward: Floats, smap: Floats) -> Floats:
    if not plan.aspect_effect:
        return np.zeros(len(poleward))
    looks = np.isfinite(smap).sum(axis=0)
    mean = np.where(looks > 0, np.nansum(smap, axis=0) / np.maximum(looks, 1), np.inf)
    beyond = np.clip((np.abs(poleward) - plan.aspect_onset) / (1.0 - plan.aspect_onset), 0.0, 1.0)
    return np.where(mean <= plan.dry_limit, plan.aspect_strength * beyond, 0.0)


def _disturb(seed: int, plan: Scenario, modelled: Floats, spread: Floats, ground: Ground) -> Floats:
    noise = red_noise(stream(seed, "aspect").standard_normal(modelled.shape), plan.aspect_memory)
    factor = np.exp(spread * noise - spread**2 / 2.0)
    return np.minimum(ground.residual + (modelled - ground.residual) * factor, ground.porosity)
