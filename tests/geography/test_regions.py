"""Regions of towns with known countries and continents, of all land cells, and the paper's limits.

Coordinates of towns: GeoNames (https://www.geonames.org, CC BY 4.0).
"""

from __future__ import annotations

import time

import numpy as np
import pytest
import shapely

from gsm3core import vocabulary as v
from gsm3core.catalog import region_entries
from gsm3core.errors import ConfigError
from gsm3core.geography.coastlines import outline
from gsm3core.geography.grids import cell_centres
from gsm3core.geography.regions import region_of, region_polygons, region_scheme, region_schemes

US = "United_States_of_America"
# name: latitude, longitude, region of the paper, continent, country
TOWNS = {
    "Detroit": (42.33143, -83.04575, "CONUS", "North_America", US),
    "Port Huron": (42.97086, -82.42491, "CONUS", "North_America", US),
    "Port Huron, two decimals": (42.97, -82.42, "CONUS", "North_America", US),
    "Buffalo": (42.88645, -78.87837, "CONUS", "North_America", US),
    "Niagara Falls": (43.0945, -79.05671, "CONUS", "North_America", US),
    "Ogdensburg": (44.69423, -75.48634, "CONUS", "North_America", US),
    "Newport": (44.93644, -72.2051, "CONUS", "North_America", US),
    "Calais": (45.18376, -67.27662, "CONUS", "North_America", US),
    "Madawaska": (47.35532, -68.32171, "CONUS", "North_America", US),
    "International Falls": (48.60105, -93.41098, "CONUS", "North_America", US),
    "Sault Ste. Marie": (46.4953, -84.34532, "CONUS", "North_America", US),
    "Oroville": (48.93905, -119.43562, "CONUS", "North_America", US),
    "Brownsville": (25.90175, -97.49748, "CONUS", "North_America", US),
    "Laredo": (27.50641, -99.50754, "CONUS", "North_America", US),
    "El Paso": (31.75872, -106.48693, "CONUS", "North_America", US),
    "Nogales, Arizona": (31.34038, -110.93425, "CONUS", "North_America", US),
    "Calexico": (32.67895, -115.49888, "CONUS", "North_America", US),
    "San Diego": (32.71571, -117.16472, "CONUS", "North_America", US),
    "Key West": (24.55524, -81.78163, "CONUS", "North_America", US),
    "Nantucket": (41.28346, -70.09946, "CONUS", "North_America", US),
    "Juneau": (58.30194, -134.41972, "Alaska", "North_America", US),
    "Juneau, one decimal": (58.3, -134.4, "Alaska", "North_America", US),
    "Yakutat": (59.5, -139.7, "Alaska", "North_America", US),
    "Gustavus": (58.4133, -135.737, "Alaska", "North_America", US),
    "Sitka": (57.05315, -135.33088, "Alaska", "North_America", US),
    "Ketchikan": (55.3418, -131.64757, "Alaska", "North_America", US),
    "Skagway": (59.45833, -135.31389, "Alaska", "North_America", US),
    "Unalaska": (53.87413, -166.53408, "Alaska", "North_America", US),
    "Attu": (52.9, 173.2, "Alaska", "North_America", US),
    "Utqiagvik": (71.29058, -156.78872, "Alaska", "North_America", US),
    "Hilo": (19.72991, -155.09073, "Other", "Oceania", US),
    "Windsor": (42.30008, -83.01654, "Other", "North_America", "Canada"),
    "Sarnia": (42.97866, -82.40407, "Other", "North_America", "Canada"),
    "Prince Rupert": (54.31507, -130.32098, "Other", "North_America", "Canada"),
    "Whitehorse": (60.71611, -135.05375, "Other", "North_America", "Canada"),
    "Cornwall": (45.01809, -74.72815, "Other", "North_America", "Canada"),
    "Tijuana": (32.5027, -117.00371, "Other", "Central_America", "Mexico"),
    "Ciudad Juarez": (31.72024, -106.46084, "Other", "Central_America", "Mexico"),
    "Nogales, Sonora": (31.30862, -110.94217, "Other", "Central_America", "Mexico"),
    "Panama City": (8.9936, -79.51973, "Other", "Central_America", "Panama"),
    "Turbo": (8.09263, -76.72822, "Other", "South_America", "Colombia"),
    "San Juan": (18.46633, -66.10572, "Other", "Central_America", "Puerto_Rico"),
    "Cayenne": (4.9381, -52.33455, "Other", "South_America", "France"),
    "Brasilia": (-15.77972, -47.92972, "Other", "South_America", "Brazil"),
    "Tunis": (36.81897, 10.16579, "Other", "Africa", "Tunisia"),
    "Tangier": (35.76727, -5.79975, "Other", "Africa", "Morocco"),
    "Algiers": (36.73225, 3.08746, "Other", "Africa", "Algeria"),
    "Tarifa": (36.01393, -5.60695, "Europe", "Europe", "Spain"),
    "Melilla": (35.29369, -2.93833, "Other", "Africa", "Spain"),
    "Las Palmas": (28.10178, -15.41573, "Other", "Africa", "Spain"),
    "Pantelleria": (36.82836, 11.94611, "Europe", "Europe", "Italy"),
    "Valletta": (35.89968, 14.5148, "Europe", "Europe", "Malta"),
    "Mytilene": (39.10772, 26.55529, "Europe", "Europe", "Greece"),
    "Rhodes": (36.43556, 28.22199, "Europe", "Europe", "Greece"),
    "Izmir": (38.41273, 27.13838, "Asia", "Asia", "Turkey"),
    "Edirne": (41.67719, 26.55597, "Europe", "Europe", "Turkey"),
    "Canakkale": (40.15552, 26.41271, "Asia", "Asia", "Turkey"),
    "Tbilisi": (41.69143, 44.83412, "Asia", "Asia", "Georgia"),
    "Sochi": (43.59699, 39.72477, "Europe", "Europe", "Russia"),
    "Perm": (58.01046, 56.25017, "Europe", "Europe", "Russia"),
    "Yekaterinburg": (56.85733, 60.61529, "Asia", "Asia", "Russia"),
    "Vorkuta": (67.50867, 64.0667, "Europe", "Europe", "Russia"),
    "Salekhard": (66.53373, 66.60955, "Asia", "Asia", "Russia"),
    "Provideniya": (64.42289, -173.22641, "Asia", "Asia", "Russia"),
    "Reykjavik": (64.13548, -21.89541, "Europe", "Europe", "Iceland"),
    "Longyearbyen": (78.22334, 15.64689, "Europe", "Europe", "Norway"),
    "Nuuk": (64.18347, -51.72157, "Other", "North_America", "Greenland"),
    "Nairobi": (-1.28333, 36.81667, "Other", "Africa", "Kenya"),
    "Lusaka": (-15.40669, 28.28713, "Other", "Africa", "Zambia"),
    "Kampala": (0.31628, 32.58219, "Other", "Africa", "Uganda"),
    "Mogadishu": (2.03711, 45.34375, "Africa_North", "Africa", "Somalia"),
    "Agadez": (16.97333, 7.99111, "Africa_North", "Africa", "Niger"),
    "Cape Town": (-33.92584, 18.42322, "Africa_South", "Africa", "South_Africa"),
    "Toliara": (-23.35, 43.66667, "Africa_South", "Africa", "Madagascar"),
    "Aden": (12.77957, 45.03852, "Asia", "Asia", "Yemen"),
    "Jayapura": (-2.53371, 140.71813, "Asia", "Asia", "Indonesia"),
    "Port Moresby": (-9.47723, 147.15089, "Other", "Oceania", "Papua_New_Guinea"),
    "Darwin": (-12.46113, 130.84185, "Australia", "Oceania", "Australia"),
    "Auckland": (-36.84853, 174.76349, "Australia", "Oceania", "New_Zealand"),
    "Suva": (-18.13683, 178.42531, "Other", "Oceania", "Fiji"),
    "Hanga Roa": (-27.15253, -109.42438, "Other", "Oceania", "Chile"),
}
CLIMATES = {
    "Manaus": (-3.1, -60.0, "Tropical"), "Hilo": (19.73, -155.09, "Tropical"), "Phoenix": (33.4, -112.0, "Arid"),
    "Alice Springs": (-23.7, 133.9, "Arid"), "Nairobi": (-1.28, 36.82, "Temperate"), "London": (51.5, 0.0, "Temperate"),
    "Buenos Aires": (-34.6, -58.5, "Temperate"), "Moscow": (55.75, 37.6, "Cold"), "Ottawa": (45.4, -75.7, "Cold"),
    "Anchorage": (61.2, -149.9, "Cold"), "Summit": (72.6, -38.5, "Polar"), "Vostok": (-78.5, 106.8, "Polar"),
    "Central Atlantic": (30.0, -40.0, "Other"),
}  # fmt: skip


