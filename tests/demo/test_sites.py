"""Positions of the simulated stations, against ray casting and the paper's numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsm3core.demo.landscape import _koeppen
from gsm3core.demo.random_fields import distance_km, stream
from gsm3core.demo.sites import on_land, place_sites, region_counts
from gsm3core.geography.regions import region_polygons
from gsm3core.resources import assets_folder
from support.demo_worlds import planted


def inside_ring(lon: float, lat: float, ring: np.ndarray) -> bool:
    """Even-odd rule: whether a ray to the east crosses the ring an odd number of times."""
    x, y = ring[:, 0], ring[:, 1]
    x2, y2 = np.roll(x, -1), np.roll(y, -1)
    crosses = (y > lat) != (y2 > lat)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = x + (lat - y) / (y2 - y) * (x2 - x)
    return bool(np.count_nonzero(crosses & (at > lon)) % 2)


def rings(name: str) -> list[np.ndarray]:
    with np.load(assets_folder() / "natural_earth.npz") as stored:
        line = stored[name].astype(float)
    gap = np.isnan(line[:, 0])
    return np.split(line[~gap], np.flatnonzero(gap) - np.arange(gap.sum()))


def test_every_site_is_on_land_by_ray_casting():
    ds = planted().dataset
    land = rings("land")
    off = [
        s
        for s, lon, lat in zip(ds.site.values, ds.lon.values, ds.lat.values, strict=True)
        if not any(inside_ring(lon, lat, ring) for ring in land)
    ]
    assert off == []


def test_every_site_is_in_its_region_by_ray_casting():
    ds = planted().dataset
    shores = {
        name: [np.array(part.exterior.coords) for part in area.geoms]
        for name, area in region_polygons().items()
    }
    for region, lon, lat in zip(ds.region.values, ds.lon.values, ds.lat.values, strict=True):
        near = [
            s for s in shores[region]
            if s[:, 0].min() <= lon <= s[:, 0].max() and s[:, 1].min() <= lat <= s[:, 1].max()
        ]  # fmt: skip
        # Stations stand on land of a map of 1:110m. Those at sea on that of 1:10m have the region of land within 30 km.
        shore = min(
            np.hypot((s[:, 0] - lon) * np.cos(np.radians(lat)), s[:, 1] - lat).min() for s in shores[region]
        )
        assert any(inside_ring(lon, lat, ring) for ring in near) or shore < 30 / 111, (region, lon, lat)
    # The network's name contains its region.
    codes = {"CONUS": "US", "Europe": "EU", "Africa_North": "AFN", "Alaska": "AK", "Asia": "AS"}
    codes |= {"Africa_South": "AFS", "Australia": "AU"}
    for region, network in zip(ds.region.values, ds.network.values, strict=True):
        assert str(network).split("-")[1] == codes[region]


@pytest.mark.parametrize(
    ("place", "lat", "lon", "expected"),
    [
        ("Kansas", 38.5, -98.0, True),
        ("Alice Springs", -23.7, 133.9, True),
        ("Munich", 48.1, 11.6, True),
        ("mid-Atlantic", 30.0, -40.0, False),
        ("Caspian Sea, inside the land rings", 42.0, 51.0, False),
        ("Black Sea", 43.5, 34.0, False),
    ],
)
def test_known_locations_are_on_land_or_sea(place, lat, lon, expected):
    assert on_land(np.array([lat]), np.array([lon]))[0] == expected


def test_the_papers_total_gives_the_papers_counts():
    # Section 2.2: 18 in Africa, 115 Asia, 129 Europe, 969 CONUS, 44 Alaska, 19 Australia; they add up to 1294.
    counts = region_counts(18 + 115 + 129 + 969 + 44 + 19)
    assert counts.pop("Africa_North") + counts.pop("Africa_South") == 18
    assert counts == {"CONUS": 969, "Europe": 129, "Alaska": 44, "Asia": 115, "Australia": 19}


@given(st.integers(7, 5000))
def test_counts_add_up_without_empty_regions(n):
    counts = region_counts(n)
    assert sum(counts.values()) == n
    assert min(counts.values()) >= (5 if n >= 60 else 1)
    # The five larger regions keep the paper's order for every total.
    assert counts["CONUS"] >= counts["Europe"] >= counts["Asia"] >= counts["Alaska"] >= counts["Australia"]


def test_dataset_has_the_region_counts():
    ds = planted().dataset
    names, found = np.unique(ds.region.values, return_counts=True)
    assert dict(zip(names.tolist(), found.tolist(), strict=True)) == region_counts(ds.sizes["site"])


def test_networks_are_spatial_clusters():
    ds = planted().dataset
    lat, lon = ds.lat.values, ds.lon.values
    apart = distance_km(lat, lon, lat, lon)
    same = ds.network.values[:, None] == ds.network.values[None, :]
    near = np.where(same & ~np.eye(len(lat), dtype=bool), apart, np.nan)
    other = np.where(~same & (ds.region.values[:, None] == ds.region.values[None, :]), apart, np.nan)
    assert np.nanmedian(near) < 0.25 * np.nanmedian(other)
    # Resampling networks and leaving some out needs several per region.
    for region in np.unique(ds.region.values):
        assert len(np.unique(ds.network.values[ds.region.values == region])) >= 2
    assert len(np.unique(ds.network.values[ds.region.values == "CONUS"])) >= 5


def test_distance_is_that_of_the_great_circle():
    # One degree of a meridian, and a quarter of the way round, on a sphere of 6371 km.
    one = distance_km(np.array([10.0]), np.array([5.0]), np.array([11.0]), np.array([5.0]))[0, 0]
    quarter = distance_km(np.array([0.0]), np.array([0.0]), np.array([0.0]), np.array([90.0]))[0, 0]
    assert one == pytest.approx(6371 * np.pi / 180, rel=1e-9)
    assert quarter == pytest.approx(6371 * np.pi / 2, rel=1e-9)


@pytest.mark.parametrize("n", [7, 23, 60])
def test_small_datasets_have_unique_sites(n):
    sites = place_sites(stream(3, "sites"), n)
    assert len(set(sites.ids.tolist())) == n


def test_climate_classes_follow_koeppens_limits():
    # (mean, range, annual rain) of textbook examples without a wet season: Kottek et al. (2006), table 1.
    examples = {"Singapore A": (27.0, 2.0, 2300.0, 1), "Cairo B": (22.0, 15.0, 25.0, 2),
                "Paris C": (11.5, 15.0, 640.0, 3), "Moscow D": (5.5, 28.0, 690.0, 4),
                "Barrow E": (-11.0, 30.0, 120.0, 5)}  # fmt: skip
    mean, span, rain, expected = (np.array(column) for column in zip(*examples.values(), strict=True))
    flat = np.zeros(len(mean))
    found = _koeppen(mean, span, rain, flat, flat + 202.0, flat + 202.0)
    assert found.tolist() == expected.astype(int).tolist()
