"""``gsm3 data pull uscrn``: daily files of the U.S. Climate Reference Network from NOAA, without registration."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from gsm3core.catalog import source_entry
from gsm3core.config import Period
from gsm3core.download.fetch import Fetcher, FetchResult, ProgressCallback, RemoteFile, RetryPolicy
from gsm3core.download.manifest import only_download
from gsm3core.errors import DatasetError
from gsm3core.readers.uscrn_daily import FILE_NAME, STATION_TABLE

USCRN = "uscrn-daily"  # name in the catalogue
_FIRST_YEAR = 2000
_MAX_BYTES = 4 << 20  # a year of a station is 80 kB
_LATE = dt.timedelta(days=45)  # values of a year still arrive after its end
_LINK = re.compile(r"""href\s*=\s*["']?([^"'\s>?#]+)""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class StationPull:
    """The downloaded files, the days they span, and the step for the dataset's history."""

    folder: Path
    period: Period
    fetched: FetchResult
    step: dict[str, Any]


def parse_years(text: str, source: str = "USCRN", first_year: int = _FIRST_YEAR) -> list[int]:
    """Return the years of ``2015-2020`` or ``2015,2018``.

    Raises
    ------
    DatasetError
        If the text has another form, or a year is before the source's first year or in the future.
    """
    years: set[int] = set()
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d{4})(?:\s*[-:]\s*(\d{4}))?\s*", part)
        if found is None:
            raise DatasetError(f"invalid years {text!r}; expected 2015-2020, or 2015,2018.")
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise DatasetError(f"invalid years {part.strip()!r}: the last year is before the first.")
        years |= set(range(first, last + 1))
    now = dt.datetime.now(dt.UTC).year
    if wrong := [y for y in sorted(years) if not first_year <= y <= now]:
        raise DatasetError(f"{source} has no data of {wrong[0]}; expected years from {first_year} to {now}.")
    return sorted(years)


def pull_uscrn(
    years: Iterable[int],
    folder: Path,
    *,
    url: str = "",
    policy: RetryPolicy | None = None,
    refresh: bool = False,
    stations: str = "",
    on_progress: ProgressCallback | None = None,
) -> StationPull:
    """Download the daily files of some years, and NOAA's station table for the elevations.

    Parameters
    ----------
    folder
        Files in it that match the manifest's SHA-256 are not downloaded again, except those of a year that was not over
        when they were downloaded.
    url
        Folder of the year folders; the catalogue's by default. The station table is expected one folder above.
    refresh
        Ask whether files with intact copies have changed: NOAA corrects past years, and this year's files grow.
    stations
        Regular expression that a station's name must match (``^CA_``); all by default.
    on_progress
        Called after every file.

    Raises
    ------
    DatasetError
        If a listing or a file cannot be downloaded; the other files are kept.

    Notes
    -----
    NOAA publishes no checksums. Those in the manifest are of the files received: later changes of a local copy are
    detected and the file downloaded again. The first line of a file must have its 28 fields, so that an error page is
    never stored as data.
    """
    years = sorted(set(years))
    base = (url or source_entry(USCRN).access[0].url).rstrip("/")
    if not base.startswith(("https://", "http://")):
        raise DatasetError(f"invalid address {base!r}; expected https:// or http://.")
    wanted = compile_pattern(stations, "^CA_")
    folder, policy = Path(folder), policy or RetryPolicy(max_bytes=_MAX_BYTES)
    with only_download(folder), Fetcher(folder, policy, _check_file) as fetcher:
        files = []
        for year in years:
            names = _listed_files(fetcher.text(f"{base}/{year}/"), year)
            if not names:
                raise DatasetError(
                    f"{base}/{year}/ lists no daily file (CRND0103-{year}-...). Check the address."
                )
            files += [
                RemoteFile(f"{base}/{year}/{name}", f"{year}/{name}")
                for name in names
                if (m := FILE_NAME.match(name)) and wanted.search(m["station"])
            ]
        if not files:
            raise DatasetError(f"no station of {years[0]} to {years[-1]} matches {stations!r}.")
        files.append(RemoteFile(f"{base.rsplit('/', 1)[0]}/{STATION_TABLE}", STATION_TABLE))
        fetched = fetch_years(fetcher, files, refresh=refresh, on_progress=on_progress)
    step = {
        "step": "pull", "url": base, "years": years, "files": len(fetched.available), "new": len(fetched.new),
        "replaced": sorted(fetched.replaced), "not_on_server": sorted(fetched.missing), "retries": fetched.retries,
    }  # fmt: skip
    period = Period(start=dt.date(years[0], 1, 1), end=dt.date(years[-1], 12, 31))
    return StationPull(folder, period, fetched, step)


