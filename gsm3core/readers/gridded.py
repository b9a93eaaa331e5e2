"""Shared part of the gridded readers: conversion by the catalogue, counted screening, canonical axes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.catalog import SourceEntry, SourceVariable
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.granules import NoDataInPeriodError, Roots, VariableMissingError
from gsm3core.readers.grid_axes import (
    axes_of,
    describe_grid,
    find_axes,
    label_shift,
    same_cells,
    standardize_axes,
)
from gsm3core.readers.grid_parts import GridParts, repeat_steps
from gsm3core.readers.layouts import noted_if_damaged
from gsm3core.readers.screening import convert, screening_record

Transform = Callable[[xr.Dataset], xr.Dataset]

_BLOCK_STEPS = 24
_MAX_DAMAGED = 5  # named in the notes


class GridReader(Protocol):
    """Opens the files of one gridded source with canonical names and units."""

    def open(
        self, root: Roots, period: Period | None = None, *, transform: Transform | None = None
    ) -> xr.Dataset:
        """Return variables ``(time, lat, lon)`` or ``(time, y, x)``; static ones without ``time``.

        Latitudes and longitudes ascend, longitudes from -180. ``y`` and ``x`` are row and column of the EASE-Grid
        2.0 in the dataset's attribute ``grid``. A time label is the instant of a value, or the START of the interval
        that it covers, so that a value belongs to the UTC day of its label; the attribute ``time_step`` is the interval
        between labels in seconds. Each variable's attribute ``screening`` is JSON: the values read, removed by each
        rule, and kept. The attribute ``inputs`` lists the files with values, ``notes`` (JSON) what was decided.

        Parameters
        ----------
        root
            Folder or file of the source, or several of them.
        period
            UTC days to keep; all by default. Whole grids are large: read a day or a month at a time.
        transform
            Applied to every block of a few steps before blocks are joined, so that a long period at few sites fits in
            memory (see :mod:`gsm3core.assembly.collocate`).

        Raises
        ------
        DatasetError
            If files are missing, damaged, of another product, or lack a requested variable.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RawGranule:
    """One open file in the source's names and units.

    Parameters
    ----------
    raw
        Variables with dimensions ``time`` (decoded, as labelled by the source) and two of space, fill values NaN.
    masks
        Per variable of the source: reason -> where the value must not be used.
    notes
        Sentences about what was found or decided, without the file's name.
    grid
        EASE-Grid 2.0 of which ``y`` and ``x`` are rows and columns.
    covers
        Steps that each value covers, within one UTC day; its label is that of the last one.
    """

    path: Path
    raw: xr.Dataset
    masks: Mapping[str, Mapping[str, xr.DataArray]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    grid: str = ""
    covers: int = 1


def select_variables(entry: SourceEntry, names: Iterable[str] | None) -> list[SourceVariable]:
    """Return variables by their canonical names; the entry's default variables for ``None``.

    Raises
    ------
    DatasetError
        If the source has no such variable.
    """
    if names is None:
        return [x for x in entry.variables if x.default]
    return [entry.variable(n) for n in names]


def read_grid(
    entry: SourceEntry,
    raw_granules: Iterable[AbstractContextManager[RawGranule]],
    variables: list[SourceVariable],
    *,
    period: Period | None,
    step: pd.Timedelta | None,
    transform: Transform | None,
    allow_missing: bool = False,
    notes: Iterable[str] = (),
    native: bool = True,
) -> xr.Dataset:
    """Convert, screen and join the files of a source.

    Files of several areas are joined at the sites: each has the value of the grid with the nearest cell centre, or of the
    next one that has a value. Without a transform, several grids are an error.

    Parameters
    ----------
    raw_granules
        The files, in order of time.
    period
        UTC days to keep, by the canonical labels.
    step
        Interval between labels; ``None`` for static sources.
    transform
        Applied to every block of steps.
    allow_missing
        Variables lie in different files, so that it needs no note if a file lacks one.
    notes
        Sentences to keep in the attribute ``notes``, beside those of the files.
    native
        Whether the cells are those of the files, to be compared with the catalogue.

    Raises
    ------
    DatasetError
        If a file states other units, two files have the same time step, or there is no data in the period;
        :class:`gsm3core.readers.granules.VariableMissingError` if no file has any of the variables.
    """
    tally: dict[str, dict[str, int]] = {}
    grids: list[list[np.ndarray]] = []
    parts = GridParts(grids)
    said, lacking = dict.fromkeys(notes), dict[str, list[Path]]()
    used, files, first_layout = dict[str, None](), 0, ""
    paths, damaged = set[Path](), list[str]()
    for opened in raw_granules:
        with noted_if_damaged(damaged), opened as granule:
            files += 1
            paths.add(granule.path)
            raw = granule.raw
            found = [(x, t) for x in variables if (t := _source_name(x, raw))]
            for x in variables:
                if not _source_name(x, raw):
                    lacking.setdefault(x.ours, []).append(granule.path)
            first_layout = (
                first_layout or f"{granule.path.name} has {', '.join(sorted(map(str, raw.data_vars)))}"
            )
            if not found:
                continue
            if (grid := find_axes(grids, axes_of(raw))) is None:
                grid = len(grids)
                grids.append(axes_of(raw))
                if grid and (transform is None or not same_cells(grids)):
                    raise _other_grid(granule.path, grids)
                if native and (difference := describe_grid(raw, entry)):
                    said[difference] = None
            said |= dict.fromkeys(granule.notes)
            for label in dict.fromkeys(x.time for x, _ in found):
                group = [(x, t) for x, t in found if x.time == label]
                for block in _time_blocks(raw, label, step, period):
                    # One variable at a time: a day of hourly maps of a dozen variables is gigabytes.
                    for x, t in group:
                        values = convert(raw, granule.path, x, t, granule.masks.get(t, {}), block, tally)
                        ds = standardize_axes(xr.Dataset({x.ours: values}), label, step)
                        ds = _with_cell_size(ds, entry, granule.grid)
                        used[str(granule.path)] = None
                        for one in repeat_steps(ds, granule.covers, step):
                            parts.add(x.ours, grid, granule.path, transform(one) if transform else one)
    said |= dict.fromkeys(damaged[:_MAX_DAMAGED])
    if len(damaged) > _MAX_DAMAGED:
        said[f"not read: {len(damaged) - _MAX_DAMAGED} more damaged files"] = None
    if lacking and all(len(lacking.get(x.ours, ())) == files for x in variables):
        names = " or ".join(t for x in variables for t in x.theirs)
        raise VariableMissingError(
            f"{lacking[variables[0].ours][0]} has no variable {names} ({entry.title}). It has: "
            f"{first_layout.partition(' has ')[2] or 'no variable of this grid'}."
        )
    if not parts.names:
        span = f"{period.start} to {period.end}" if period else "any day"
        names = ", ".join(t for x in variables for t in x.theirs)
        raise NoDataInPeriodError(
            " ".join([f"no value of {entry.name} for {span} in {files} files (variables {names}).", *said])
        )
    for x in variables:
        absent = lacking.get(x.ours, [])
        if len(absent) == files:
            said[f"{x.ours}: no file has {' or '.join(x.theirs)}; {first_layout}"] = None
        elif absent and not allow_missing:
            said[
                f"{x.ours}: {len(absent)} of {files} files have no {' or '.join(x.theirs)}, such as {absent[0].name}"
            ] = None
    out = xr.merge(parts.joined(), join="outer", compat="no_conflicts", combine_attrs="override")
    out = add_attributes(out, entry, variables, tally, step=step, files=len(paths))
    out.attrs["inputs"] = list(used)
    if said:
        out.attrs["notes"] = json.dumps(list(said), ensure_ascii=False)
    return out


def _other_grid(path: Path, grids: list[list[np.ndarray]]) -> DatasetError:
    first, found = (" x ".join(str(len(a)) for a in axes) for axes in (grids[0], grids[-1]))
    return DatasetError(
        f"{path} has another grid ({found}) than the previous files ({first}): {_area(grids[-1])}, not {_area(grids[0])}. "
        "Put files of other cells or areas into different folders."
    )


def _area(axes: list[np.ndarray]) -> str:
    return " and ".join(f"{a.min():g} to {a.max():g}" for a in axes)


def _with_cell_size(ds: xr.Dataset, entry: SourceEntry, grid: str) -> xr.Dataset:
    """Add what a grid cannot say by its axes: the EASE-Grid 2.0, or the size of a single cell."""
    if grid:
        return ds.assign_attrs(grid=grid)
    for one, other in ((v.LAT, v.LON), (v.LON, v.LAT)):
        if one in ds.dims and ds.sizes[one] == 1:
            other_steps = np.abs(np.diff(ds[other].values))
            cell = float(np.median(other_steps)) if len(other_steps) else entry.grid.cell_degrees
            ds[one].attrs["cell"] = cell
    return ds


def _source_name(variable: SourceVariable, raw: xr.Dataset) -> str:
    return next((t for t in variable.theirs if t in raw.data_vars), "")


def _time_blocks(
    raw: xr.Dataset, label: str, step: pd.Timedelta | None, period: Period | None
) -> Iterator[slice | None]:
    """Split a file's steps in the period into blocks that fit in memory; one ``None`` for a static file."""
    if step is None:
        yield None
        return
    labels = pd.DatetimeIndex(raw[v.TIME].values) - label_shift(label, step)
    if period is None:
        inside = np.arange(len(labels))
    else:
        end = pd.Timestamp(period.end) + pd.Timedelta(days=1)
        inside = np.flatnonzero((labels >= pd.Timestamp(period.start)) & (labels < end))
    for run in np.split(inside, np.flatnonzero(np.diff(inside) > 1) + 1):
        for first in range(0, len(run), _BLOCK_STEPS):
            yield slice(int(run[first]), int(run[min(first + _BLOCK_STEPS, len(run)) - 1]) + 1)


def add_attributes(
    out: xr.Dataset,
    entry: SourceEntry,
    variables: list[SourceVariable],
    tally: dict[str, dict[str, int]],
    *,
    step: pd.Timedelta | None,
    files: int,
) -> xr.Dataset:
    """Return a dataset with the attributes of its source: units, names, license, screening, time step.

    Parameters
    ----------
    tally
        Counts of the screening by canonical name.
    step
        Interval between labels; ``None`` for static sources.
    files
        Number of files read.
    """
    for variable in variables:
        if variable.ours not in out:
            continue
        known = v.VARIABLES.get(variable.ours)
        method = {"instant": "time: point", "static": "", "day": "time: mean"}.get(
            variable.time, "time: mean"
        )
        out[variable.ours].attrs |= {
            "units": variable.our_units,
            "long_name": variable.long_name or (known.long_name if known else variable.ours),
            "source": entry.title,
            "license": entry.license,
            "screening": screening_record(tally[variable.ours]),
        }
        if method:
            out[variable.ours].attrs["cell_methods"] = method
        if known and known.standard_name:
            out[variable.ours].attrs["standard_name"] = known.standard_name
    out.attrs = {
        "source": entry.name,
        "title": entry.title,
        "references": f"{entry.citation} doi:{entry.doi}".removesuffix(" doi:"),
        "license": entry.license,
        "files": files,
    }
    if step is not None:
        out.attrs["time_step"] = step.total_seconds()
    if v.SM_PRODUCT in out:
        out = out.assign_coords({v.PRODUCT: entry.product})
    if v.LAT in out.coords:
        for name, units, standard in (
            (v.LAT, "degrees_north", "latitude"),
            (v.LON, "degrees_east", "longitude"),
        ):
            cell = {k: x for k, x in out[name].attrs.items() if k == "cell"}
            out[name].attrs = {"units": units, "standard_name": standard, **cell}
    return out
