"""Daily water balance of snow and two soil layers.

Hydraulic properties from texture by Cosby et al. (1984), doi:10.1029/WR020i006p00682; drainage at the
conductivity of Clapp and Hornberger (1978), doi:10.1029/WR014i004p00601.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gsm3core.demo.random_fields import Floats

SURFACE_DEPTH = 150.0  # mm; a sensor at 5 cm responds about as slowly as this layer
ROOT_DEPTH = 400.0  # mm
_INCH_PER_HOUR = 25.4 * 24.0  # in mm per day
_MELT = 3.0  # mm per day and kelvin
_SNOW_IS_DEEP = 5.0  # mm of water
_BYPASS = 0.35  # share of infiltration that bypasses to the lower layer through cracks and root channels
_MATRIX_SHARE = 0.1  # conductivity of the soil matrix over that of a soil sample
_INTERCEPTION = 0.25  # mm per day and leaf area
_CAPILLARY = 8.0  # mm per day between a full and an empty layer
_DEEP_SHARE = 0.2  # conductivity below the roots over that of the soil


@dataclass(frozen=True, slots=True, kw_only=True)
class SoilProperties:
    """Soil properties ``(column)``: porosity and residual in m3 m-3, exponent b, ``ks`` in mm d-1."""

    porosity: Floats
    residual: Floats
    exponent: Floats
    ks: Floats
    depth_factor: Floats
    drain_factor: Floats
    root_factor: Floats
    runoff_slope: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class SoilWater:
    """Simulated states and fluxes, ``(day, column)``.

    ``moisture`` of the surface layer, m3 m-3; soil ``temperature``, degrees Celsius; ``snow`` and ``storage`` (snow,
    both layers, and the change of ground ice since the first day) at the end of the day, mm; ``evaporation``,
    ``runoff`` and ``drainage``, mm d-1; ``start``, the storage before the first day. Every day, rain = evaporation +
    runoff + drainage + change of storage.
    """

    moisture: Floats
    temperature: Floats
    snow: Floats
    storage: Floats
    evaporation: Floats
    runoff: Floats
    drainage: Floats
    start: Floats

    @property
    def frozen(self) -> NDArray[np.bool_]:
        """Whether the soil is frozen or under snow, where a radiometer gives no soil moisture."""
        return (self.temperature < 0.0) | (self.snow > _SNOW_IS_DEEP)


def soil_properties(
    sand: Floats, clay: Floats, slope: Floats, depth: Floats, drain: Floats, root: Floats
) -> SoilProperties:
    """Return the properties of columns with this texture (fractions), slope (degrees) and hidden factors."""
    return SoilProperties(
        porosity=0.489 - 0.126 * sand,
        residual=0.005 + 0.12 * clay,
        exponent=2.91 + 15.9 * clay,
        ks=_MATRIX_SHARE * 10.0 ** (-0.6 + 1.26 * sand - 0.64 * clay) * _INCH_PER_HOUR,
        depth_factor=depth,
        drain_factor=drain,
        root_factor=root,
        runoff_slope=1.0 + 2.0 * np.tan(np.radians(slope)),
    )


def simulate_soil(
    ground: SoilProperties,
    rain: Floats,
    celsius: Floats,
    evaporation: Floats,
    lai: Floats,
    slope_warmth: Floats,
    *,
    drainage_share: Floats,
    thaw_supply: Floats,
    warming: Floats,
) -> SoilWater:
    """Run the bucket model over consecutive days.

    Parameters
    ----------
    ground
        Properties ``(column)``.
    rain, celsius, evaporation, lai, slope_warmth
        Weather ``(day, column)``, as in :class:`gsm3core.demo.weather.Weather`.
    drainage_share, thaw_supply, warming
        Factor on deep drainage, water from thawing ground ice (mm per day and kelvin above freezing, up to the
        capacity of the lower layer), and warming of the soil in K: ``(day, column)`` or broadcast to it; 1, 0 and 0
        without a trend.
    """
    shape = rain.shape
    share, supply, warm = (np.broadcast_to(a, shape) for a in (drainage_share, thaw_supply, warming))
    out = {name: np.empty(shape) for name in ("evaporation", "runoff", "drainage", "storage", "snow")}
    moisture, temperature = np.empty(shape), np.empty(shape)
    depth = SURFACE_DEPTH * ground.depth_factor
    full = depth * ground.porosity
    floor = depth * ground.residual
    full_below = ROOT_DEPTH * ground.porosity * ground.root_factor
    floor_below = ROOT_DEPTH * ground.residual * ground.root_factor
    power = 2.0 * ground.exponent + 3.0
    # Field capacity: the saturation at which gravity drains 0.5 mm a day.
    field = (0.5 / ground.ks) ** (1.0 / power)
    dry = ground.residual / ground.porosity
    top, below = 0.5 * full, 0.5 * full_below
    snow, ice = np.zeros(shape[1]), np.zeros(shape[1])
    soil = celsius[: min(30, shape[0])].mean(axis=0).astype(float)
    start = top + below + snow

    for day in range(shape[0]):
        air = celsius[day].astype(float)
        snowing = rain[day] * np.clip((2.0 - air) / 2.0, 0.0, 1.0)
        melt = np.minimum(snow, np.maximum(_MELT * air, 0.0))
        snow = snow + snowing - melt
        follow = 0.25 * np.exp(-snow / 30.0)  # snow insulates
        soil = soil + follow * (air + slope_warmth[day] + warm[day] - soil)
        thawed = soil >= 0.0

        saturation, saturation_below = top / full, below / full_below
        caught = np.minimum(
            rain[day] - snowing, _INTERCEPTION * lai[day]
        )  # interception, evaporated on the same day
        water = rain[day] - snowing - caught + melt
        runoff = water * np.where(thawed, np.minimum(saturation**4 * ground.runoff_slope, 1.0), 0.7)
        entering = water - runoff
        aside = np.where(thawed, np.minimum(_BYPASS * entering, full_below - below), 0.0)
        top, below = top + entering - aside, below + aside
        spill = np.maximum(top - full, 0.0)
        top, runoff = top - spill, runoff + spill

        cover = 1.0 - np.exp(-0.5 * lai[day])
        demand = np.where(thawed & (snow < _SNOW_IS_DEEP), evaporation[day], 0.0)
        bare = demand * (1.0 - cover) * np.clip((saturation - dry) / (0.75 * field - dry), 0.0, 1.0)
        grow = demand * cover * np.clip((air - 2.0) / 6.0, 0.0, 1.0)
        plants = grow * np.clip((saturation_below - dry) / (0.75 * field - dry), 0.0, 1.0)
        plants_top = 0.3 * grow * np.clip((saturation - dry) / (0.75 * field - dry), 0.0, 1.0)
        from_top = np.minimum(bare + plants_top, np.maximum(top - floor, 0.0))
        from_below = np.minimum(0.7 * plants, np.maximum(below - floor_below, 0.0))
        top, below = top - from_top, below - from_below

        # Drainage by a power law has a closed form, stable at any time step.
        down = np.where(thawed, _drainage(top, full, ground.ks, power), 0.0)
        down = np.minimum(down, np.maximum(full_below - below, 0.0))
        top, below = top - down, below + down
        up = _CAPILLARY * (below / full_below - top / full)
        up = np.where(thawed, np.clip(up, -0.2 * np.maximum(top - floor, 0.0), 0.1 * (full - top)), 0.0)
        up = np.clip(up, -np.maximum(full_below - below, 0.0), np.maximum(below - floor_below, 0.0))
        top, below = top + up, below - up
        deep_ks = _DEEP_SHARE * ground.ks * ground.drain_factor * share[day] * ground.runoff_slope
        deep = _drainage(below, full_below, deep_ks, power)
        thawing = np.minimum(supply[day] * np.maximum(soil, 0.0), full_below - below + deep)
        below, ice = below - deep + thawing, ice - thawing

        moisture[day], temperature[day] = top / depth, soil
        out["snow"][day], out["storage"][day] = snow, snow + ice + top + below
        out["evaporation"][day], out["runoff"][day] = from_top + from_below + caught, runoff
        out["drainage"][day] = deep
    return SoilWater(moisture=moisture, temperature=temperature, start=start, **out)


def _drainage(water: Floats, full: Floats, ks: Floats, power: Floats) -> Floats:
    """Return the drainage of a day at the rate ``ks (water / full)**power``, solved exactly."""
    saturation = np.maximum(water / full, 0.0)
    slowed = 1.0 + (power - 1.0) * ks / full * saturation ** (power - 1.0)
    return np.maximum(water, 0.0) * (1.0 - slowed ** (-1.0 / (power - 1.0)))
