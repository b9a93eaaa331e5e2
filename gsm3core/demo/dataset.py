"""The simulated arrays as xarray datasets: the SiteDataset, and the error-free truth behind it."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.demo.landscape import precipitation_seasonality
from gsm3core.demo.radiation import ZERO_CELSIUS
from gsm3core.demo.random_fields import Floats, stream
from gsm3core.demo.scenario import DRY_TAPER, FORCING_ERRORS, IN_SITU_ERROR, PRODUCT_ERRORS, Scenario
from gsm3core.demo.simulation import Simulation
from gsm3core.geography.regions import region_of

_DAILY = (v.SITE, v.TIME)
_SENSOR_DEPTH_M = 0.05
_MINERAL_DENSITY = 2.65


def site_dataset(sim: Simulation, seed: int, scenario: Scenario) -> xr.Dataset:
    """Return the SiteDataset: forcings and attributes with their errors, and all soil-moisture records."""
    others = [name for name in PRODUCT_ERRORS if name != v.SMAP]
    daily = _forcings(sim, seed) | {v.SM_INSITU: sim.in_situ.T, v.SM_SMAP: sim.products[v.SMAP].T}
    ds = xr.Dataset(coords=_coordinates(sim) | {v.PRODUCT: np.array(others)})
    for name, values in daily.items():
        ds[name] = _variable(name, _DAILY, values)
    stacked = np.stack([sim.products[name].T for name in others])
    ds[v.SM_PRODUCT] = _variable(v.SM_PRODUCT, (v.PRODUCT, *_DAILY), stacked)
    for name, values in _attributes(sim, seed).items():
        ds[name] = _variable(name, (v.SITE,), values)
    return ds.assign_attrs(_global_attributes("GSM3 demonstration dataset (simulated)", seed, scenario))


def truth_dataset(sim: Simulation, seed: int, scenario: Scenario) -> xr.Dataset:
    """Return the error-free truth and the planted parameters of each site."""
    land, ground = sim.land, sim.ground
    daily: dict[str, tuple[NDArray[np.generic], str, str]] = {
        "sm_point": (sim.point, v.SM_UNITS, "soil moisture at the sensor"),
        "sm_modelled": (
            sim.modelled,
            v.SM_UNITS,
            "soil moisture at the sensor without the planted aspect disturbance",
        ),
        "sm_cell": (sim.cell, v.SM_UNITS, "soil moisture of the satellite cell"),
        "precipitation_point": (sim.weather.rain_point, "mm d-1", "precipitation at the sensor"),
        "frozen": (sim.frozen, "1", "soil at the sensor is frozen"),
        "unseen": (sim.unseen, "1", "cell is frozen or under snow"),
    }
    static: dict[str, tuple[NDArray[np.generic], str, str]] = {
        "disturbance_std": (
            sim.disturbance,
            "1",
            "planted standard deviation of the logarithm of the aspect disturbance",
        ),
        "stuck": (sim.stuck, "1", "sensor reports a constant value"),
        "sand_point": (land.sand_point, "1", "sand fraction at the sensor"),
        "clay_point": (land.clay_point, "1", "clay fraction at the sensor"),
        "porosity": (ground.porosity, "1", "porosity at the sensor"),
        "residual": (ground.residual, v.SM_UNITS, "residual soil moisture at the sensor"),
        "depth_factor": (
            ground.depth_factor,
            "1",
            "depth of the surface layer relative to the standard (hidden)",
        ),
        "drain_factor": (ground.drain_factor, "1", "deep drainage relative to the standard (hidden)"),
        "root_factor": (
            ground.root_factor,
            "1",
            "depth of the lower layer relative to the standard (hidden)",
        ),
        "ndvi_true": (land.ndvi, "1", "error-free NDVI, on which the bias of AMSR2 depends"),
    }
    truth = xr.Dataset(coords=_coordinates(sim))
    for name, (values, units, long_name) in daily.items():
        array = values if values.dtype == bool else np.asarray(values, np.float32)
        truth[name] = (_DAILY, np.ascontiguousarray(array.T), {"units": units, "long_name": long_name})
    for name, (values, units, long_name) in static.items():
        truth[name] = ((v.SITE,), values, {"units": units, "long_name": long_name})
    return truth.assign_attrs(
        _global_attributes("Truth of the GSM3 demonstration dataset (simulated)", seed, scenario)
    )


def _coordinates(sim: Simulation) -> dict[str, xr.Variable]:
    sites = sim.sites
    region = region_of(sites.lat, sites.lon)
    if not np.array_equal(region, sites.region):
        raise AssertionError("a station lies outside its region")
    degrees = {
        v.LAT: (sites.lat, {"units": "degrees_north", "standard_name": "latitude"}),
        v.LON: (sites.lon, {"units": "degrees_east", "standard_name": "longitude"}),
    }
    text = {v.REGION: region, v.NETWORK: sites.network, v.STATION: sites.station}
    depth = np.full(len(sites.lat), _SENSOR_DEPTH_M)
    return (
        {name: xr.Variable(v.SITE, values, attrs) for name, (values, attrs) in degrees.items()}
        | {name: xr.Variable(v.SITE, values, {"long_name": name}) for name, values in text.items()}
        | {
            v.DEPTH: xr.Variable(v.SITE, depth, {"units": "m", "positive": "down"}),
            v.SITE: xr.Variable(v.SITE, sites.ids, {"cf_role": "timeseries_id"}),
            v.TIME: xr.Variable(v.TIME, sim.days.astype("datetime64[ns]"), {"standard_name": "time"}),
        }
    )


def _forcings(sim: Simulation, seed: int) -> dict[str, Floats]:
    """Return the forcings ``(site, time)``: the simulated weather with the errors of a reanalysis."""
    rng, weather = stream(seed, "forcing errors"), sim.weather

    def draw() -> Floats:
        return rng.standard_normal(weather.rain.shape, dtype=np.float32)

    def factor(name: str) -> Floats:
        size = FORCING_ERRORS[name]
        return np.exp(size * draw() - size**2 / 2.0)

    missed = FORCING_ERRORS["precipitation_missed"]
    detected = (rng.random(weather.rain.shape, dtype=np.float32) >= missed) / np.float32(1.0 - missed)
    kelvin = np.float32(ZERO_CELSIUS)
    forcings = {
        "precipitation": weather.rain * factor("precipitation") * detected,
        "air_temperature": weather.celsius + kelvin + FORCING_ERRORS["air_temperature"] * draw(),
        "shortwave_down": weather.shortwave * factor("shortwave_down"),
        "specific_humidity": weather.humidity * factor("specific_humidity"),
        "surface_pressure": weather.pressure + FORCING_ERRORS["surface_pressure"] * draw(),
        "soil_temperature": sim.soil_temperature + kelvin + FORCING_ERRORS["soil_temperature"] * draw(),
        "lai": weather.lai * factor("lai"),
        "wind_u": weather.wind_u + FORCING_ERRORS["wind_u"] * draw(),
        "wind_v": weather.wind_v + FORCING_ERRORS["wind_v"] * draw(),
    }
    return {name: values.T for name, values in forcings.items()}


def _attributes(sim: Simulation, seed: int) -> dict[str, Floats]:
    rng, land = stream(seed, "attribute errors"), sim.land

    def with_error(name: str, low: float, high: float, values: Floats) -> Floats:
        return np.clip(values + FORCING_ERRORS[name] * rng.standard_normal(len(values)), low, high)

    sand = with_error("sand", 0.02, 0.95, land.sand)
    clay = np.minimum(with_error("clay", 0.01, 0.9, land.clay), 0.98 - sand)
    density = _MINERAL_DENSITY * (1.0 - (0.489 - 0.126 * land.sand))
    return {
        "elevation": land.elevation,
        "slope": land.slope,
        "aspect": land.aspect,
        "poleward_aspect": sim.poleward,
        "sand": sand,
        "clay": clay,
        "silt": 1.0 - sand - clay,
        "bulk_density": with_error("bulk_density", 0.5, 2.2, density),
        "ndvi": with_error("ndvi", 0.0, 0.95, land.ndvi),
        "land_cover": land.land_cover,
        "climate": land.climate,
        "mean_air_temperature": land.temperature + ZERO_CELSIUS,
        "air_temperature_range": land.temperature_range,
        "mean_annual_precipitation": land.precipitation,
        "precipitation_seasonality": precipitation_seasonality(land),
    }


def _variable(name: str, dims: tuple[str, ...], values: NDArray[np.generic]) -> xr.Variable:
    known = v.VARIABLES[name]
    attrs = {
        "units": known.units,
        "long_name": known.long_name,
        "source": "simulated by gsm3core.demo",
    }
    if known.standard_name:
        attrs["standard_name"] = known.standard_name
    if name not in v.CLASSES:
        return xr.Variable(dims, np.ascontiguousarray(values, np.float32), attrs)
    classes = v.CLASSES[name]
    flags = {
        "flag_values": np.array(list(classes), np.int8),
        "flag_meanings": " ".join(text.replace(" ", "_") for text in classes.values()),
    }
    return xr.Variable(dims, np.ascontiguousarray(values, np.int8), attrs | flags)


def _global_attributes(title: str, seed: int, scenario: Scenario) -> dict[str, str | int]:
    errors = {name: asdict(error) for name, error in PRODUCT_ERRORS.items()}
    return {
        "title": title,
        "simulated": "true",
        "source": "simulated: weather generator and soil-water bucket of gsm3core.demo; no observations",
        "license": "CC0-1.0 (public domain)",
        "Conventions": "CF-1.11",
        "featureType": "timeSeries",
        "seed": seed,
        "scenario": json.dumps(scenario.as_dict()),
        "product_errors": json.dumps(errors),
        "in_situ_error": json.dumps(asdict(IN_SITU_ERROR)),
        "forcing_errors": json.dumps(FORCING_ERRORS),
        "dry_taper": str(DRY_TAPER),
    }
