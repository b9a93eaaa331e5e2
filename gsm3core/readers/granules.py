"""Granules (files) of a source: find them by name and period, and open them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import xarray as xr

from gsm3core.catalog import SourceEntry
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.file_listing import Roots, folders, list_files
from gsm3core.readers.file_names import is_packed, producer_name, sibling_of_name
from gsm3core.readers.layouts import check_product, open_layout

_DAY, _MONTH, _YEAR = (dt.timedelta(days=n) for n in (1, 31, 366))
_MAX_NAMES = 3
# Parts of a name in which two files of the same content may differ: the better one is read.
_PREFERENCES = ("version", "early")


class NoDataInPeriodError(DatasetError):
    """A source has valid files, but none in the requested period."""


class VariableMissingError(NoDataInPeriodError):
    """The files of the requested period have none of the requested variables."""


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
    root: Roots,
    period: Period | None = None,
    *,
    keep: Callable[[dict[str, str]], bool] = lambda parts: True,
    length: dt.timedelta = dt.timedelta(days=1),
    lag: dt.timedelta = dt.timedelta(0),
    notes: list[str] | None = None,
    what: str = "",
) -> list[Granule]:
    """Return the files of a source in order of time; of several versions of a file, the last by name.

    Parameters
    ----------
    entry
        Its ``files`` expression selects files by name.
    root
        Folder, searched recursively, or one file; or several of them.
    period
        Days: keep the files that may have data of them.
    keep
        Filter by the named parts of the file name.
    length
        Duration of a file from the time in its name.
    lag
        Largest delay of the time in the name after the data's time.
    notes
        Sentences about files that are not read are added to it.
    what
        What ``keep`` selects, for messages.

    Raises
    ------
    DatasetError
        If the folder is missing or has no such file; :class:`NoDataInPeriodError` if it has none in the period.
    """
    notes = [] if notes is None else notes
    for folder in folders(root):
        if not folder.exists():
            raise DatasetError(
                f"{folder} does not exist; expected a folder of {entry.title} (files like {entry.example})."
            )
    found: dict[tuple[object, ...], list[Granule]] = {}
    listing = list_files(entry, root)
    files, matching, unique = listing.files, listing.matching, listing.unique
    if len(unique) < len(matching):
        notes.append(f"not read: copies of other files ({len(matching) - len(unique)})")
    for path in unique:
        parts = listing.parts(path)
        if keep(parts):
            start = listing.start(path)
            identity = (start, *(x for k, x in sorted(parts.items()) if k not in _PREFERENCES))
            found.setdefault(identity if start else (path,), []).append(
                Granule(path=path, start=start, parts=parts)
            )
    if not found and unique:
        raise DatasetError(
            f"{describe_roots(root)} has {len(unique)} files of {entry.title}, such as {unique[0].name}, but none of "
            f"{what or entry.name}."
        )
    if not found:
        raise DatasetError(_nothing_found(entry, root, files))
    known = set(matching)
    if others := _siblings_in(entry, [p for p in files if p not in known]):
        notes.append(f"not read: {others}")
    chosen = [g for several in found.values() for g in _newest(several)]
    if older := sum(map(len, found.values())) - len(chosen):
        notes.append(f"not read: earlier versions of other files ({older})")
    granules = sorted(chosen, key=lambda g: (g.start or dt.datetime.min, g.path.name, str(g.path)))
    if period is None or any(g.start is None for g in granules):
        return granules
    first = dt.datetime.combine(period.start, dt.time()) - length
    last = dt.datetime.combine(period.end, dt.time()) + dt.timedelta(days=1)
    inside = [g for g in granules if g.start is not None and first < g.start < last + lag]
    if not inside:
        raise NoDataInPeriodError(
            f"no file in {describe_roots(root)} covers {period.start} to {period.end}; its files of {entry.name} cover "
            f"{granules[0].start:%Y-%m-%d} to {granules[-1].start:%Y-%m-%d}."
        )
    return inside


def _newest(same: list[Granule]) -> list[Granule]:
    """Return the files of the final and newest version; more than one if they are, for example, different areas."""
    if len(same) == 1:
        return same

    def rank(granule: Granule) -> tuple[bool, str, str]:
        name = producer_name(granule.path.name).lower()
        return "early" not in granule.parts, granule.parts.get("version", ""), name

    best = max(map(rank, same))
    return [g for g in same if rank(g) == best]


def _nothing_found(entry: SourceEntry, root: Roots, files: list[Path]) -> str:
    """Say what a folder has instead of a source's files."""
    where = describe_roots(root)
    if others := _siblings_in(entry, files):
        advice = {s.advice: None for p in files if (s := sibling_of_name(entry, p.name)) and s.advice}
        return f"{where} has no file of {entry.title}, but {others}. " + " ".join(advice)
    if packed := [p.name for p in files if is_packed(entry, p.name)]:
        return f"{where} has packed files of {entry.title} ({packed[0]}; {len(packed)} in all). Unpack them."
    names = sorted(p.name for p in files)
    shown = ", ".join(names[:_MAX_NAMES]) + (
        f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    )
    return f"{where} has no file of {entry.title}; expected names like {entry.example}, found {shown or 'an empty folder'}."


def _siblings_in(entry: SourceEntry, files: list[Path]) -> str:
    """Return the files of other products by name: their number, the product, and an example."""
    found: dict[str, list[str]] = {}
    if any(s.files for s in entry.siblings):
        for path in files:
            if sibling := sibling_of_name(entry, path.name):
                found.setdefault(sibling.title, []).append(path.name)
    return "; ".join(
        f"{len(names)} file{'s' if len(names) > 1 else ''} of {title} ({names[0]})"
        for title, names in found.items()
    )


@contextmanager
def open_granule(
    path: Path,
    what: str,
    *,
    group: str | None = None,
    decode: bool = True,
    wanted: Iterable[str] = (),
    entry: SourceEntry | None = None,
) -> Iterator[xr.Dataset]:
    """Open a netCDF or HDF5 file of any version, lazily, without decoding times.

    Parameters
    ----------
    what, group, decode, wanted
        See :func:`gsm3core.readers.layouts.open_layout`.
    entry
        Refuse files whose attributes are those of one of its siblings.

    Raises
    ------
    DatasetError
        If the file is truncated, has an unsupported format or another layout, or is another product.
    """
    with open_layout(path, what, group=group, decode=decode, wanted=wanted) as ds:
        if entry is not None:
            check_product(entry, path, ds)
        yield ds


def matching_files(entry: SourceEntry, root: Roots) -> list[Path]:
    """Return the files in folders and their subfolders (or single files) whose names match the source."""
    return list(list_files(entry, root).matching)


def describe_roots(root: Roots) -> str:
    """Return the folders of a source as text."""
    return " and ".join(map(str, folders(root)))


def candidate_files(entry: SourceEntry, root: Roots, period: Period | None) -> list[Path]:
    """Return every file that a reader may open for a period, judged by name, and all files without a date in their name.

    A superset of the files that are read (by a file at either end), so that a cache can detect any change.
    """
    found = []
    listing = list_files(entry, root)
    for path in listing.matching:
        parts, start = listing.parts(path), listing.start(path)
        if start is not None and period is not None:
            length = _YEAR if not {"day", "doy"} & set(parts) else _MONTH if entry.step == "P1M" else _DAY
            first = dt.datetime.combine(period.start, dt.time()) - length
            last = dt.datetime.combine(period.end, dt.time()) + 2 * _DAY
            if not first <= start < last:
                continue
        found.append(path)
    return found
