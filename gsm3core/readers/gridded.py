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
from gsm3core.readers.granules import NoDataInPeriodError
from gsm3core.readers.grid_axes import label_shift, same_axes, standardize_axes
from gsm3core.readers.screening import convert

Transform = Callable[[xr.Dataset], xr.Dataset]

_BLOCK_STEPS = 24


class GridReader(Protocol):
    """Opens the files of one gridded source with canonical names and units."""

    def open(
        self, root: Path, period: Period | None = None, *, transform: Transform | None = None
    ) -> xr.Dataset:
        """Return variables ``(time, lat, lon)`` or ``(time, y, x)``; static ones without ``time``.

        Latitudes and longitudes ascend, longitudes from -180. ``y`` and ``x`` are row and column of the EASE-Grid
        2.0 in the dataset's attribute ``grid``. A time label is the instant of a value, or the START of the interval
        that it covers, so that a value belongs to the UTC day of its label; the attribute ``time_step`` is the interval
        between labels in seconds. Each variable's attribute ``screening`` is JSON: the values read, removed by each
        rule, and kept. The attribute ``inputs`` lists the files with values.

        Parameters
        ----------
        root
            Folder or file of the source.
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
    """

    path: Path
    raw: xr.Dataset
    masks: Mapping[str, Mapping[str, xr.DataArray]] = field(default_factory=dict)


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
) -> xr.Dataset:
    """Convert, screen and join the files of a source.

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
        Read the variables that a file has; the CDS splits a request into several files.

    Raises
    ------
    DatasetError
        If a file lacks a variable or states other units, two files have the same time step or different grids, or
        there is no data in the period.
    """
    tally: dict[str, dict[str, int]] = {}
    parts: dict[str, list[xr.Dataset]] = {}
    origin: dict[tuple[str, object], str] = {}
    axes: list[np.ndarray] | None = None
    files, used = 0, dict[str, None]()
    for opened in raw_granules:
        with opened as granule:
            files += 1
            raw, axes = granule.raw, same_axes(granule.raw, granule.path, axes)
            found = [(x, t) for x in variables if (t := _source_name(x, raw))]
            if not allow_missing and len(found) < len(variables):
                absent = next(x for x in variables if not _source_name(x, raw))
                raise DatasetError(
                    f"{granule.path} has no variable {' or '.join(absent.theirs)} ({entry.title}). It has: "
                    f"{', '.join(sorted(map(str, raw.data_vars)))}."
                )
            for label in dict.fromkeys(x.time for x, _ in found):
                group = [(x, t) for x, t in found if x.time == label]
                for block in _time_blocks(raw, label, step, period):
                    # One variable at a time: a day of hourly maps of a dozen variables is gigabytes.
                    for x, t in group:
                        values = convert(raw, granule.path, x, t, granule.masks.get(t, {}), block, tally)
                        ds = standardize_axes(xr.Dataset({x.ours: values}), label, step)
                        used[str(granule.path)] = None
                        _check_duplicates(ds, granule.path, origin)
                        parts.setdefault(x.ours, []).append(transform(ds) if transform else ds)
    if not parts:
        span = f"{period.start} to {period.end}" if period else "any day"
        names = ", ".join(t for x in variables for t in x.theirs)
        raise NoDataInPeriodError(
            f"no value of {entry.name} for {span} in {files} files (variables {names})."
        )
    joined = [
        xr.concat(p, v.TIME, join="exact", coords="minimal", compat="override", data_vars="minimal").sortby(v.TIME)
        if step is not None
        else p[0]
        for p in parts.values()
    ]  # fmt: skip
    out = xr.merge(joined, join="outer", compat="no_conflicts", combine_attrs="override")
    out = _add_attributes(out, entry, variables, tally, step=step, files=files)
    out.attrs["inputs"] = list(used)
    return out


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


def _check_duplicates(ds: xr.Dataset, path: Path, origin: dict[tuple[str, object], str]) -> None:
    """Raise if a variable has the same time step twice, in one file or in two."""
    for time in ds[v.TIME].values if v.TIME in ds.dims else [None]:
        for name in ds.data_vars:
            what = f"{name} at {str(time)[:16]}" if time is not None else str(name)
            other = origin.get((str(name), time))
            if other == str(path):
                raise DatasetError(f"{path}: duplicate {what}; times must not repeat.")
            if other is not None:
                raise DatasetError(f"{what} is in two files: {other} and {path}. Remove one of them.")
            origin[str(name), time] = str(path)


def _add_attributes(
    out: xr.Dataset,
    entry: SourceEntry,
    variables: list[SourceVariable],
    tally: dict[str, dict[str, int]],
    *,
    step: pd.Timedelta | None,
    files: int,
) -> xr.Dataset:
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
            "screening": json.dumps(tally[variable.ours]),
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
        out[v.LAT].attrs = {"units": "degrees_north", "standard_name": "latitude"}
        out[v.LON].attrs = {"units": "degrees_east", "standard_name": "longitude"}
    return out
