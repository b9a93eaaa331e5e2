"""Download of values at points: what a source's folder lacks for these sites and days, from its service."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from pkgutil import resolve_name
from typing import Protocol

from gsm3core.catalog import SourceEntry
from gsm3core.config import Period
from gsm3core.download.fetch import FetchResult, ProgressCallback, RetryPolicy
from gsm3core.download.manifest import only_download
from gsm3core.errors import DatasetError
from gsm3core.readers.points import Points


class PointPuller(Protocol):
    """Downloads what the folder of a source lacks."""

    def __call__(
        self,
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
        """Return what was downloaded; complete files are never requested again.

        Parameters
        ----------
        root
            Folder of the source. A file is complete or absent, and listed in the folder's manifest.
        period
            UTC days; ``None`` for a static source.
        variables
            Canonical names.
        url
            Address of the service; a mirror may stand in for the catalogue's.
        policy
            Limits of the requests; ``None`` for those of the service.
        on_progress
            Called after every file; it raises to cancel.

        Raises
        ------
        DatasetError
            If files cannot be downloaded; the others are kept.
        """
        ...


_PULLERS = {
    "copernicus_dem": "gsm3core.download.copernicus_dem:pull_copernicus_dem",
    "soilgrids": "gsm3core.download.soilgrids:pull_soilgrids",
    "worldcover": "gsm3core.download.worldcover:pull_worldcover",
    "power": "gsm3core.download.power:pull_power",
    "era5_timeseries": "gsm3core.download.era5_timeseries:pull_era5_timeseries",
    "open_meteo_era5": "gsm3core.download.open_meteo:pull_open_meteo",
    "open_meteo_era5_land": "gsm3core.download.open_meteo:pull_open_meteo",
}
"""By the reader of the catalogue entry."""


def service_url(entry: SourceEntry, url: str = "") -> str:
    """Return the address of a source's service, or of the mirror ``url``.

    Raises
    ------
    DatasetError
        If the address has no scheme, or the source has no service.
    """
    found = url or next((a.url for a in entry.access if a.kind == "service"), "")
    if not found and any(a.kind == "cds" for a in entry.access):
        return ""  # that of the account
    if not found:
        raise DatasetError(f"{entry.name} has no service to download from; give its address with --url.")
    if not found.startswith(("https://", "http://")):
        raise DatasetError(f"invalid address {found!r} of {entry.name}; expected https:// or http://.")
    return found.rstrip("/")


def pull_points(
    entry: SourceEntry,
    points: Points,
    root: Path,
    *,
    period: Period | None = None,
    variables: Iterable[str] = (),
    url: str = "",
    policy: RetryPolicy | None = None,
    on_progress: ProgressCallback | None = None,
) -> FetchResult:
    """Download what the folder of a source lacks for some points and days.

    Parameters
    ----------
    entry
        A source of the catalogue whose grid is ``points``.
    variables
        Canonical names; the entry's default variables by default.
    url
        Address of another server than the catalogue's.
    points, root, period, policy, on_progress
        See :class:`PointPuller`.

    Raises
    ------
    DatasetError
        If the source has no service, or files cannot be downloaded; the others are kept.
    """
    if not any(a.kind in ("service", "cds") for a in entry.access):
        return FetchResult()  # it ships with the program
    if entry.reader not in _PULLERS:
        raise DatasetError(
            f"{entry.name} cannot be downloaded at points; expected one of {', '.join(_PULLERS)}."
        )
    pull: PointPuller = resolve_name(_PULLERS[entry.reader])
    names = list(dict.fromkeys(variables)) or [x.ours for x in entry.variables if x.default]
    address = service_url(entry, url)
    with only_download(Path(root)):
        return pull(
            entry, points, Path(root), period=period, variables=names, url=address, policy=policy, on_progress=on_progress
        )  # fmt: skip
