"""``gsm3 data pull uscrn``: the daily files of the U.S. Climate Reference Network from NOAA, no registration needed."""

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
from gsm3core.download.fetch import Fetched, Fetcher, Item, Listen
from gsm3core.download.http import RetryPolicy
from gsm3core.errors import DatasetError
from gsm3core.readers.uscrn_daily import FILE_NAME, STATION_TABLE

USCRN = "uscrn-daily"  # its name in the catalogue
_FIRST_YEAR = 2000
_LARGEST = 4 << 20  # a year of a station is 80 KB
_LINK = re.compile(r"""href\s*=\s*["']?([^"'\s>?#]+)""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Pulled:
    """What was pulled: where the files lie, which days they span, and the step for the dataset's history."""

    folder: Path
    period: Period
    fetched: Fetched
    step: dict[str, Any]


def parse_years(text: str) -> list[int]:
    """Return the years of ``2015-2020`` or ``2015,2018``.

    Raises
    ------
    DatasetError
        If the text is no such thing, or a year is before the network or in the future.
    """
    years: set[int] = set()
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d{4})(?:\s*[-:]\s*(\d{4}))?\s*", part)
        if found is None:
            raise DatasetError(f"years are {text!r}; expected 2015-2020, or 2015,2018.")
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise DatasetError(f"years {part.strip()!r} end before they start.")
        years |= set(range(first, last + 1))
    now = dt.datetime.now(dt.UTC).year
    if wrong := [y for y in sorted(years) if not _FIRST_YEAR <= y <= now]:
        raise DatasetError(f"USCRN has no year {wrong[0]}; its years are {_FIRST_YEAR} to {now}.")
    return sorted(years)


def pull_uscrn(
    years: Iterable[int],
    folder: Path,
    *,
    url: str = "",
    manners: RetryPolicy | None = None,
    refresh: bool = False,
    stations: str = "",
    listen: Listen | None = None,
) -> Pulled:
    """Fetch the daily files of some years, and NOAA's station table for the elevations.

    Parameters
    ----------
    years
        Which.
    folder
        Where to; files that are here and match the manifest's SHA-256 are not fetched again.
    url
        Folder of the year folders; the catalogue's by default. The station table is looked for one folder above.
    manners
        Connections, timeouts, tries.
    refresh
        Ask whether files that are here have changed: NOAA corrects past years, and this year's files grow.
    stations
        Regular expression that a station's name must match (``^CA_``); all by default.
    listen
        Told of every file.

    Raises
    ------
    DatasetError
        If a listing or a file cannot be had; what was fetched is kept, and the same call goes on from there.

    Notes
    -----
    NOAA publishes no checksums. The manifest holds those of what arrived: a later change of a file here is noticed and
    mended, and two people can compare what they have. Bytes are counted against the length that the server states, and
    the first line of a file must have its 28 fields, so that an error page is never taken for data.
    """
    years = sorted(set(years))
    base = (url or source_entry(USCRN).access[0].url).rstrip("/")
    if not base.startswith(("https://", "http://")):
        raise DatasetError(f"the address {base!r} is not one of http or https.")
    try:
        wanted = re.compile(stations)
    except re.error as error:
        raise DatasetError(f"stations {stations!r} is no regular expression: {error}.") from error
    manners = manners or RetryPolicy(largest=_LARGEST)
    with Fetcher(Path(folder), manners, _not_daily) as fetcher:
        items = []
        for year in years:
            names = _listed(fetcher.text(f"{base}/{year}/"), year)
            if not names:
                raise DatasetError(
                    f"{base}/{year}/ lists no daily file (CRND0103-{year}-...). Is the address right?"
                )
            items += [
                Item(f"{base}/{year}/{name}", f"{year}/{name}")
                for name in names
                if (m := FILE_NAME.match(name)) and wanted.search(m["station"])
            ]
        if not items:
            raise DatasetError(f"no station of {years[0]} to {years[-1]} matches {stations!r}.")
        items.append(Item(f"{base.rsplit('/', 1)[0]}/{STATION_TABLE}", STATION_TABLE))
        fetched = fetcher.fetch(items, refresh=refresh, listen=listen)
    step = {
        "step": "pull", "url": base, "years": years, "files": len(fetched.here), "new": len(fetched.new),
        "replaced": sorted(fetched.replaced), "not_on_server": sorted(fetched.missing), "retries": fetched.retries,
    }  # fmt: skip
    period = Period(start=dt.date(years[0], 1, 1), end=dt.date(years[-1], 12, 31))
    return Pulled(Path(folder), period, fetched, step)


def _listed(page: str, year: int) -> list[str]:
    """Return the daily files that a folder's page links to; anything else, and any path, is passed over."""
    names = {unquote(link).rsplit("/", 1)[-1] for link in _LINK.findall(page)}
    return sorted(n for n in names if (m := FILE_NAME.match(n)) and int(m["year"]) == year)


def _not_daily(path: Path) -> str:
    """Say what is wrong with a fetched file, or nothing."""
    with path.open("rb") as opened:
        first = opened.readline(4096)
    if path.name.startswith(STATION_TABLE):
        return "" if b"WBAN" in first.upper() else "it is not the station table"
    if not first.strip():
        return "it is empty"
    return (
        ""
        if len(first.split()) == 28 and first.split()[0].isdigit()
        else "its first line has not the 28 fields"
    )
