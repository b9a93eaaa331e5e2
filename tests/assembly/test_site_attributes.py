"""Datasets with terrain, soil, land cover and climate at the sites: the whole command against loopback servers."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from pyproj import Transformer
from typer.testing import CliRunner

from gsm3core.cli import app
from gsm3core.errors import GSM3Error
from gsm3core.readers.availability import check_availability
from gsm3core.readers.terrain import metres_per_degree
from gsm3core.schema import open_dataset
from support.raster_server import IGH, Server, dem_tile, serve, soil_map, worldcover_tile

PLACES = {"kabete": (-1.25, 36.74), "kikuyu": (-1.24, 36.72), "eldoret": (0.52, 35.27)}
EAST, NORTH = 0.06, 0.08
ALL = (
    "--attribute",
    "copernicus-dem",
    "--attribute",
    "soilgrids",
    "--attribute",
    "worldcover",
    "--attribute",
    "koppen-geiger",
)
SOIL = {"sand": 420, "silt": 230, "clay": 350, "bdod": 128}
PER_DEGREE = metres_per_degree(0.0)


def slope(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Planes that rise to the north-east by a tenth, 1500 m high at the places on both sides of the equator."""
    east, north = np.where(y > 0, x - 35.27, x - 36.73), np.where(y > 0, y - 0.52, y + 1.25)
    return 1500 + EAST * PER_DEGREE[0] * east + NORTH * PER_DEGREE[1] * north


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of three servers around the places."""
    root = tmp_path_factory.mktemp("web")
    project = Transformer.from_crs(4326, IGH, always_xy=True)
    for lat, lon in ((-1.25, 36.73), (0.52, 35.27)):
        box = (lon - 0.1, lat - 0.15, lon + 0.1, lat + 0.15)
        dem_tile(root / "dem", int(np.floor(lat)), int(lon), slope, box)
        dem_tile(root / "dem", int(np.floor(lat)), int(lon) - 1, slope, box)
        worldcover_tile(
            root / "map", -3 if lat < 0 else 0, int(lon) // 3 * 3, lambda x, y: 40 + 0 * x * y, box
        )
    x, y = project.transform([35.0, 37.0], [-1.5, 0.8])
    for name, value in SOIL.items():
        for depth in ("0-5cm", "5-15cm", "15-30cm"):
            soil_map(
                root / "soil", name, depth, lambda x, y, k=value: k + 0 * x * y, (x[0], y[0], x[1], y[1])
            )
    return root


@pytest.fixture
def server(world: Path) -> Iterator[Server]:
    with serve(world) as running:
        yield running


def prepare(folder: Path, patch: pytest.MonkeyPatch) -> None:
    lines = [f"{name},{lat},{lon}" for name, (lat, lon) in PLACES.items()]
    (folder / "sites.csv").write_text("\n".join(["site,lat,lon", *lines]) + "\n")
    patch.chdir(folder)
    patch.setenv("GSM3_SOURCES", str(folder / "src"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    prepare(tmp_path, monkeypatch)
    return tmp_path


@dataclass(frozen=True)
class Built:
    """A dataset with all attributes, what the command printed, its sources, and the requests made."""

    ds: xr.Dataset
    output: str
    sources: Path
    requests: list[str]


@pytest.fixture(scope="module")
def built(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    folder = tmp_path_factory.mktemp("built")
    with serve(world) as running, pytest.MonkeyPatch.context() as patch:
        prepare(folder, patch)
        output = build(running, *ALL)
        requests = [path for path, _ in running.requests]
        yield Built(opened(), output, folder / "src", requests)


def command(server: Server, *options: str, out: str = "my.nc") -> list[str]:
    urls = {"copernicus-dem": "dem", "worldcover": "map", "soilgrids": "soil"}
    used = {x.partition(":")[0] for x in options}
    named = [
        x for name, path in urls.items() if name in used for x in ("--url", f"{name}={server.url}/{path}")
    ]
    days = ["--days", "2015-01-01:2015-01-31"]
    return ["data", "build", "table", "--from", "sites.csv", *days, "--out", out, *named, *options]


def build(server: Server, *options: str, out: str = "my.nc") -> str:
    done = CliRunner().invoke(
        app, command(server, *options, out=out), env={"COLUMNS": "250", "NO_COLOR": "1"}
    )
    if isinstance(done.exception, GSM3Error):
        return f"Error: {done.exception}"
    assert done.exit_code == 0, done.output + repr(done.exception)
    return done.output


def opened(out: str = "my.nc") -> xr.Dataset:
    with open_dataset(out) as ds:
        return ds.load()


def test_attributes_of_a_table_of_places(built: Built) -> None:
    ds, grade = built.ds, np.hypot(EAST, NORTH)
    np.testing.assert_allclose(ds.slope, np.degrees(np.arctan(grade)), rtol=2e-3)
    south = np.array([-1, -1, 1])
    np.testing.assert_allclose(ds.poleward_aspect, -NORTH / grade * south, atol=2e-3)
    np.testing.assert_allclose(ds.slope_30m, ds.slope, rtol=1e-3)
    for ours, theirs, factor in (("sand", "sand", 1000), ("silt", "silt", 1000), ("clay", "clay", 1000),
                                 ("bulk_density", "bdod", 100)):  # fmt: skip
        np.testing.assert_allclose(ds[ours], SOIL[theirs] / factor, rtol=1e-5)
    assert set(ds.land_cover_worldcover.values.tolist()) == {40}
    assert ds.climate.values.tolist() == [3, 3, 3]
    assert set(ds.climate.attrs["flag_values"].tolist()) >= {1, 3}


def test_requests_and_licences_are_in_the_record(built: Built) -> None:
    steps = {s.get("source"): s for s in json.loads(built.ds.attrs["history"]) if s.get("source")}
    assert {"copernicus-dem", "soilgrids", "worldcover", "koppen-geiger"} <= set(steps)
    made = sum(path.startswith("/dem") for path in built.requests)
    assert steps["copernicus-dem"]["requests"] == made and steps["copernicus-dem"]["files"] == 2
    assert f"copernicus-dem: {made} requests" in built.output
    listed = {
        n: check_availability(n, built.sources) for n in ("copernicus-dem", "soilgrids", "koppen-geiger")
    }
    assert {n: a.files for n, a in listed.items()} == {
        "copernicus-dem": 2,
        "soilgrids": 8,
        "koppen-geiger": 1,
    }
    licence = built.ds.attrs["license"]
    assert "CC BY 4.0" in licence and "Copernicus DEM licence" in licence


def test_a_rerun_needs_no_server(server: Server, folder: Path, built: Built) -> None:
    shutil.copytree(built.sources, folder / "src")
    build(server, *ALL)
    xr.testing.assert_equal(opened().drop_attrs(), built.ds.drop_attrs())
    build(server, "--attribute", "copernicus-dem:elevation_30m,aspect", "--offline", out="more.nc")
    assert not server.requests  # other variables of the same windows


def test_offline_without_the_windows(server: Server, folder: Path) -> None:
    missing = build(server, "--attribute", "soilgrids:clay_0_5cm", "--offline")
    assert missing.startswith("Error: soilgrids") and "Rerun without --offline" in missing
    build(server, "--attribute", "soilgrids:clay_0_5cm")  # the advice works
    np.testing.assert_allclose(opened().clay_0_5cm, 0.35, rtol=1e-5)


def test_a_failing_server_is_named(server: Server, folder: Path) -> None:
    server.faults = {"E035_00_DEM.tif": ["403"]}
    failed = build(server, "--attribute", "copernicus-dem:slope")
    assert (
        "E035_00_DEM.tif: HTTP 403" in failed
        and "1 of 2 windows could not be read; the others are kept" in failed
    )
    assert not Path("my.nc").exists()
    build(server, "--attribute", "copernicus-dem:slope")
    assert float(opened().slope[2]) > 5


def test_a_place_at_sea_is_named(server: Server, folder: Path) -> None:
    """It has no terrain; the other places keep theirs, and history and command say so."""
    Path("sites.csv").write_text("site,lat,lon\neldoret,0.52,35.27\nbuoy,0.5,-30.5\n")
    output = build(server, "--attribute", "copernicus-dem:slope", "--attribute", "koppen-geiger")
    ds = opened()
    assert float(ds.slope[0]) > 5 and np.isnan(ds.slope[1]) and ds.climate.values.tolist() == [3, 0]
    notes = [n for s in json.loads(ds.attrs["history"]) for n in s.get("notes", [])]
    assert any(n.startswith("no value at 1 of 2 sites (buoy): the sea") for n in notes)
    assert "no value at 1 of 2 sites (buoy): the sea" in " ".join(output.split())


PULL = """
import sys
from pathlib import Path
import numpy as np
from gsm3core.catalog import source_entry
from gsm3core.download.points import pull_points
from gsm3core.readers.points import Points
points = Points(np.array(["a", "b"]), np.array([-1.25, 0.52]), np.array([36.74, 35.27]))
pull_points(source_entry("soilgrids"), points, Path(sys.argv[1]), url=sys.argv[2])
"""


def test_killed_and_resumed(server: Server, folder: Path, built: Built) -> None:
    """A download killed in the middle continues in a build; no finished window is requested again."""
    server.faults, server.stall = {"silt_15-30cm_mean_1000.tif": ["stall"]}, 30.0
    into = folder / "src" / "soilgrids"
    manifest = into / "manifest.jsonl"  # a window counts as finished when it is listed
    process = subprocess.Popen([sys.executable, "-c", PULL, str(into), f"{server.url}/soil"])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (
        not any("silt_15-30cm" in path for path, _ in server.requests)
        or not manifest.is_file()
        or manifest.read_text().count('"path": "sand_') < 2
    ):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    server.stall = 0.1
    sand = [r for r in server.requests if "/sand/" in r[0]]
    build(server, *ALL)
    assert [r for r in server.requests if "/sand/" in r[0]] == sand and len(sand) >= 3
    xr.testing.assert_equal(opened().drop_attrs(), built.ds.drop_attrs())
