"""Regions, aspect and EASE-Grid 2.0 against published numbers and known locations."""

from __future__ import annotations

import numpy as np
import pytest

from gsm3core.errors import GSM3Error
from gsm3core.geography.aspect import poleward_aspect
from gsm3core.geography.grids import GRIDS, cell_of
from gsm3core.geography.regions import region_of, region_polygons

LOCATIONS = {
    "CONUS": [(41, -99), (47.6, -122.3), (25.8, -80.2), (46.9, -68), (26.0, -97.6), (48.9, -95)],
    "Alaska": [(64.8, -147.7), (52.9, 173.2), (58.3, -156.5), (63.78, -171.7)],
    "Europe": [(40.4, -3.7), (60, 25), (55, 37), (67.4, 26.6), (47.5, 19)],
    "Asia": [(39, 35), (31.4, 92), (35.7, 139.7), (-6.2, 106.8), (62, 129.7), (24.7, 46.7), (64.4, -173.2)],
    "Africa_North": [(13.5, 2.1), (15.4, -15.1), (9.7, 1.6), (2, 45)],
    "Africa_South": [(-33.9, 18.4), (-26, 28)],
    "Australia": [(-35.3, 149.1), (-12.5, 130.8), (-43, 147), (-36.8, 174.8)],
    "Other": [(-1.3, 36.8), (51, -106), (-15, -47), (20, -157)],
}


@pytest.mark.parametrize("region", LOCATIONS)
def test_known_locations_are_in_their_region(region: str) -> None:
    lat, lon = zip(*LOCATIONS[region], strict=True)
    assert set(region_of(lat, lon)) == {region}


def test_regions_in_africa_have_the_papers_limits() -> None:
    lat = [1.7, 1.9, 19.2, 19.4, -21.9, -22.1, -38.8, -39.0]
    north, south = region_of(lat[:4], [20] * 4), region_of(lat[4:], [25] * 4)
    assert list(north) == ["Other", "Africa_North", "Africa_North", "Other"]
    assert list(south) == ["Other", "Africa_South", "Africa_South", "Other"]


def test_regions_overlap_only_along_borders() -> None:
    polygons = list(region_polygons().values())
    for i, a in enumerate(polygons):
        for b in polygons[i + 1 :]:
            assert a.intersection(b).area < 1.0, "square degrees"


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
