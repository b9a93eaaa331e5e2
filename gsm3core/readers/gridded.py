"""What readers of grids share: conversion by the catalogue, screening that is counted, one way to lay out axes."""

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
from gsm3core.readers.files import NothingThereError
from gsm3core.readers.grid_axes import label_shift, laid_out, same_axes
from gsm3core.readers.screening import convert

Each = Callable[[xr.Dataset], xr.Dataset]

_BLOCK = 24


class GridReader(Protocol):
    """Opens the files of one gridded source with our names and units."""

    def open(self, root: Path, period: Period | None = None, *, each: Each | None = None) -> xr.Dataset:
        """Return variables ``(time, lat, lon)`` or ``(time, y, x)``; static ones without ``time``.

        Latitudes and longitudes ascend, longitudes from -180. ``y`` and ``x`` are row and column of the EASE-Grid
        2.0 that the dataset's attribute ``grid`` names. A time label is the instant of a value, or the START of the
        interval that it covers, so that a value belongs to the UTC day of its label; ``time_step`` (an attribute,
        seconds) is the distance of two labels. Each variable's attribute ``screening`` is JSON: how many values
        were read, how many each rule removed, how many were kept. The attribute ``inputs`` lists the files that
        gave a value.

        Parameters
        ----------
        root
            The source's folder or file.
        period
            UTC days to keep; all by default. Whole grids are large: read a day or a month at a time.
        each
            Applied to every piece of at most some steps before pieces are joined, so that a long period at few
            places fits in memory (see :mod:`gsm3core.assembly.collocate`).

        Raises
        ------
        DatasetError
            If files are missing, damaged, of another product, or lack what is asked for.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One open file in the source's own names and units.

    Parameters
    ----------
    raw
        Variables with dimensions ``time`` (decoded, as labelled by the source) and two of space, fill values NaN.
    refuse
        Per variable of theirs: reason -> where the value must not be used.
    """

    path: Path
    raw: xr.Dataset
    refuse: Mapping[str, Mapping[str, xr.DataArray]] = field(default_factory=dict)


def chosen(entry: SourceEntry, names: Iterable[str] | None) -> list[SourceVariable]:
    """Return the variables asked for by our names; the entry's default ones for ``None``.

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
    pieces: Iterable[AbstractContextManager[Piece]],
    variables: list[SourceVariable],
    *,
    period: Period | None,
    step: pd.Timedelta | None,
    each: Each | None,
    any_will_do: bool = False,
) -> xr.Dataset:
    """Convert, screen and join the files of a source.

    Parameters
    ----------
    entry
        Of the catalogue.
    pieces
        The open files, in order of time.
    variables
        What to read.
    period
        UTC days to keep, judged by the canonical labels.
    step
        Distance of two labels; ``None`` for static sources.
    each
        Applied to every block of steps.
    any_will_do
        Take those variables that a file has (CDS splits a request into several files).

    Raises
    ------
    DatasetError
        If a file lacks a variable or states other units, two files hold the same moment or differ in their grid, or
        nothing falls into the period.
    """
    tally: dict[str, dict[str, int]] = {}
    parts: dict[str, list[xr.Dataset]] = {}
    origin: dict[tuple[str, object], str] = {}
    axes: list[np.ndarray] | None = None
    files, used = 0, dict[str, None]()
    for opened in pieces:
        with opened as piece:
            files += 1
            raw, axes = piece.raw, same_axes(piece.raw, piece.path, axes)
            there = [(x, t) for x in variables if (t := _theirs(x, raw))]
            if not any_will_do and len(there) < len(variables):
                absent = next(x for x in variables if not _theirs(x, raw))
                raise DatasetError(
                    f"{piece.path} has no variable {' or '.join(absent.theirs)} ({entry.title}). It has: "
                    f"{', '.join(sorted(map(str, raw.data_vars)))}."
                )
            for label in dict.fromkeys(x.time for x, _ in there):
                group = [(x, t) for x, t in there if x.time == label]
                for block in _blocks(raw, label, step, period):
                    # One variable at a time: a day of hourly maps of a dozen would be gigabytes.
                    for x, t in group:
                        taken = convert(raw, piece.path, x, t, piece.refuse.get(t, {}), block, tally)
                        ds = laid_out(xr.Dataset({x.ours: taken}), label, step)
                        used[str(piece.path)] = None
                        _note_origin(ds, piece.path, origin)
                        parts.setdefault(x.ours, []).append(each(ds) if each else ds)
    if not parts:
        span = f"{period.start} to {period.end}" if period else "any day"
        wanted = ", ".join(t for x in variables for t in x.theirs)
        raise NothingThereError(
            f"No value of {entry.name} for {span} in {files} files (looked for {wanted})."
        )
    joined = [
        xr.concat(p, v.TIME, join="exact", coords="minimal", compat="override", data_vars="minimal").sortby(v.TIME)
        if step is not None
        else p[0]
        for p in parts.values()
    ]  # fmt: skip
    out = xr.merge(joined, join="outer", compat="no_conflicts", combine_attrs="override")
    out = _described(out, entry, variables, tally, step=step, files=files)
    out.attrs["inputs"] = list(used)
    return out


def _theirs(variable: SourceVariable, raw: xr.Dataset) -> str:
    return next((t for t in variable.theirs if t in raw.data_vars), "")


def _blocks(
    raw: xr.Dataset, label: str, step: pd.Timedelta | None, period: Period | None
) -> Iterator[slice | None]:
    """Cut a file's steps that lie in the period into runs that fit in memory; one ``None`` for a static file."""
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
        for first in range(0, len(run), _BLOCK):
            yield slice(int(run[first]), int(run[min(first + _BLOCK, len(run)) - 1]) + 1)


def _note_origin(ds: xr.Dataset, path: Path, origin: dict[tuple[str, object], str]) -> None:
    """Remember which file gave which moment of which variable; two, in two files or one, are an error."""
    for moment in ds[v.TIME].values if v.TIME in ds.dims else [None]:
        for name in ds.data_vars:
            what = f"{name} at {str(moment)[:16]}" if moment is not None else str(name)
            other = origin.get((str(name), moment))
            if other == str(path):
                raise DatasetError(f"{path} holds {what} twice; its times must not repeat.")
            if other is not None:
                raise DatasetError(f"{what} is in two files: {other} and {path}. Keep one of them.")
            origin[str(name), moment] = str(path)


def _described(
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
