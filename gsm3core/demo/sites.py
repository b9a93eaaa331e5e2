"""Positions of the simulated stations: in clusters (networks), on land, in the seven regions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import shapely
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.demo.climate_anchors import interpolate_climate
from gsm3core.demo.random_fields import Floats, distance_km
from gsm3core.geography.regions import region_of, region_polygons
from gsm3core.resources import assets_folder

SITES_IN_PAPER = {
    "CONUS": 969, "Europe": 129, "Africa_North": 10, "Alaska": 44, "Asia": 115, "Africa_South": 8,
    "Australia": 19,
}  # fmt: skip
"""Liu et al., section 2.2, used as proportions. The paper gives 18 for Africa; the division is ours."""

_CODES = {
    "CONUS": "US", "Europe": "EU", "Africa_North": "AFN", "Alaska": "AK", "Asia": "AS", "Africa_South": "AFS",
    "Australia": "AU",
}  # fmt: skip
# Some polygons include ice sheets and the high Arctic, which have no networks.
_CENTRE_LATITUDES = {"Europe": (37.0, 66.0), "Asia": (8.0, 56.0), "Alaska": (57.0, 70.0)}
# Large national networks stand in the United States; elsewhere a network has fewer sites.
_SITES_PER_NETWORK = {"CONUS": 16}
_SITES_PER_OTHER_NETWORK = 8
_CANDIDATES = 6
_LEAST_PER_REGION = 5
_SMALL_WORLD = 60
_COAST_MARGIN_DEGREES = 0.25
_KM_PER_DEGREE = 111.2


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSites:
    """Position and name of every station, in the order of the regions; arrays ``(site)``."""

    lat: Floats
    lon: Floats
    region: NDArray[np.str_]
    network: NDArray[np.str_]
    station: NDArray[np.str_]

    @property
    def ids(self) -> NDArray[np.str_]:
        """Network and station, unique."""
        return np.array([f"{n}|{s}" for n, s in zip(self.network, self.station, strict=True)])

    @property
    def network_number(self) -> NDArray[np.int64]:
        """Index of each site's network, counted over all regions."""
        return np.unique(self.network, return_inverse=True)[1]


def region_counts(n_sites: int) -> dict[str, int]:
    """Return the number of sites per region, in the paper's proportions by largest remainder.

    Each region has at least 5 sites if there are 60 or more, else 1.
    """
    least = _LEAST_PER_REGION if n_sites >= _SMALL_WORLD else 1
    counts = dict.fromkeys(v.REGIONS, least)
    open_regions, left = list(v.REGIONS), n_sites
    while True:
        total = sum(SITES_IN_PAPER[r] for r in open_regions)
        quota = {r: left * SITES_IN_PAPER[r] / total for r in open_regions}
        scarce = [r for r in open_regions if quota[r] < least]
        if not scarce:
            break
        open_regions = [r for r in open_regions if r not in scarce]
        left -= least * len(scarce)
    counts |= {r: int(q) for r, q in quota.items()}
    for region in sorted(quota, key=lambda r: int(quota[r]) - quota[r])[: n_sites - sum(counts.values())]:
        counts[region] += 1
    return counts


def place_sites(rng: np.random.Generator, n_sites: int) -> DemoSites:
    """Return stations scattered around network centres, which are distributed over each region's land."""
    lat, lon, region, network, station = [], [], [], [], []
    for name, count in region_counts(n_sites).items():
        sizes = _network_sizes(rng, count, _SITES_PER_NETWORK.get(name, _SITES_PER_OTHER_NETWORK))
        for number, (centre, size) in enumerate(
            zip(_centres(rng, name, len(sizes)), sizes, strict=True), start=1
        ):
            site_lat, site_lon = _scatter(rng, name, centre, size)
            lat.append(site_lat)
            lon.append(site_lon)
            region += [name] * size
            network += [f"SIM-{_CODES[name]}-{number:02d}"] * size
            station += [f"ST-{k:03d}" for k in range(1, size + 1)]
    return DemoSites(
        lat=np.concatenate(lat),
        lon=np.concatenate(lon),
        region=np.array(region),
        network=np.array(network),
        station=np.array(station),
    )


