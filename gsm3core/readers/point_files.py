"""Files of a service's time series: one cell of the service, consecutive days, and some variables in each."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gsm3core.catalog import SourceEntry
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.points import Points

Cell = tuple[float, float]


@dataclass(frozen=True, slots=True)
class SeriesFile:
    """A file and what its name says: latitude and longitude of the request, first and last day."""

    path: Path
    cell: Cell
    days: Period


def series_name(prefix: str, cell: Cell, days: Period, tag: str) -> str:
    """Return the name of a file.

    Parameters
    ----------
    prefix
        Name of the source.
    cell
        Latitude and longitude of the request, degrees.
    tag
        Stands for the variables, so that files of other variables have other names.
    """
    lat, lon = cell
    return f"{prefix}_{lat:+.5f}_{lon:+.5f}_{days.start:%Y%m%d}-{days.end:%Y%m%d}_{tag}.json"


def parse_series_name(entry: SourceEntry, path: Path) -> SeriesFile | None:
    """Return what the name of a file says; None for another file.

    The entry's ``files`` expression has the named parts ``lat``, ``lon``, ``first`` and ``last``.
    """
    found = re.search(entry.files, path.name)
    if found is None:
        return None
    first, last = (dt.datetime.strptime(found[k], "%Y%m%d").date() for k in ("first", "last"))
    return SeriesFile(path, (float(found["lat"]), float(found["lon"])), Period(start=first, end=last))


def series_files(entry: SourceEntry, root: Path) -> dict[Cell, list[SeriesFile]]:
    """Return the files of a folder by cell, those with later days last."""
    found: dict[Cell, list[SeriesFile]] = {}
    paths = root.iterdir() if root.is_dir() else ()
    for path in sorted(paths):
        if (one := parse_series_name(entry, path)) is not None and path.is_file():
            found.setdefault(one.cell, []).append(one)
    for files in found.values():
        files.sort(key=lambda f: (f.days.end, f.path.name))
    return found


def overlapping(files: Iterable[SeriesFile], period: Period | None) -> list[SeriesFile]:
    """Return the files with days of a period; all for None."""
    if period is None:
        return list(files)
    return [f for f in files if f.days.start <= period.end and f.days.end >= period.start]


def sites_by_cell(cells: Sequence[Cell]) -> dict[Cell, list[int]]:
    """Return the positions of the points in each cell, in order of the points."""
    groups: dict[Cell, list[int]] = {}
    for k, cell in enumerate(cells):
        groups.setdefault(cell, []).append(k)
    return groups


def files_of_points(
    entry: SourceEntry, root: Path, cells: Sequence[Cell], period: Period | None
) -> list[tuple[SeriesFile, list[int]]]:
    """Return the files with days of a period for some points, each with the positions of its points."""
    known = series_files(entry, Path(root))
    return [
        (file, sites)
        for cell, sites in sites_by_cell(cells).items()
        for file in overlapping(known.get(cell, []), period)
    ]


def load_json(path: Path, what: str) -> dict[str, Any]:
    """Return the content of a JSON file.

    Raises
    ------
    DatasetError
        If the file cannot be read or is not a JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise DatasetError(
            f"{path} is not JSON ({what}): {error}. Delete the file and rerun the command without --offline."
        ) from error
    if not isinstance(content, dict):
        raise DatasetError(
            f"{path} is not a response of {what}. Delete the file and rerun the command without --offline."
        )
    return content


def numbers(values: Iterable[Any], fill: float | None = None) -> np.ndarray:
    """Return a service's values as numbers; null and the fill value are NaN.

    Raises
    ------
    ValueError
        If a value is no number.
    """
    out = np.array([np.nan if x is None else float(x) for x in values])
    if fill is not None:
        out[np.isclose(out, fill)] = np.nan
    return out


def check_longitudes(points: Points) -> np.ndarray:
    """Return longitudes from -180 up to, not including, 180."""
    return (np.asarray(points.lon, float) + 180.0) % 360.0 - 180.0
