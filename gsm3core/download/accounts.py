"""Downloads that need an account: SMAP from NASA Earthdata, ERA5 from the Copernicus Climate Data Store."""

from __future__ import annotations

import calendar
import datetime as dt
import netrc
import os
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gsm3core.catalog import Access, SourceEntry, source_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError

Box = tuple[float, float, float, float]
_EARTHDATA = "urs.earthdata.nasa.gov"
_HOURS = [f"{h:02d}:00" for h in range(24)]


def pull_smap(
    period: Period, folder: Path, *, box: Box | None = None, emit: Callable[[str], None] = lambda text: None
) -> list[Path]:
    """Download SMAP enhanced L3 granules with ``earthaccess``, which skips files that exist in the folder.

    Parameters
    ----------
    box
        West, south, east, north, degrees. A granule is global: a box only skips days without any overlap.
    emit
        Called with progress messages.

    Raises
    ------
    DatasetError
        Without the package or an Earthdata account, or if there are no granules.
    """
    earthaccess, granules = search_smap(period, box=box, emit=emit)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return [Path(p) for p in earthaccess.download(granules, str(folder))]
    except Exception as error:
        raise DatasetError(f"download of SMAP from Earthdata failed: {error}") from error


def search_smap(
    period: Period, *, box: Box | None = None, emit: Callable[[str], None] = lambda text: None
) -> tuple[Any, list[Any]]:
    """Log in to Earthdata and list the granules of a period; return the package ``earthaccess`` and the granules.

    They are of one version of the product: the catalogue's first one, unless a later one has more days of the period.

    Raises
    ------
    DatasetError
        Without the package or an account, or if the search fails or finds nothing.
    """
    entry = source_entry("smap-l3e")
    versions = [a for a in entry.access if a.kind == "earthdata"]
    _require_package("earthaccess", "earthdata", entry)
    if not has_earthdata_account():
        raise DatasetError(
            f"{entry.title} needs an Earthdata account: register at https://{_EARTHDATA} and put a line "
            f"'machine {_EARTHDATA} login NAME password PASSWORD' into ~/.netrc, or set EARTHDATA_TOKEN."
        )
    earthaccess: Any = import_module("earthaccess")
    wanted: dict[str, Any] = {"temporal": (period.start.isoformat(), period.end.isoformat())}
    if box:
        wanted["bounding_box"] = box
    days = (period.end - period.start).days + 1
    chosen, granules = versions[0], list[Any]()
    try:
        strategy = "environment" if _environment_account() else "netrc"
        login = earthaccess.login(strategy=strategy)
        accepted = getattr(login, "authenticated", True)
        for access in versions if accepted else ():
            found = list(
                earthaccess.search_data(short_name=access.short_name, version=access.version, **wanted)
            )
            if len(found) > len(granules):
                chosen, granules = access, found
            if len(granules) >= days:
                break
    except Exception as error:
        raise DatasetError(f"search of {chosen.short_name} at Earthdata failed: {error}") from error
    if not accepted:
        raise DatasetError(
            f"Earthdata refused the account: check the line of {_EARTHDATA} in ~/.netrc, or EARTHDATA_TOKEN."
        )
    if not granules:
        tried = " or ".join(a.version for a in versions)
        raise DatasetError(
            f"Earthdata has no {chosen.short_name} {tried} from {period.start} to {period.end}."
        )
    emit(f"{len(granules)} granules of {chosen.short_name} {chosen.version} for {days} days")
    return earthaccess, granules


def pull_era5(
    period: Period, folder: Path, *, box: Box | None = None, emit: Callable[[str], None] = lambda text: None
) -> list[Path]:
    """Download ERA5 with ``cdsapi``, one file a month; months whose file exists are skipped.

    Parameters
    ----------
    box
        West, south, east, north, degrees; the globe by default (tens of GB a month).
    emit
        Called with progress messages.

    Raises
    ------
    DatasetError
        Without the package or a Copernicus account, or if the store rejects the request.
    """
    entry = source_entry("era5")
    access = _access(entry, "cds")
    dataset, client = cds_client(entry)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for first, last in _months(period):
        target = folder / f"era5_{first:%Y_%m}_{first.day:02d}-{last.day:02d}.nc"
        files.append(target)
        if target.is_file():
            emit(f"{target.name} exists")
            continue
        request = dict(access.request) | {
            "year": f"{first:%Y}", "month": f"{first:%m}", "time": _HOURS,
            "day": [f"{d:02d}" for d in range(first.day, last.day + 1)],
        }  # fmt: skip
        if box:
            west, south, east, north = box
            request["area"] = [north, west, south, east]
        part = target.with_name(target.name + ".part")
        emit(f"requesting {target.name}; the store queues requests, this can take hours")
        try:
            client.retrieve(dataset, request, str(part))
        except Exception as error:
            raise DatasetError(
                f"download of {target.name} from the Climate Data Store failed: {error}"
            ) from error
        part.replace(target)
    return files


