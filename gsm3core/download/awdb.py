"""``gsm3 data pull scan`` and ``pull snotel``: hourly soil moisture from USDA's AWDB service, without registration."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gsm3core.catalog import source_entry
from gsm3core.config import Period
from gsm3core.download.fetch import Fetcher, ProgressCallback, RemoteFile, RetryPolicy
from gsm3core.download.manifest import only_download
from gsm3core.download.uscrn import StationPull, compile_pattern, fetch_years
from gsm3core.errors import DatasetError
from gsm3core.readers.awdb_stations import (
    AWDB,
    ELEMENT,
    STATION_FILE,
    AwdbStation,
    check_answer,
    read_stations,
)
from gsm3core.readers.ismn.sensor_choice import SensorChoice

FIRST_YEAR = 1991  # SCAN began as a pilot project in that year
_MAX_BYTES = 16 << 20  # a year of one sensor is 0.7 MB


def pull_awdb(
    name: str,
    years: Iterable[int],
    folder: Path,
    *,
    url: str = "",
    policy: RetryPolicy | None = None,
    refresh: bool = False,
    stations: str = "",
    on_progress: ProgressCallback | None = None,
) -> StationPull:
    """Download the hourly values of the sensors near 5 cm, one request and one file per station and year.

    Parameters
    ----------
    name
        ``scan`` or ``snotel``.
    years
        UTC years. Only years in which a station has such a sensor are requested.
    folder
        Files in it that match the manifest's SHA-256 are not requested again, except the list of stations, and a year
        that was not over when it was downloaded.
    url
        Address of the service; the catalogue's by default.
    refresh
        Request all files again: AWDB corrects past values.
    stations
        Regular expression found in a station's triplet or name, such as ``:CO:`` or ``^2057``; all by default.
    on_progress
        Called after every file.

    Raises
    ------
    DatasetError
        If the list of stations or a file cannot be downloaded; the other files are kept.

    Notes
    -----
    REST API: https://wcc.sc.egov.usda.gov/awdbRestApi/swagger-ui/index.html. The package ``metloom`` is not used: its
    release 0.10.1 (2026) needs pandas below 3 and asks the older SOAP service, which will be switched off
    (https://opencdss.state.co.us/tstool/latest/doc-user/datastore-ref/NRCS-AWDB/NRCS-AWDB/). The service ignores
    parameters that it does not know, so that the network of every station is checked.
    """
    years, code = sorted(set(years)), AWDB[name]
    base = (url or source_entry(name).access[0].url).rstrip("/")
    if not base.startswith(("https://", "http://")):
        raise DatasetError(f"invalid address {base!r}; expected https:// or http://.")
    wanted = compile_pattern(stations, ":CO:")
    folder, policy = Path(folder), policy or RetryPolicy(max_bytes=_MAX_BYTES)
    with only_download(folder), Fetcher(folder, policy, _check_file, _reason) as fetcher:
        listing = RemoteFile(
            f"{base}/stations?stationTriplets=*:*:{code}&elements={ELEMENT}:*:*&durations=HOURLY"
            "&returnStationElements=true&activeOnly=false",
            STATION_FILE,
        )
        fetched = fetcher.fetch([listing], refresh=True)
        if fetched.missing:
            raise DatasetError(f"{base} has no list of stations (HTTP 404). Check the address.")
        listed = read_stations(folder / STATION_FILE, code)
        chosen = [s for s in listed if wanted.search(s.triplet) or wanted.search(s.name)]
        if not chosen:
            raise DatasetError(
                f"none of {len(listed)} {name.upper()} stations matches {stations!r}; triplets look like "
                f"{listed[0].triplet}, names like {listed[0].name}."
            )
        files = [f for s in chosen for y in years if (f := _request(base, s, y)) is not None]
        if not files:
            raise DatasetError(
                f"none of {len(chosen)} {name.upper()} stations has an hourly sensor near 5 cm in {years[0]} to {years[-1]}."
            )
        fetched = fetched.add(fetch_years(fetcher, files, refresh=refresh, on_progress=on_progress))
    step: dict[str, Any] = {
        "step": "pull", "url": base, "network": code, "years": years, "stations": len({f.path[5:] for f in files}),
        "files": len(fetched.available), "new": len(fetched.new), "replaced": sorted(fetched.replaced),
        "not_on_server": sorted(fetched.missing), "retries": fetched.retries,
    }  # fmt: skip
    if stations:
        step["stations_matching"] = stations
    period = Period(start=dt.date(years[0], 1, 1), end=dt.date(years[-1], 12, 31))
    return StationPull(folder, period, fetched, step)


def _request(base: str, station: AwdbStation, year: int) -> RemoteFile | None:
    """Return the request of one station's UTC year; None if the station has no suitable sensor then."""
    sensors = [s for s in station.near(SensorChoice()) if s.covers([year])]
    if station.problem or not sensors:
        return None
    ahead = dt.timedelta(hours=station.utc_offset)
    begin, end = (dt.datetime(year, *t) + ahead for t in ((1, 1, 0), (12, 31, 23)))
    elements = ",".join(dict.fromkeys(s.element for s in sensors))
    # Colons are not percent-encoded: the service does not accept %3A everywhere.
    query = (
        f"stationTriplets={station.triplet}&elements={elements}&duration=HOURLY&beginDate={begin:%Y-%m-%d%%20%H:%M}"
        f"&endDate={end:%Y-%m-%d%%20%H:%M}&periodRef=END&returnFlags=true"
    )
    return RemoteFile(f"{base}/data?{query}", f"{year}/{station.file_name}")


def _check_file(path: Path) -> str:
    """Return what is wrong with a downloaded file, or an empty text."""
    name = path.name.removesuffix(".part")
    triplet = "" if name == STATION_FILE else name.removesuffix(".json").replace("_", ":")
    return check_answer(path, triplet)


def _reason(body: bytes) -> str:
    """Return the service's own explanation of an error: JSON, or the first words of a text."""
    text = body.decode("utf-8", "replace").strip()
    try:
        answer = json.loads(text)
    except ValueError:
        return "" if text.startswith("<") else re.sub(r"\s+", " ", text)[:200]
    if not isinstance(answer, dict):
        return ""
    return next((str(answer[k])[:200] for k in ("message", "detail", "error", "title") if answer.get(k)), "")
