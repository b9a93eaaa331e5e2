"""Granules (files) of a source: find them by name and period, and open them in any netCDF or HDF5 format."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import xarray as xr

from gsm3core.catalog import SourceEntry
from gsm3core.config import Period
from gsm3core.errors import DatasetError

_DAY, _MONTH, _YEAR = (dt.timedelta(days=n) for n in (1, 31, 366))
_MAX_NAMES = 3
_ADVICE = "The file is truncated or damaged: download it again."
_FORMATS = (
    (b"\x89HDF\r\n\x1a\n", "h5netcdf"),
    (b"CDF\x01", "scipy"),
    (b"CDF\x02", "scipy"),
)
_UNSUPPORTED = (
    (b"\x0e\x03\x13\x01", "HDF4", "Convert it with h4toh5 (HDF Group) or gdal_translate -of netCDF, or order netCDF"
     " from AppEEARS (https://appeears.earthdatacloud.nasa.gov)."),
    (b"GRIB", "GRIB", "Request data_format netcdf from the CDS, or convert it with grib_to_netcdf (ecCodes)."),
    (b"PK\x03\x04", "a zip archive", "Unpack it."),
    (b"\x1f\x8b", "gzip", "Unpack it with gunzip."),
    (b"CDF\x05", "netCDF-3 with 64-bit data", "Convert it with nccopy -k nc4."),
    (b"<", "HTML or XML", "It is probably a login or error page saved under the file's name: log in and download it again."),
)  # fmt: skip


class NoDataInPeriodError(DatasetError):
    """A source has valid files, but none in the requested period."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Granule:
    """One file of a source, with the information in its name.

    Parameters
    ----------
    start
        Start of the data, UTC; ``None`` for a file whose name has no date.
    parts
        Named groups of the entry's ``files`` expression.
    """

    path: Path
    start: dt.datetime | None
    parts: dict[str, str]

    @property
    def stamp(self) -> pd.Timestamp:
        """The time in the name, for sources whose names always have one."""
        assert self.start is not None, self.path
        return pd.Timestamp(self.start)


def find_granules(
    entry: SourceEntry,
    root: Path,
    period: Period | None = None,
    *,
    keep: Callable[[dict[str, str]], bool] = lambda parts: True,
    length: dt.timedelta = dt.timedelta(days=1),
    lag: dt.timedelta = dt.timedelta(0),
) -> list[Granule]:
    """Return the files of a source in order of time; of several versions of a file, the last by name.

    Parameters
    ----------
    entry
        Its ``files`` expression selects files by name.
    root
        Folder, searched recursively, or one file.
    period
        Days: keep the files that may have data of them.
    keep
        Filter by the named parts of the file name.
    length
        Duration of a file from the time in its name.
    lag
        Largest delay of the time in the name after the data's time.

    Raises
    ------
    DatasetError
        If the folder is missing or has no such file; :class:`NoDataInPeriodError` if it has none in the period.
    """
    root = Path(root)
    if not root.exists():
        raise DatasetError(
            f"{root} does not exist; expected a folder of {entry.title} (files like {entry.example})."
        )
    found: dict[tuple[object, ...], Granule] = {}
    for path in sorted(matching_files(entry, root), key=lambda p: (p.name, p)):
        match = re.search(entry.files, path.name)
        parts = {k: x for k, x in match.groupdict().items() if x is not None} if match else {}
        if keep(parts):
            start = _start_time(parts, path)
            # Reprocessed granules differ only in release and version; the last by name is the newest.
            identity = (
                start,
                *(x for k, x in sorted(parts.items()) if k != "version"),
                "" if start else str(path),
            )
            found[identity] = Granule(path=path, start=start, parts=parts)
    if not found:
        names = (
            sorted(p.name for p in root.rglob("*") if p.is_file())[:_MAX_NAMES]
            if root.is_dir()
            else [root.name]
        )
        raise DatasetError(
            f"{root} has no file of {entry.title}; expected names like {entry.example}, found "
            f"{', '.join(names) or 'an empty folder'}."
        )
    granules = sorted(found.values(), key=lambda g: (g.start or dt.datetime.min, g.path.name))
    if period is None or any(g.start is None for g in granules):
        return granules
    first = dt.datetime.combine(period.start, dt.time()) - length
    last = dt.datetime.combine(period.end, dt.time()) + dt.timedelta(days=1)
    inside = [g for g in granules if g.start is not None and first < g.start < last + lag]
    if not inside:
        raise NoDataInPeriodError(
            f"no file in {root} covers {period.start} to {period.end}; its files of {entry.name} cover "
            f"{granules[0].start:%Y-%m-%d} to {granules[-1].start:%Y-%m-%d}."
        )
    return inside


