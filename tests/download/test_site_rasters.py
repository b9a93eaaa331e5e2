"""Terrain, soil and land cover at sites from a loopback server with the producers' files; the right values are planted."""

from __future__ import annotations

import json
import math
import resource
import threading
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.transform import Affine

from gsm3core.catalog import source_entry
from gsm3core.download import cell_windows, copernicus_dem, worldcover
from gsm3core.download.cell_windows import Window
from gsm3core.download.fetch import IncompleteDownloadError
from gsm3core.download.points import pull_points
from gsm3core.errors import CancelledError, DatasetError
from gsm3core.geography.grids import cell_box, cell_of, distance_km, ease_metres
from gsm3core.readers.points import Points
from gsm3core.readers.terrain import metres_per_degree
from support.raster_server import QUICK, Field, around, at, dem_tile, pull, read, serve


def terrain(folder: Path, points: Points, *variables: str) -> xr.Dataset:
    with serve(folder / "web") as server:
        pull("copernicus-dem", server, points, folder / "root")
    names = variables or [x.ours for x in source_entry("copernicus-dem").variables]
    return read("copernicus-dem", points, folder / "root", *names)


def plane(east: float, north: float, middle: tuple[float, float], height: float = 1000.0) -> Field:
    """A plane that rises by ``east`` and ``north`` metres a metre, exact at one place and linear in degrees."""
    across, along = metres_per_degree(middle[0])
    return lambda x, y: height + east * across * (x - middle[1]) + north * along * (y - middle[0])


@pytest.mark.parametrize("lat", [0.02, -0.03])
def test_terrain_across_tile_borders(tmp_path: Path, lat: float) -> None:
    """A cell near the corner of four tiles, on both sides of the equator."""
    points = at((lat, 35.99))
    field = plane(0.03, 0.04, (lat, 35.99))
    for corner in ((0, 35), (0, 36), (-1, 35), (-1, 36)):
        dem_tile(tmp_path / "web", *corner, field, around(points))
    ds = terrain(tmp_path, points)
    assert float(ds.slope[0]) == pytest.approx(np.degrees(np.arctan(0.05)), rel=2e-3)
    assert float(ds.slope_30m[0]) == pytest.approx(np.degrees(np.arctan(0.05)), rel=2e-3)
    assert float(ds.aspect[0]) == pytest.approx(180 + np.degrees(np.arctan2(0.03, 0.04)), abs=0.1)
    south = -1 if lat < 0 else 1
    assert float(ds.poleward_aspect[0]) == pytest.approx(-0.8 * south, abs=2e-3)
    assert float(ds.poleward_aspect_30m[0]) == pytest.approx(-0.8 * south, abs=2e-3)
    west, low, east, high = cell_box(int(cell_of(lat, 35.99, "M09")), "M09")
    assert float(ds.elevation[0]) == pytest.approx(float(field((west + east) / 2, (low + high) / 2)), abs=1.0)
    assert float(ds.elevation_30m[0]) == pytest.approx(1000, abs=1.5)  # within half a pixel
    assert float(distance_km(ds.cell_lat, ds.cell_lon, lat, 35.99)[0]) < 6.5
    assert ds.slope.attrs["units"] == "degree" and "9 km cell" in ds.slope.attrs["collocation"]
    assert ds.attrs["notes"] == "[]"


