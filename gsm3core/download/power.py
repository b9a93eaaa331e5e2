"""Download of daily values at points from NASA POWER, without an account."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import urlencode

from gsm3core.catalog import SourceEntry
from gsm3core.config import Period
from gsm3core.download.fetch import FetchResult, ProgressCallback, RetryPolicy
from gsm3core.download.point_series import SeriesService, missing_labels, pull_series
from gsm3core.errors import DatasetError
from gsm3core.readers.point_files import Cell
from gsm3core.readers.points import Points
from gsm3core.readers.power import error_message, power_cells, read_response

MAX_PARAMETERS = 20  # of a request (POWER API, "Limitations")
_YEARS = 20
_LATENCY = 10  # days; radiation of FLASHFlux appears within about seven
_POLICY = RetryPolicy(jobs=4, timeout=120.0, max_bytes=64 << 20, interval=0.25)


def pull_power(
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
    """Download what the folder lacks, one request for all points that share the cells of MERRA-2 and CERES.

    See :class:`gsm3core.download.points.PointPuller`.

    Notes
    -----
    Requests to the service (https://power.larc.nasa.gov/docs/services/api/temporal/daily/) are for days of UTC in the units
    of the community AG; the response states its units, which the reader compares with the catalogue's.
    """
    names = sorted({entry.variable(x).theirs[0] for x in variables})
    if len(names) > MAX_PARAMETERS:
        raise DatasetError(
            f"{len(names)} variables of {entry.name}; a request may have {MAX_PARAMETERS}. Choose fewer."
        )
    service = SeriesService(
        address=lambda cell, days, chosen: request_url(url, cell, days, chosen),
        variables=lambda path: [str(n) for n in read_response(path).data_vars],
        check=_check, reason=_reason, years=_YEARS, latency=_LATENCY,
    )  # fmt: skip
    return pull_series(
        entry, power_cells(points), root, period=period, variables=names, service=service,
        policy=policy or _POLICY, on_progress=on_progress,
    )  # fmt: skip


def request_url(url: str, cell: Cell, days: Period, parameters: Sequence[str]) -> str:
    """Return the address of a request for one point."""
    query = {
        "parameters": ",".join(parameters), "community": "AG", "longitude": f"{cell[1]:.5f}",
        "latitude": f"{cell[0]:.5f}", "start": f"{days.start:%Y%m%d}", "end": f"{days.end:%Y%m%d}",
        "format": "JSON", "time-standard": "UTC",
    }  # fmt: skip
    return f"{url}?{urlencode(query, safe=',')}"


def _check(path: Path, parameters: Sequence[str], days: Period) -> str:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        return f"not JSON: {error}"
    if not isinstance(content, dict) or not (content.get("properties") or {}).get("parameter"):
        return f"no values; the service says: {error_message(content) or 'nothing'}"
    found = read_response(path, parameters)
    return missing_labels(found.sizes["time"], days, 1)


def _reason(body: bytes) -> str:
    return error_message(json.loads(body))
