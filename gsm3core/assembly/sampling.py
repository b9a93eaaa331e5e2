"""Sample a gridded source at the sites: read, collocate, average to days, and count every value lost."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.assembly.collocate import DISTANCE, to_sites
from gsm3core.assembly.daily import Statistic, to_daily
from gsm3core.assembly.recipe import SourceSettings
from gsm3core.assembly.work_cache import Metadata
from gsm3core.catalog import SourceEntry
from gsm3core.config import Period
from gsm3core.errors import ConfigError, DatasetError
from gsm3core.geography.grids import distance_km
from gsm3core.readers import grid_reader_options, make_grid_reader, make_point_reader
from gsm3core.readers.granules import NoDataInPeriodError, VariableMissingError, candidate_files
from gsm3core.readers.gridded import GridReader
from gsm3core.readers.kept_cells import check_kept_cells
from gsm3core.readers.layouts import UnreadableFileError, damaged_files_set_aside
from gsm3core.readers.points import CELL, Points

_DAY = 86_400.0  # s
_MAX_EMPTY = 200  # sites listed
_NOTES = ("preliminary_steps", "product_version", "sites_without_files")

DailyVariables = Sequence[tuple[str, Statistic]]
# By variable: time labels of a block, and the sites inside its grid.
Labels = dict[str, list[tuple[NDArray[np.datetime64], NDArray[np.bool_]]]]


@dataclass(frozen=True, slots=True)
class Source:
    """A gridded source or one of values at points, the folder of its files, and how they are read.

    Parameters
    ----------
    resolution
        As for :func:`gsm3core.assembly.collocate.to_sites`.
    more
        Further folders of a gridded source, read with ``root`` as one archive.
    gaps
        ``allow``: damaged files of a source with time are left out, and their days are missing.
    """

    entry: SourceEntry
    root: Path
    settings: SourceSettings
    resolution: float | None = None
    more: tuple[Path, ...] = ()
    gaps: str = "refuse"

    @property
    def roots(self) -> tuple[Path, ...]:
        """All folders."""
        return (self.root, *self.more)

    @property
    def where(self) -> str:
        """The folders, for messages."""
        return ", ".join(map(str, self.roots))

    @property
    def has_points(self) -> bool:
        """Whether the source has values at requested points instead of a grid."""
        return self.entry.grid.kind == "points"

    @property
    def reads_statistics(self) -> bool:
        """Whether files may have daily statistics, so that each statistic is read by itself."""
        return not self.has_points and "statistic" in grid_reader_options(self.entry.reader)

    def at(self, ds: xr.Dataset, points: Points) -> xr.Dataset:
        """Return the values of a block of the source at the sites."""
        return to_sites(
            ds,
            points.lat,
            points.lon,
            method=self.settings.method,
            site=points.site,
            resolution=self.resolution,
        )

    def reader(self, variables: Iterable[str], statistic: Statistic | None = None) -> GridReader:
        """Return a reader of these variables; of all, where the reader has no choice.

        Parameters
        ----------
        statistic
            Daily statistic for which the values are read, for readers to which it matters.
        """
        options: dict[str, Any] = dict(self.settings.options)
        if "variables" in options:
            raise ConfigError(
                f"{self.entry.name}: invalid option 'variables'; name them in forcings, attributes or products."
            )
        if "variables" in grid_reader_options(self.entry.reader):
            options["variables"] = sorted(set(variables))
        if statistic is not None and self.reads_statistics:
            options["statistic"] = statistic
        return make_grid_reader(self.entry.reader, **options)

    def files(self, points: Points, period: Period | None, variables: Iterable[str]) -> list[Path]:
        """Return every file that may be read for these points, days and variables."""
        if self.has_points:
            return make_point_reader(self.entry.reader).files(self.root, points, period, variables)
        return candidate_files(self.entry, self.roots, period)

    def read(
        self,
        points: Points,
        period: Period | None,
        variables: Iterable[str],
        statistic: Statistic | None = None,
    ) -> tuple[xr.Dataset, Labels]:
        """Return the values at the sites with ``distance_km``, and the time labels that each variable has, and at which sites."""
        labels: Labels = {}
        if self.has_points:
            names = sorted(set(variables))
            found = make_point_reader(self.entry.reader).open(self.root, points, period, names)
            inside = np.ones(len(points.site), bool)
            labels = {n: [(t, inside)] for n, t in found.attrs.pop("labels", {}).items()}
            distance = distance_km(points.lat, points.lon, *(found[c].values for c in CELL))
            for name in found.data_vars:
                found[name].attrs.setdefault(
                    "collocation", "value of the service for the site or for its cell"
                )
            return found.assign_coords({DISTANCE: (v.SITE, distance)}), labels

        def at_sites(ds: xr.Dataset) -> xr.Dataset:
            out = self.at(ds, points)
            inside = np.isfinite(out[DISTANCE].values)
            for name in ds.data_vars if v.TIME in ds.dims else ():
                labels.setdefault(str(name), []).append((ds[v.TIME].values, inside))
            return out

        with damaged_files_set_aside(self.gaps == "allow" and period is not None):
            found = self.reader(variables, statistic).open(
                self.roots if self.more else self.root, period, transform=at_sites
            )
        if self.entry.grid.kind == "ease2":
            paths = [Path(p) for p in found.attrs["inputs"]]
            check_kept_cells(paths, points.site, points.lat, points.lon, found.attrs.get("grid", ""))
        return found, labels


def sample_days(
    source: Source, points: Points, period: Period, variables: DailyVariables
) -> tuple[xr.Dataset, Metadata, list[Path]]:
    """Return the daily values of a source at the sites, their counts, and the files with values.

    Parameters
    ----------
    period
        UTC days. All are in the result; days without data are missing.
    variables
        Variable and daily statistic.

    Returns
    -------
    xarray.Dataset
        ``VARIABLE_STATISTIC`` (site, time), and ``distance_km`` (site) to the centre of the nearest cell. A monthly
        source keeps its months.
    dict
        By ``VARIABLE_STATISTIC``: ``present``, ``short_of_steps`` (site-days with too few steps), ``lacking`` (days
        for which the source has too few steps or none), ``screening`` (of the whole grids that were read).
    list of Path
        The files with values.

    Raises
    ------
    DatasetError
        If the files cannot be read or lack a variable; source, variable and days are named.
    """
    if not source.reads_statistics:
        return _sample_days(source, points, period, variables, None)
    parts = [
        _sample_days(source, points, period, [(x, s) for x, s in variables if s == statistic], statistic)
        for statistic in dict.fromkeys(s for _, s in variables)
    ]
    out, counts, inputs = parts[0]
    for more, other, files in parts[1:]:
        nearest = np.fmin(out[DISTANCE], more[DISTANCE]) if DISTANCE in out and DISTANCE in more else None
        out = out.merge(more, compat="override")
        out = out if nearest is None else out.assign({DISTANCE: nearest})
        notes = list(dict.fromkeys([*counts.get("notes", []), *other.get("notes", [])]))
        counts = counts | other | ({"notes": notes} if notes else {})
        inputs = list(dict.fromkeys([*inputs, *files]))
    return out, counts, inputs


def _sample_days(
    source: Source, points: Points, period: Period, variables: DailyVariables, statistic: Statistic | None
) -> tuple[xr.Dataset, Metadata, list[Path]]:
    days = pd.date_range(period.start, period.end, freq="D", unit="ns", name=v.TIME)
    try:
        found, labels = source.read(points, period, [x for x, _ in variables], statistic)
    except NoDataInPeriodError as error:
        reason = "absent" if isinstance(error, VariableMissingError) else "reason"
        out, counts, inputs = _empty(source, points, days, variables, {reason: str(error)})
        if source.has_points:
            counts["sites_without_files"] = [str(n) for n in points.site]
        return out, counts, inputs
    except DatasetError as error:
        more = (
            " Or leave it out with --allow-gaps (gaps: allow)."
            if isinstance(error, UnreadableFileError)
            else ""
        )
        raise DatasetError(f"{source.entry.name}, {period.start} to {period.end}: {error}{more}") from error
    inputs = [Path(p) for p in found.attrs["inputs"]]
    step = float(found.attrs["time_step"])
    # A variable that no file of these days has is a gap of this variable alone.
    present = [(x, s) for x, s in variables if x in found]
    screening = {x: json.loads(found[x].attrs.pop("screening")) for x in dict.fromkeys(x for x, _ in present)}
    steps = xr.Dataset({f"{x}_{s}": found[x] for x, s in present}, attrs={"time_step": step})
    if step <= _DAY:
        how = {f"{x}_{s}": s for x, s in present}
        daily = to_daily(steps, how=how, minimum=source.settings.minimum).reindex({v.TIME: days})
    else:
        daily = steps
    absent = [(x, s) for x, s in variables if x not in found]
    gaps, counts, _ = _empty(
        source, points, days, absent, {"absent": f"the files have {', '.join(map(str, found.data_vars))}"}
    )
    daily = daily.assign(gaps.data_vars)
    for x, s in present:
        name = f"{x}_{s}"
        daily[name].attrs |= {k: found[x].attrs[k] for k in ("units", "long_name", "source", "license")}
        counts[name] = {
            "present": int(daily[name].notnull().sum()),
            "short_of_steps": int(daily[name].attrs.pop("days_short_of_steps", 0)),
            "lacking": _missing_days(labels[x], days, step, source.settings.minimum),
            "screening": screening[x],
            "empty": _empty_sites(daily[name]),
        }
        if "interval" in found[x].attrs:
            counts[name]["interval"] = found[x].attrs["interval"]
    counts |= _notes(found)
    out = daily.transpose(v.SITE, v.TIME).drop_attrs(deep=False).reset_coords(drop=True)
    out[DISTANCE] = (v.SITE, np.asarray(found[DISTANCE].values, np.float32))
    return out, counts, inputs


def sample_static(
    source: Source, points: Points, variables: Iterable[str]
) -> tuple[xr.Dataset, Metadata, list[Path]]:
    """Return a source without time at the sites with ``distance_km`` (site), its counts, and its files.

    Raises
    ------
    DatasetError
        As :func:`sample_days`.
    """
    names = list(dict.fromkeys(variables))
    try:
        found, _ = source.read(points, None, names)
    except DatasetError as error:
        raise DatasetError(f"{source.entry.name}: {error}") from error
    if absent := [x for x in names if x not in found]:
        raise DatasetError(
            f"{source.entry.name}: no {', '.join(absent)} in {source.where}; "
            f"the files have {', '.join(map(str, found.data_vars))}."
        )
    inputs = [Path(p) for p in found.attrs["inputs"]]
    counts: Metadata = {
        x: {
            "present": int(found[x].notnull().sum()),
            "screening": json.loads(found[x].attrs.pop("screening")),
            "empty": _empty_sites(found[x]),
        }
        for x in names
    }
    counts |= _notes(found)
    out = found[names].drop_attrs(deep=False).reset_coords(drop=True)
    out[DISTANCE] = (v.SITE, np.asarray(found[DISTANCE].values, np.float32))
    return out, counts, inputs


def _missing_days(
    labels: list[tuple[NDArray[np.datetime64], NDArray[np.bool_]]],
    days: pd.DatetimeIndex,
    step: float,
    minimum: float,
) -> list[str]:
    """Return the days for which the source has too few steps at any site inside its grids, whatever their values."""
    if step > _DAY:
        return []
    needed = int(np.ceil(minimum * round(_DAY / step) - 1e-9))
    # Grids of several areas may have different days: count those that each group of sites gets.
    grids = list({inside.tobytes(): inside for _, inside in labels}.values())
    groups = np.unique(np.stack(grids), axis=1).T
    groups = groups[groups.any(1)] if groups.any() else np.ones((1, len(grids)), bool)
    lacking = np.zeros(len(days), bool)
    for group in groups:
        chosen = {g.tobytes() for g, inside in zip(grids, group, strict=True) if inside}
        times = np.concatenate([t for t, inside in labels if inside.tobytes() in chosen])
        found = pd.DatetimeIndex(np.unique(times)).normalize().value_counts()
        lacking |= (found.reindex(days, fill_value=0) < needed).to_numpy()
    return [str(d.date()) for d in days[lacking]]


def _notes(found: xr.Dataset) -> Metadata:
    """Return what a reader says about the files, for the history."""
    kept = {note: found.attrs[note] for note in _NOTES if note in found.attrs}
    return kept | ({"notes": json.loads(found.attrs["notes"])} if "notes" in found.attrs else {})


def _empty_sites(values: xr.DataArray) -> list[str] | None:
    """Return the sites without any value; None if they are too many to list."""
    others = [d for d in values.dims if d != v.SITE]
    found = values[v.SITE].values[values.isnull().all(others).values]
    return [str(n) for n in found] if len(found) <= _MAX_EMPTY else None


def _empty(
    source: Source, points: Points, days: pd.DatetimeIndex, variables: DailyVariables, reason: dict[str, str]
) -> tuple[xr.Dataset, Metadata, list[Path]]:
    nan = np.full((len(points.site), len(days)), np.nan, np.float32)
    out = xr.Dataset(
        {f"{x}_{s}": ((v.SITE, v.TIME), nan) for x, s in variables},
        coords={v.SITE: points.site, v.TIME: days},
    )
    missing = [str(d.date()) for d in days]
    counts: Metadata = {
        f"{x}_{s}": {
            "present": 0, "short_of_steps": 0, "lacking": missing, "screening": {},
            "empty": _empty_sites(out[f"{x}_{s}"]), **reason,
        }
        for x, s in variables
    }  # fmt: skip
    return out, counts, []
