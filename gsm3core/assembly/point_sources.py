"""Sources of values at points in a build: download what their folders lack, and name the sites without any file."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gsm3core.assembly.merge import SampledSource
from gsm3core.assembly.sampling import Source
from gsm3core.config import Period
from gsm3core.download.fetch import FetchResult, IncompleteDownloadError
from gsm3core.download.manifest import Manifest
from gsm3core.download.points import pull_points
from gsm3core.errors import ConfigError, DatasetError
from gsm3core.readers import make_point_reader
from gsm3core.readers.points import Points

StageProgress = Callable[[str, int, int], None]

_SHOWN = 5
_MOST_FILL = 0.01  # of the values read
_DAY = dt.timedelta(days=1)


def check_settings(source: Source) -> None:
    """Raise if a source of values at points has settings of a grid, or a grid those of a service.

    Raises
    ------
    ConfigError
        If a collocation, options of a reader, several folders, or the address of a service do not apply.
    """
    name = source.entry.name
    if not source.has_points:
        if source.settings.url:
            raise ConfigError(
                f"{name} is read from files: remove its --url (url), or give a folder with --source."
            )
        return
    make_point_reader(source.entry.reader)
    if source.more:
        raise ConfigError(f"{name} gives values at points, from one folder; {len(source.roots)} were given.")
    if source.more:
        raise ConfigError(
            f"{source.entry.name} keeps its values in one folder; expected one, not {source.where}."
        )
    for key in ("method", "options"):
        if key in source.settings.model_fields_set and getattr(source.settings, key) not in ("nearest", {}):
            raise ConfigError(
                f"{name} gives values at points, without a grid: remove {key!r} from its settings."
            )


def pull_missing(
    source: Source,
    points: Points,
    chunks: Iterable[Period],
    variables: Iterable[str],
    *,
    offline: bool,
    gaps: str,
    progress: StageProgress,
) -> FetchResult:
    """Download what the folder of a source lacks for the sites and days of a build.

    Parameters
    ----------
    chunks
        Days, in order; consecutive ones are requested together. None for a static source.
    offline
        Request nothing.
    gaps
        ``allow``: files that cannot be downloaded are left out, the build continues with the others.

    Raises
    ------
    DatasetError
        If files cannot be downloaded; the others are kept, so that a rerun continues.
    """
    total = FetchResult()
    if offline:
        return total
    stage = f"{source.entry.name}: download"

    def show(done: int, of: int, received: int, path: str) -> None:
        progress(stage, done, of)

    spans: list[Period | None] = [*merge_periods(chunks)]
    for span in spans or [None]:
        try:
            one = pull_points(
                source.entry, points, source.root, period=span, variables=variables, url=source.settings.url,
                on_progress=show,
            )  # fmt: skip
        except IncompleteDownloadError as error:
            if gaps != "allow":
                raise
            one = error.result
        total = total.add(one)
    return total


def merge_periods(chunks: Iterable[Period]) -> list[Period]:
    """Return periods in order of time, consecutive ones as one."""
    merged: list[Period] = []
    for chunk in sorted(chunks, key=lambda p: p.start):
        if merged and chunk.start <= merged[-1].end + _DAY:
            merged[-1] = Period(start=merged[-1].start, end=max(merged[-1].end, chunk.end))
        else:
            merged.append(chunk)
    return merged


def check_sites(sampled: SampledSource, gaps: str) -> None:
    """Raise if a site has no file.

    Raises
    ------
    DatasetError
        Naming source and sites.
    """
    absent = sites_without_files(sampled)
    if not absent or gaps == "allow":
        return
    source = sampled.source
    shown = ", ".join(absent[:_SHOWN]) + (", ..." if len(absent) > _SHOWN else "")
    raise DatasetError(
        f"{source.entry.name} ({source.root}): no file for {len(absent)} sites ({shown}). Rerun without --offline to "
        "request them, or accept missing values with --allow-gaps (gaps: allow)."
    )


def sites_without_files(sampled: SampledSource) -> list[str]:
    """Return the sites for which a source of values at points lacks a file of any days."""
    found = {n for p in sampled.pieces for n in p.metadata.get("sites_without_files", [])}
    return sorted(found)


def missing_notes(sampled: SampledSource, variables: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return sentences about the sites without files and the values that the service itself lacks.

    Parameters
    ----------
    variables
        Counts by variable, as in the history.
    """
    absent = sites_without_files(sampled)
    notes = []
    if absent:
        shown = ", ".join(absent[:_SHOWN]) + (", ..." if len(absent) > _SHOWN else "")
        notes.append(f"no file for {len(absent)} sites, whose values are missing: {shown}")
    for name, counts in variables.items():
        screening = counts.get("screening", {})
        read, fill = screening.get("read", 0), screening.get("fill", 0)
        if "site_days" in counts and fill > _MOST_FILL * read:
            notes.append(
                f"{name}: the service has no value for {fill / read:.0%} of the requested time steps"
            )
    return notes


def service_record(sampled: SampledSource, files: Sequence[str]) -> dict[str, Any]:
    """Return address and dates of the requests behind files, for the history; empty if no manifest lists them.

    Parameters
    ----------
    files
        Paths of the files read.
    """
    root = sampled.source.root.resolve()
    manifest = Manifest(root)
    entries = [e for f in files if (e := manifest.get(f.removeprefix(f"{root}/")))]
    if not entries:
        return {}
    urls = sorted({str(e.get("url", "")).partition("?")[0] for e in entries})
    dates = sorted(str(e.get("fetched", ""))[:10] for e in entries)
    return {
        "service": urls[0] if len(urls) == 1 else f"{len(urls)} addresses such as {urls[0]}",
        "requests": sum(int(e.get("requests", 1)) for e in entries),
        "requested_on": dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}",
    }