def cds_client(entry: SourceEntry, url: str = "") -> tuple[str, Any]:
    """Return the data set of a source in the Climate Data Store, and a client of the package ``cdsapi``.

    Parameters
    ----------
    url
        Address of the store; that of the account by default.

    Raises
    ------
    DatasetError
        Without the package or an account, or if the client refuses the account.
    """
    access = _access(entry, "cds")
    _require_package("cdsapi", "cds", entry)
    if not has_cds_account():
        raise DatasetError(
            f"{entry.title} needs a Copernicus account: register at https://cds.climate.copernicus.eu, accept the "
            "licence there, and put your url and key into ~/.cdsapirc (or CDSAPI_URL and CDSAPI_KEY)."
        )
    cdsapi: Any = import_module("cdsapi")
    try:
        client = cdsapi.Client(url=url) if url else cdsapi.Client()
    except Exception as error:
        raise DatasetError(f"the Climate Data Store cannot be used: {error}. Check ~/.cdsapirc.") from error
    return access.dataset, client


def parse_period(years: str, days: str) -> Period:
    """Return the period of ``years`` (``2015-2020``) or of ``days`` (``2015-04-01:2015-04-30``); the other is empty."""
    first, _, last = days.partition(":")
    if years and days:
        raise DatasetError(f"--years {years} and --days {days} were given; expected one of them.")
    try:
        if days:
            return Period(start=dt.date.fromisoformat(first), end=dt.date.fromisoformat(last or first))
        a, _, b = years.partition("-")
        return Period(start=dt.date(int(a), 1, 1), end=dt.date(int(b or a), 12, 31))
    except ValueError as error:
        raise DatasetError(
            f"invalid period {days or years!r}; expected --years 2015-2020, or --days 2015-04-01:2015-04-30."
        ) from error


def parse_box(text: str) -> Box | None:
    """Return west, south, east, north in degrees; None for an empty text."""
    if not text:
        return None
    try:
        west, south, east, north = (float(x) for x in text.split(","))
        valid = -180 <= west < east <= 180 and -90 <= south < north <= 90
    except ValueError:
        valid = False
    if not valid:
        raise DatasetError(
            f"invalid bounding box {text!r}; expected west,south,east,north in degrees with west < east and south < north."
        )
    return west, south, east, north


def _access(entry: SourceEntry, kind: str) -> Access:
    return next(a for a in entry.access if a.kind == kind)


def _require_package(package: str, extra: str, entry: SourceEntry) -> None:
    if find_spec(package) is None:
        raise DatasetError(
            f"{entry.title} needs the package {package!r}, which is not installed: pip install 'gsm3[{extra}]'."
        )


def _environment_account() -> bool:
    return "EARTHDATA_TOKEN" in os.environ or {"EARTHDATA_USERNAME", "EARTHDATA_PASSWORD"} <= set(os.environ)


def has_earthdata_account() -> bool:
    """Return whether the environment or ``~/.netrc`` has an Earthdata account."""
    if _environment_account():
        return True
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(_EARTHDATA) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def has_cds_account() -> bool:
    """Return whether the environment or ``~/.cdsapirc`` has a Copernicus account."""
    if {"CDSAPI_URL", "CDSAPI_KEY"} <= set(os.environ):
        return True
    return Path(os.environ.get("CDSAPI_RC", Path.home() / ".cdsapirc")).is_file()


def _months(period: Period) -> list[tuple[dt.date, dt.date]]:
    """Return the first and last day of a period in each of its months."""
    months, first = [], period.start
    while first <= period.end:
        last = min(first.replace(day=calendar.monthrange(first.year, first.month)[1]), period.end)
        months.append((first, last))
        first = last + dt.timedelta(days=1)
    return months
