"""Precipitation of the simulated sites, against a gridded climatology, station records and climate normals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from gsm3core.demo.climate_anchors import interpolate_climate
from gsm3core.demo.landscape import Landscape, make_landscape
from gsm3core.demo.random_fields import stream
from gsm3core.demo.sites import DemoSites, on_land, place_sites
from gsm3core.demo.weather import make_weather
from gsm3core.geography.regions import region_of
from support.demo_worlds import planted

# City: latitude, longitude, mean temperature (deg C), warmest minus coldest month (K), annual precipitation (mm), amplitude
# of the wet season, its month, days with 1 mm or more. Rounded climate normals as national weather services publish them
# through the WMO's World Weather Information Service; amplitude and month follow from the normals of the months.
CITIES = {
    "Europe": [
        (51.5, 0.0, 11.5, 13, 615, 0.1, 11, 110), (49.0, 2.3, 12.4, 15, 637, 0.05, 10, 111),
        (52.5, 13.4, 10.0, 19, 580, 0.2, 7, 103), (40.4, -3.7, 15.0, 19, 430, 0.4, 11, 60),
        (41.9, 12.5, 15.7, 17, 800, 0.4, 11, 77), (52.2, 21.0, 8.7, 21, 540, 0.5, 7, 96),
        (55.8, 37.6, 5.8, 27, 707, 0.4, 7, 118), (59.3, 18.1, 7.5, 20, 540, 0.3, 8, 102),
        (50.4, 30.5, 8.5, 25, 630, 0.3, 7, 98), (44.4, 26.1, 11.0, 24, 610, 0.4, 6, 79),
    ],
    "Asia": [
        (39.9, 116.4, 13.0, 30, 550, 2.1, 7, 52), (31.2, 121.5, 17.0, 24, 1180, 0.6, 6, 100),
        (37.6, 127.0, 12.8, 28, 1420, 1.2, 7, 86), (28.6, 77.2, 25.0, 20, 780, 2.2, 7, 39),
        (13.7, 100.5, 28.6, 4, 1650, 1.2, 9, 108), (47.9, 106.9, -0.5, 40, 270, 1.9, 7, 43),
        (29.7, 91.1, 8.5, 17, 440, 2.2, 7, 68),
    ],
    "Africa": [
        (13.5, 2.1, 29.0, 9, 545, 2.4, 8, 39), (14.7, -17.4, 24.5, 6, 450, 2.4, 8, 31),
        (-26.2, 28.0, 16.0, 10, 710, 1.4, 1, 71), (-33.9, 18.6, 17.0, 9, 520, 0.9, 6, 68),
        (-22.6, 17.1, 19.5, 11, 360, 1.6, 2, 42),
    ],
    "Australia": [
        (-35.3, 149.2, 13.0, 15, 616, 0.1, 11, 72), (-37.8, 145.0, 15.0, 10, 650, 0.1, 10, 98),
        (-31.9, 116.0, 18.5, 11, 750, 1.3, 7, 80), (-23.8, 133.9, 21.0, 17, 280, 0.5, 1, 31),
        (-27.4, 153.1, 20.5, 10, 1080, 0.6, 2, 86), (-12.4, 130.9, 27.5, 4, 1720, 2.2, 1, 95),
    ],
}  # fmt: skip


def climatology(real_data: Path) -> xr.DataArray:
    """Annual precipitation over land, mm, on half a degree."""
    path = real_data / "grid" / "climate_halfdeg_biome4.nc"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    with xr.open_dataset(path, engine="h5netcdf") as ds:
        annual = ds["prec"].sum("time", min_count=12).load()
    return annual.where(annual > 0)


def at(grid: xr.DataArray, lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    place = {"lat": xr.DataArray(lat, dims="site"), "lon": xr.DataArray(lon, dims="site")}
    return grid.sel(place, method="nearest").values


def sites_at(lat: np.ndarray, lon: np.ndarray) -> DemoSites:
    names = np.array([f"S{k:03d}" for k in range(len(lat))])
    return DemoSites(lat=lat, lon=lon, region=np.full(len(lat), "CONUS"), network=names, station=names)


def wet_days(sites: DemoSites, land: Landscape, years: int) -> np.ndarray:
    """Days a year with 1 mm or more, each site."""
    day = np.tile(np.arange(1.0, 366.0), years)
    return (make_weather(0, sites, land, day).rain >= 1.0).sum(axis=0) / years


def test_regional_means_are_those_of_a_gridded_climatology(real_data: Path) -> None:
    real = climatology(real_data).sel(lat=slice(70, -45))
    lat, lon = (x.ravel() for x in np.meshgrid(real.lat.values, real.lon.values, indexing="ij"))
    region, annual = np.array(region_of(lat, lon)), real.values.ravel()
    # As the sites: off the coast, and south of the ice and the high Arctic.
    used = (region != "Other") & np.isfinite(annual) & on_land(lat, lon)
    used &= ~((region == "Asia") & ((lat > 56) | (lat < 8))) & ~((region == "Europe") & (lat > 66))
    lat, lon, region, annual = lat[used], lon[used], region[used], annual[used]
    simulated, area = np.exp(interpolate_climate(lat, lon)[3]), np.cos(np.radians(lat))
    for name in np.unique(region):
        here = region == name
        ratio = np.average(simulated[here], weights=area[here]) / np.average(annual[here], weights=area[here])
        assert 0.9 < ratio < 1.1, (name, ratio)
        assert np.corrcoef(np.log(simulated[here]), np.log(annual[here]))[0, 1] > 0.7, name


def test_sites_are_as_wet_as_their_places(real_data: Path) -> None:
    """Over thirty placements the means agree: what remains is the half-degree cell, the coast and the mountains."""
    real = climatology(real_data)
    found: dict[str, list[tuple[float, float]]] = {}
    for seed in range(30):
        sites = place_sites(stream(seed, "sites"), 400)
        land = make_landscape(stream(seed, "landscape"), sites)
        annual = at(real, sites.lat, sites.lon)
        for name in np.unique(sites.region):
            here = (sites.region == name) & np.isfinite(annual)
            found.setdefault(name, []).append((land.precipitation[here].mean(), annual[here].mean()))
    for name, pairs in found.items():
        simulated, observed = np.mean(pairs, axis=0)
        assert 0.85 < simulated / observed < 1.15, (name, simulated, observed)


@pytest.mark.parametrize("n_sites", [60, 200, 400])
def test_a_region_is_not_dry_by_the_choice_of_its_networks(n_sites: int) -> None:
    """The land means are near 600 (Asia), 700 (Europe) and 710 mm (CONUS)."""
    lowest = {"Asia": 250.0, "Europe": 450.0, "CONUS": 400.0}
    means: dict[str, list[float]] = {name: [] for name in lowest}
    for seed in range(20):
        sites = place_sites(stream(seed, "sites"), n_sites)
        land = make_landscape(stream(seed, "landscape"), sites)
        for name in lowest:
            means[name].append(float(land.precipitation[sites.region == name].mean()))
    for name, values in means.items():
        assert min(values) > lowest[name], (name, min(values))
    assert 500 < np.median(means["Asia"]) < 900 and 600 < np.median(means["Europe"]) < 850, means


def test_wet_days_are_those_of_uscrn_stations(real_data: Path) -> None:
    path = real_data / "uscrn2020_87.nc"
    with xr.open_dataset(path, engine="h5netcdf") as ds:
        rain, air = ds["precip"].load(), ds["t2m_mean"].load()
    annual = rain.mean("time").values * 366
    observed = (rain >= 1).sum("time").values / rain.notnull().mean("time").values
    monthly = air.groupby("time.month").mean()
    celsius = air.mean("time").values - (273.15 if float(air.mean()) > 100 else 0.0)
    used = (annual > 20) & np.isfinite(celsius)
    sites = sites_at(ds["lat"].values[used].astype(float), ds["lon"].values[used].astype(float))
    land = replace(
        make_landscape(stream(0, "landscape"), sites),
        precipitation=annual[used],
        temperature=celsius[used],
        temperature_range=(monthly.max("month") - monthly.min("month")).values[used],
    )
    simulated = wet_days(sites, land, 10)
    assert simulated.mean() == pytest.approx(observed[used].mean(), rel=0.12)
    assert np.corrcoef(simulated, observed[used])[0, 1] > 0.85


@pytest.mark.parametrize("continent", CITIES)
def test_wet_days_are_those_of_climate_normals(continent: str) -> None:
    lat, lon, celsius, span, annual, amplitude, month, observed = np.array(CITIES[continent], float).T
    sites = sites_at(lat, lon)
    land = replace(
        make_landscape(stream(0, "landscape"), sites),
        precipitation=annual,
        temperature=celsius,
        temperature_range=span,
        wet_season=amplitude,
        wettest_day=(month - 0.5) * 365.0 / 12.0,
    )
    ratio = wet_days(sites, land, 20) / observed
    assert np.exp(np.log(ratio).mean()) == pytest.approx(1.0, abs=0.15), ratio
    assert np.all((ratio > 0.6) & (ratio < 1.6)), ratio


def test_the_forcing_keeps_the_precipitation_of_its_sites() -> None:
    """Missed wet days are errors of timing, not of the long-term mean."""
    world = planted()
    forcing, point = world.dataset.precipitation, world.truth.precipitation_point
    # 60,000 wet days with errors of 0.4 and 0.7 of the logarithm: a standard error of 0.5 %.
    assert float(forcing.mean() / point.mean()) == pytest.approx(1.0, abs=0.02)
