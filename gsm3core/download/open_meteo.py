"""Download of hourly ERA5 and ERA5-Land at points from Open-Meteo, without an account, for non-commercial use."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

from gsm3core.catalog import SourceEntry
from gsm3core.config import Period
from gsm3core.download.fetch import FetchResult, ProgressCallback, RetryPolicy
from gsm3core.download.point_series import SeriesService, missing_labels, pull_series, today
from gsm3core.readers.open_meteo import (
    MODELS,
    check_cell,
    error_message,
    open_meteo_cells,
    read_response,
)
from gsm3core.readers.point_files import Cell, parse_series_name
from gsm3core.readers.points import Points

_YEARS = 1
_LATENCY = 10  # days; ERA5 appears after five, its final version replaces it after some months
_CALLS_A_MINUTE = 600
_POLICY = RetryPolicy(jobs=2, timeout=60.0, max_bytes=64 << 20)


def pull_open_meteo(
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
    """Download what the folder lacks, one request for each cell and year.

    See :class:`gsm3core.download.points.PointPuller`.

    Notes
    -----
    Requests to the archive service (https://open-meteo.com/en/docs/historical-weather-api) are for the cell that contains
    the site and for its unadjusted values. Requests are spaced so that their weight stays below 600 calls a minute. The package
    openmeteo-requests is not used: it returns FlatBuffers, which cannot be kept as files that others can read, and it
    installs niquests with urllib3-future, which replaces the module urllib3 of requests.
    """
    names = sorted({entry.variable(x).theirs[0] for x in variables})

    def check(path: Path, chosen: Sequence[str], days: Period) -> str:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            return f"not JSON: {error}"
        if not isinstance(content, dict) or "hourly" not in content:
            return f"no values; the service says: {error_message(content) or 'nothing'}"
        raw = read_response(path, chosen)
        file = parse_series_name(entry, path.with_name(path.name.removesuffix(".part")))
        if file is not None:
            check_cell(entry.name, path, raw, file.cell)
        return missing_labels(raw.sizes["time"], _requested(days), 24)

    service = SeriesService(
        address=lambda cell, days, chosen: request_url(entry, url, cell, days, chosen),
        variables=lambda path: [str(n) for n in read_response(path).data_vars],
        check=check, reason=lambda body: error_message(json.loads(body)), years=_YEARS, latency=_LATENCY,
    )  # fmt: skip
    interval = 60 * call_weight(len(names), 366) / _CALLS_A_MINUTE
    return pull_series(
        entry, open_meteo_cells(entry.name, points), root, period=period, variables=names, service=service,
        policy=policy or replace(_POLICY, interval=interval), on_progress=on_progress,
    )  # fmt: skip


def call_weight(variables: int, days: int) -> float:
    """Return how many calls a request counts as: more than 10 variables or 14 days count as several.

    Source: https://open-meteo.com/en/pricing.
    """
    return max(variables / 10, 1) * max(days / 14, 1)


def request_url(entry: SourceEntry, url: str, cell: Cell, days: Period, variables: Sequence[str]) -> str:
    """Return the address of a request for one cell; with one more day, whose first label ends the last hour."""
    span = _requested(days)
    query = {
        "latitude": f"{cell[0]:.5f}", "longitude": f"{cell[1]:.5f}", "start_date": str(span.start),
        "end_date": str(span.end), "hourly": ",".join(variables), "models": MODELS[entry.name],
        "timezone": "GMT", "wind_speed_unit": "ms", "cell_selection": "nearest", "elevation": "nan",
    }  # fmt: skip
    return f"{url}?{urlencode(query, safe=',')}"


def _requested(days: Period) -> Period:
    return Period(start=days.start, end=min(days.end + dt.timedelta(days=1), today()))
