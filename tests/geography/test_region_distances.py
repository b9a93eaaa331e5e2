"""Distances to regions, and buffers, against geodesics of pyproj."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from pyproj import Geod

from gsm3core.geography.boundaries import Boundary, boundary_points
from gsm3core.geography.regions import region_of, region_polygons, region_scheme, sites_near

GEOD = Geod(ellps="WGS84")


def box_scheme(tmp_path: Path) -> Path:
    ring = [[0, 10], [10, 10], [10, 20], [0, 20], [0, 10]]
    feature = {
        "type": "Feature",
        "properties": {"name": "Box"},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    path = tmp_path / "box.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return path


def test_distance_to_a_parallel_is_along_the_meridian(tmp_path: Path) -> None:
    lat = np.array([20.1, 21.0, 23.0, 9.5, 8.0])
    expected = [GEOD.inv(5, a, 5, 20 if a > 15 else 10)[2] / 1000 for a in lat]
    found = region_scheme(box_scheme(tmp_path)).distance_km(lat, np.full(5, 5.0), "Box")
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=0.02)
    inside = region_scheme(box_scheme(tmp_path)).distance_km([19.0], [5.0], "Box")
    assert inside[0] == pytest.approx(GEOD.inv(5, 19, 5, 20)[2] / 1000, rel=2e-4)
    bounded = region_scheme(box_scheme(tmp_path)).distance_km(lat, np.full(5, 5.0), "Box", within_km=120)
    np.testing.assert_allclose(bounded, np.where(np.array(expected) <= 120, found, np.inf))


@pytest.mark.parametrize(
    ("scheme", "region"), [("gsm3-paper", "CONUS"), ("gsm3-paper", "Alaska"), ("countries", "Kenya")]
)
def test_distance_to_a_region_agrees_with_dense_geodesics(scheme: str, region: str) -> None:
    """Every boundary point of an independent densification, by brute force."""
    polygon = region_polygons(scheme)[region]
    west, south, east, north = polygon.bounds
    rng = np.random.default_rng(3)
    lat, lon = rng.uniform(south - 3, min(north + 3, 85), 40), rng.uniform(west, east, 40)
    dense = shapely.get_coordinates(shapely.segmentize(polygon, 0.01))
    found = region_scheme(scheme).distance_km(lat, lon, region)
    for k in range(40):
        metres = GEOD.inv(np.full(len(dense), lon[k]), np.full(len(dense), lat[k]), dense[:, 0], dense[:, 1])[
            2
        ]
        assert found[k] == pytest.approx(metres.min() / 1000, rel=0.002, abs=0.5), (lat[k], lon[k])


@pytest.mark.parametrize(("lat", "lon"), [(45.46, 9.19), (45.07, 7.69), (47.27, 11.4), (46.95, 7.45)])
def test_distance_to_a_climate_agrees_with_its_cells(lat: float, lon: float) -> None:
    """Milan, Turin, Innsbruck and Bern to the nearest point with the class Polar on a lattice of 0.005 degrees."""
    found = region_scheme("climates").distance_km([lat], [lon], "Polar")[0]
    step, reach = 0.005, 1.2 * found / 111
    a, b = np.meshgrid(
        np.arange(lat - reach, lat + reach, step), np.arange(lon - 1.6 * reach, lon + 1.6 * reach, step)
    )
    polar = region_of(a.ravel(), b.ravel(), "climates") == "Polar"
    metres = GEOD.inv(
        np.full(polar.sum(), lon), np.full(polar.sum(), lat), b.ravel()[polar], a.ravel()[polar]
    )[2]
    assert 0 <= metres.min() / 1000 - found < 0.8


def test_boundary_points_are_close_together_and_on_the_rings() -> None:
    polygon = shapely.MultiPolygon([shapely.box(0, 60, 10, 70), shapely.box(20, 0, 20.001, 0.001)])
    lat, lon = boundary_points(polygon, 2.0)
    metres = GEOD.inv(lon[:-1], lat[:-1], lon[1:], lat[1:])[2]
    steps = metres[metres < 50_000]
    assert len(steps) >= len(metres) - 1, "one jump from ring to ring"
    assert steps.max() < 2_100
    assert shapely.distance(polygon.boundary, shapely.points(lon, lat)).max() < 1e-9
    assert np.isinf(Boundary([], []).nearest([0.0], [0.0])[0]).all()


def test_distance_across_the_antimeridian() -> None:
    """From 179.5 E to Alaska, whose mainland and Aleutians lie on both sides of 180 degrees."""
    found = region_scheme("countries").distance_km([-17.0], [-179.9], "Fiji")[0]
    assert found < 60


@pytest.mark.parametrize("scheme", ["gsm3-paper", "continents", "climates", "countries"])
@pytest.mark.parametrize("buffer_km", [30.0, 300.0])
def test_sites_outside_the_buffer_are_farther_than_it_from_the_region(scheme: str, buffer_km: float) -> None:
    rng = np.random.default_rng(5)
    lat, lon = rng.uniform(25, 60, 300), rng.uniform(-130, -60, 300)
    region = region_of(lat, lon, scheme)
    near = sites_near(lat, lon, region, scheme, buffer_km)
    assert set(near) == set(region.tolist())
    for name, mask in near.items():
        inside = region == name
        assert not (mask & inside).any()
        far = ~inside & ~mask
        pairs = np.array(
            [
                [GEOD.inv(lon[i], lat[i], lon[j], lat[j])[2] / 1000 for j in np.flatnonzero(inside)]
                for i in np.flatnonzero(far)
            ]
        )
        if pairs.size:
            assert pairs.min() > buffer_km * 0.999, "no site outside the buffer is near a held-out site"