def fetch_years(
    fetcher: Fetcher, files: Iterable[RemoteFile], *, refresh: bool, on_progress: ProgressCallback | None
) -> FetchResult:
    """Download files ``YEAR/NAME``; request again those whose year was not settled, and those of another request.

    Parameters
    ----------
    refresh
        Request all files again.
    """
    files = list(files)
    again = [f for f in files if refresh or _was_open(fetcher, f) or _differs(fetcher, f)]
    settled = [f for f in files if f not in again]
    fetched, progress = FetchResult(), _Progress(len(files), on_progress)
    for part, anew in ((settled, False), (again, True)):
        if part:
            fetched = fetched.add(fetcher.fetch(part, refresh=anew, on_progress=progress.part))
            progress.done += len(part)
            progress.bytes = fetched.bytes
    return fetched


class _Progress:
    """Adds the files of earlier parts to the counts of the part that is downloaded."""

    def __init__(self, total: int, callback: ProgressCallback | None) -> None:
        self.total, self.callback, self.done, self.bytes = total, callback, 0, 0

    def part(self, done: int, total: int, count: int, path: str) -> None:
        if self.callback:
            self.callback(self.done + done, self.total, self.bytes + count, path)


def _was_open(fetcher: Fetcher, file: RemoteFile) -> bool:
    """Return whether a file was downloaded before its year was settled, and not today."""
    year, known = file.path.partition("/")[0], fetcher.manifest.get(file.path)
    fetched = str((known or {}).get("fetched", ""))[:10]
    if not fetched or not year.isdigit() or fetched == f"{dt.datetime.now(dt.UTC):%Y-%m-%d}":
        return False
    return dt.date.fromisoformat(fetched) <= dt.date(int(year), 12, 31) + _LATE


def _differs(fetcher: Fetcher, file: RemoteFile) -> bool:
    """Return whether a file is the answer of another request, such as before a station got a further sensor."""
    known = fetcher.manifest.get(file.path)
    return known is not None and str(known.get("url", "")).partition("?")[2] != file.url.partition("?")[2]


def compile_pattern(stations: str, example: str) -> re.Pattern[str]:
    """Return a regular expression of stations.

    Raises
    ------
    DatasetError
        If the text is no regular expression.
    """
    try:
        return re.compile(stations)
    except re.error as error:
        raise DatasetError(
            f"invalid regular expression {stations!r} for the stations: {error}; expected for example {example!r}."
        ) from error


def _listed_files(page: str, year: int) -> list[str]:
    """Return the daily files that a directory listing links to, by name alone."""
    names = {unquote(link).rsplit("/", 1)[-1] for link in _LINK.findall(page)}
    return sorted(n for n in names if (m := FILE_NAME.match(n)) and int(m["year"]) == year)


def _check_file(path: Path) -> str:
    """Return what is wrong with a downloaded file, or an empty text."""
    with path.open("rb") as opened:
        first = opened.readline(4096)
    if path.name.startswith(STATION_TABLE):
        return "" if b"WBAN" in first.upper() else "not a station table: no column WBAN"
    fields = first.split()
    if len(fields) == 28 and fields[0].isdigit():
        return ""
    return f"not a daily file: {len(fields)} fields in the first line, expected 28"
