"""ERA5 at points from the Climate Data Store: one request for the hourly series of each cell, with a free account."""

from __future__ import annotations

import datetime as dt
import hashlib
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from gsm3core.catalog import SourceEntry
from gsm3core.config import Period
from gsm3core.download.accounts import cds_client
from gsm3core.download.fetch import FetchResult, IncompleteDownloadError, ProgressCallback, RetryPolicy
from gsm3core.download.manifest import Manifest
from gsm3core.errors import DatasetError
from gsm3core.files import sha256
from gsm3core.readers.era5_timeseries import check_place, era5_cells, read_series
from gsm3core.readers.point_files import Cell, SeriesFile, series_files, series_name
from gsm3core.readers.points import Points

REQUEST_NAMES = {
    "t2m": "2m_temperature", "skt": "skin_temperature", "sp": "surface_pressure", "tp": "total_precipitation",
    "ssrd": "surface_solar_radiation_downwards", "strd": "surface_thermal_radiation_downwards",
    "u10": "10m_u_component_of_wind", "v10": "10m_v_component_of_wind",
}  # fmt: skip
"""Name in the files -> name in a request."""
_YEARS = 20  # of a request
_LATENCY = 7  # days after which ERA5 is in the store
_MOST_FAILURES = 3  # one after the other: the account, the licence or the service
_DAY = dt.timedelta(days=1)
_SHOWN = 5


def pull_era5_timeseries(
    entry: SourceEntry,
    points: Points,
    root: Path,
    *,
    period: Period | None,
    variables: Iterable[str],
    url: str,
    policy: RetryPolicy | None,
    on_progress: ProgressCallback | None,
) -> FetchResult:
    """Download the years and variables that the folder lacks; all points in one cell share a request.

    See :class:`gsm3core.download.points.PointPuller`. The package ``cdsapi`` waits and retries by itself, so that
    ``policy`` is not used.

    Notes
    -----
    Data set: https://cds.climate.copernicus.eu/datasets/reanalysis-era5-single-levels-timeseries, which ECMWF calls
    experimental. The store delivers a zip archive of netCDF files; it is stored as received.
    """
    if period is None:
        raise DatasetError(f"{entry.name} has hourly values: give the period (--days).")
    last = dt.datetime.now(dt.UTC).date() - _LATENCY * _DAY
    if period.start < (entry.start or period.start) or period.end > last:
        raise DatasetError(
            f"{entry.name} has values from {entry.start} to {last}; the period is {period.start} to {period.end}."
        )
    names = sorted({entry.variable(x).theirs[0] for x in variables})
    manifest, known = Manifest(root), series_files(entry, root)
    result, todo = FetchResult(), list[tuple[Cell, Period]]()
    for cell in dict.fromkeys(era5_cells(points)):
        intact = [f for f in known.get(cell, []) if _is_intact(manifest, f)]
        result.kept += [f.path.name for f in intact]
        todo += [
            (cell, span)
            for span in _missing(manifest, intact, period, names, entry.start or period.start, last)
        ]
    if not todo:
        return result
    dataset, client = cds_client(entry, url)
    root.mkdir(parents=True, exist_ok=True)
    failed, row = dict[str, str](), 0
    for count, (cell, span) in enumerate(todo, 1):
        name = series_name(entry.name, cell, span, _tag(names)).removesuffix(".json")
        try:
            # Rain and radiation of the last hour have the label 0 h of the next day.
            wider = Period(start=span.start, end=min(span.end + _DAY, last))
            path = _retrieve(client, dataset, root, name, cell, wider, names, manifest)
            result.new.append(path.name)
            result.bytes += path.stat().st_size
            row = 0
        except DatasetError as error:
            failed[name] = str(error)
            row += 1
        if on_progress:
            on_progress(count, len(todo), result.bytes, name)
        if row >= _MOST_FAILURES:
            break
    if failed:
        shown = "\n".join(f"  - {failed[n]}" for n in sorted(failed)[:_SHOWN])
        stopped = f" Stopped after {row} failures one after the other." if row >= _MOST_FAILURES else ""
        raise IncompleteDownloadError(
            f"{len(failed)} of {len(todo)} series of {entry.name} could not be downloaded; the others are kept.{stopped} Fix "
            f"this and rerun the command:\n{shown}" + ("\n  ..." if len(failed) > _SHOWN else ""),
            result,
        )
    return result


def _retrieve(
    client: Any, dataset: str, root: Path, name: str, cell: Cell, span: Period, names: Sequence[str], manifest: Manifest
) -> Path:  # fmt: skip
    """Download, check and store the series of some days."""
    request = {
        "variable": [REQUEST_NAMES[n] for n in names],
        "location": {"longitude": cell[1], "latitude": cell[0]},
        "date": [f"{span.start}/{span.end}"],
        "data_format": "netcdf",
    }
    part = root / f"{name}.part"
    try:
        try:
            client.retrieve(dataset, request, str(part))
        except Exception as error:
            raise DatasetError(f"{name}: the Climate Data Store answers: {error}") from error
        found = read_series(part)
        check_place(part, found, cell)
        if absent := [n for n in names if n not in found]:
            raise DatasetError(f"{name}: the store delivered no {', '.join(absent)}.")
        hours = 24 * ((span.end - span.start).days + 1)
        if found.sizes["time"] != hours:
            raise DatasetError(
                f"{name}: {found.sizes['time']} of {hours} hours for {span.start} to {span.end}."
            )
        target = root / (name + (".zip" if zipfile.is_zipfile(part) else ".nc"))
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    notes = {"dataset": dataset, "request": request, "variables": list(names)}
    manifest.add(target.name, notes | {"sha256": sha256(target), "bytes": target.stat().st_size})
    return target


def _is_intact(manifest: Manifest, file: SeriesFile) -> bool:
    known = manifest.get(file.path.name)
    return known is not None and sha256(file.path) == known["sha256"]


def _missing(
    manifest: Manifest,
    intact: Sequence[SeriesFile],
    period: Period,
    names: Sequence[str],
    first: dt.date,
    last: dt.date,
) -> list[Period]:
    """Return the whole years to request for one cell, consecutive ones together."""
    have: dict[str, set[int]] = {n: set() for n in names}
    for file in intact:
        end = file.days.end
        covered = {
            y
            for y in range(file.days.start.year, end.year + 1)
            if file.days.start <= max(dt.date(y, 1, 1), period.start)
            and min(dt.date(y, 12, 31), period.end) <= end
        }
        for n in (manifest.get(file.path.name) or {}).get("variables", []):
            have.setdefault(n, set()).update(covered)
    years = [y for y in range(period.start.year, period.end.year + 1) if any(y not in have[n] for n in names)]
    runs: list[list[int]] = []
    for year in years:
        if runs and year == runs[-1][-1] + 1 and len(runs[-1]) < _YEARS:
            runs[-1].append(year)
        else:
            runs.append([year])
    return [
        Period(start=max(dt.date(r[0], 1, 1), first), end=min(dt.date(r[-1], 12, 31), last)) for r in runs
    ]


def _tag(names: Sequence[str]) -> str:
    return hashlib.sha256(",".join(names).encode()).hexdigest()[:6]
