"""Soil, land cover and climate at sites from a loopback server with the producers' files; the right values are planted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from pyproj import Transformer

from gsm3core import vocabulary as v
from gsm3core.catalog import source_entry
from gsm3core.download.points import pull_points
from gsm3core.errors import DatasetError
from gsm3core.geography.grids import cell_box, cell_of
from gsm3core.readers.points import Points
from support.raster_server import IGH, Field, around, at, pull, read, serve, soil_map, worldcover_tile


def land_cover(folder: Path, points: Points, field: Field, *corners: tuple[int, int]) -> xr.Dataset:
    for corner in corners:
        worldcover_tile(folder / "web", *corner, field, around(at((points.lat[0], points.lon[0]))))
    with serve(folder / "web") as server:
        pull("worldcover", server, points, folder / "root")
    names = [x.ours for x in source_entry("worldcover").variables]
    return read("worldcover", points, folder / "root", *names)


def test_land_cover_of_a_cell_and_of_a_pixel(tmp_path: Path) -> None:
    """Trees west of a meridian, cropland east of it, and the site in a small lake; across two tiles."""
    points = at((0.51, 35.99))
    west, _, east, _ = cell_box(int(cell_of(0.51, 35.99, "M09")), "M09")
    border = west + 0.3 * (east - west)

    def field(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        lake = (abs(x - 35.99) < 2e-4) & (abs(y - 0.51) < 2e-4)
        return np.where(lake, 80, np.where(x < border, 10, 40))

    ds = land_cover(tmp_path, points, field, (0, 33), (0, 36))
    assert float(ds.land_cover_worldcover[0]) == 40
    assert float(ds.land_cover_worldcover_share[0]) == pytest.approx(0.7, abs=2e-3)
    assert float(ds.land_cover_worldcover_10m[0]) == 80
    assert ds.land_cover_worldcover.attrs["flag_values"].tolist() == list(v.WORLDCOVER_CLASSES)
    assert "bare_or_sparse_vegetation" in ds.land_cover_worldcover.attrs["flag_meanings"]


def test_land_cover_without_data(tmp_path: Path) -> None:
    """A class outside the legend is counted, no data is not a class, and there is no map far from the coast."""
    points = at((0.51, 34.5), (0.51, 60.5))
    ds = land_cover(tmp_path, points, lambda x, y: np.where(x < 34.5, 0, np.where(y > 0.51, 30, 77)), (0, 33))
    assert float(ds.land_cover_worldcover[0]) == 30 and float(ds.land_cover_worldcover_share[0]) == 1
    assert np.isnan(ds.land_cover_worldcover[1])
    notes = json.loads(ds.attrs["notes"])
    assert notes[0].startswith("no value at 1 of 2 sites (s1)") and "not in the legend" in notes[1]


SOIL = ("sand", "silt", "clay", "bulk_density", "soil_organic_carbon", "sand_0_5cm")
TO_IGH = Transformer.from_crs(4326, IGH, always_xy=True)


def soil(folder: Path, points: Points, *variables: str, **fields: Field) -> xr.Dataset:
    """Write maps of all depths around the sites, ``PROPERTY`` or ``PROPERTY_DEPTH`` -> field of x and y in metres."""
    x, y = TO_IGH.transform(points.lon, points.lat)
    box = (x.min() - 15_000, y.min() - 15_000, x.max() + 15_000, y.max() + 15_000)
    for name in ("sand", "silt", "clay", "bdod", "soc"):
        for k, depth in enumerate(("0-5cm", "5-15cm", "15-30cm")):
            if name in fields:
                chosen = fields[name]
                soil_map(folder / "web", name, depth, lambda x, y, k=k, f=chosen: f(x, y) + 30 * k, box)
    with serve(folder / "web") as server:
        pull("soilgrids", server, points, folder / "root", *variables)
    return read("soilgrids", points, folder / "root", *variables)


def test_units_and_depths_of_soil(tmp_path: Path) -> None:
    """g/kg, cg/cm3 and dg/kg of three depths, weighted by their thickness of 5, 10 and 15 cm."""

    def constant(value: float) -> Field:
        return lambda x, y: value + 0 * x * y

    points = at((0.51, 36.5))
    ds = soil(tmp_path, points, *SOIL, sand=constant(410), silt=constant(330), clay=constant(140), bdod=constant(130),
              soc=constant(200))  # fmt: skip
    more = 30 * (10 * 1 + 15 * 2) / 30
    assert float(ds.sand[0]) == pytest.approx((410 + more) / 1000)
    assert float(ds.sand_0_5cm[0]) == pytest.approx(0.41)
    assert float(ds.clay[0]) == pytest.approx((140 + more) / 1000)
    assert float(ds.bulk_density[0]) == pytest.approx((130 + more) / 100)
    assert float(ds.soil_organic_carbon[0]) == pytest.approx((200 + more) / 10)
    assert ds.bulk_density.attrs["units"] == "g cm-3" and "sand_0-30cm" in ds.sand.attrs["collocation"]


@pytest.mark.parametrize("place", [(-1.3, 36.8), (-33.9, 147.2), (41.3, -99.7), (64.5, 26.1), (-23.4, -46.6)])
def test_soil_in_the_right_place_of_the_projection(tmp_path: Path, place: tuple[float, float]) -> None:
    """A map that gives latitude and longitude: the mean over a cell is that of its centre, in every part of the projection."""
    points = at(place)

    def field(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        lon, lat = TO_IGH.transform(*np.broadcast_arrays(x, y), direction="INVERSE")
        return 400 + 1000 * (lat - place[0]) + 700 * (lon - place[1])

    ds = soil(tmp_path, points, "sand_0_5cm", sand=field)
    west, south, east, north = cell_box(int(cell_of(*place, "M09")), "M09")
    expected = 400 + 1000 * ((south + north) / 2 - place[0]) + 700 * ((west + east) / 2 - place[1])
    assert float(ds.sand_0_5cm[0]) * 1000 == pytest.approx(expected, abs=5)  # a pixel is 9 to 16 units wide


def test_soil_without_data(tmp_path: Path) -> None:
    """Water has no soil: the mean is over the rest, and missing if that is less than a tenth."""
    points = at((0.51, 36.5), (0.51, 36.9))
    west, _, east, _ = cell_box(int(cell_of(0.51, 36.5, "M09")), "M09")
    shore = float(TO_IGH.transform((west + east) / 2, 0.51)[0])

    def field(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.where(x < shore, 500.0, -32_768.0) + 0 * y

    ds = soil(tmp_path, points, "sand_0_5cm", sand=field)
    assert float(ds.sand_0_5cm[0]) == pytest.approx(0.5) and np.isnan(ds.sand_0_5cm[1])
    assert json.loads(ds.attrs["notes"])[0].startswith(
        "no value at 1 of 2 sites (s1): water, ice, rock or towns"
    )


def test_a_map_that_does_not_name_its_fill_value(tmp_path: Path) -> None:
    """-32768 is no soil, also where the file does not say so: a lake in the cell does not lower the mean."""
    points = at((0.51, 36.5))
    x, y = (float(a[0]) for a in TO_IGH.transform(points.lon, points.lat))
    box = (x - 15_000, y - 15_000, x + 15_000, y + 15_000)
    lake: Field = lambda at_x, at_y: np.where((abs(at_x - x) < 1000) & (abs(at_y - y) < 1000), -32_768, 400)  # noqa: E731
    soil_map(tmp_path / "web", "sand", "0-5cm", lake, box, nodata=None)
    with serve(tmp_path / "web") as server:
        pull("soilgrids", server, points, tmp_path / "root", "sand_0_5cm")
    ds = read("soilgrids", points, tmp_path / "root", "sand_0_5cm")
    assert float(ds.sand_0_5cm[0]) == pytest.approx(0.4)


def test_soil_fractions_that_do_not_add_up(tmp_path: Path) -> None:
    """A site whose texture does not add up loses it and is named; if all are so, the maps are others."""
    points = at((0.51, 36.5), (0.51, 36.9))
    border = float(TO_IGH.transform(36.7, 0.51)[0])
    parts = {n: lambda x, y: np.where(x < border, 303.0, 150.0) + 0 * y for n in ("sand", "silt", "clay")}
    ds = soil(tmp_path / "a", points, *parts, **parts)
    assert float(ds.sand[0]) == pytest.approx(0.343) and np.isnan(ds.sand[1]) and np.isnan(ds.clay[1])
    assert json.loads(ds.attrs["notes"]) == [
        "sand, silt and clay do not add up to 1 at 1 of 2 sites (s1: 0.57): left out there"
    ]
    percent = {n: lambda x, y: 3.3 + 0 * x * y for n in parts}
    with pytest.raises(
        DatasetError, match=r"do not add up to 1 at 2 of 2 sites \(s0: 0\.13.*other units than g/kg"
    ):
        soil(tmp_path / "b", points, *parts, **percent)
    shutil.rmtree(tmp_path / "b" / "root")  # the advice
    right = {n: lambda x, y: 303 + 0 * x * y for n in parts}
    fixed = soil(tmp_path / "b", points, *parts, **right)
    np.testing.assert_allclose(fixed.sand, 0.343, rtol=1e-5)
    assert fixed.sand.attrs["units"] == ds.sand.attrs["units"] == "1"
    with (
        serve(tmp_path / "b" / "web") as server,
        pytest.raises(DatasetError, match=r"bdod_0-5cm_mean_1000\.tif does not exist"),
    ):
        pull("soilgrids", server, points, tmp_path / "root", "bulk_density")


def test_climate_of_places(tmp_path: Path) -> None:
    """The map that ships with GSM3, without a server; nothing is requested."""
    places = {"A tropical": (3.1, 101.7), "B arid": (24.0, 10.0), "C temperate": (51.5, -0.1), "D continental": (55.75, 37.6),
              "E polar": (72.6, -38.5), "none": (0.0, -30.0)}  # fmt: skip
    points = at(*places.values())
    entry = source_entry("koppen-geiger")
    assert pull_points(entry, points, tmp_path).requests == 0
    ds = read("koppen-geiger", points, tmp_path)
    assert [v.KOPPEN_CLASSES[int(k)] for k in ds.climate.values] == list(places)
    assert ds.climate.attrs["flag_values"].tolist() == list(v.KOPPEN_CLASSES)
    assert json.loads(ds.attrs["notes"]) == ["1 sites lie at sea, without a class: s5"]
