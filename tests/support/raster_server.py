"""A loopback web server of rasters that answers range requests, with faults on request, and files in the producers' layouts."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import rasterio
import xarray as xr
from rasterio.transform import Affine
from rasterio.windows import Window

from gsm3core.catalog import source_entry
from gsm3core.download.fetch import FetchResult, RetryPolicy
from gsm3core.download.points import pull_points
from gsm3core.readers import make_point_reader
from gsm3core.readers.points import Points
from support.quiet_server import QuietServer

IGH = "+proj=igh +lat_0=0 +lon_0=0 +datum=WGS84 +units=m +no_defs"
Field = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Server:
    """Files of a folder by their paths, the faults of the next requests, and the requests received."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.url = folder, ""
        self.faults: dict[str, list[str]] = {}  # end of a path -> the faults of its next requests
        self.requests: list[tuple[str, str]] = []  # path, Range
        self.sent = 0
        self.lock = threading.Lock()
        self.ranges = True
        self.stall, self.retry_after = 1.0, "1"

    def fault(self, path: str) -> str:
        with self.lock:
            for end, faults in self.faults.items():
                if path.endswith(end) and faults:
                    return faults.pop(0)
        return ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_state: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        state = self.server_state
        asked = self.headers.get("Range", "")
        with state.lock:
            state.requests.append((self.path, asked))
        with suppress(BrokenPipeError, ConnectionResetError):
            self._answer(state, asked)

    def _answer(self, state: Server, asked: str) -> None:
        fault, file = state.fault(self.path), state.folder / self.path.lstrip("/")
        if fault.isdigit() or not file.is_file():
            code = int(fault) if fault.isdigit() else 404
            self.send_response(code)
            if code == 429:
                self.send_header("Retry-After", state.retry_after)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        size = file.stat().st_size
        span = re.fullmatch(r"bytes=(\d+)-(\d+)", asked) if state.ranges else None
        first, last = (int(span[1]), min(int(span[2]), size - 1)) if span else (0, size - 1)
        with file.open("rb") as opened:
            opened.seek(first)
            body = opened.read(last - first + 1)
        if fault == "error page":
            body = b"<html>Sorry, we are down for maintenance.</html>"
            span, size = None, len(body)
        self.send_response(206 if span else 200)
        if span:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("ETag", '"changed"' if fault == "changed" else f'"{file.stat().st_mtime_ns}"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault in ("truncate", "stall"):
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            if fault == "stall":
                time.sleep(state.stall)
            self.close_connection = True
            return
        with state.lock:
            state.sent += len(body)
        self.wfile.write(body)


@contextmanager
def serve(folder: Path) -> Iterator[Server]:
    state = Server(folder)
    server = QuietServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"server_state": state}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def write_sparse(
    path: Path, shape: tuple[int, int], dtype: str, crs: str, west: float, north: float, dx: float, dy: float,
    field: Field, box: tuple[float, float, float, float], *, nodata: float | None = None, block: int = 1024,
    point: bool = False,
) -> None:  # fmt: skip
    """Write a raster of full size whose pixels within a box (west, south, east, north) are ``field(x, y)`` of their centres.

    Blocks outside the box are not written, as in a sparse file: a tile of the true size takes milliseconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [int((north - box[3]) / dy) // block * block, -(-int((north - box[1]) / dy + 1) // block) * block]
    columns = [int((box[0] - west) / dx) // block * block, -(-int((box[2] - west) / dx + 1) // block) * block]
    rows = [max(0, rows[0]), min(shape[0], rows[1])]
    columns = [max(0, columns[0]), min(shape[1], columns[1])]
    with rasterio.open(
        path, "w", driver="GTiff", height=shape[0], width=shape[1], count=1, dtype=dtype, crs=crs, nodata=nodata,
        transform=Affine(dx, 0, west, 0, -dy, north), tiled=True, blockxsize=block, blockysize=block, compress="deflate",
        predictor=3 if dtype == "float32" else 2, SPARSE_OK=True, ZLEVEL=1,
    ) as out:  # fmt: skip
        out.update_tags(AREA_OR_POINT="Point" if point else "Area")
        x = west + (np.arange(*columns) + 0.5) * dx
        y = north - (np.arange(*rows) + 0.5) * dy
        values = np.broadcast_to(field(x[None, :], y[:, None]), (len(y), len(x))).astype(dtype)
        out.write(values, 1, window=Window(columns[0], rows[0], len(x), len(y)))


def dem_tile(
    folder: Path,
    lat: int,
    lon: int,
    field: Field,
    box: tuple[float, float, float, float],
    *,
    arcsec: float = 1.0,
) -> None:
    """A tile of the Copernicus DEM as on AWS: pixel centres on arcseconds, the last row and column left out."""
    name = f"Copernicus_DSM_COG_10_{'S' if lat < 0 else 'N'}{abs(lat):02d}_00_{'W' if lon < 0 else 'E'}{abs(lon):03d}_00_DEM"
    dx, dy = arcsec / 3600, 1 / 3600
    write_sparse(
        folder / name / f"{name}.tif", (3600, round(3600 / arcsec)), "float32", "EPSG:4326", lon - dx / 2, lat + 1 + dy / 2,
        dx, dy, field, box, block=512, point=True,
    )  # fmt: skip


def worldcover_tile(
    folder: Path, lat: int, lon: int, field: Field, box: tuple[float, float, float, float]
) -> None:
    """A tile of ESA WorldCover 2021: 3 degrees, pixels of 1/12000 degree."""
    corner = f"{'S' if lat < 0 else 'N'}{abs(lat):02d}{'W' if lon < 0 else 'E'}{abs(lon):03d}"
    write_sparse(
        folder / f"ESA_WorldCover_10m_2021_v200_{corner}_Map.tif", (36_000, 36_000), "uint8", "EPSG:4326", lon, lat + 3,
        1 / 12_000, 1 / 12_000, field, box, nodata=0,
    )  # fmt: skip


def soil_map(
    folder: Path, name: str, depth: str, field: Field, box: tuple[float, float, float, float],
    *, nodata: float | None = -32_768,
) -> None:  # fmt: skip
    """A global map of SoilGrids at 1 km in Goode's homolosine projection; ``field`` and ``box`` in its metres."""
    write_sparse(
        folder / name / f"{name}_{depth}_mean_1000.tif", (14_508, 39_812), "int16", IGH, -19_949_750.0, 8_361_000.0, 1000.0,
        1000.0, field, box, nodata=nodata, block=256,
    )  # fmt: skip


QUICK = RetryPolicy(timeout=0.5, attempts=3, backoff=0.01)


def at(*places: tuple[float, float]) -> Points:
    lat, lon = np.array(places, float).T
    return Points(np.array([f"s{k}" for k in range(len(places))]), lat, lon)


def around(points: Points, margin: float = 0.12) -> tuple[float, float, float, float]:
    return (
        points.lon.min() - margin,
        points.lat.min() - 2 * margin,
        points.lon.max() + margin,
        points.lat.max() + 2 * margin,
    )


def pull(name: str, server: Server, points: Points, root: Path, *variables: str) -> FetchResult:
    return pull_points(source_entry(name), points, root, variables=variables, url=server.url, policy=QUICK)


def read(name: str, points: Points, root: Path, *variables: str) -> xr.Dataset:
    reader = make_point_reader(source_entry(name).reader)
    return reader.open(root, points, None, list(variables) or None)