def on_land(lat: Floats, lon: Floats) -> NDArray[np.bool_]:
    """Return whether points lie on land, about 25 km or more from the sea."""
    return shapely.intersects(_inland(), shapely.points(lon, lat))


@cache
def _inland() -> shapely.Geometry:
    with np.load(assets_folder() / "natural_earth.npz") as stored:
        land = shapely.union_all(_polygons(stored["land"].astype(float)))
        shores = _polygons(stored["coast"].astype(float))
    # Land has outer rings only: a coast inside of them is that of an inland sea (the Caspian).
    shapely.prepare(land)
    land = shapely.difference(land, shapely.union_all([s for s in shores if land.contains(s)]))
    inland = shapely.buffer(land, -_COAST_MARGIN_DEGREES)
    shapely.prepare(inland)
    return inland


def _polygons(rings: Floats) -> list[shapely.Geometry]:
    gaps = np.isnan(rings[:, 0])
    parts = np.split(rings[~gaps], np.flatnonzero(gaps) - np.arange(gaps.sum()))
    return [shapely.make_valid(shapely.Polygon(ring)) for ring in parts if len(ring) > 3]


def _network_sizes(rng: np.random.Generator, count: int, typical: int) -> list[int]:
    networks = max(min(2, count), round(count / typical))
    weights = rng.gamma(3.0, size=networks)  # networks differ in size
    shares = np.floor(weights / weights.sum() * (count - networks)).astype(int) + 1
    shares[: count - shares.sum()] += 1
    return [int(s) for s in shares]


def _allowed(region: str, lat: Floats, lon: Floats) -> NDArray[np.bool_]:
    return on_land(lat, lon) & (region_of(lat, lon) == region)


def _centres(rng: np.random.Generator, region: str, count: int) -> list[tuple[float, float]]:
    west, south, east, north = region_polygons()[region].bounds
    low, high = _CENTRE_LATITUDES.get(region, (south, north))
    bottom, top = np.sin(np.radians([low, high]))
    lat, lon = np.empty(0), np.empty(0)
    while len(lat) < _CANDIDATES * max(count, 3):
        some_lat = np.degrees(np.arcsin(rng.uniform(bottom, top, size=400)))
        some_lon = rng.uniform(west, east, size=400)
        keep = _allowed(region, some_lat, some_lon)
        lat, lon = np.append(lat, some_lat[keep]), np.append(lon, some_lon[keep])
    # Stratified by precipitation: as much of the region's land is drier than a network's stratum as in a census, so that
    # two networks do not both stand in a desert. A single network stands in the middle third.
    order = np.argsort(interpolate_climate(lat, lon)[3])
    strata = np.array_split(order, count) if count > 1 else np.array_split(order, 3)[1:2]
    chosen: list[tuple[float, float]] = []
    for number in rng.permutation(count):
        # Of the candidates, the farthest from the chosen centres: evenly spaced but irregular.
        some = rng.permutation(strata[number])[:_CANDIDATES]
        best = 0
        if chosen:
            others = np.array(chosen)
            best = int(distance_km(lat[some], lon[some], others[:, 0], others[:, 1]).min(axis=1).argmax())
        chosen.append((float(lat[some[best]]), float(lon[some[best]])))
    return chosen


def _scatter(
    rng: np.random.Generator, region: str, centre: tuple[float, float], size: int
) -> tuple[Floats, Floats]:
    std = float(rng.uniform(60.0, 260.0)) / _KM_PER_DEGREE
    lat, lon = np.empty(0), np.empty(0)
    while len(lat) < size:
        more_lat = np.round(centre[0] + std * rng.standard_normal(4 * size), 4)
        more_lon = np.round(
            centre[1] + std / np.cos(np.radians(centre[0])) * rng.standard_normal(4 * size), 4
        )
        inside = np.abs(more_lon) <= 180.0
        more_lat, more_lon = more_lat[inside], more_lon[inside]
        keep = _allowed(region, more_lat, more_lon)
        lat, lon = np.append(lat, more_lat[keep]), np.append(lon, more_lon[keep])
    return lat[:size], lon[:size]
