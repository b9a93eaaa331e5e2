"""Finding a source's files: which are here, which fall into a period, and opening one, whatever its age."""

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
_SHOWN = 3
_ADVICE = "The file is cut short or damaged: download it again."
_FORMATS = (
    (b"\x89HDF\r\n\x1a\n", "h5netcdf"),
    (b"CDF\x01", "scipy"),
    (b"CDF\x02", "scipy"),
)
_FOREIGN = (
    (b"\x0e\x03\x13\x01", "HDF4", "Convert it first, with h4toh5 (HDF Group) or gdal_translate -of netCDF, or order netCDF"
     " from AppEEARS (https://appeears.earthdatacloud.nasa.gov)."),
    (b"GRIB", "GRIB", "Ask the CDS for data_format netcdf, or convert it with grib_to_netcdf (ecCodes)."),
    (b"PK\x03\x04", "a zip archive", "Unpack it first."),
    (b"\x1f\x8b", "gzip", "Unpack it first with gunzip."),
    (b"CDF\x05", "netCDF-3 with 64-bit data", "Convert it with nccopy -k nc4."),
    (b"<", "HTML or XML", "It is probably a login or error page saved under the file's name: download it again, logged in."),
)  # fmt: skip


class NothingThereError(DatasetError):
    """A source is here and sound, but has nothing in the days asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Granule:
    """One file of a source, and what its name says.

    Parameters
    ----------
    path
        The file.
    start
        First moment of the data, UTC; ``None`` for a file whose name has no date.
    parts
        The named groups of the entry's ``files`` expression.
    """

    path: Path
    start: dt.datetime | None
    parts: dict[str, str]

    @property
    def stamp(self) -> pd.Timestamp:
        """Return the moment in the name, for sources whose names always have one."""
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
    """Return the files of a source in order of time; of several versions of one, the last by name.

    Parameters
    ----------
    entry
        Its ``files`` expression selects by name.
    root
        The folder, searched with all below it, or one file.
    period
        Days to keep: files that may hold any moment of them.
    keep
        Which to take, by the named parts of the file name.
    length
        How long a file lasts from the moment in its name.
    lag
        How far after a moment the file that covers it may be labelled.

    Raises
    ------
    DatasetError
        If the folder is missing or holds no such file; :class:`NothingThereError` if it holds none in the period.
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
            start = _start(parts, path)
            # Reprocessed granules differ in release and version alone; the last by name is the newest.
            same = (
                start,
                *(x for k, x in sorted(parts.items()) if k != "version"),
                "" if start else str(path),
            )
            found[same] = Granule(path=path, start=start, parts=parts)
    if not found:
        there = (
            sorted(p.name for p in root.rglob("*") if p.is_file())[:_SHOWN] if root.is_dir() else [root.name]
        )
        raise DatasetError(
            f"{root} holds no file of {entry.title}; expected names like {entry.example}, found "
            f"{', '.join(there) or 'an empty folder'}."
        )
    granules = sorted(found.values(), key=lambda g: (g.start or dt.datetime.min, g.path.name))
    if period is None or any(g.start is None for g in granules):
        return granules
    first = dt.datetime.combine(period.start, dt.time()) - length
    last = dt.datetime.combine(period.end, dt.time()) + dt.timedelta(days=1)
    inside = [g for g in granules if g.start is not None and first < g.start < last + lag]
    if not inside:
        raise NothingThereError(
            f"No file in {root} falls into {period.start} to {period.end}; {entry.name} is there from "
            f"{granules[0].start:%Y-%m-%d} to {granules[-1].start:%Y-%m-%d}."
        )
    return inside


def open_granule(path: Path, what: str, *, group: str | None = None, decode: bool = True) -> xr.Dataset:
    """Open a netCDF or HDF5 file of any age, lazily, times not decoded.

    Parameters
    ----------
    path
        The file.
    what
        What it should be, for the message.
    group
        HDF5 group.
    decode
        Let fill values, scale factors and offsets of the file be applied.

    Raises
    ------
    DatasetError
        If the file is damaged, of a format that cannot be read here (with what to do), or lacks the group.
    """
    try:
        with path.open("rb") as opened:
            head = opened.read(8)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error}.") from error
    for magic, name, advice in _FOREIGN:
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
    """Return the files below a folder (or the one file) whose names are of the source."""
    paths = [root] if root.is_file() else sorted(root.rglob("*"))
    return [p for p in paths if re.search(entry.files, p.name) and p.is_file()]


def candidates(entry: SourceEntry, root: Path, period: Period | None) -> list[Path]:
    """Return every file that a reader may open for a period: by its name, or any whose name has no date.

    Wider than what is read in the end (by a file at either end), so that whoever keeps results can tell by it whether
    anything may have changed.
    """
    found = []
    for path in matching_files(entry, Path(root)):
        match = re.search(entry.files, path.name)
        parts = {k: x for k, x in match.groupdict().items() if x is not None} if match else {}
        start = _start(parts, path)
        if start is not None and period is not None:
            length = _YEAR if not {"day", "doy"} & set(parts) else _MONTH if entry.step == "P1M" else _DAY
            first = dt.datetime.combine(period.start, dt.time()) - length
            last = dt.datetime.combine(period.end, dt.time()) + 2 * _DAY
            if not first <= start < last:
                continue
        found.append(path)
    return found


def _start(parts: dict[str, str], path: Path) -> dt.datetime | None:
    """Return the moment that the named parts of a file name give: day or year + doy, time or hour."""
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
        raise DatasetError(f"{path}: the date in the name is not one ({day} {clock}).")
    return moment
