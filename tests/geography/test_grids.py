"""Grids, distances and aspect against pyproj, NSIDC's published corners and known values."""

from __future__ import annotations

import numpy as np
import pytest
from pyproj import Geod

from gsm3core.errors import GSM3Error
from gsm3core.geography.aspect import poleward_aspect
from gsm3core.geography.grids import GRIDS, cell_box, cell_centres, cell_of, distance_km


@pytest.mark.parametrize("name", GRIDS)
def test_every_centre_lies_in_its_cell(name: str) -> None:
    grid = GRIDS[name]
    lat, lon = cell_centres(name)
    assert (len(lat), len(lon)) == (grid.rows, grid.columns)
    rng = np.random.default_rng(0)
    row, column = rng.integers(0, grid.rows, 2000), rng.integers(0, grid.columns, 2000)
    np.testing.assert_array_equal(cell_of(lat[row], lon[column], name), row * grid.columns + column)
    assert (np.diff(lat) < 0).all()
    np.testing.assert_allclose(np.diff(lon), 360 / grid.columns, rtol=1e-6)
    np.testing.assert_allclose(lat, -lat[::-1], atol=1e-9)


def test_corner_of_the_9_km_grid_is_as_published() -> None:
    """The SMAP M09 geolocation files (NSIDC-0772) begin at 84.6564 N, 179.9533 W."""
    lat, lon = cell_centres("M09")
    assert lat[0] == pytest.approx(84.6564, abs=1e-3)
    assert lon[0] == pytest.approx(-179.9533, abs=1e-3)
    with pytest.raises(GSM3Error, match=r"unknown EASE-Grid 2.0 'M9'. Did you mean 'M09'"):
        cell_centres("M9")


def test_distances_agree_with_the_ellipsoid() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.uniform(-85, 85, 500), rng.uniform(-180, 180, 500)
    c, d = a + rng.normal(0, 0.2, 500), b + rng.normal(0, 0.2, 500)
    *_, metres = Geod(ellps="WGS84").inv(b, a, d, c)
    np.testing.assert_allclose(distance_km(a, b, c, d), np.asarray(metres) / 1000, rtol=0.006)
    assert distance_km(10, 179.9, 10, -179.9) == pytest.approx(distance_km(10, -0.1, 10, 0.1))


def test_poleward_aspect_by_hemisphere() -> None:
    found = poleward_aspect([0, 180, 90, 0, 180, 0, np.nan], [45, 45, 45, -45, -45, 0, 10])
    np.testing.assert_allclose(found, [1, -1, 0, -1, 1, 1, np.nan], atol=1e-12)


def test_ease_grid_corners_and_nesting() -> None:
    """NSIDC: M09 has 3856 x 1624 cells, the corner at 85.044 N; M36 cells hold 4 x 4 of M09."""
    for grid in GRIDS.values():
        first, last = cell_of([85.0, -85.0], [-179.99, 179.99], grid.name)
        assert first == 0
        assert last == grid.rows * grid.columns - 1
    assert cell_of(85.2, 0, "M09") == -1
    rng = np.random.default_rng(0)
    lat, lon = rng.uniform(-80, 80, 500), rng.uniform(-179, 179, 500)
    row9, col9 = np.divmod(cell_of(lat, lon, "M09"), 3856)
    row36, col36 = np.divmod(cell_of(lat, lon, "M36"), 964)
    np.testing.assert_array_equal(row9 // 4, row36)
    np.testing.assert_array_equal(col9 // 4, col36)


def test_adjacent_cells_and_unknown_grids() -> None:
    """Column and row grow by one every 9.008 km; at 30 degrees that is 0.0934 degrees of longitude."""
    a, b = cell_of([30.0, 30.0], [10.0, 10.0 + 0.09339], "M09")
    assert b - a == 1
    with pytest.raises(GSM3Error, match=r"unknown EASE-Grid 2.0 'M9'. Did you mean 'M09'"):
        cell_of(0, 0, "M9")


@pytest.mark.parametrize("grid", ["M09", "M36"])
@pytest.mark.parametrize("place", [(0.01, 36.8), (-84.9, 179.99), (-12.0, -180.0), (64.9, 25.0), (0.0, 0.0)])
def test_edges_of_a_cell(place: tuple[float, float], grid: str) -> None:
    """The box contains the place; a little inside its corners is the cell, a little outside another one."""
    cell = int(cell_of(*place, grid))
    west, south, east, north = cell_box(cell, grid)
    assert west - 1e-9 <= place[1] < east and south < place[0] <= north + 1e-9
    e = 1e-6
    inside = [(a, b) for a in (south + e, north - e) for b in (west + e, east - e)]
    assert {int(cell_of(a, b, grid)) for a, b in inside} == {cell}
    outside = [(south - e, west + e), (north + e, west + e)] + [
        (south + e, x) for x in (west - e, east + e) if abs(x) < 180
    ]
    assert cell not in {int(cell_of(a, b, grid)) for a, b in outside}
    row, column = divmod(cell, GRIDS[grid].columns)
    lat, lon = cell_centres(grid)
    assert south < lat[row] < north and lon[column] == pytest.approx((west + east) / 2)
