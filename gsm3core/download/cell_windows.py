"""Windows of public rasters around the sites: one small GeoTIFF for each 9 km cell, read over HTTP without an account."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import rasterio
from numpy.typing import NDArray
from rasterio.io import MemoryFile
from rasterio.transform import Affine

from gsm3core.download.fetch import (
    Fetcher,
    FetchResult,
    IncompleteDownloadError,
    ProgressCallback,
    RetryPolicy,
    write_problem,
)
from gsm3core.download.manifest import Manifest
from gsm3core.download.remote_raster import MissingRasterError, RemoteRaster
from gsm3core.errors import DatasetError
from gsm3core.files import sha256
from gsm3core.readers.cell_rasters import ABSENT_TAG, window_path

_SHOWN = 5
_FAILURES_TO_STOP = 8  # windows in a row: the server is down or limits the requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Pixels around one cell, as they are stored: ``(row, column)``, their transform, and tags of the file."""

    values: NDArray[Any]
    transform: Affine
    crs: Any
    nodata: float | None
    tags: dict[str, str] = field(default_factory=dict)


class Rasters:
    """The rasters of one server that a task reads: each is opened once; a file that the server lacks is None."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._opened: dict[str, RemoteRaster | None] = {}
        self._failed: dict[str, DatasetError] = {}
        self.urls: dict[str, None] = {}
        self.absent: dict[str, None] = {}

    def open(self, url: str) -> RemoteRaster | None:
        """Return a raster; None if the server has no such file. A raster that cannot be opened is not tried again."""
        self.urls[url] = None
        if url in self._failed:
            raise self._failed[url]
        if url not in self._opened:
            raster = RemoteRaster(self._fetcher, url)
            self._opened[url] = raster
            try:
                _ = raster.place
            except MissingRasterError:
                raster.close()
                self._opened[url] = None
            except DatasetError as error:
                self._failed[url] = error
                raise
        found = self._opened[url]
        if found is None:
            self.absent[url] = None
        return found

    @property
    def counts(self) -> tuple[int, int, int]:
        """Requests, retries and bytes so far."""
        used = [r for r in self._opened.values() if r is not None]
        absent = len(self._opened) - len(used)
        return (
            sum(r.requests for r in used) + absent,
            sum(r.retries for r in used),
            sum(r.bytes for r in used),
        )

    def close(self) -> None:
        """Delete the temporary files."""
        for raster in self._opened.values():
            if raster is not None:
                raster.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRequest:
    """One window to read: its cell and layer, the raster it lies in, and how it is read."""

    cell: int
    layer: str
    group: str  # requests with the same text share their open rasters
    read: Callable[[Rasters], Window]

    @property
    def path(self) -> str:
        """File below the folder of the source."""
        return window_path(self.cell, self.layer)


def pull_windows(
    requests: Iterable[WindowRequest], root: Path, *, policy: RetryPolicy, on_progress: ProgressCallback | None
) -> FetchResult:  # fmt: skip
    """Read windows that the folder lacks; a file is complete or absent and listed in the manifest.

    Parameters
    ----------
    on_progress
        Called after every window; it raises to cancel.

    Raises
    ------
    DatasetError
        If the folder cannot be written to; :class:`IncompleteDownloadError` if windows cannot be read. The others are
        kept.
    """
    requests, root, tally = list(requests), Path(root), _Tally()
    outcomes: SimpleQueue[_Outcome | None] = SimpleQueue()  # None when a group is finished
    stop = threading.Event()

    def work(group: Sequence[WindowRequest]) -> None:
        rasters = Rasters(fetcher)
        try:
            for request in group:
                if stop.is_set():
                    break
                outcome = "replaced" if fetcher.manifest.get(request.path) else "new"
                try:
                    outcomes.put(_Outcome(request.path, outcome, _read_one(request, rasters, root)))
                except DatasetError as error:
                    outcomes.put(_Outcome(request.path, problem=f"{request.path}: {error}"))
        finally:
            rasters.close()
            outcomes.put(None)

    with Fetcher(root, policy) as fetcher:

        def finish(one: _Outcome) -> None:
            tally.add(one, fetcher.manifest)
            if tally.in_a_row >= _FAILURES_TO_STOP:
                stop.set()
            if on_progress:
                on_progress(tally.done, len(requests), tally.result.bytes, one.path)

        groups: dict[str, list[WindowRequest]] = {}
        for request in requests:
            if _is_intact(fetcher, root, request.path):
                finish(_Outcome(request.path, "kept"))
            else:
                groups.setdefault(request.group, []).append(request)
        pool = ThreadPoolExecutor(policy.jobs)
        try:
            running = [pool.submit(work, group) for group in groups.values()]
            for _ in running:
                while (one := outcomes.get()) is not None:
                    finish(one)
            for future in running:
                future.result()
        except OSError as error:
            raise DatasetError(write_problem(root, error)) from error
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
            while not outcomes.empty():  # after a cancellation: what the workers had still finished
                if (one := outcomes.get()) is not None:
                    tally.add(one, fetcher.manifest)
    tally.check(len(requests))
    return tally.result


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of one window: a list of :class:`FetchResult` and the entry of the manifest, or what went wrong."""

    path: str
    kind: str = ""
    entry: dict[str, Any] | None = None
    problem: str = ""


