"""Survey of ERA5 files: what each one has, found once and kept, before any map is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.catalog import SourceEntry, source_entry
from gsm3core.errors import DatasetError
from gsm3core.readers.era5.accumulation import Accumulation, accumulation_of, largest_amount
from gsm3core.readers.era5.layout import Slab, find_layout
from gsm3core.readers.era5.point_csv import read_csv
from gsm3core.readers.era5.product import Contents, Evidence, contents_of, describing_text, spacing_of
from gsm3core.readers.granules import open_granule

MASK = "lsm"
_SAMPLE_DAYS = 3
_SMALL = 1_000_000  # values; a variable with fewer is read whole, as of a single cell most days may be dry
_FEW_FORECASTS = 100
_WHOLE = 256  # rows or columns up to which whole maps are sampled
_WINDOW = 64

Key = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Part:
    """Variables of a file with the same times and cells, and what their values are."""

    slab: Slab
    contents: Contents


@dataclass(frozen=True, slots=True)
class FileSurvey:
    """What a file has.

    Parameters
    ----------
    problems
        Name of a variable in the file -> why its dimensions cannot be read.
    names
        All variables of the file.
    """

    path: Path
    parts: tuple[Part, ...]
    evidence: Evidence | None
    problems: Mapping[str, str]
    names: tuple[str, ...]

    def has(self, name: str) -> bool:
        """Return whether the file has values of a variable."""
        return any(name in p.slab.names for p in self.parts)

    @property
    def grid(self) -> Key | None:
        """The cells, to compare files."""
        return grid_key(self.parts[0].slab) if self.parts else None


def grid_key(slab: Slab) -> Key:
    """Return the cells of a slab in a form to compare."""
    rounded = (np.round(np.sort(a % 360 if k else a), 3) for k, a in enumerate((slab.lat, slab.lon)))
    lat, lon = (a.tobytes() for a in rounded)
    return lat, lon


def survey_file(source: str, path: Path) -> FileSurvey:
    """Return what a file has; a file that has not changed is opened once.

    Raises
    ------
    DatasetError
        If the file cannot be opened or has no latitudes and longitudes.
    """
    stat = path.stat()
    return _survey(source, str(path), stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=8192)
def _survey(source: str, name: str, modified: int, size: int) -> FileSurvey:
    entry, path = source_entry(source), Path(name)
    wanted = {t: x for x in entry.variables for t in x.theirs}
    accumulated = [t for t, x in wanted.items() if x.time == "interval_end"]
    with open_file(path, entry) as ds:
        names = tuple(str(n) for n in ds.data_vars)
        if not set(names) & {*wanted, MASK}:
            return FileSurvey(path, (), None, {}, names)
        layout = find_layout(ds, path, [*wanted, MASK], accumulated)
        parts = []
        for slab in layout.slabs:
            text = describing_text(path, ds, slab.names)
            parts.append(Part(slab, contents_of(slab.times, text)))
        evidence = None
        if parts:
            slab = parts[0].slab
            present = tuple(n for n in names if n in wanted)
            kinds = {n: k for n in present if n in accumulated and (k := _accumulation(ds, entry, n, parts))}
            evidence = Evidence(
                spacing_of(ds, slab.lat, slab.lon, present),
                slab.lat,
                slab.lon,
                describing_text(path, ds, ()),
                kinds,
            )
        return FileSurvey(path, tuple(parts), evidence, layout.problems, names)


@contextmanager
def open_file(path: Path, entry: SourceEntry) -> Iterator[xr.Dataset]:
    """Open a netCDF file, or a point series in a CSV."""
    if path.suffix.lower() == ".csv":
        yield read_csv(path, entry)
        return
    with open_granule(path, f"{entry.product} data") as ds:
        yield ds


def day_and_hour(times: NDArray[np.datetime64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the UTC day (since 1970) in which the hour before each label lies, and the hours since its 00 UTC, 1 to 24."""
    hours = (times.astype("M8[h]") - np.timedelta64(1, "h")).astype(np.int64)
    return hours // 24, hours % 24 + 1


def _accumulation(
    ds: xr.Dataset, entry: SourceEntry, name: str, parts: Sequence[Part]
) -> Accumulation | None:
    """Return the interval of a variable's accumulations by a sample of its values."""
    slabs = [p.slab for p in parts if name in p.slab.names and p.contents.frequency == "hourly"]
    if not slabs:
        return None
    slabs = [s for s in slabs if grid_key(s) == grid_key(slabs[0])]
    owner = np.concatenate([np.full(len(s.times), k) for k, s in enumerate(slabs)])
    row = np.concatenate([np.arange(len(s.times)) for s in slabs])
    day, hour = day_and_hour(np.concatenate([s.times for s in slabs]))
    labelled = pd.Series(day).value_counts(sort=False).sort_index()
    # Days spread over the file, or all of a small one, of those with the most labels.
    full = labelled.index[labelled >= labelled.max()].to_numpy()
    small = len(day) * len(slabs[0].lat) * len(slabs[0].lon) <= _SMALL and len(slabs) <= _FEW_FORECASTS
    number = len(full) if small else min(_SAMPLE_DAYS, len(full))
    chosen = np.unique(full[np.linspace(0, len(full) - 1, number).astype(int)])
    blocks, days, hours = [], [], []
    for some in [labelled.index.to_numpy()] if small else [np.array([one]) for one in chosen]:
        inside = np.isin(day, some)
        for k, slab in enumerate(slabs):
            at = np.flatnonzero(inside & (owner == k))
            if len(at):
                at = at[np.argsort(row[at])]
                block = _sample(slab.read(ds, row[at], [name])[name])
                wanted = np.isin(day[at], chosen)
                blocks.append(block[wanted])
                days.append(day[at][wanted])
                hours.append(hour[at][wanted])
    variable = next(x for x in entry.variables if name in x.theirs)
    return accumulation_of(
        np.concatenate(blocks),
        np.concatenate(days),
        np.concatenate(hours),
        largest_amount(variable),
        variable.our_units == "W m-2",
    )


def _sample(array: xr.DataArray) -> NDArray[np.float64]:
    """Return the values of whole maps, or of windows of large ones, ``(time, cell)``."""
    windows = []
    for lat in _windows(array.sizes[v.LAT]):
        # Whole rows at once: compressed files have whole maps in a chunk.
        rows = array.isel({v.LAT: lat}).to_numpy()
        for lon in _windows(array.sizes[v.LON]):
            block = rows[:, :, lon].astype(np.float64)
            windows.append(block.reshape(block.shape[0], -1))
    return np.concatenate(windows, axis=1)


def _windows(size: int) -> list[slice]:
    if size <= _WHOLE:
        return [slice(None)]
    return [slice(size * k // 4 - _WINDOW // 2, size * k // 4 + _WINDOW // 2) for k in (1, 2, 3)]


def check_readable(surveys: Sequence[FileSurvey], errors: Mapping[Path, DatasetError]) -> None:
    """Raise the first error if no file can be read at all."""
    if errors and not any(s.parts for s in surveys):
        raise next(iter(errors.values()))
