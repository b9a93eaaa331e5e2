"""Layouts of ERA5 files: where a file has the values of a variable, whoever wrote it and in whatever order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError

_AXES = {
    v.LAT: (("latitude", "lat", "Latitude", "LAT"), "degrees_north"),
    v.LON: (("longitude", "lon", "Longitude", "LON"), "degrees_east"),
}
_TIMES = ("valid_time", "time", "forecast_reference_time", "forecast_initial_time", "date")
_STEPS = ("step", "forecast_period", "forecast_hour")
_VERSION, _MEMBER = "expver", "number"
_PRELIMINARY = 5
_HOURS = {"h": 1.0, "m": 1 / 60, "s": 1 / 3600, "d": 24.0, "n": 1 / 3.6e12}

Times = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class Slab:
    """Variables of a file that share their times and cells.

    Parameters
    ----------
    names
        Variables, by their names in the file.
    select
        Position along the dimensions that are neither time nor space.
    dims
        Name in the file of the dimensions of time, latitude and longitude; empty where there is none.
    times, positions
        Validity times, UTC, ``(n,)``, and their positions along the dimension of time.
    lat, lon
        Degrees.
    preliminary
        Steps of the preliminary ERA5T, ``(n,)``.
    versions
        Positions of the final and of the preliminary version along the dimension ``expver``; ``None`` without it.
    """

    names: tuple[str, ...]
    select: tuple[tuple[str, int], ...]
    dims: tuple[str, str, str]
    times: Times
    positions: NDArray[np.intp]
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    preliminary: NDArray[np.bool_]
    versions: tuple[int | None, int | None] | None = None

    def read(self, ds: xr.Dataset, rows: NDArray[np.intp], names: Iterable[str]) -> xr.Dataset:
        """Return some times of some variables as ``(time, lat, lon)``, lazily.

        Parameters
        ----------
        ds
            The open file.
        rows
            Which of its times.
        """
        part = ds[list(names)].isel(dict(self.select), missing_dims="ignore")
        part = part.drop_vars(list(part.coords))
        for ours, theirs in zip((v.TIME, v.LAT, v.LON), self.dims, strict=True):
            if theirs and theirs in part.dims:
                part = part.rename({theirs: ours}) if theirs != ours else part
            else:
                part = part.expand_dims(ours)
        at = self.positions[rows]
        contiguous = len(at) > 0 and bool((np.diff(at) == 1).all())
        part = part.isel({v.TIME: slice(int(at[0]), int(at[-1]) + 1) if contiguous else at})
        if self.versions is not None:
            part = self._merged(part)
        part = part.assign_coords({v.TIME: self.times[rows], v.LAT: self.lat, v.LON: self.lon})
        return part.transpose(v.TIME, v.LAT, v.LON, ...)

    def _merged(self, part: xr.Dataset) -> xr.Dataset:
        """Return the final analysis, filled with the preliminary one where a file has both."""
        final, early = (None if k is None else part.isel({_VERSION: k}) for k in self.versions or ())
        if final is None or early is None:
            return final if final is not None else early  # type: ignore[return-value]
        merged = final.fillna(early)
        return merged.assign({n: merged[n].assign_attrs(final[n].attrs) for n in merged.data_vars})


@dataclass(slots=True)
class Layout:
    """Slabs of a file, and why variables cannot be read.

    Parameters
    ----------
    problems
        Name in the file -> what is wrong with its dimensions.
    """

    slabs: list[Slab] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)


def find_layout(ds: xr.Dataset, path: Path, names: Iterable[str], accumulated: Iterable[str]) -> Layout:
    """Return where a file has the values of its variables.

    Parameters
    ----------
    ds
        The file, opened without decoding of times.
    path
        File name, for messages.
    names
        Names of variables; those that the file lacks are ignored.
    accumulated
        The names among them of accumulations: their forecast step 0 has no interval and is left out.

    Raises
    ------
    DatasetError
        If the file has no latitudes and longitudes in one dimension each.

    Notes
    -----
    Known are the files of the CDS before 2024 (``time``, ``expver`` as a dimension) and since (``valid_time``), those that
    cfgrib writes from GRIB (``time`` and ``step``, one- or two-dimensional ``valid_time``, scalar coordinates;
    https://github.com/ecmwf/cfgrib#readme), point series, and any order of dimensions.
    """
    axes = {ours: _find_axis(ds, path, ours) for ours in (v.LAT, v.LON)}
    lat_dim, lon_dim = (a.dims[0] if a.ndim else "" for a in axes.values())
    found = Layout()
    groups: dict[tuple[object, ...], list[str]] = {}
    parts: dict[tuple[object, ...], Slab] = {}
    for name in names:
        if name not in ds.data_vars:
            continue
        try:
            slabs = list(_slabs(ds, path, name, axes, (str(lat_dim), str(lon_dim)), name in set(accumulated)))
        except DatasetError as error:
            found.problems[name] = str(error)
            continue
        for slab in slabs:
            key: tuple[object, ...] = (
                slab.select,
                slab.dims,
                slab.times.tobytes(),
                slab.positions.tobytes(),
                slab.versions,
            )
            groups.setdefault(key, []).append(name)
            parts.setdefault(key, slab)
    for key, slab in parts.items():
        found.slabs.append(replace(slab, names=tuple(groups[key])))
    return found


def describe_dims(array: xr.DataArray) -> str:
    """Return a variable with its dimensions, such as ``t2m(time: 24, lat: 3)``."""
    return f"{array.name}({', '.join(f'{d}: {n}' for d, n in array.sizes.items())})"


def _find_axis(ds: xr.Dataset, path: Path, ours: str) -> xr.DataArray:
    names, units = _AXES[ours]
    name = next((n for n in names if n in ds.variables), None) or next(
        (str(n) for n, a in ds.variables.items() if a.attrs.get("units") == units), None
    )
    if name is None:
        raise DatasetError(
            f"{path} has no {ours}: expected a variable {' or '.join(names[:2])}; it has "
            f"{', '.join(describe_dims(ds[n]) for n in sorted(map(str, ds.variables)))}."
        )
    axis = ds[name]
    if axis.ndim > 1:
        raise DatasetError(
            f"{path}: {describe_dims(axis)} has {axis.ndim} dimensions; expected a regular grid of latitude and longitude. "
            "Regrid the file, or order it on such a grid."
        )
    # Boxes across Greenwich may be written from 357 to 363 degrees.
    largest = 90.01 if ours == v.LAT else 540.01
    degrees = np.atleast_1d(np.asarray(axis.values, float))
    if not (np.abs(degrees) <= largest).all():
        word = "latitudes" if ours == v.LAT else "longitudes"
        raise DatasetError(
            f"{path}: {word} are {np.nanmin(degrees):g} to {np.nanmax(degrees):g}; expected at most 90 and 540 degrees. "
            "Are lat and lon swapped?"
        )
    return axis


def _slabs(
    ds: xr.Dataset,
    path: Path,
    name: str,
    axes: Mapping[str, xr.DataArray],
    space: tuple[str, str],
    accumulated: bool,
) -> Iterator[Slab]:
    """Yield the slabs of one variable: one for each forecast, and for each point of a list of points."""
    array = ds[name]
    of_space = [d for d in dict.fromkeys(space) if d in array.dims]
    for axis in axes.values():
        if axis.size > 1 and axis.dims[0] not in array.dims:
            raise DatasetError(f"{path}: {describe_dims(array)} has no dimension {axis.dims[0]!r}.")
    rest = [str(d) for d in array.dims if d not in of_space]
    times = _valid_times(ds, path, array, rest)
    select = {d: 0 for d in rest if d not in times.dims and ds.sizes[d] == 1 and d != _VERSION}
    extra = [d for d in rest if d not in times.dims and d not in select and d != _VERSION]
    if _MEMBER in extra:
        raise DatasetError(f"{path} has {ds.sizes[_MEMBER]} ensemble members; expected the reanalysis.")
    if extra:
        raise DatasetError(
            f"{path}: {describe_dims(array)} has the dimension{'s' if len(extra) > 1 else ''} {', '.join(extra)}; "
            "expected time, latitude and longitude only."
        )
    versions = _version_positions(ds, rest)
    points = range(ds.sizes[space[0]]) if space[0] and space[0] == space[1] else None
    outer, inner = _split_time_dims(times)
    values = times.values
    once_a_day = len(np.unique(values.astype("M8[D]"))) == values.size  # a daily sum, labelled at noon or so
    if accumulated and not once_a_day and (off := values[values != values.astype("M8[h]")]).size:
        raise DatasetError(
            f"{path}: {describe_dims(array)} has the time {str(off.flat[0])[:16]}; expected full hours, the ends of intervals."
        )
    for k in range(values.shape[0]) if outer else [0]:
        of_step = values[k] if outer else np.atleast_1d(values)
        chosen = select | ({outer: k} if outer else {})
        keep = _present(ds, array, chosen, inner, accumulated) if outer else np.ones(len(of_step), bool)
        if not keep.any():
            continue
        early = _preliminary(ds, chosen, inner, len(of_step))
        for point in points if points is not None else [None]:
            where = chosen | ({space[0]: point} if point is not None else {})
            lat, lon = (np.atleast_1d(np.asarray(axes[n].values, float)) for n in (v.LAT, v.LON))
            lon = np.where(lon >= 360, lon - 360, np.where(lon < -180.01, lon + 360, lon))
            if point is not None:
                lat, lon = lat[[point]], lon[[point]]
            dims = (
                inner,
                *(("", "") if point is not None else (d if d in array.dims else "" for d in space)),
            )
            yield Slab(
                (name,), tuple(sorted(where.items())), (str(dims[0]), str(dims[1]), str(dims[2])), of_step[keep],
                np.flatnonzero(keep), lat, lon, early[keep], versions,
            )  # fmt: skip


def _split_time_dims(times: xr.DataArray) -> tuple[str, str]:
    """Return the dimension of the forecast's start, where there are two of time, and the one of its steps."""
    if times.ndim < 2:
        return "", str(times.dims[0]) if times.ndim else ""
    return str(times.dims[0]), str(times.dims[1])


def _valid_times(ds: xr.Dataset, path: Path, array: xr.DataArray, rest: list[str]) -> xr.DataArray:
    """Return the validity times of a variable, with the dimensions of time that it has; the forecast's start first."""
    of_time = {d for d in rest if d in _TIMES or d in _STEPS or _is_time(ds, d)}
    starts = [n for n in (*_TIMES, *rest) if n in ds.variables and (n in _TIMES or _is_time(ds, n))]
    steps = [n for n in _STEPS if n in ds.variables]
    for name, step in [(n, s) for s in ["", *steps] for n in dict.fromkeys(starts)]:
        dims = [*ds[name].dims, *(ds[step].dims if step and name != "valid_time" else ())]
        if not set(dims) <= set(rest) or not of_time <= set(dims) or len(set(dims)) > 2:
            continue
        if step and name == "valid_time":
            continue
        if not step and name != "valid_time" and (lead := next((s for s in steps if not ds[s].dims), "")):
            step = lead
        decoded = xr.DataArray(decode_times(ds[name], path), dims=ds[name].dims)
        if step:
            decoded = decoded + xr.DataArray(_decode_steps(ds[step], path), dims=ds[step].dims)
        order = sorted(decoded.dims, key=lambda d: (d in _STEPS, rest.index(str(d))))
        return decoded.transpose(*order)
    raise DatasetError(
        f"{path}: no times for {describe_dims(array)}; expected a variable valid_time or time along one of its dimensions. "
        f"The file has {', '.join(describe_dims(ds[n]) for n in sorted(map(str, ds.coords))) or 'no coordinates'}."
    )


def _is_time(ds: xr.Dataset, name: str) -> bool:
    return name in ds.variables and " since " in str(ds[name].attrs.get("units", ""))


def decode_times(variable: xr.DataArray, path: Path) -> Times:
    """Return times as UTC, to the minute, of any shape: ``<unit> since <time>``, ``day as %Y%m%d.%f``, 20240601 or ISO texts.

    Raises
    ------
    DatasetError
        If the units or the texts have another form, or the calendar has other days.
    """
    units, calendar = (str(variable.attrs.get(k, "")).strip() for k in ("units", "calendar"))
    flat = np.atleast_1d(variable.values).ravel()
    if calendar.lower() in ("noleap", "365_day", "360_day", "all_leap", "366_day"):
        raise DatasetError(
            f"{path}: {variable.name!r} has the calendar {calendar!r}; expected days of the Gregorian one."
        )
    try:
        if flat.dtype.kind in "OSU":
            texts = [x.decode() if isinstance(x, bytes) else str(x) for x in flat]
            found = pd.to_datetime(pd.Series(texts), utc=True).dt.tz_localize(None)
        elif re.match(r"day as %Y%m%d", units) or (not units and ((flat > 18e6) & (flat < 23e6)).all()):
            whole = np.floor(flat.astype(float))
            found = pd.Series(pd.to_datetime(whole.astype(int).astype(str), format="%Y%m%d"))
            found += pd.to_timedelta(np.round((flat - whole) * 1440), unit="min")
        else:
            if " since " not in units:
                raise ValueError(units)
            bare = xr.Dataset({"t": (("n",), flat, {"units": units})})
            found = pd.Series(xr.decode_cf(bare)["t"].values.astype("M8[ns]"))
    except (ValueError, TypeError, OverflowError) as error:
        raise DatasetError(
            f"{path}: {describe_dims(variable)} has units {units!r}; expected, for example, 'hours since 1900-01-01'."
        ) from error
    minutes = found.dt.round("min").to_numpy().astype("M8[ns]")
    return np.asarray(minutes.reshape(variable.shape))


def _decode_steps(variable: xr.DataArray, path: Path) -> NDArray[np.timedelta64]:
    """Return forecast steps; numbers without units are hours."""
    units = str(variable.attrs.get("units", "hours")).strip().lower() or "hours"
    unit = _HOURS.get(units[0]) if units != "months" else None
    if unit is None:
        raise DatasetError(f"{path}: {describe_dims(variable)} has units {units!r}; expected hours.")
    minutes = np.round(np.asarray(variable.values, float) * unit * 60)
    return (minutes * 60).astype("m8[s]").astype("m8[ns]")


def _version_positions(ds: xr.Dataset, rest: list[str]) -> tuple[int | None, int | None] | None:
    if _VERSION not in rest:
        return None
    found = _numbers(ds[_VERSION].values) if _VERSION in ds.variables else list(range(ds.sizes[_VERSION]))
    early = found.index(_PRELIMINARY) if _PRELIMINARY in found else None
    final = next((k for k, x in enumerate(found) if x != _PRELIMINARY), None)
    return final, early


def _preliminary(ds: xr.Dataset, select: Mapping[str, int], inner: str, steps: int) -> NDArray[np.bool_]:
    """Return which steps are preliminary by the coordinate ``expver``."""
    if _VERSION not in ds.variables or _VERSION in ds[_VERSION].dims:
        return np.zeros(steps, bool)
    version = ds[_VERSION].isel({d: k for d, k in select.items() if d in ds[_VERSION].dims})
    if set(version.dims) - {inner}:
        return np.zeros(steps, bool)
    return np.broadcast_to([x == _PRELIMINARY for x in _numbers(version.values)], (steps,)).copy()


def _numbers(values: NDArray[np.generic]) -> list[int]:
    """Return versions as numbers, whether they are numbers or texts such as '0005'; 0 for anything else."""
    texts = [x.decode() if isinstance(x, bytes) else str(x) for x in np.atleast_1d(values).ravel()]
    return [int(float(t)) if re.fullmatch(r"\s*\d+(\.0*)?\s*", t) else 0 for t in texts]


def _present(
    ds: xr.Dataset, array: xr.DataArray, select: Mapping[str, int], inner: str, accumulated: bool
) -> NDArray[np.bool_]:
    """Return which steps of a forecast have values: the table of starts and steps is filled up with missing ones."""
    one = array.isel(select)
    present = np.asarray(one.notnull().any([d for d in one.dims if d != inner]).values, bool)
    step = next((s for s in _STEPS if s in ds.variables and ds[s].dims == (inner,)), None)
    if accumulated and step is not None:
        present &= np.asarray(ds[step].values, float) > 0
    return np.atleast_1d(present)