@pytest.mark.parametrize(("scheme", "column"), [("gsm3-paper", 2), ("continents", 3), ("countries", 4)])
def test_towns_are_in_their_region(scheme: str, column: int) -> None:
    lat, lon = [t[0] for t in TOWNS.values()], [t[1] for t in TOWNS.values()]
    found = dict(zip(TOWNS, region_of(lat, lon, scheme).tolist(), strict=True))
    assert found == {name: town[column] for name, town in TOWNS.items()}


def test_main_climate_classes() -> None:
    lat, lon, expected = zip(*CLIMATES.values(), strict=True)
    assert region_of(lat, lon, "climates").tolist() == list(expected)


def test_schemes_of_the_catalogue() -> None:
    assert list(region_schemes()) == ["gsm3-paper", "climates", "continents", "countries"]
    assert region_scheme("gsm3-paper").regions == v.REGIONS
    assert set(region_scheme("continents").regions) == {
        "Africa", "Antarctica", "Asia", "Central_America", "Europe", "North_America", "Oceania", "South_America",
    }  # fmt: skip
    for entry in region_entries().values():
        assert entry.citation
        assert entry.license
    with pytest.raises(
        ConfigError, match=r"'continent' is neither a region scheme nor a GeoJSON.*Did you mean 'continents'"
    ):
        region_scheme("continent")


