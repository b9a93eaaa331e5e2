"""Values at points: sources that give a series or a value for each requested place, without a grid of their own here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.catalog import SourceEntry, SourceVariable
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.granules import NoDataInPeriodError
from gsm3core.readers.grid_axes import label_shift
from gsm3core.readers.gridded import add_attributes, select_variables
from gsm3core.readers.screening import convert

CELL = ("cell_lat", "cell_lon")


@dataclass(frozen=True, slots=True)
class Points:
    """Names and coordinates (degrees, longitudes from -180 to 180) of the sites to sample at."""

    site: NDArray[np.str_]
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.site)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of names and coordinates."""
        text = json.dumps([a.tolist() for a in (self.site, self.lat, self.lon)])
        return hashlib.sha256(text.encode()).hexdigest()


class PointReader(Protocol):
    """Reads the files of one source of values at points, with canonical names and units."""

    def files(
        self,
        root: Path,
        points: Points,
        period: Period | None = None,
        variables: Iterable[str] | None = None,
    ) -> list[Path]:
        """Return the existing files that :meth:`open` would read; an empty list if there are none."""
        ...

    def open(
        self,
        root: Path,
        points: Points,
        period: Period | None = None,
        variables: Iterable[str] | None = None,
    ) -> xr.Dataset:
        """Return variables ``(time, site)``; of a static source ``(site)``.

        As of :class:`gsm3core.readers.gridded.GridReader`: canonical names and units, time labels at the START of
        their interval, the attributes ``time_step`` (seconds), ``screening`` of each variable, ``inputs``. The
        coordinates ``cell_lat`` and ``cell_lon`` (site) are the centre of the service's cell, NaN where unknown. A
        site without a file has missing values; the attribute ``sites_without_files`` names it. The attribute
        ``labels`` has for each variable the time labels that all sites with files have.

        Parameters
        ----------
        root
            Folder of the source.
        period
            UTC days to keep; all by default. Not used by static sources.
        variables
            Canonical names; the entry's default variables for ``None``.

        Raises
        ------
        DatasetError
            If a file is damaged, is not of this source, or lacks a requested variable; ``NoDataInPeriodError`` if no
            site has any file.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RawSeries:
    """The content of one file in the source's names and units.

    Parameters
    ----------
    path
        The file.
    raw
        Variables ``(time)`` (as labelled by the source), or without dimension for a static source; fill values NaN.
    sites
        Positions in the points that the values are for: several sites may lie in one cell of the service.
    cell
        Latitude and longitude of the centre of the service's cell; NaN where unknown.
    masks
        Per variable of the source: reason -> where the value must not be used.
    """

    path: Path
    raw: xr.Dataset
    sites: Sequence[int]
    cell: tuple[float, float] = (np.nan, np.nan)
    masks: Mapping[str, Mapping[str, xr.DataArray]] = field(default_factory=dict)


_Piece = tuple[NDArray[np.datetime64] | None, NDArray[np.float32], list[int]]


def join_series(
    entry: SourceEntry,
    series: Iterable[RawSeries],
    variables: Iterable[str] | None,
    *,
    points: Points,
    period: Period | None,
    step: pd.Timedelta | None,
    allow_missing: bool = False,
) -> xr.Dataset:
    """Convert and screen files by the catalogue and join them to ``(time, site)``, or ``(site)``.

    Parameters
    ----------
    series
        The files. Where two have a value of the same label of a site, the later one's is kept.
    variables
        Canonical names; the entry's default variables for ``None``.
    step
        Interval between labels; ``None`` for static sources.
    allow_missing
        Read the variables that a file has; a source may have its variables in several files.

    Returns
    -------
    xarray.Dataset
        As of :meth:`PointReader.open`.

    Raises
    ------
    DatasetError
        If a file lacks a variable or states other units.
    """
    chosen = select_variables(entry, variables)
    tally: dict[str, dict[str, int]] = {}
    pieces: dict[str, list[_Piece]] = {x.ours: [] for x in chosen}
    centre = np.full((2, len(points)), np.nan)
    used, served = dict[str, None](), set[int]()
    for one in series:
        sites = list(one.sites)
        centre[:, sites] = np.reshape(one.cell, (2, 1))
        served.update(sites)
        for variable in chosen:
            if (found := _convert(entry, one, variable, period, step, tally, allow_missing)) is not None:
                pieces[variable.ours].append((*found, sites))
                used[str(one.path)] = None
    if not any(pieces.values()):
        span = f" for {period.start} to {period.end}" if period else ""
        raise NoDataInPeriodError(
            f"no file of {entry.name}{span} at any of {len(points)} sites. Rerun without --offline to request them."
        )
    coords = {v.SITE: points.site, v.LAT: (v.SITE, points.lat), v.LON: (v.SITE, points.lon)}
    if step is None:
        arrays = {n: ((v.SITE,), _fill_static(p, len(points))) for n, p in pieces.items() if p}
        out = xr.Dataset(arrays, coords=coords)
    else:
        labels = [t for p in pieces.values() for t, _, _ in p if t is not None]
        axis = np.unique(np.concatenate(labels))
        filled = {n: ((v.TIME, v.SITE), _fill(p, axis, len(points))) for n, p in pieces.items() if p}
        out = xr.Dataset(filled, coords={v.TIME: axis, **coords})
        common = {n: _common_labels(p, axis, sorted(served)) for n, p in pieces.items() if p}
    out = add_attributes(out, entry, chosen, tally, step=step, files=len(used))
    out.attrs["inputs"] = list(used)
    if step is not None:
        out.attrs["labels"] = common
    if absent := [str(points.site[k]) for k in range(len(points)) if k not in served]:
        out.attrs["sites_without_files"] = absent
    return out.assign_coords({name: (v.SITE, centre[k]) for k, name in enumerate(CELL)})


def _convert(
    entry: SourceEntry,
    one: RawSeries,
    variable: SourceVariable,
    period: Period | None,
    step: pd.Timedelta | None,
    tally: dict[str, dict[str, int]],
    allow_missing: bool,
) -> tuple[NDArray[np.datetime64] | None, NDArray[np.float32]] | None:
    """Return labels and values of one variable; None if the file has no step in the period."""
    theirs = next((t for t in variable.theirs if t in one.raw.data_vars), "")
    if not theirs and allow_missing:
        return None
    if not theirs:
        raise DatasetError(
            f"{one.path} has no variable {' or '.join(variable.theirs)} ({entry.title}). It has: "
            f"{', '.join(sorted(map(str, one.raw.data_vars))) or 'none'}."
        )
    masks = one.masks.get(theirs, {})
    if step is None:
        return None, np.asarray(convert(one.raw, one.path, variable, theirs, masks, None, tally))
    labels = pd.DatetimeIndex(one.raw[v.TIME].values) - label_shift(variable.time, step)
    if not labels.is_monotonic_increasing or labels.has_duplicates:
        raise DatasetError(f"{one.path}: time labels of {theirs!r} must ascend without duplicates.")
    first, last = 0, len(labels)
    if period is not None:
        first = int(labels.searchsorted(pd.Timestamp(period.start)))
        last = int(labels.searchsorted(pd.Timestamp(period.end) + pd.Timedelta(days=1)))
    if first == last:
        return None
    block = slice(first, last)
    values = convert(one.raw, one.path, variable, theirs, masks, block, tally)
    return labels[block].to_numpy().astype("datetime64[ns]"), np.asarray(values)


def _fill(pieces: list[_Piece], axis: NDArray[np.datetime64], sites: int) -> NDArray[np.float32]:
    out = np.full((len(axis), sites), np.nan, np.float32)
    for labels, values, where in pieces:
        assert labels is not None
        known = np.isfinite(values)
        out[np.ix_(np.searchsorted(axis, labels[known]), np.asarray(where))] = values[known, None]
    return out


def _common_labels(
    pieces: list[_Piece], axis: NDArray[np.datetime64], sites: list[int]
) -> NDArray[np.datetime64]:
    """Return the labels that all these sites have, whatever their values."""
    found = np.zeros((len(axis), max(sites) + 1), bool)
    for labels, _, where in pieces:
        assert labels is not None
        found[np.ix_(np.searchsorted(axis, labels), np.asarray(where))] = True
    return axis[found[:, sites].all(1)]


def _fill_static(pieces: list[_Piece], sites: int) -> NDArray[np.float32]:
    out = np.full(sites, np.nan, np.float32)
    for _, value, where in pieces:
        out[where] = value
    return out
