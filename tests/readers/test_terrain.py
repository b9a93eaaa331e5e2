"""Slope, aspect and curvatures against surfaces with known derivatives, and against GDAL's formulas."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from pyproj import Geod

from gsm3core.readers.terrain import mean_terrain, metres_per_degree, pixel_terrain

ARCSEC = 1 / 3600
Surface = Callable[[np.ndarray, np.ndarray], np.ndarray]


def raster(
    surface: Surface, lat: float, *, n: int = 5, step: float = ARCSEC
) -> tuple[np.ndarray, np.ndarray]:
    """Elevations z(x east, y north), m from the middle, on n x n pixels around a latitude; and their latitudes."""
    lats = lat + (n // 2 - np.arange(n)) * step
    across, along = metres_per_degree(lat)
    x = (np.arange(n) - n // 2) * step * across
    y = (lats - lat) * along
    return surface(x[None, :], y[:, None]), lats


def at_middle(surface: Surface, lat: float = 0.0) -> dict[str, float]:
    z, lats = raster(surface, lat)
    return {name: float(a[1, 1]) for name, a in pixel_terrain(z, lats, (ARCSEC, ARCSEC)).items()}


@pytest.mark.parametrize("lat", [-67.5, -33.0, 0.0, 45.0, 71.0])
def test_metres_per_degree_against_geodesics(lat: float) -> None:
    geod, half = Geod(ellps="WGS84"), 1e-4
    across = geod.inv(-half, lat, half, lat)[2] / (2 * half)
    along = geod.inv(0, lat - half, 0, lat + half)[2] / (2 * half)
    np.testing.assert_allclose(metres_per_degree(lat), (across, along), rtol=1e-7)


@pytest.mark.parametrize("lat", [-60.0, 0.0, 48.0])
@pytest.mark.parametrize("facing", [0.0, 37.0, 90.0, 180.0, 270.0, 315.0])
def test_plane(lat: float, facing: float) -> None:
    """A plane that falls by 0.25 m a metre towards a direction, at any latitude."""
    east, north = np.sin(np.radians(facing)), np.cos(np.radians(facing))
    found = at_middle(lambda x, y: 100 - 0.25 * (east * x + north * y), lat)
    assert found["slope"] == pytest.approx(np.degrees(np.arctan(0.25)), abs=1e-4)
    assert (found["aspect"] - facing + 180) % 360 - 180 == pytest.approx(0, abs=0.01)
    assert found["aspect_cosine"] == pytest.approx(north, abs=2e-4)
    for name in ("profile_curvature", "tangential_curvature", "plan_curvature"):
        assert found[name] == pytest.approx(0, abs=1e-6)


def test_level_ground() -> None:
    found = at_middle(lambda x, y: 7 + 0 * x * y)
    assert found["slope"] == found["aspect_cosine"] == found["plan_curvature"] == 0
    assert found["terrain_roughness"] == found["profile_curvature"] == 0
    assert np.isnan(found["aspect"])
    assert found["elevation"] == 7


def test_curvatures_of_a_cone_and_a_cylinder() -> None:
    """A cone is straight down the slope and its contours are circles; a cylinder is curved down the slope alone."""
    radius, grade = 2000.0, 0.3
    cone = at_middle(lambda x, y: 500 - grade * np.hypot(x, y + radius))
    assert cone["aspect"] == pytest.approx(0, abs=1e-6)
    truncation = (31 / radius) ** 2 * grade / radius  # of differences over pixels of 31 m
    assert cone["profile_curvature"] == pytest.approx(0, abs=truncation)
    assert cone["plan_curvature"] == pytest.approx(1 / radius, rel=1e-3)
    assert cone["tangential_curvature"] == pytest.approx(np.sin(np.arctan(grade)) / radius, rel=1e-3)
    valley = at_middle(
        lambda x, y: 500 + grade * np.hypot(x, y - radius)
    )  # rising to all sides of a point in the north
    assert valley["plan_curvature"] == pytest.approx(-1 / radius, rel=1e-3)
    cylinder = at_middle(
        lambda x, y: np.sqrt(3000.0**2 - (y - 800) ** 2) + 0 * x
    )  # a circle of 3 km down the slope
    assert cylinder["aspect"] == pytest.approx(180)
    assert cylinder["profile_curvature"] == pytest.approx(1 / 3000, rel=1e-3)
    assert cylinder["tangential_curvature"] == pytest.approx(0, abs=1e-9)


def test_gaussian_hill() -> None:
    """Slope, aspect and both curvatures against the derivatives of the formula, on pixels much finer than the hill."""
    height, width, x0, y0 = 300.0, 900.0, -420.0, 610.0
    found = at_middle(lambda x, y: height * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2 * width**2)))
    z = height * np.exp(-(x0**2 + y0**2) / (2 * width**2))
    p, q = x0 / width**2 * z, y0 / width**2 * z
    r, t, s = (
        z * (x0**2 / width**4 - 1 / width**2),
        z * (y0**2 / width**4 - 1 / width**2),
        z * x0 * y0 / width**4,
    )
    g2 = p**2 + q**2
    assert found["slope"] == pytest.approx(np.degrees(np.arctan(np.sqrt(g2))), rel=2e-3)
    assert found["aspect"] == pytest.approx(np.degrees(np.arctan2(-p, -q)) % 360, abs=0.05)
    profile = -(r * p**2 + 2 * s * p * q + t * q**2) / (g2 * (1 + g2) ** 1.5)
    tangential = -(r * q**2 - 2 * s * p * q + t * p**2) / (g2 * np.sqrt(1 + g2))
    assert found["profile_curvature"] == pytest.approx(profile, rel=0.02)
    assert found["tangential_curvature"] == pytest.approx(tangential, rel=0.02)
    assert found["tangential_curvature"] > 0  # a hill is convex across the slope


def test_against_the_formulas_of_gdaldem() -> None:
    """Slope, aspect and roughness of random terrain, pixel by pixel as gdaldem computes them for square pixels."""
    z = np.random.default_rng(3).normal(100, 20, (12, 12)).astype(np.float32).astype(float)
    lats = (5.5 - np.arange(12)) * ARCSEC
    across, along = metres_per_degree(0.0)
    step = (ARCSEC * across / along, ARCSEC)  # square in metres at the equator
    found = pixel_terrain(z, lats, step)
    cell = ARCSEC * across
    for i in range(1, 11):
        for j in range(1, 11):
            w = z[i - 1 : i + 2, j - 1 : j + 2].ravel()
            dx = (w[0] + 2 * w[3] + w[6] - w[2] - 2 * w[5] - w[8]) / cell
            dy = (w[6] + 2 * w[7] + w[8] - w[0] - 2 * w[1] - w[2]) / cell
            slope = np.degrees(np.arctan(np.hypot(dx, dy) / 8))
            # gdaldem's dx and dy point downhill to the east and to the north; its angle is clockwise from north.
            aspect = np.degrees(np.arctan2(dx, dy)) % 360
            assert found["slope"][i - 1, j - 1] == pytest.approx(slope, rel=1e-5)
            assert found["aspect"][i - 1, j - 1] == pytest.approx(aspect, abs=1e-3)
            assert found["terrain_roughness"][i - 1, j - 1] == pytest.approx(w.max() - w.min())


def test_means_are_circular_and_weighted_by_area() -> None:
    shape = (2, 2)
    pixels = {n: np.zeros(shape) for n in ("elevation", "slope", "aspect_cosine")}
    pixels["aspect"] = np.array([[350.0, 10.0], [np.nan, np.nan]])
    pixels["elevation"] = np.array([[100.0, 100.0], [200.0, np.nan]])
    found = mean_terrain(pixels, [60.0, 0.0])
    assert (found["aspect"] + 180) % 360 - 180 == pytest.approx(0, abs=1e-9)  # not 180
    assert found["elevation"] == pytest.approx((2 * 0.5 * 100 + 200) / 2)
    pixels["aspect"] = np.array([[90.0, 270.0], [np.nan, np.nan]])
    assert np.isnan(mean_terrain(pixels, [60.0, 0.0])["aspect"])  # opposite directions have no mean


def test_unknown_neighbours() -> None:
    z, lats = raster(lambda x, y: x + y, 10.0)
    z[0, 0] = np.nan
    found = pixel_terrain(z, lats, (ARCSEC, ARCSEC))
    assert np.isnan(found["slope"][0, 0]) and np.isfinite(found["slope"][1, 1])
    assert np.isnan(found["aspect_cosine"][0, 0]) and np.isnan(found["plan_curvature"][0, 0])