def open_granule(path: Path, what: str, *, group: str | None = None, decode: bool = True) -> xr.Dataset:
    """Open a netCDF or HDF5 file of any version, lazily, without decoding times.

    Parameters
    ----------
    what
        Expected content, for messages.
    group
        HDF5 group.
    decode
        Apply fill values, scale factors and offsets of the file.

    Raises
    ------
    DatasetError
        If the file is damaged, has an unsupported format, or lacks the group.
    """
    try:
        with path.open("rb") as opened:
            head = opened.read(8)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error}.") from error
    for magic, name, advice in _UNSUPPORTED:
        if head.startswith(magic):
            raise DatasetError(f"{path} is {name}; expected netCDF or HDF5 of {what}. {advice}")
    engine = next((e for magic, e in _FORMATS if head.startswith(magic)), None)
    if engine is None:
        raise DatasetError(f"{path} is neither netCDF nor HDF5 ({what}). {_ADVICE}")
    options = {"phony_dims": "access"} if engine == "h5netcdf" else {}
    try:
        return xr.open_dataset(
            path, engine=engine, group=group, decode_times=False, mask_and_scale=decode, **options  # type: ignore[arg-type]
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        lacks = f" or lacks the group {group!r}" if group else ""
        raise DatasetError(f"{path} cannot be read as {what}{lacks}: {error}. {_ADVICE}") from error


def matching_files(entry: SourceEntry, root: Path) -> list[Path]:
    """Return the files in a folder and its subfolders (or the one file) whose names match the source."""
    paths = [root] if root.is_file() else sorted(root.rglob("*"))
    return [p for p in paths if re.search(entry.files, p.name) and p.is_file()]


def candidate_files(entry: SourceEntry, root: Path, period: Period | None) -> list[Path]:
    """Return every file that a reader may open for a period, judged by name, and all files without a date in their name.

    A superset of the files that are read (by a file at either end), so that a cache can detect any change.
    """
    found = []
    for path in matching_files(entry, Path(root)):
        match = re.search(entry.files, path.name)
        parts = {k: x for k, x in match.groupdict().items() if x is not None} if match else {}
        start = _start_time(parts, path)
        if start is not None and period is not None:
            length = _YEAR if not {"day", "doy"} & set(parts) else _MONTH if entry.step == "P1M" else _DAY
            first = dt.datetime.combine(period.start, dt.time()) - length
            last = dt.datetime.combine(period.end, dt.time()) + 2 * _DAY
            if not first <= start < last:
                continue
        found.append(path)
    return found


def _start_time(parts: dict[str, str], path: Path) -> dt.datetime | None:
    """Return the time in the named parts of a file name: day or year + doy, time or hour."""
    day = parts.get("day") or (parts["year"] + parts["doy"] if "doy" in parts else "")
    if not day and "year" not in parts:
        return None
    if not day:
        return dt.datetime(int(parts["year"]), 1, 1)
    clock = (parts.get("time") or parts.get("hour", "")).ljust(6, "0")
    form = ("%Y%m%d" if len(day) == 8 else "%Y%j") + "%H%M%S"
    try:
        moment = dt.datetime.strptime(day + clock, form)
    except ValueError:
        moment = None
    # Day 366 of a common year would pass as the first of the next.
    if moment is None or moment.strftime(form) != day + clock:
        raise DatasetError(f"{path}: invalid date in the file name ({day} {clock}).")
    return moment
