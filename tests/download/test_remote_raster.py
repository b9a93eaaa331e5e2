"""Windows of GeoTIFFs over HTTP: the same pixels as from the file, few bytes, and every fault of a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.io import MemoryFile
from rasterio.shutil import copy
from rasterio.transform import Affine

from gsm3core.download.fetch import Fetcher, RetryPolicy
from gsm3core.download.remote_raster import MissingRasterError, RemoteRaster
from gsm3core.errors import DatasetError
from support.raster_server import Server, serve

QUICK = RetryPolicy(timeout=0.3, attempts=3, backoff=0.01)
ROWS, COLUMNS = 700, 900


def values(dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(1).integers(0, 200, (ROWS, COLUMNS)).astype(dtype)


def write(path: Path, array: np.ndarray, **options: object) -> None:
    """Write a raster; a cloud-optimised one with overviews by default."""
    profile = {"height": ROWS, "width": COLUMNS, "count": 1, "dtype": array.dtype, "crs": "EPSG:4326",
               "transform": Affine(0.01, 0, 30, 0, -0.01, 10)}  # fmt: skip
    driver = options.pop("driver", "COG")
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", **profile) as out:
            out.write(array, 1)
        options = options or {"blocksize": 256, "compress": "deflate"}
        with memory.open() as opened:
            copy(opened, path, driver=driver, **options)


@contextmanager
def remote(folder: Path, policy: RetryPolicy = QUICK) -> Iterator[tuple[Server, RemoteRaster]]:
    with serve(folder) as server, Fetcher(folder / "into", policy) as fetcher:
        raster = RemoteRaster(fetcher, f"{server.url}/a.tif")
        try:
            yield server, raster
        finally:
            raster.close()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"driver": "COG", "blocksize": 128, "compress": "lzw", "BIGTIFF": "YES"},
        {"driver": "GTiff", "compress": "deflate", "tiled": True, "blockxsize": 64, "blockysize": 64},
        {"driver": "GTiff", "blockysize": 3, "compress": "lzw"},  # strips of whole rows
        {"driver": "GTiff"},  # not compressed
        {"driver": "GTiff", "compress": "deflate", "ENDIANNESS": "BIG", "BIGTIFF": "YES"},
    ],
    ids=["COG", "big COG", "tiles", "strips", "plain", "big endian"],
)
@pytest.mark.parametrize("window", [((0, 5), (0, 7)), ((250, 300), (120, 700)), ((699, 700), (899, 900))])
def test_the_pixels_of_a_window(
    tmp_path: Path, options: dict[str, object], window: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    array = values()
    write(tmp_path / "a.tif", array, **dict(options))
    with remote(tmp_path) as (server, raster):
        found = raster.read(*window)
        np.testing.assert_array_equal(found, array[slice(*window[0]), slice(*window[1])])
        assert raster.requests == len(server.requests) and raster.bytes == server.sent
        assert raster.place.shape == (ROWS, COLUMNS)
        assert (raster.place.west, raster.place.north) == (30, 10)
        before = len(server.requests)
        raster.read(*window)
        assert len(server.requests) == before  # the blocks are there


def test_only_the_needed_blocks_are_requested(tmp_path: Path) -> None:
    array = (
        np.random.default_rng(1).normal(0, 1, (ROWS, COLUMNS)).astype("float32")
    )  # does not compress: 2.5 MB
    write(tmp_path / "a.tif", array)
    size = (tmp_path / "a.tif").stat().st_size
    with remote(tmp_path) as (server, raster):
        np.testing.assert_array_equal(raster.read((300, 310), (300, 310)), array[300:310, 300:310])
        assert size > 2_000_000 and server.sent < 400_000
        assert len(server.requests) <= 3
        assert all(span for _, span in server.requests)


def test_a_server_without_range_requests(tmp_path: Path) -> None:
    array = values("uint8")
    write(tmp_path / "a.tif", array)
    with remote(tmp_path) as (server, raster):
        server.ranges = False
        np.testing.assert_array_equal(raster.read((10, 20), (10, 20)), array[10:20, 10:20])
        assert len(server.requests) == 1
    small = RetryPolicy(attempts=2, max_bytes=1000)
    with (
        remote(tmp_path, small) as (server, raster),
        pytest.raises(DatasetError, match="sends no parts of it"),
    ):
        server.ranges = False
        raster.read((10, 20), (10, 20))


@pytest.mark.parametrize("fault", ["503", "429", "500", "truncate", "stall"])
def test_passing_faults(tmp_path: Path, fault: str) -> None:
    array = values()
    write(tmp_path / "a.tif", array)
    with remote(tmp_path) as (server, raster):
        server.faults["a.tif"] = (
            [fault] if fault == "429" else [fault, fault]
        )  # a server's Retry-After is a second
        np.testing.assert_array_equal(raster.read((250, 270), (250, 270)), array[250:270, 250:270])
        assert raster.retries == (1 if fault == "429" else 2)
        assert raster.requests == len(server.requests)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("503", r"a\.tif: HTTP 503 .*\(3 attempts\)\. The server is overloaded or down: try later"),
        ("truncate", r"a\.tif: .*(bytes received|closed before the end).*\(3 attempts\)\. Try later"),
        ("stall", r"a\.tif: the connection timed out \(3 attempts\)"),
        ("429", r"a\.tif: HTTP 429 Too Many Requests \(3 attempts\)\. Try later"),
        ("403", r"a\.tif: HTTP 403 .*Check the address; the server may require an account"),
        ("error page", r"a\.tif is not a TIFF; it begins with '<html>Sorry, we are down"),
    ],
)
def test_lasting_faults(tmp_path: Path, fault: str, message: str) -> None:
    write(tmp_path / "a.tif", values())
    with remote(tmp_path) as (server, raster):
        server.faults["a.tif"] = [fault] * 20
        server.retry_after = "0"
        server.stall = 0.5
        with pytest.raises(DatasetError, match=message) as caught:
            raster.read((0, 10), (0, 10))
        assert not isinstance(caught.value, MissingRasterError)


def test_a_missing_file_and_no_server(tmp_path: Path) -> None:
    with remote(tmp_path) as (server, raster), pytest.raises(MissingRasterError, match="HTTP 404"):
        raster.read((0, 1), (0, 1))
    with Fetcher(tmp_path / "into", QUICK) as fetcher:
        gone = RemoteRaster(fetcher, f"{server.url}/a.tif")
        with pytest.raises(DatasetError, match=r"no connection to the server .*Check the connection"):
            gone.read((0, 1), (0, 1))
        gone.close()


def test_a_file_that_changes_meanwhile(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", np.random.default_rng(1).normal(0, 1, (ROWS, COLUMNS)).astype("float32"))
    with remote(tmp_path) as (server, raster):
        _ = raster.place
        server.faults["a.tif"] = ["changed"]
        with pytest.raises(DatasetError, match=r"changed while it was read\. Rerun"):
            raster.read((600, 610), (600, 610))
    with remote(tmp_path) as (_, raster):
        assert raster.read((600, 610), (600, 610)).shape == (10, 10)


def test_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write(path, values())
    content = bytearray(path.read_bytes())
    path.write_bytes(content[:5000])  # ends within the directories or before the blocks
    with remote(tmp_path) as (_, raster), pytest.raises(DatasetError, match=r"a\.tif"):
        raster.read((600, 610), (600, 610))
    content[len(content) // 2 :] = b"\x55" * (len(content) - len(content) // 2)
    path.write_bytes(content)
    with (
        remote(tmp_path) as (_, raster),
        pytest.raises(DatasetError, match=r"cannot be decoded at rows 0 to 699"),
    ):
        raster.read((0, ROWS), (0, COLUMNS))


def test_rasters_with_their_own_scale_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", values("int16"), driver="GTiff")
    with rasterio.open(tmp_path / "a.tif", "r+") as ds:
        ds.scales = (0.1,)
    with (
        remote(tmp_path) as (_, raster),
        pytest.raises(DatasetError, match=r"scale 0\.1 and offset 0; expected one band"),
    ):
        _ = raster.place


def test_gdal_is_left_as_it_was(tmp_path: Path) -> None:
    """No option of GDAL remains set, and none of its own web requests is made."""
    write(tmp_path / "a.tif", values())
    assert not rasterio.env.hasenv()
    with remote(tmp_path) as (server, raster):
        raster.read((0, 10), (0, 10))
        assert not rasterio.env.hasenv()
        assert raster.requests == len(server.requests)
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="FALSE"), remote(tmp_path) as (_, raster):
        raster.read((0, 10), (0, 10))
        assert rasterio.env.getenv()["GDAL_DISABLE_READDIR_ON_OPEN"] == "FALSE"
