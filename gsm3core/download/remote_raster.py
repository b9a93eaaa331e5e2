"""GeoTIFFs on a web server of which only the bytes of a window are downloaded (HTTP range requests)."""

from __future__ import annotations

import struct
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import rasterio
import requests
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window

from gsm3core.download.fetch import Fetcher, failure_reason, write_problem
from gsm3core.errors import DatasetError

_PAGE = 1 << 14  # bytes; the smallest part of a file that is requested
_FIRST_PAGES = 2  # of a cloud-optimised GeoTIFF, with its directories
_GAP_PAGES = 4  # parts this near to each other are one request
_MOST_DIRECTORIES = 64
_LONGEST_WAIT = 60.0  # seconds between two attempts
_TYPE_BYTES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_WIDTH, _HEIGHT, _ROWS_PER_STRIP, _SAMPLES, _PLANAR = 256, 257, 278, 277, 284
_STRIP_OFFSETS, _STRIP_BYTES, _TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES = (
    273,
    279,
    322,
    323,
    324,
    325,
)
_INTEGERS = {1: "B", 3: "H", 4: "L", 16: "Q"}


class MissingRasterError(DatasetError):
    """The server has no such file (HTTP 404 or 410)."""


class _RetryLater(Exception):  # noqa: N818
    """The answer is incomplete, or the server limits the requests: the next attempt may succeed."""

    def __init__(self, problem: str, wait: float | None = None) -> None:
        super().__init__(problem)
        self.wait = wait


class Georeference(NamedTuple):
    """Place and type of a raster: its upper left corner, pixel size (positive), size, coordinates and fill value."""

    west: float
    north: float
    pixel: tuple[float, float]  # along y and x
    shape: tuple[int, int]
    crs: Any
    nodata: float | None
    dtype: str