@dataclass(slots=True)
class _Tally:
    """Sums over the windows so far."""

    result: FetchResult = field(default_factory=FetchResult)
    failed: dict[str, str] = field(default_factory=dict)
    done: int = 0
    in_a_row: int = 0  # failures since the last success

    def add(self, one: _Outcome, manifest: Manifest) -> None:
        self.done += 1
        if one.problem:
            self.failed[one.path] = one.problem
            self.in_a_row += 1
            return
        self.in_a_row = 0
        getattr(self.result, one.kind).append(one.path)
        if one.entry is not None:
            manifest.add(one.path, one.entry)
            self.result.bytes += one.entry["bytes_received"]
            self.result.retries += one.entry["retries"]
            self.result.parts += one.entry["requests"] - one.entry["retries"] - 1

    def check(self, total: int) -> None:
        """Raise if windows failed."""
        if not self.failed:
            return
        reasons = list(dict.fromkeys(self.failed[path] for path in sorted(self.failed)))
        shown = "\n".join(f"  - {text}" for text in reasons[:_SHOWN])
        others = total - self.done
        raise IncompleteDownloadError(
            f"{len(self.failed)} of {total} windows could not be read"
            + (f" and {others} were not requested after that" if others else "")
            + f"; the others are kept. Fix this and rerun the command:\n{shown}"
            + ("\n  ..." if len(reasons) > _SHOWN else ""),
            self.result,
        )


def _is_intact(fetcher: Fetcher, root: Path, path: str) -> bool:
    known, target = fetcher.manifest.get(path), root / path
    return known is not None and target.is_file() and sha256(target) == known["sha256"]


def _read_one(request: WindowRequest, rasters: Rasters, root: Path) -> dict[str, Any]:
    """Read one window, store it, and return its entry of the manifest."""
    before = rasters.counts
    rasters.urls.clear()
    rasters.absent.clear()
    window = request.read(rasters)
    target = root / request.path
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    try:
        absent = ", ".join(url.rsplit("/", 1)[-1] for url in rasters.absent)
        _write(window, window.tags | ({ABSENT_TAG: absent} if absent else {}), part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    made = [after - b for after, b in zip(rasters.counts, before, strict=True)]
    urls = list(rasters.urls)
    return {
        "url": urls[0], "urls": urls, "sha256": sha256(target), "bytes": target.stat().st_size, "requests": made[0],
        "retries": made[1], "bytes_received": made[2],
    }  # fmt: skip


def _write(window: Window, tags: dict[str, str], path: Path) -> None:
    """Write through memory: GDAL does not report a disk that is full when it closes a file."""
    rows, columns = window.values.shape
    predictor = 3 if window.values.dtype.kind == "f" else 2
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"), MemoryFile() as memory:
        with memory.open(
            driver="GTiff", height=rows, width=columns, count=1, dtype=window.values.dtype, crs=window.crs,
            transform=window.transform, nodata=window.nodata, compress="deflate", predictor=predictor,
        ) as out:  # fmt: skip
            out.write(window.values, 1)
            out.update_tags(**tags)
        path.write_bytes(memory.read())
