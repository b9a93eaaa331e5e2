"""Requests for the time series that a folder lacks: whole years of a service's cells, each requested once."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gsm3core.catalog import SourceEntry
from gsm3core.config import Period
from gsm3core.download.fetch import Fetcher, FetchResult, ProgressCallback, RemoteFile, RetryPolicy
from gsm3core.download.manifest import Manifest
from gsm3core.errors import DatasetError
from gsm3core.files import sha256
from gsm3core.readers.point_files import Cell, SeriesFile, series_files, series_name

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesService:
    """How a service gives time series.

    Parameters
    ----------
    address
        Returns the URL of a request for a cell, days and variables (names of the source).
    variables
        Returns the variables in a file.
    check
        Returns what is wrong with a downloaded file, given its variables and days, or an empty text.
    reason
        Returns the service's explanation from the body of an error response.
    years
        Most years of a request.
    latency
        Days after which values are final enough to be kept; later ones are requested again on another day.
    """

    address: Callable[[Cell, Period, Sequence[str]], str]
    variables: Callable[[Path], Sequence[str]]
    check: Callable[[Path, Sequence[str], Period], str]
    reason: Callable[[bytes], str]
    years: int
    latency: int


def pull_series(
    entry: SourceEntry,
    cells: Sequence[Cell],
    root: Path,
    *,
    period: Period | None,
    variables: Sequence[str],
    service: SeriesService,
    policy: RetryPolicy,
    on_progress: ProgressCallback | None = None,
) -> FetchResult:
    """Download the years and variables that the files of some cells lack.

    Parameters
    ----------
    cells
        Latitude and longitude of the requests; each is requested once.
    period
        UTC days. Requests are for whole calendar years, up to yesterday.
    variables
        Names of the source.

    Returns
    -------
    FetchResult
        ``kept``: files that had been downloaded before, intact.

    Raises
    ------
    DatasetError
        If the period is outside the source's, or requests fail; complete files are kept.
    """
    if period is None:
        raise DatasetError(f"{entry.name} has daily values: give the period (--days).")
    yesterday = today() - _DAY
    first, last = entry.start or period.start, min(entry.end or yesterday, yesterday)
    if period.start < first or period.end > last:
        inside = max(period.start, first), min(period.end, last)
        advice = (
            f"Choose other days, such as --days {inside[0]}:{inside[1]}." if inside[0] <= inside[1] else ""
        )
        raise DatasetError(
            f"{entry.name} has values from {first} to {last}; the period is {period.start} to {period.end}. {advice}".strip()
        )
    manifest = Manifest(root)
    known = series_files(entry, root)
    tag = hashlib.sha256(",".join(sorted(variables)).encode()).hexdigest()[:6]
    wanted: dict[str, tuple[RemoteFile, Period, Sequence[str]]] = {}
    kept: list[str] = []
    for cell in dict.fromkeys(cells):
        have = _Coverage(manifest, known.get(cell, []), service)
        kept += [f.path.name for f in have.intact]
        requests = [(have.variables_of(f), f.days) for f in have.damaged]
        requests += [
            (variables, days) for days in _missing_years(have, period, variables, first, last, service.years)
        ]
        for names, days in requests:
            label = tag if names is variables else have.tag_of(names)
            path = series_name(entry.name, cell, days, label)
            notes = {"variables": sorted(names), "first": str(days.start), "last": str(days.end)}
            remote = RemoteFile(service.address(cell, days, sorted(names)), path, notes)
            wanted[path] = (remote, days, sorted(names))

    def check(part: Path) -> str:
        _, days, names = wanted[part.name.removesuffix(".part")]
        return service.check(part, names, days)

    if not wanted:
        return FetchResult(kept=sorted(set(kept)))
    root.mkdir(parents=True, exist_ok=True)
    with Fetcher(root, policy, check, service.reason) as fetcher:
        # A year whose last days were not final has its old name: it is requested although its file is intact.
        result = fetcher.fetch([w[0] for w in wanted.values()], refresh=True, on_progress=on_progress)
    if result.missing:
        raise DatasetError(
            f"{entry.name}: the server has no such address ({wanted[result.missing[0]][0].url}). Check the address."
        )
    result.kept = sorted({*result.kept, *kept} - {*result.new, *result.replaced})
    return result


def today() -> dt.date:
    """Return the current UTC day."""
    return dt.datetime.now(dt.UTC).date()


class _Coverage:
    """The days that the intact files of a cell cover, by variable."""

    def __init__(self, manifest: Manifest, files: Sequence[SeriesFile], service: SeriesService) -> None:
        self.intact: list[SeriesFile] = []
        self.damaged: list[SeriesFile] = []
        self._variables: Mapping[Path, Sequence[str]] = {}
        self._spans: dict[str, list[tuple[dt.date, dt.date]]] = {}
        found: dict[Path, Sequence[str]] = {}
        for file in files:
            entry = manifest.get(file.path.name)
            names: Sequence[str] = list((entry or {}).get("variables", ()))
            if entry is not None and sha256(file.path) != entry["sha256"]:
                if names:
                    found[file.path] = names
                    self.damaged.append(file)
                continue
            if not names:
                try:
                    names = service.variables(file.path)
                except DatasetError:
                    continue
            found[file.path] = names
            self.intact.append(file)
            end = file.days.end
            fetched = _date((entry or {}).get("fetched", ""))
            if fetched is not None and fetched < today():
                end = min(end, fetched - dt.timedelta(days=service.latency))
            for name in names:
                self._spans.setdefault(name, []).append((file.days.start, end))
        self._variables = found

    def variables_of(self, file: SeriesFile) -> Sequence[str]:
        return self._variables[file.path]

    def tag_of(self, names: Sequence[str]) -> str:
        return hashlib.sha256(",".join(sorted(names)).encode()).hexdigest()[:6]

    def covers(self, first: dt.date, last: dt.date, variables: Sequence[str]) -> bool:
        """Return whether the files have all these days of all these variables."""
        for name in variables:
            day = first
            for start, end in sorted(self._spans.get(name, [])):
                if start <= day <= end:
                    day = end + _DAY
            if day <= last:
                return False
        return True


def _missing_years(
    have: _Coverage,
    period: Period,
    variables: Sequence[str],
    first: dt.date,
    last: dt.date,
    most: int,
) -> Iterator[Period]:
    """Return the whole years to request, consecutive ones together, within the source's own days."""
    years = [
        year
        for year in range(period.start.year, period.end.year + 1)
        if not have.covers(
            max(period.start, dt.date(year, 1, 1)), min(period.end, dt.date(year, 12, 31)), variables
        )
    ]
    runs: list[list[int]] = []
    for year in years:
        if runs and year == runs[-1][-1] + 1 and len(runs[-1]) < most:
            runs[-1].append(year)
        else:
            runs.append([year])
    for run in runs:
        yield Period(start=max(dt.date(run[0], 1, 1), first), end=min(dt.date(run[-1], 12, 31), last))


def _date(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(str(text)[:10])
    except ValueError:
        return None


def missing_labels(found: int, days: Period, per_day: int) -> str:
    """Return what is wrong with the number of values of a response, or an empty text."""
    expected = ((days.end - days.start).days + 1) * per_day
    return "" if found == expected else f"{found} of {expected} values for {days.start} to {days.end}"