class RemoteRaster:
    """One GeoTIFF on a web server.

    The needed parts are written to a sparse temporary file, which rasterio opens: GDAL itself makes no request, so that
    retries, waiting times and limits are those of :class:`gsm3core.download.fetch.RetryPolicy`.

    Parameters
    ----------
    fetcher
        Its session and limits are used.
    url
        Address of the file.

    Raises
    ------
    DatasetError
        From the methods, naming the URL: :class:`MissingRasterError` if the server has no such file; if it does not
        answer, the file changes meanwhile, or is no GeoTIFF.

    Notes
    -----
    TIFF 6.0 and BigTIFF directories (https://www.awaresystems.be/imaging/tiff/bigtiff.html), and the layout of
    cloud-optimised GeoTIFFs (OGC 21-026).
    """

    def __init__(self, fetcher: Fetcher, url: str) -> None:
        self.url, self._fetcher = url, fetcher
        self.requests = self.retries = self.bytes = 0
        self._file = tempfile.NamedTemporaryFile(suffix=".tif")  # noqa: SIM115
        self._present: set[int] = set()
        self._size: int | None = None
        self._tag: str | None = None
        self._directory: dict[int, list[int]] = {}
        self._place: Georeference | None = None

    def close(self) -> None:
        """Delete the temporary file."""
        self._file.close()

    @property
    def place(self) -> Georeference:
        """Place and type of the raster."""
        if self._place is None:
            self._read_directories()
            with self._opened() as ds:
                if ds.count != 1 or ds.scales[0] != 1 or ds.offsets[0] != 0:
                    raise DatasetError(
                        f"{self.url} has {ds.count} band(s), scale {ds.scales[0]:g} and offset {ds.offsets[0]:g}; "
                        "expected one band without scale and offset. Check the address."
                    )
                t = ds.transform
                if t.b or t.d or t.a <= 0 or t.e >= 0 or ds.crs is None:
                    raise DatasetError(
                        f"{self.url} has the transform {tuple(t)[:6]} and the coordinate system {ds.crs}; expected a raster "
                        "with its north up. Check the address."
                    )
                self._place = Georeference(
                    t.c, t.f, (-t.e, t.a), (ds.height, ds.width), ds.crs, ds.nodata, ds.dtypes[0]
                )
        return self._place

    def read(self, rows: tuple[int, int], columns: tuple[int, int]) -> NDArray[Any]:
        """Return the pixels of a window.

        Parameters
        ----------
        rows, columns
            First pixel and the one after the last, within the raster.
        """
        _ = self.place
        self._need(self._blocks(rows, columns))
        with self._opened() as ds:
            window = Window(columns[0], rows[0], columns[1] - columns[0], rows[1] - rows[0])
            try:
                return np.asarray(ds.read(1, window=window))
            except RasterioError as error:
                raise DatasetError(
                    f"{self.url} cannot be decoded at rows {rows[0]} to {rows[1] - 1}, columns {columns[0]} to {columns[1] - 1}: "
                    f"{error.__cause__ or error}. The file is damaged on the server: try later."
                ) from error

    def _opened(self) -> Any:
        """Return the sparse file, opened without a search for files beside it."""
        self._file.flush()
        try:
            with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"):
                return rasterio.open(self._file.name, driver="GTiff")
        except RasterioError as error:
            raise DatasetError(
                f"{self.url} cannot be read as a GeoTIFF: {error}. Check the address."
            ) from error

    def _read_directories(self) -> None:
        """Download all directories; keep the blocks' places of the first one, the full resolution."""
        try:
            self._need([(0, _FIRST_PAGES * _PAGE)])
            head = self._bytes(0, 16)
            order = {b"II": "<", b"MM": ">"}[head[:2]]
            big = {42: False, 43: True}[struct.unpack(order + "H", head[2:4])[0]]
            number, entry = ("Q", 20) if big else ("H", 12)
            pointer = "Q" if big else "L"
            offset = struct.unpack_from(order + pointer, head, 8 if big else 4)[0]
            for k in range(_MOST_DIRECTORIES):
                if not offset:
                    break
                start = offset + struct.calcsize(number)
                count = struct.unpack(order + number, self._bytes(offset, struct.calcsize(number)))[0]
                size = struct.calcsize("=" + pointer)
                table = self._bytes(start, count * entry + size)
                for n in range(count):
                    self._read_entry(table[n * entry : (n + 1) * entry], order, pointer, keep=k == 0)
                offset = struct.unpack_from(order + pointer, table, count * entry)[0]
        except (KeyError, struct.error) as error:
            start_of_file = self._start()
            raise DatasetError(
                f"{self.url} is not a TIFF; it begins with {start_of_file!r}. Check the address; it may be an error page."
            ) from error

    def _read_entry(self, entry: bytes, order: str, pointer: str, *, keep: bool) -> None:
        tag, kind = struct.unpack_from(order + "HH", entry)
        count = struct.unpack_from(order + pointer, entry, 4)[0]
        size = struct.calcsize("=" + pointer)
        inline = entry[4 + size :]
        length = _TYPE_BYTES.get(kind, 1) * count
        content = inline[:length]
        if length > size:
            content = self._bytes(struct.unpack(order + pointer, inline)[0], length)
        if keep and kind in _INTEGERS:
            self._directory[tag] = list(struct.unpack(f"{order}{count}{_INTEGERS[kind]}", content))

    def _blocks(self, rows: tuple[int, int], columns: tuple[int, int]) -> Iterator[tuple[int, int]]:
        """Yield offset and length of the blocks (tiles or strips) of a window."""
        d = self._directory
        width, height = d[_WIDTH][0], d[_HEIGHT][0]
        if _TILE_WIDTH in d:
            across, down = d[_TILE_WIDTH][0], d[_TILE_HEIGHT][0]
            offsets, lengths = d[_TILE_OFFSETS], d[_TILE_BYTES]
        else:
            across, down = width, min(height, d.get(_ROWS_PER_STRIP, [height])[0])
            offsets, lengths = d[_STRIP_OFFSETS], d[_STRIP_BYTES]
        per_row = -(-width // across)
        for i in range(rows[0] // down, (rows[1] - 1) // down + 1):
            for j in range(columns[0] // across, (columns[1] - 1) // across + 1):
                k = i * per_row + j
                if lengths[k]:  # an absent block holds only the fill value
                    # GDAL's cloud-optimised files have four bytes before and after each block.
                    yield max(0, offsets[k] - 4), lengths[k] + 8

    def _start(self) -> str:
        self._file.seek(0)
        return self._file.read(30).decode("latin-1").strip("\0")

    def _bytes(self, offset: int, length: int) -> bytes:
        self._need([(offset, length)])
        self._file.seek(offset)
        found = self._file.read(length)
        if len(found) != length:
            raise struct.error(f"{length} bytes at {offset} lie beyond the end of the file")
        return found

    def _need(self, parts: Iterable[tuple[int, int]]) -> None:
        """Download the pages of some parts of the file that are not there, neighbouring ones together."""
        wanted: set[int] = set()
        for offset, length in parts:
            end = offset + length if self._size is None else min(offset + length, self._size)
            wanted.update(range(offset // _PAGE, -(-end // _PAGE)))
        runs: list[list[int]] = []
        for page in sorted(wanted - self._present):
            if runs and page - runs[-1][1] <= _GAP_PAGES:
                runs[-1][1] = page
            else:
                runs.append([page, page])
        for first, last in runs:
            if not set(range(first, last + 1)) <= self._present:
                self._download(first, last)

    def _download(self, first: int, last: int) -> None:
        """Write pages to the sparse file; repeated while the body arrives incomplete or the server limits requests."""
        policy, again = self._fetcher.policy, _RetryLater("")
        for failures in range(policy.attempts):
            if failures:
                self.retries += 1
                wait = policy.backoff * 2 ** (failures - 1) if again.wait is None else again.wait
                time.sleep(min(_LONGEST_WAIT, wait))
            try:
                start, body, whole = self._attempt(first * _PAGE, (last + 1) * _PAGE - 1)
            except _RetryLater as error:
                again = error
                continue
            self._store(start, body)
            assert self._size is not None
            self._present.update(range(-(-self._size // _PAGE)) if whole else range(first, last + 1))
            return
        raise DatasetError(f"{self.url}: {again} ({policy.attempts} attempts). Try later.")

    def _store(self, start: int, body: bytes) -> None:
        """Write bytes to the sparse file."""
        assert self._size is not None
        try:
            self._file.seek(start)
            self._file.write(body)
            if self._file.seek(0, 2) < self._size:
                self._file.truncate(self._size)
            self._file.flush()
        except OSError as error:
            advice = " TMPDIR names another folder for temporary files."
            raise DatasetError(write_problem(Path(self._file.name).parent, error) + advice) from error

    def _attempt(self, first: int, last: int) -> tuple[int, bytes, bool]:
        """Return the offset and the bytes of an answer, and whether it is the whole file."""
        policy = self._fetcher.policy
        self.requests += 1
        try:
            response = self._fetcher.get(self.url, {"Range": f"bytes={first}-{last}"})
        except requests.RequestException as error:
            reason = failure_reason(error)
            raise DatasetError(
                f"{self.url}: {reason} ({policy.attempts} attempts). Check the connection and the address."
            ) from error
        with response:
            history = len(response.raw.retries.history)
            self.requests, self.retries = self.requests + history, self.retries + history
            self._check_status(response)
            whole = response.status_code == requests.codes.ok
            span, _, total = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
            size = response.headers.get("Content-Length", "") if whole else total
            if whole and size.isdigit() and int(size) > policy.max_bytes:
                raise DatasetError(
                    f"{self.url} has {int(size):,} bytes and the server sends no parts of it; the limit of a file is "
                    f"{policy.max_bytes:,}. Use a server that supports range requests."
                )
            body = bytearray()
            try:
                for block in response.iter_content(1 << 16):
                    body += block
            except requests.RequestException as error:
                raise _RetryLater(failure_reason(error)) from error
        self.bytes += len(body)
        if whole and not size.isdigit():
            size = str(len(body))
        if not size.isdigit() or not (whole or span.startswith(f"{first}-")):
            raise _RetryLater(
                f"the server sent {span or 'nothing'} of {total or 'the file'} for bytes {first}-{last}"
            )
        expected = int(size) if whole else min(last, int(size) - 1) - first + 1
        if len(body) != expected:
            raise _RetryLater(f"{len(body):,} of {expected:,} bytes received")
        tag = response.headers.get("ETag") or response.headers.get("Last-Modified")
        if self._size not in (None, int(size)) or (self._tag and tag != self._tag):
            raise DatasetError(f"{self.url} changed while it was read. Rerun the command.")
        self._size, self._tag = int(size), tag
        return 0 if whole else first, bytes(body), whole

    def _check_status(self, response: requests.Response) -> None:
        code = response.status_code
        problem = f"{self.url}: HTTP {code} {response.reason}"
        if code in (404, 410):
            raise MissingRasterError(f"{problem}. Check the address.")
        if code == requests.codes.too_many_requests:
            seconds = response.headers.get("Retry-After", "")
            raise _RetryLater(f"HTTP {code} {response.reason}", float(seconds) if seconds.isdigit() else None)
        if code in (500, 502, 503, 504):
            attempts = self._fetcher.policy.attempts
            raise DatasetError(
                f"{problem} ({attempts} attempts). The server is overloaded or down: try later."
            )
        if code not in (requests.codes.ok, requests.codes.partial_content):
            raise DatasetError(f"{problem}. Check the address; the server may require an account.")