def test_every_country_has_one_continent() -> None:
    parts = [p for parts in region_entries()["continents"].regions.values() for p in parts if not p.within]
    listed = [name for part in parts for name in part.countries]
    assert len(listed) == len(set(listed))
    assert set(listed) == set(region_scheme("countries").regions)


def test_every_land_cell_has_one_continent() -> None:
    """Land by the 1:110m coastline of another file, all cells of the 9-km grid; 2 million cells within seconds."""
    lat, lon = cell_centres("M09")
    x, y = outline("land")
    ends = np.flatnonzero(np.isnan(x))
    rings = []
    starts = np.concatenate([[0], ends + 1])
    for a, b in zip(starts, [*ends, len(x)], strict=True):
        # Fiji's ring crosses the antimeridian; drawn as a polygon it would be a strip around the Earth.
        if b - a > 3 and not (np.ptp(x[a:b]) > 300 and np.ptp(y[a:b]) < 5):
            rings.append(shapely.make_valid(shapely.Polygon(np.column_stack([x[a:b], y[a:b]]))))
    land = shapely.union_all(rings)
    shapely.prepare(land)
    on_land = np.array([shapely.contains_xy(land, lon, np.full_like(lon, row)) for row in lat])
    row, column = np.nonzero(on_land)
    assert len(row) > 1_500_000
    started = time.monotonic()
    found = region_of(lat[row], lon[column], "continents")
    assert time.monotonic() - started < 60
    assert v.NO_REGION not in set(found.tolist())
    # The areas of the continents, million km2 (equal-area cells of 81.1 km2), within 6 % of an atlas.
    atlas = {
        "Africa": 30.0,
        "Asia": 44.0,
        "Europe": 10.0,
        "South_America": 17.7,
        "North_America": 21.7,
        "Oceania": 8.5,
    }
    for name, area in atlas.items():
        assert (found == name).sum() * 81.145e-6 == pytest.approx(area, rel=0.06), name


def test_regions_in_africa_have_the_papers_limits() -> None:
    lat = [1.7, 1.9, 19.2, 19.4, -21.9, -22.1, -33.8]
    north, south = region_of(lat[:4], [20] * 4), region_of(lat[4:], [25] * 3)
    assert list(north) == ["Other", "Africa_North", "Africa_North", "Other"]
    assert list(south) == ["Other", "Africa_South", "Africa_South"]


@pytest.mark.parametrize("scheme", ["gsm3-paper", "continents", "countries"])
def test_regions_overlap_only_along_borders(scheme: str) -> None:
    parts, of = shapely.get_parts(np.array(list(region_polygons(scheme).values())), return_index=True)
    a, b = shapely.STRtree(parts).query(parts, predicate="overlaps")
    differ = of[a] != of[b]
    overlap = shapely.area(shapely.intersection(parts[a[differ]], parts[b[differ]]))
    assert overlap.sum() < 0.05, "square degrees"


def test_points_near_a_coast_have_the_region_of_the_land() -> None:
    """10 km off Cape May, and 400 km off."""
    assert region_of([38.93, 38.9], [-74.75, -70.0]).tolist() == ["CONUS", "Other"]
    assert region_of([38.93, 38.9], [-74.75, -70.0], "continents").tolist() == ["North_America"] * 2


def test_no_points() -> None:
    assert region_of([], []).tolist() == []