def test_the_mean_is_over_the_pixels_of_the_cell(tmp_path: Path) -> None:
    """Random pixels, each once, weighted by area: the cell by its projected coordinates, independent of its edges."""
    points = at((48.7, 9.2))
    rng = np.random.default_rng(5)
    noise = np.tile(rng.normal(0, 50, (450, 450)).astype("float32"), (8, 8))  # a window is smaller

    def field(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return noise[np.round((49 - y) * 3600).astype(int), np.round((x - 9) * 3600).astype(int)]

    dem_tile(tmp_path / "web", 48, 9, field, around(points))
    ds = terrain(tmp_path, points, "elevation", "elevation_30m")
    lat, lon = 49 - np.arange(3600) / 3600, 9 + np.arange(3600) / 3600
    x, _ = ease_metres(0.0, lon)
    _, y = ease_metres(lat, 0.0)
    side, left, top = 9008.055210146, -17367530.4451615, 7314540.8306386
    here_x, here_y = ease_metres(48.7, 9.2)
    rows = np.floor((top - y) / side) == np.floor((top - here_y) / side)
    columns = np.floor((x - left) / side) == np.floor((here_x - left) / side)
    weight = np.broadcast_to(np.cos(np.radians(lat[rows]))[:, None], (rows.sum(), columns.sum()))
    expected = np.average(noise[np.ix_(rows, columns)].astype(float), weights=weight)
    assert float(ds.elevation[0]) == pytest.approx(expected, rel=1e-5, abs=1e-4)
    row, column = round((49 - 48.7) * 3600), round(0.2 * 3600)
    assert float(ds.elevation_30m[0]) == pytest.approx(float(noise[row, column]))


def test_pixel_centres_lie_on_arcseconds(tmp_path: Path) -> None:
    """The tile's first pixel is centred on its north-western corner; half a pixel off, another pixel would be read."""
    second = 1 / 3600
    spike = (0.5 - 100 * second, 36.5 + 200 * second)

    def field(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return 100.0 * ((abs(x - spike[1]) < second / 10) & (abs(y - spike[0]) < second / 10))

    shifts = [(0.4, 0.4), (-0.4, -0.4), (0.6, 0), (0, -0.6)]
    points = at(*((spike[0] + a * second, spike[1] + b * second) for a, b in shifts))
    dem_tile(tmp_path / "web", 0, 36, field, around(points))
    ds = terrain(tmp_path, points, "elevation_30m", "terrain_roughness_30m")
    assert ds.elevation_30m.values.tolist() == [100, 100, 0, 0]
    assert ds.terrain_roughness_30m.values.tolist() == [100, 100, 100, 100]


def test_terrain_across_the_antimeridian(tmp_path: Path) -> None:
    points = at((-16.5, 179.995), (-16.5, -179.995))
    across, _ = metres_per_degree(-16.5)

    def field(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return 500 + 0.05 * across * (x % 360 - 180) + 0 * y

    dem_tile(tmp_path / "web", -17, 179, field, (179.5, -17, 180, -16))
    dem_tile(tmp_path / "web", -17, -180, field, (-180, -17, -179.5, -16))
    ds = terrain(tmp_path, points)
    np.testing.assert_allclose(ds.slope, np.degrees(np.arctan(0.05)), rtol=2e-3)
    np.testing.assert_allclose(ds.aspect, 270, atol=0.1)
    np.testing.assert_allclose(ds.elevation_30m, 500 + 0.05 * across * np.array([-0.005, 0.005]), atol=0.8)
    np.testing.assert_allclose(ds.slope_30m, np.degrees(np.arctan(0.05)), rtol=2e-3)


@pytest.mark.parametrize(("lat", "north_tile", "wide", "south_tile", "narrow"),
                         [(50.0, 50, 1.5, 49, 1.0), (-60.0, -60, 1.5, -61, 2.0), (70.001, 70, 3.0, 69, 2.0)])  # fmt: skip
def test_terrain_where_the_spacing_changes(
    tmp_path: Path, lat: float, north_tile: int, wide: float, south_tile: int, narrow: float
) -> None:
    """On a limit of latitude the tiles have pixels of different width; a plane stays a plane."""
    points = at((lat + 0.0005, 20.51), (lat - 0.0005, 20.51))
    field = plane(0.05, 0.0, (lat, 20.51))
    dem_tile(tmp_path / "web", north_tile, 20, field, around(points, 0.3), arcsec=wide)
    dem_tile(tmp_path / "web", south_tile, 20, field, around(points, 0.3), arcsec=narrow)
    ds = terrain(tmp_path, points, "slope", "aspect", "slope_30m", "elevation")
    np.testing.assert_allclose(ds.slope, np.degrees(np.arctan(0.05)), rtol=5e-3)
    np.testing.assert_allclose(ds.slope_30m, np.degrees(np.arctan(0.05)), rtol=5e-3)
    np.testing.assert_allclose(ds.aspect, 270, atol=0.2)


def test_names_and_spacings_of_tiles() -> None:
    """Corners in both hemispheres; the widths of the server's table."""
    name = "Copernicus_DSM_COG_10_S34_00_W071_00_DEM"
    assert copernicus_dem.tile_url("http://x", -34, -71) == f"http://x/{name}/{name}.tif"
    assert copernicus_dem.tile_url("b", 0, 36).endswith("/Copernicus_DSM_COG_10_N00_00_E036_00_DEM.tif")
    widths = {
        0: 3600,
        49: 3600,
        50: 2400,
        59: 2400,
        60: 1800,
        69: 1800,
        70: 1200,
        80: 720,
        84: 720,
        85: 360,
        89: 360,
    }
    for lat, width in widths.items():
        assert copernicus_dem._pixels_across(89 - lat) == width
        assert copernicus_dem._pixels_across(89 - (-lat - 1)) == width  # S51 reaches from 51 to 50 S
    assert worldcover.tile_url("b", 0, 36) == "b/ESA_WorldCover_10m_2021_v200_N00E036_Map.tif"
    assert worldcover.tile_url("b", -3, -180) == "b/ESA_WorldCover_10m_2021_v200_S03W180_Map.tif"


def test_sea_and_tiles_that_are_not_published(tmp_path: Path) -> None:
    """Beside a tile the sea is 0 m; without any tile there is no value; Armenia is not the sea."""
    coast, ocean, yerevan = (0.5, 41.995), (10.5, -40.5), (40.18, 44.51)
    points = at(coast, ocean, yerevan)
    dem_tile(tmp_path / "web", 0, 41, lambda x, y: 80 + 0 * x * y, (41.7, 0.2, 42, 0.8))
    ds = terrain(tmp_path, points)
    west, _, east, _ = cell_box(int(cell_of(*coast, "M09")), "M09")
    land = (42 - west) / (east - west)
    assert 0.1 < land < 0.9
    assert float(ds.elevation[0]) == pytest.approx(80 * land, abs=1.0)
    assert np.isnan(ds.elevation.values[1:]).all() and np.isnan(ds.poleward_aspect_30m.values[1:]).all()
    notes = json.loads(ds.attrs["notes"])
    assert notes[0].startswith(
        "no value at 2 of 3 sites (s1, s2): the sea, or a tile that the producer has not published"
    )
    assert "N00_00_E042" in notes[1] and "taken as sea" in notes[1]
    assert np.isnan(copernicus_dem._absent(40, 44)) and copernicus_dem._absent(0, 42) == 0


def test_impossible_elevations_are_left_out(tmp_path: Path) -> None:
    points = at((0.5, 36.5))
    dem_tile(
        tmp_path / "web", 0, 36, lambda x, y: np.where(x > 36.49, 300.0, -32767.0) + 0 * y, around(points)
    )
    ds = terrain(tmp_path, points)
    assert float(ds.elevation[0]) == pytest.approx(300) and float(ds.slope[0]) == pytest.approx(0)
    assert "pixels outside -500 to 9000 m were left out" in json.loads(ds.attrs["notes"])[0]


def test_another_product_under_the_name_is_refused(tmp_path: Path) -> None:
    points = at((0.5, 36.5))
    dem_tile(tmp_path / "web", 0, 36, lambda x, y: 0 * x * y, around(points), arcsec=3.0)
    with (
        serve(tmp_path / "web") as server,
        pytest.raises(DatasetError, match=r"3600 x 1200 pixels .* expected 3600 x 3600"),
    ):
        pull("copernicus-dem", server, points, tmp_path / "root")


def test_each_cell_is_requested_once(tmp_path: Path) -> None:
    """Sites of one cell share a window; a rerun and a run with more sites request only what is missing."""
    points = at((0.51, 36.5), (0.512, 36.502), (0.9, 36.9))
    dem_tile(tmp_path / "web", 0, 36, lambda x, y: 100 + 0 * x * y, (36.3, 0.3, 37, 1))
    with serve(tmp_path / "web") as server:
        first = pull("copernicus-dem", server, at((0.51, 36.5), (0.512, 36.502)), tmp_path / "root")
        assert len(first.new) == 1 and first.requests == len(server.requests) and first.bytes == server.sent
        made = len(server.requests)
        again = pull("copernicus-dem", server, at((0.512, 36.502)), tmp_path / "root")
        assert again.requests == 0 and len(server.requests) == made
        more = pull("copernicus-dem", server, points, tmp_path / "root")
        assert len(more.new) == 1 and len(more.kept) == 1
        root = tmp_path / "root"
        [stored] = [root / p for p in first.new]
        stored.write_bytes(stored.read_bytes()[:300])  # damaged on the disk
        with pytest.raises(
            DatasetError, match=r"cannot be read as a GeoTIFF: .*Delete it and rerun without --offline"
        ):
            read("copernicus-dem", points, root, "elevation")
        assert pull("copernicus-dem", server, points, root).replaced == first.new
        stored.unlink()
        assert pull("copernicus-dem", server, points, root).replaced == first.new
    assert read("copernicus-dem", points, root, "elevation").elevation.values.tolist() == [100, 100, 100]
    assert not list(root.rglob("*.part"))


def test_cancel_and_resume(tmp_path: Path) -> None:
    """A cancelled download keeps its finished windows; what the rerun requests was not there."""
    points = at(*((0.1 + 0.1 * k, 36.5) for k in range(6)))
    dem_tile(tmp_path / "web", 0, 36, lambda x, y: 10 + 0 * x * y, (36.3, 0, 36.7, 1))
    done: list[str] = []

    def cancel(count: int, total: int, received: int, path: str) -> None:
        assert (
            threading.current_thread() is threading.main_thread()
        )  # a job writes its progress to its own database
        done.append(path)
        if count == 3:
            raise CancelledError("stopped")

    with serve(tmp_path / "web") as server:
        with pytest.raises(CancelledError):
            pull_points(source_entry("copernicus-dem"), points, tmp_path / "root", url=server.url, policy=QUICK,
                        on_progress=cancel)  # fmt: skip
        rest = pull("copernicus-dem", server, points, tmp_path / "root")
    assert len(done) == 3 and set(rest.kept) >= set(done) and len(rest.kept) + len(rest.new) == 6 and rest.new


def test_faults_of_the_server(tmp_path: Path) -> None:
    """Passing faults cost a retry; a tile that fails takes no other site down; a dead server is not asked for every site."""
    points = at((0.51, 36.5), (0.51, 37.5))
    for lon in (36, 37):
        dem_tile(tmp_path / "web", 0, lon, lambda x, y: 10 + 0 * x * y, (36.3, 0.3, 37.7, 0.7))
    with serve(tmp_path / "web") as server:
        server.faults = {"E036_00_DEM.tif": ["503", "truncate"], "E037_00_DEM.tif": ["503"] * 9}
        with pytest.raises(
            IncompleteDownloadError, match=r"(?s)1 of 2 windows could not be read; .*E037.*HTTP 503"
        ) as caught:
            pull("copernicus-dem", server, points, tmp_path / "root")
        assert len(caught.value.result.new) == 1 and caught.value.result.retries == 2
        server.faults = {}
        assert len(pull("copernicus-dem", server, points, tmp_path / "root").new) == 1
        server.faults = {".tif": ["503"] * 999}
        server.requests.clear()
        many = at(*((float(k), 20.5) for k in range(-40, 40)))
        with pytest.raises(DatasetError, match=r"could not be read and \d+ were not requested after that"):
            pull("copernicus-dem", server, many, tmp_path / "other")
        assert len(server.requests) < 60


def test_a_disk_that_is_full_at_the_end_of_a_file(tmp_path: Path) -> None:
    """GDAL closes a file without an error although its last bytes, the directory, could not be written."""
    values = np.random.default_rng(3).normal(0, 50, (200, 200)).astype("float32")
    window = Window(
        values=values, transform=Affine(0.01, 0, 36, 0, -0.01, 1), crs="EPSG:4326", nodata=math.nan
    )
    cell_windows._write(window, {}, tmp_path / "whole.tif")
    with rasterio.open(tmp_path / "whole.tif") as ds:
        np.testing.assert_array_equal(ds.read(1), values)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "whole.tif").stat().st_size - 50, before[1]))
    try:
        with pytest.raises(OSError):
            cell_windows._write(window, {}, tmp_path / "short.tif")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_sites_poleward_of_the_grid(tmp_path: Path) -> None:
    points = at((86.0, 10.0), (0.51, 36.5))
    dem_tile(tmp_path / "web", 0, 36, lambda x, y: 10 + 0 * x * y, around(at((0.51, 36.5))))
    ds = terrain(tmp_path, points)
    assert math.isnan(float(ds.elevation[0])) and float(ds.elevation[1]) == 10
    assert "sites_without_files" not in ds.attrs  # no download could give it a value
    assert json.loads(ds.attrs["notes"]) == [
        "no value at 1 of 2 sites (s0): they lie poleward of 85 degrees, outside the 9 km grid"
    ]
    nearby = at((86.0, 10.0), (0.51, 36.5), (0.51, 36.9))  # the last one was not downloaded
    assert read("copernicus-dem", nearby, tmp_path / "root", "slope").attrs["sites_without_files"] == ["s2"]
